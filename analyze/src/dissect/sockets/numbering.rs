//! Where a read or a write lies in its stream: the kernel's sequence number where the event bears one that is exact, else right
//! behind what the same direction moved before. Never a number for a peek.

use super::Socket;
use afterpath_formats::packet::address_bytes;
use afterpath_formats::table::socket_events::SocketEventRow;
use std::net::SocketAddr;

/// The next number of both directions: inbound, outbound.
pub(super) struct Numbering {
    pub(super) next: [Option<u32>; 2],
    made_up: [u32; 2],
}

/// Why an event has no exact place, as it is counted.
type Cause = &'static str;

impl Numbering {
    /// A socket whose numbers are not known yet. Made-up ones are the same at both ends of a connection on one host.
    pub(super) fn of(socket: &Socket<'_>) -> Numbering {
        let made_up = match (socket.is_unix(), socket.local.zip(socket.remote)) {
            (false, Some((local, remote))) => [made_up(remote, local), made_up(local, remote)],
            _ => {
                let id = socket.row.socket_id;
                let peer = socket.host.unix_peer(socket.row).unwrap_or(!id);
                [mixed(peer, id), mixed(id, peer)]
            }
        };
        Numbering { next: [None; 2], made_up }
    }

    /// Numbers the first bytes of a connection that was seen to begin.
    pub(super) fn begin(&mut self, side: usize, sequence: Option<u32>) -> u32 {
        let first = sequence.unwrap_or(self.made_up[side]);
        self.next[side] = Some(first);
        first
    }

    /// The number of the first byte that an event moved, of `length`; and why it is not exact.
    pub(super) fn place(
        &mut self,
        side: usize,
        event: &SocketEventRow<'_>,
        length: u32,
    ) -> (u32, Option<Cause>) {
        let exact = match event.mark {
            None | Some("fin") => event.sequence_before,
            Some("fast-open") => fast_open(event, length),
            _ => None,
        };
        let cause = match (exact, event.mark) {
            (Some(_), _) => None,
            (None, Some("interleaved")) => Some("interleaved"),
            (None, Some("fast-open")) => Some("fast-open"),
            (None, _) => Some("no-sequence"),
        };
        let own = self.next[side].or(event.sequence_before).unwrap_or(self.made_up[side]);
        let sequence = exact.unwrap_or(own);
        self.next[side] = Some(sequence.wrapping_add(length));
        (sequence, cause)
    }
}

/// The number of the first byte that a send with the SYN moved: it had none before, and ends where the numbers do now.
pub(super) fn fast_open(event: &SocketEventRow<'_>, length: u32) -> Option<u32> {
    let (before, after) = event.sequence_before.zip(event.sequence_after)?;
    (before != after).then(|| after.wrapping_sub(length))
}

fn made_up(sender: SocketAddr, receiver: SocketAddr) -> u32 {
    let number = |socket: SocketAddr| {
        let bytes = address_bytes(socket.ip());
        let words = bytes.chunks(8).map(|w| w.iter().fold(0i64, |n, b| n << 8 | i64::from(*b)));
        words.fold(i64::from(socket.port()), |n, word| n.rotate_left(21) ^ word)
    };
    mixed(number(sender), number(receiver))
}

/// MurmurHash3's finaliser over both, the sender first.
fn mixed(sender: i64, receiver: i64) -> u32 {
    let mut hash =
        (sender as u64).rotate_left(32) ^ (receiver as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) as u32
}
