//! A conversation as a capture: raw IPv4, one TCP connection, segments of 1,400 bytes. It never computes a checksum: nobody here asks.

use super::talk::Talk;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const SEGMENT: usize = 1_400;
/// LINKTYPE_RAW: the packet begins with its IP header.
const RAW: u32 = 101;
const FLAGS: [(bool, u8); 3] = [(false, 2), (true, 0x12), (false, 0x10)];

pub(super) fn write(path: &Path, port: u16, talk: &Talk) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, RAW] {
        out.write_all(&word.to_le_bytes())?;
    }
    let (mut sequence, mut at_us) = ([1_000_u32, 9_000], 0);
    for (from_server, flags) in FLAGS {
        packet(&mut out, port, from_server, sequence, flags, &[], &mut at_us)?;
        sequence[usize::from(from_server)] += u32::from(flags & 2 != 0);
    }
    let mut said = [0_usize; 2];
    for ends in &talk.turns {
        for (side, bytes) in [&talk.client, &talk.server].into_iter().enumerate() {
            for piece in bytes[said[side]..ends[side]].chunks(SEGMENT) {
                packet(&mut out, port, side == 1, sequence, 0x18, piece, &mut at_us)?;
                sequence[side] = sequence[side].wrapping_add(piece.len() as u32);
            }
            said[side] = ends[side];
        }
    }
    out.flush()
}

fn packet(
    out: &mut impl Write,
    port: u16,
    from_server: bool,
    sequence: [u32; 2],
    flags: u8,
    payload: &[u8],
    at_us: &mut u32,
) -> io::Result<()> {
    let length = 40 + payload.len() as u32;
    *at_us += 10;
    for word in [*at_us / 1_000_000, *at_us % 1_000_000, length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let side = usize::from(from_server);
    let (from, to) = if from_server { (b, a) } else { (a, b) };
    let ports = if from_server { [port, 40_000] } else { [40_000, port] };
    let mut head = vec![0x45, 0];
    head.extend((length as u16).to_be_bytes());
    head.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    head.extend(from.iter().chain(&to));
    ports.iter().for_each(|port| head.extend(port.to_be_bytes()));
    head.extend(sequence[side].to_be_bytes());
    head.extend(sequence[1 - side].to_be_bytes());
    head.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.write_all(&head)?;
    out.write_all(payload)
}
