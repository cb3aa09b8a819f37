//! Classic pcap (draft-ietf-opsawg-pcap): one file header, then records. Never reads by itself; it scans bytes given.

use super::chunk::{CaptureInterface, RecordAt};
use super::options::u32_of;
use super::reader::{Scan, Seen, Stop};
use crate::frame::LinkType;
use crate::record::BlockKind;

/// Bytes of the file header.
pub(super) const FILE_HEADER_BYTES: usize = 24;
/// A record may always hold this many bytes (libpcap's `MAXIMUM_SNAPLEN`), more only if the file's snap length says so.
const PLAUSIBLE_LENGTH: u32 = 256 * 1024;
/// But never more than this.
const LARGEST_LENGTH: u32 = 64 * 1024 * 1024;

/// What the file header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds of one unit of a stamp's fraction.
    ns_per_fraction: u32,
    fractions_per_second: u32,
    /// 16, or 24 in the format of Alexey Kuznetzov's patched libpcap.
    record_header_bytes: usize,
    snap_length: u32,
    link_type: u16,
}

impl Pcap {
    /// Whether the first four bytes are those of a classic capture: its byte order, nanoseconds, modified record headers.
    fn magic(magic: [u8; 4]) -> Option<(bool, bool, bool)> {
        let found = |number: u32| match number {
            0xa1b2_c3d4 => Some((false, false)),
            0xa1b2_3c4d => Some((true, false)),
            0xa1b2_cd34 => Some((false, true)),
            _ => None,
        };
        let (little, big) = (u32::from_le_bytes(magic), u32::from_be_bytes(magic));
        let with_order = |big_endian| move |(ns, modified)| (big_endian, ns, modified);
        found(little).map(with_order(false)).or_else(|| found(big).map(with_order(true)))
    }

    /// Whether a file starting with `magic` is one.
    pub(super) fn is_magic(magic: [u8; 4]) -> bool {
        Pcap::magic(magic).is_some()
    }

    /// Reads the file header; none if its magic number is unknown.
    pub(super) fn parse(header: &[u8; FILE_HEADER_BYTES]) -> Option<Self> {
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let (big_endian, nanoseconds, modified) = Pcap::magic(word(0))?;
        // The upper half of the last word tells of frame check sequences.
        let link_type = u32_of(word(20), big_endian) as u16;
        Some(Pcap {
            big_endian,
            ns_per_fraction: if nanoseconds { 1 } else { 1_000 },
            fractions_per_second: if nanoseconds { 1_000_000_000 } else { 1_000_000 },
            record_header_bytes: if modified { 24 } else { 16 },
            snap_length: u32_of(word(16), big_endian),
            link_type,
        })
    }

    /// The one interface of the file.
    pub(super) fn interface(&self) -> CaptureInterface {
        CaptureInterface {
            section: 0,
            name: String::new(),
            description: String::new(),
            link_type: LinkType::from_number(self.link_type),
            link_type_number: self.link_type,
            snap_length: self.snap_length,
            ticks_per_second: u64::from(self.fractions_per_second),
            offset_seconds: 0,
            received: None,
            dropped: None,
        }
    }

    /// Takes all whole records off the start of `bytes`, which stand at `offset` of the file.
    pub(super) fn scan(
        &self,
        bytes: &[u8],
        offset: u64,
        seen: &mut Seen,
        records: &mut Vec<RecordAt>,
    ) -> Scan {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(header) =
                rest.get(..self.record_header_bytes).and_then(<[u8]>::first_chunk::<16>)
            else {
                return Scan { end: at, stop: Stop::Need(self.record_header_bytes) };
            };
            let captured = u32_of([header[8], header[9], header[10], header[11]], self.big_endian);
            if captured > self.longest() {
                let why = format!("a record of {captured} bytes, longer than the snap length");
                return Scan { end: at, stop: Stop::Malformed(why) };
            }
            let needed = self.record_header_bytes + captured as usize;
            if rest.len() < needed {
                return Scan { end: at, stop: Stop::Need(needed) };
            }
            let frame = (at + self.record_header_bytes) as u32..(at + needed) as u32;
            let record = self.record(header, frame, seen, offset + at as u64);
            records.push(record);
            at += needed;
        }
    }

    #[inline(always)]
    fn record(
        &self,
        header: &[u8; 16],
        frame: std::ops::Range<u32>,
        seen: &mut Seen,
        offset: u64,
    ) -> RecordAt {
        let word = |at: usize| {
            u32_of([header[at], header[at + 1], header[at + 2], header[at + 3]], self.big_endian)
        };
        let (seconds, fraction, original_length) = (word(0), word(4), word(12));
        seen.note_lengths(frame.end - frame.start, original_length, self.snap_length, offset);
        if fraction >= self.fractions_per_second {
            seen.counts.odd_fractions.add(offset);
        }
        let ns = u64::from(seconds) * 1_000_000_000
            + u64::from(fraction) * u64::from(self.ns_per_fraction);
        RecordAt {
            // Below 2^63: 2^32 seconds are 2^62 ns.
            time_ns: ns as i64,
            raw_stamp: None,
            interface: 0,
            original_length,
            kind: BlockKind::Pcap,
            big_endian: self.big_endian,
            drops: 0,
            ordinal: seen.next_ordinal(),
            options: frame.end..frame.end,
            frame,
        }
    }

    fn longest(&self) -> u32 {
        self.snap_length.clamp(PLAUSIBLE_LENGTH, LARGEST_LENGTH)
    }
}
