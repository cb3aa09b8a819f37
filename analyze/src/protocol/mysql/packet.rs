//! Packets (MySQL: "MySQL Packets"): a length, a sequence number, a payload, which may go on in the next packet. Found again behind gaps. Never holds a
//! payload, never waits for more of one than is asked for.

use crate::issue::Issue;
use crate::protocol::Half;

/// Bytes of a head.
pub(super) const HEAD: u64 = 4;
/// A payload of this length goes on in the next packet.
const FULL: u32 = 0xff_ffff;

/// A packet, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) begin: u64,
    /// Of all packets that it goes on in, as far as they are known.
    pub(super) end: u64,
    pub(super) sequence: u8,
    /// Announced; of the first packet.
    pub(super) length: u32,
    /// The known beginning of the payload.
    pub(super) payload: &'a [u8],
    /// It goes on in the next packet.
    pub(super) goes_on: bool,
}

/// Length and sequence number.
pub(super) fn head(bytes: &[u8]) -> Option<(u32, u8)> {
    let head = bytes.first_chunk::<4>()?;
    Some((u32::from_le_bytes([head[0], head[1], head[2], 0]), head[3]))
}

/// What comes next in a half.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Packet(Packet<'a>),
    /// More bytes are needed.
    More,
    /// Bytes are missing where a packet should begin, or are none.
    Lost(Issue),
}

/// The packet at `position`, with at least `wanted` bytes of its payload if they can be had.
pub(super) fn next<'a>(half: &Half<'a>, position: u64, wanted: usize) -> Next<'a> {
    let bytes = half.at(position);
    let Some((length, sequence)) = head(bytes) else {
        return match bytes.is_empty() && position >= half.end {
            true => Next::More,
            false if !half.cut_after(position) => Next::More,
            false => Next::Lost(Issue::HeadCut),
        };
    };
    let known = &bytes[HEAD as usize..];
    let payload = &known[..known.len().min(length as usize)];
    if payload.len() < wanted.min(length as usize) && !half.cut_after(position) {
        return Next::More;
    }
    let end = position + HEAD + u64::from(length);
    let goes_on = length == FULL;
    Next::Packet(Packet { begin: position, end, sequence, length, payload, goes_on })
}
