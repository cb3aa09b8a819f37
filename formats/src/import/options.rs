//! pcapng options: code, length, value, padded to four bytes. Never fails: a list that is cut ends there.

use crate::frame::Direction;

/// Code of `opt_comment`.
const COMMENT: u16 = 1;
const EPB_FLAGS: u16 = 2;
const EPB_DROP_COUNT: u16 = 4;
const EPB_PACKET_ID: u16 = 5;
const EPB_QUEUE: u16 = 6;

/// What the options of an enhanced packet block say (draft-ietf-opsawg-pcapng, 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PacketOptions {
    /// `opt_comment`, all of them in order; bytes that are no UTF-8 are replaced.
    pub comments: Vec<String>,
    /// `epb_flags`.
    pub flags: Option<u32>,
    /// `epb_packetid`.
    pub packet_id: Option<u64>,
    /// `epb_dropcount`: packets lost since the one before on this interface.
    pub drop_count: Option<u64>,
    /// `epb_queue`.
    pub queue: Option<u32>,
}

impl PacketOptions {
    /// Reads a record's raw options (see [`crate::record::Record::options`]); of an option given twice the last counts.
    pub fn parse(options: &[u8], big_endian: bool) -> Self {
        let mut parsed = PacketOptions::default();
        for (code, value) in Options::new(options, big_endian) {
            match code {
                COMMENT => parsed.comments.push(String::from_utf8_lossy(value).into_owned()),
                EPB_FLAGS => parsed.flags = u32_value(value, big_endian),
                EPB_DROP_COUNT => parsed.drop_count = u64_value(value, big_endian),
                EPB_PACKET_ID => parsed.packet_id = u64_value(value, big_endian),
                EPB_QUEUE => parsed.queue = u32_value(value, big_endian),
                _ => {}
            }
        }
        parsed
    }

    /// The direction the flags' lowest two bits give.
    pub fn direction(&self) -> Option<Direction> {
        match self.flags? & 0b11 {
            1 => Some(Direction::Inbound),
            2 => Some(Direction::Outbound),
            _ => None,
        }
    }
}

/// Walks a raw option list: (code, value), up to `opt_endofopt` or the first option that is cut.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    rest: &'a [u8],
    big_endian: bool,
}

impl<'a> Options<'a> {
    /// The options in `bytes`, of a section of that byte order.
    pub fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Options { rest: bytes, big_endian }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        let (code, length) = (
            u16_of([head[0], head[1]], self.big_endian),
            u16_of([head[2], head[3]], self.big_endian),
        );
        let value = rest.get(..usize::from(length))?;
        if code == 0 {
            return None;
        }
        self.rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

/// Rewrites an option list of a section of that byte order for a section of the other, up to its end or the first option
/// that is cut. Values other than the known numbers stay as they are.
pub(crate) fn swap_byte_order(options: &[u8], big_endian: bool) -> Vec<u8> {
    let mut swapped = Vec::with_capacity(options.len());
    for (code, value) in Options::new(options, big_endian) {
        push_swapped(
            &mut swapped,
            &if big_endian { code.to_be_bytes() } else { code.to_le_bytes() },
        );
        let length = value.len() as u16;
        push_swapped(
            &mut swapped,
            &if big_endian { length.to_be_bytes() } else { length.to_le_bytes() },
        );
        match (code, value.len()) {
            (EPB_FLAGS | EPB_QUEUE, 4) | (EPB_DROP_COUNT | EPB_PACKET_ID, 8) => {
                push_swapped(&mut swapped, value);
            }
            // Custom options begin with their owner's number.
            (2988 | 2989 | 19372 | 19373, 4..) => {
                push_swapped(&mut swapped, &value[..4]);
                swapped.extend_from_slice(&value[4..]);
            }
            _ => swapped.extend_from_slice(value),
        }
        swapped.resize(swapped.len().next_multiple_of(4), 0);
    }
    if !swapped.is_empty() {
        swapped.extend_from_slice(&[0; 4]);
    }
    swapped
}

fn push_swapped(to: &mut Vec<u8>, number: &[u8]) {
    to.extend(number.iter().rev());
}

/// Two bytes of a section.
#[inline(always)]
pub(crate) fn u16_of(bytes: [u8; 2], big_endian: bool) -> u16 {
    if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

/// Four bytes of a section.
#[inline(always)]
pub(crate) fn u32_of(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// Eight bytes of a section.
pub(crate) fn u64_of(bytes: [u8; 8], big_endian: bool) -> u64 {
    if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
}

fn u32_value(value: &[u8], big_endian: bool) -> Option<u32> {
    value.try_into().ok().map(|bytes| u32_of(bytes, big_endian))
}

/// An option's eight bytes as a number.
pub(crate) fn u64_value(value: &[u8], big_endian: bool) -> Option<u64> {
    value.try_into().ok().map(|bytes| u64_of(bytes, big_endian))
}
