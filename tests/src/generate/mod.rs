//! Captures made from a seed: HTTP/1.1 over TCP as one tap between clients and servers sees it. Same seed and size, same
//! bytes, on any machine. It never imitates a particular site, and never draws from a clock or the system's randomness.

mod connection;
mod exchange;
mod frames;
pub(crate) mod random;

pub use connection::Totals;

use connection::Connection;
use random::Random;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Of everything.
    pub seed: u64,
    /// At least so many packets; the last connection is made whole.
    pub n_packets: u64,
    /// Bytes kept of each packet.
    pub snap_length: u32,
}

/// Whole packets.
pub const NO_LIMIT: u32 = 65_535;

/// When the first connection begins: 2026-01-01T00:00:00Z.
const START_NS: u64 = 1_767_225_600_000_000_000;
/// Connections begin so far apart on average.
const SPACING_NS: u64 = 4_000_000;

/// Writes a nanosecond pcap in time order and says what is in it.
///
/// # Errors
/// Those of the writer.
pub fn http_capture(recipe: Recipe, out: &mut dyn Write) -> io::Result<Totals> {
    write_file_header(recipe.snap_length, out)?;
    let mut random = Random::new(recipe.seed);
    let mut totals = Totals::default();
    // Packets of connections that have begun; a connection has no packet before its beginning, so what is earlier than
    // the next beginning is complete.
    let mut waiting: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    let (mut begin_ns, mut n_made) = (START_NS, 0);
    while totals.n_packets < recipe.n_packets {
        let index = totals.n_connections;
        let mut connection = Connection::new(index, begin_ns, &mut random);
        connection.converse();
        for (time_ns, frame) in connection.finish(&mut totals) {
            waiting.insert((time_ns, n_made), frame);
            n_made += 1;
        }
        begin_ns += random.below(2 * SPACING_NS);
        let later = waiting.split_off(&(begin_ns, 0));
        write_packets(recipe.snap_length, out, std::mem::replace(&mut waiting, later))?;
    }
    write_packets(recipe.snap_length, out, waiting)?;
    Ok(totals)
}

fn write_file_header(snap_length: u32, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&0xa1b2_3c4du32.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0])?;
    out.write_all(&[0; 8])?;
    out.write_all(&snap_length.to_le_bytes())?;
    out.write_all(&1u32.to_le_bytes())
}

fn write_packets(
    snap_length: u32,
    out: &mut dyn Write,
    packets: BTreeMap<(u64, u64), Vec<u8>>,
) -> io::Result<()> {
    for ((time_ns, _), frame) in packets {
        let kept = &frame[..frame.len().min(snap_length as usize)];
        out.write_all(&((time_ns / 1_000_000_000) as u32).to_le_bytes())?;
        out.write_all(&((time_ns % 1_000_000_000) as u32).to_le_bytes())?;
        out.write_all(&(kept.len() as u32).to_le_bytes())?;
        out.write_all(&(frame.len() as u32).to_le_bytes())?;
        out.write_all(kept)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(seed: u64) -> (Vec<u8>, Totals) {
        let mut bytes = Vec::new();
        let recipe = Recipe { seed, n_packets: 5_000, snap_length: NO_LIMIT };
        let totals = http_capture(recipe, &mut bytes).expect("memory");
        (bytes, totals)
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert!(make(7).0 == make(7).0);
        assert!(make(7).0 != make(8).0);
    }

    #[test]
    fn packets_are_in_time_order_and_as_many_as_said() {
        let (bytes, totals) = make(1);
        let word =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let (mut at, mut n_packets, mut last) = (24, 0, (0, 0));
        while at < bytes.len() {
            let time = (word(at), word(at + 4));
            assert!(time >= last && time.1 < 1_000_000_000);
            (last, n_packets) = (time, n_packets + 1);
            at += 16 + word(at + 8) as usize;
        }
        assert_eq!((at, n_packets), (bytes.len(), totals.n_packets));
        assert!(totals.n_requests > 100 && totals.n_retransmissions > 0, "{totals:?}");
    }
}
