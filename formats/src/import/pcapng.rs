//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks. Never reads by itself, it scans bytes given; never drops a
//! block: what is no packet that can be placed is handed on as it stood.

use super::chunk::{CaptureInterface, OtherBlock, RecordAt};
use super::interface_block;
use super::options::{u16_of, u32_of};
use super::reader::{Scan, Seen, Stop};
use super::ticks::Ticks;
use crate::record::BlockKind;

/// Longest block read; the frame of a packet is far shorter, name resolution and secrets too.
const LARGEST_BLOCK: u32 = 64 * 1024 * 1024;
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const OBSOLETE_PACKET: u32 = 2;
pub(super) const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
/// Name resolution, systemd journal, decryption secrets, custom blocks: kept, and not counted as unknown.
const KEPT_BLOCKS: [u32; 5] = [4, 9, 10, 0x0bad, 0x4000_0bad];

/// Where in a pcapng file the scan stands.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    n_sections: u32,
    big_endian: bool,
    /// The current section's first interface among the file's.
    first_interface: usize,
    /// Of the current section's interfaces.
    ticks: Vec<Ticks>,
}

/// The fixed part of a packet block, whichever its kind.
struct PacketHead {
    kind: BlockKind,
    interface: u32,
    stamp: Option<(u32, u32)>,
    captured: u32,
    original: u32,
    drops: u16,
    /// Where the frame begins in the block.
    frame_at: usize,
}

/// Why a packet block can't become a record.
enum Misfit {
    Interface,
    Body,
}

/// Whether a file starting so is a pcapng, as far as its bytes reach.
pub(super) fn is_start(start: &[u8]) -> bool {
    start.starts_with(&SECTION_HEADER.to_be_bytes())
        && start.get(8..12).is_none_or(|magic| byte_order(magic).is_some())
}

/// The byte order a section header's magic says: whether it is big-endian.
pub(crate) fn byte_order(magic: &[u8]) -> Option<bool> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

/// Whether blocks of this type are expected.
pub(super) fn is_known(block_type: u32) -> bool {
    matches!(block_type, SECTION_HEADER | 1..=6) || KEPT_BLOCKS.contains(&block_type)
}

impl Pcapng {
    /// Takes all whole blocks off the start of `bytes`, which stand at `offset` of the file.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        offset: u64,
        seen: &mut Seen,
        records: &mut Vec<RecordAt>,
        others: &mut Vec<OtherBlock>,
    ) -> Scan {
        let mut at = 0;
        loop {
            let block = match self.next_block(&bytes[at..]) {
                Ok(block) => block,
                Err(stop) => return Scan { end: at, stop },
            };
            let block_offset = offset + at as u64;
            let block_type = u32_of([block[0], block[1], block[2], block[3]], self.big_endian);
            match self.packet(block_type, block, at, block_offset, seen) {
                Some(record) => records.push(record),
                None => {
                    if let Err(stop) = self.other(block_type, block, block_offset, seen, others) {
                        return Scan { end: at, stop };
                    }
                }
            }
            at += block.len();
        }
    }

    /// The current section's byte order.
    pub(super) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// The number at `at`, if it is there.
    pub(super) fn word_at(&self, bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32_of(*bytes.get(at..)?.first_chunk()?, self.big_endian))
    }

    /// Whether the damaged block is the header of a section that can't be read at all: of another version.
    pub(super) fn is_foreign_section(&self, block: &[u8]) -> bool {
        let order = block.get(8..12).and_then(byte_order);
        let major = block.get(12..14).map(|major| [major[0], major[1]]);
        let (Some(order), Some(major)) = (order, major) else { return false };
        self.word_at(block, 0) == Some(SECTION_HEADER) && u16_of(major, order) != 1
    }

    /// What can still be learnt of a damaged block, cut where reading goes on. An interface whose description has a wrong
    /// length is declared all the same, or those after it would be taken for it; a section has begun.
    pub(super) fn learn(&mut self, block: &[u8], seen: &mut Seen) {
        match self.word_at(block, 0) {
            Some(SECTION_HEADER) => {
                let order = block.get(8..12).and_then(byte_order);
                self.begin_section(order.unwrap_or(self.big_endian), seen);
            }
            Some(INTERFACE_DESCRIPTION) => {
                let body = block.get(8..block.len().saturating_sub(4)).unwrap_or_default();
                if let Some(found) = interface_block::description(body, self.big_endian) {
                    self.declare(found, seen);
                }
            }
            _ => {}
        }
    }

    fn begin_section(&mut self, big_endian: bool, seen: &Seen) {
        self.big_endian = big_endian;
        self.n_sections += 1;
        self.first_interface = seen.interfaces.len();
        self.ticks.clear();
    }

    /// The whole block `rest` begins with, its lengths checked. A section header sets the byte order.
    #[inline(always)]
    fn next_block<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], Stop> {
        let Some(head) = rest.first_chunk::<12>() else { return Err(Stop::Need(12)) };
        let mut big_endian = self.big_endian;
        if head[..4] == SECTION_HEADER.to_be_bytes() {
            big_endian = byte_order(&head[8..12]).ok_or_else(|| {
                Stop::Malformed("a section header without byte-order magic".into())
            })?;
        }
        let length = u32_of([head[4], head[5], head[6], head[7]], big_endian);
        if length < 12 || !length.is_multiple_of(4) || length > LARGEST_BLOCK {
            return Err(Stop::Malformed(format!("a block of {length} bytes")));
        }
        let Some(block) = rest.get(..length as usize) else {
            return Err(Stop::Need(length as usize));
        };
        let trailing = block.last_chunk().map(|bytes| u32_of(*bytes, big_endian));
        if trailing != Some(length) {
            return Err(Stop::Malformed(format!(
                "a block of {length} bytes ends in another length, {}",
                trailing.unwrap_or_default()
            )));
        }
        self.big_endian = big_endian;
        Ok(block)
    }

    /// The record a packet block holds; none for other blocks and those that can't be placed, which are counted.
    #[inline(always)]
    fn packet(
        &self,
        block_type: u32,
        block: &[u8],
        at: usize,
        offset: u64,
        seen: &mut Seen,
    ) -> Option<RecordAt> {
        let head = match block_type {
            ENHANCED_PACKET => self.enhanced(block),
            SIMPLE_PACKET => self.simple(block, seen),
            OBSOLETE_PACKET => self.obsolete(block),
            _ => return None,
        };
        match head.and_then(|head| self.record(&head, block, at, offset, seen)) {
            Ok(record) => Some(record),
            Err(Misfit::Interface) => {
                seen.counts.out_of_range_interface.add(offset);
                None
            }
            Err(Misfit::Body) => {
                seen.counts.malformed_blocks.add(offset);
                None
            }
        }
    }

    #[inline(always)]
    fn record(
        &self,
        head: &PacketHead,
        block: &[u8],
        at: usize,
        offset: u64,
        seen: &mut Seen,
    ) -> Result<RecordAt, Misfit> {
        let ticks = self.ticks.get(head.interface as usize).ok_or(Misfit::Interface)?;
        let interface = self.first_interface + head.interface as usize;
        let options_end = block.len() - 4;
        let frame_end = head.frame_at + head.captured as usize;
        let options_at = frame_end.next_multiple_of(4);
        if options_at > options_end {
            return Err(Misfit::Body);
        }
        let (time_ns, raw_stamp) = match head.stamp {
            Some((high, low)) => ticks.to_ns(high, low),
            None => {
                seen.counts.unstamped.add(offset);
                (seen.last_ns, None)
            }
        };
        seen.last_ns = time_ns;
        if raw_stamp.is_some() {
            seen.counts.raw_stamps.add(offset);
        }
        let snap = seen.interfaces.get(interface).map_or(0, |interface| interface.snap_length);
        seen.note_lengths(head.captured, head.original, snap, offset);
        Ok(RecordAt {
            time_ns,
            raw_stamp,
            interface: interface as u32,
            original_length: head.original,
            kind: head.kind,
            big_endian: self.big_endian,
            drops: head.drops,
            ordinal: seen.next_ordinal(),
            options: (at + options_at) as u32..(at + options_end) as u32,
            frame: (at + head.frame_at) as u32..(at + frame_end) as u32,
        })
    }

    /// Interface, stamp (high, low), captured and original length.
    #[inline(always)]
    fn enhanced(&self, block: &[u8]) -> Result<PacketHead, Misfit> {
        let fixed = fixed::<20>(block)?;
        Ok(PacketHead {
            kind: BlockKind::Enhanced,
            interface: self.word(fixed, 0),
            stamp: Some((self.word(fixed, 4), self.word(fixed, 8))),
            captured: self.word(fixed, 12),
            original: self.word(fixed, 16),
            drops: 0,
            frame_at: 28,
        })
    }

    /// Interface and drop count in 16 bits each, then as the enhanced block.
    fn obsolete(&self, block: &[u8]) -> Result<PacketHead, Misfit> {
        let fixed = fixed::<20>(block)?;
        Ok(PacketHead {
            kind: BlockKind::Obsolete,
            interface: u32::from(u16_of([fixed[0], fixed[1]], self.big_endian)),
            stamp: Some((self.word(fixed, 4), self.word(fixed, 8))),
            captured: self.word(fixed, 12),
            original: self.word(fixed, 16),
            drops: u16_of([fixed[2], fixed[3]], self.big_endian),
            frame_at: 28,
        })
    }

    /// Original length only: the section's first interface, whose snap length cut the frame.
    fn simple(&self, block: &[u8], seen: &Seen) -> Result<PacketHead, Misfit> {
        let fixed = fixed::<4>(block)?;
        if self.ticks.is_empty() {
            return Err(Misfit::Interface);
        }
        let original = self.word(fixed, 0);
        let snap = seen.interfaces.get(self.first_interface).map_or(0, |first| first.snap_length);
        let captured = if snap == 0 { original } else { original.min(snap) };
        let (kind, drops) = (BlockKind::Simple, 0);
        Ok(PacketHead { kind, interface: 0, stamp: None, captured, original, drops, frame_at: 12 })
    }

    /// Keeps any other block, after learning from those that tell of interfaces.
    fn other(
        &mut self,
        block_type: u32,
        block: &[u8],
        offset: u64,
        seen: &mut Seen,
        others: &mut Vec<OtherBlock>,
    ) -> Result<(), Stop> {
        let body = &block[8..block.len() - 4];
        match block_type {
            SECTION_HEADER => self.section(body, seen)?,
            INTERFACE_DESCRIPTION => match interface_block::description(body, self.big_endian) {
                Some(interface) => self.declare(interface, seen),
                None => seen.counts.malformed_blocks.add(offset),
            },
            INTERFACE_STATISTICS => self.statistics(body, seen),
            OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET => {}
            kept if KEPT_BLOCKS.contains(&kept) => {}
            _ => seen.counts.unknown_blocks.add(offset),
        }
        others.push(OtherBlock {
            ordinal: seen.next_ordinal(),
            section: self.n_sections.saturating_sub(1),
            block_type,
            big_endian: self.big_endian,
            bytes: block.to_vec(),
        });
        Ok(())
    }

    /// A new section: its interfaces count from 0 again. The section's length is not needed, so it may be wrong.
    fn section(&mut self, body: &[u8], seen: &Seen) -> Result<(), Stop> {
        let Some(&[_, _, _, _, a, b, ..]) = body.first_chunk::<16>() else {
            return Err(Stop::Malformed("a section header that is too short".into()));
        };
        let major = u16_of([a, b], self.big_endian);
        if major != 1 {
            return Err(Stop::Malformed(format!("a section of pcapng version {major}")));
        }
        self.begin_section(self.big_endian, seen);
        Ok(())
    }

    fn declare(&mut self, mut interface: CaptureInterface, seen: &mut Seen) {
        interface.section = self.n_sections.saturating_sub(1);
        self.ticks.push(Ticks::new(interface.ticks_per_second, interface.offset_seconds));
        seen.interfaces.push(interface);
    }

    /// What a later block says replaces what an earlier one did.
    fn statistics(&self, body: &[u8], seen: &mut Seen) {
        let Some(found) = interface_block::statistics(body, self.big_endian) else { return };
        let id = found.interface as usize;
        let place = self.first_interface.checked_add(id).filter(|_| id < self.ticks.len());
        if let Some(interface) = place.and_then(|place| seen.interfaces.get_mut(place)) {
            interface.received = found.received.or(interface.received);
            interface.dropped = found.dropped.or(interface.dropped);
        }
    }

    #[inline(always)]
    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        u32_of([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]], self.big_endian)
    }
}

/// The first `N` bytes of the block's body.
#[inline(always)]
fn fixed<const N: usize>(block: &[u8]) -> Result<&[u8; N], Misfit> {
    block[8..block.len() - 4].first_chunk().ok_or(Misfit::Body)
}
