//! Classic pcap (draft-ietf-opsawg-pcap): one file header, then records. Never reads by itself; it scans bytes given.

use super::chain::{CHAIN_BYTES, NEAR_SECONDS};
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
    pub(super) record_header_bytes: usize,
    snap_length: u32,
    link_type: u16,
    /// Seconds of the record before.
    last_seconds: Option<u32>,
    /// Oddities that records of this file were found to have and be whole all the same.
    usual: u8,
}

/// The captured length is more than there was, or than the snap length allows.
const LONG: u8 = 1;
/// The captured length is neither the frame's nor the snap length.
const SHORT: u8 = 2;
/// The fraction is a second or more.
const FRACTION: u8 = 4;
/// The stamp is far from the one before. Never usual: a file header in the middle of a file looks like it.
const FAR: u8 = 8;

/// The numbers of a record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seconds: u32,
    pub(super) fraction: u32,
    pub(super) captured: u32,
    pub(super) original: u32,
}

impl Head {
    const ZEROS: Head = Head { seconds: 0, fraction: 0, captured: 0, original: 0 };
}

/// What looking at a record and the header behind it says.
enum Doubt {
    None,
    Need(usize),
    Malformed(String),
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
            last_seconds: None,
            usual: 0,
        })
    }

    /// The file header that `bytes` begin with, every field of it plausible.
    pub(super) fn header_at(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk()?;
        // Most places end here.
        Pcap::magic([header[0], header[1], header[2], header[3]])?;
        let found = Pcap::parse(header)?;
        let version = u32_of([header[4], header[5], header[6], header[7]], found.big_endian);
        let is_version = version == if found.big_endian { 0x0002_0004 } else { 0x0004_0002 };
        is_version.then_some(found)
    }

    /// Goes on with another file's header, if it is of the same link type.
    pub(super) fn adopt(&mut self, header: Pcap) -> bool {
        let same = header.link_type == self.link_type;
        if same {
            *self = header;
        }
        same
    }

    /// Seconds of the record before.
    pub(super) fn last_seconds(&self) -> Option<u32> {
        self.last_seconds
    }

    /// Whether a stamp may have this fraction.
    pub(super) fn is_fraction(&self, fraction: u32) -> bool {
        fraction < self.fractions_per_second
    }

    /// What the snap length leaves of a frame.
    pub(super) fn snapped(&self, original: u32) -> u32 {
        if self.snap_length == 0 { original } else { original.min(self.snap_length) }
    }

    /// The record header that `bytes` begin with.
    #[inline(always)]
    pub(super) fn head(&self, bytes: &[u8]) -> Option<Head> {
        let header = bytes.first_chunk::<16>()?;
        let word = |at: usize| {
            u32_of([header[at], header[at + 1], header[at + 2], header[at + 3]], self.big_endian)
        };
        Some(Head { seconds: word(0), fraction: word(4), captured: word(8), original: word(12) })
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

    /// Takes all whole records off the start of `bytes`, which stand at `offset` of the file and are its last if `at_end`.
    ///
    /// A classic record has one length and nothing to check it by: a record is taken only if another follows it, or if none
    /// can be found inside it.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        offset: u64,
        at_end: bool,
        seen: &mut Seen,
        records: &mut Vec<RecordAt>,
    ) -> Scan {
        let mut at = 0;
        let mut ahead = None;
        loop {
            let rest = &bytes[at..];
            let read =
                || self.head(rest).map(|head| (head, self.oddities(&head, self.last_seconds)));
            let Some((head, oddities)) = ahead.take().or_else(read) else {
                return Scan { end: at, stop: Stop::Need(self.record_header_bytes) };
            };
            let needed = self.record_header_bytes + head.captured as usize;
            let doubt = self.doubt(&head, oddities, rest, at_end, &mut ahead);
            match doubt {
                Doubt::None if rest.len() >= needed => {}
                Doubt::None => return Scan { end: at, stop: Stop::Need(needed) },
                Doubt::Need(more) => return Scan { end: at, stop: Stop::Need(more) },
                Doubt::Malformed(why) => return Scan { end: at, stop: Stop::Malformed(why) },
            }
            let frame = (at + self.record_header_bytes) as u32..(at + needed) as u32;
            records.push(self.record(&head, frame, seen, offset + at as u64));
            self.last_seconds = Some(head.seconds);
            at += needed;
        }
    }

    #[inline(always)]
    fn record(
        &self,
        head: &Head,
        frame: std::ops::Range<u32>,
        seen: &mut Seen,
        offset: u64,
    ) -> RecordAt {
        seen.note_lengths(head.captured, head.original, self.snap_length, offset);
        if head.fraction >= self.fractions_per_second {
            seen.counts.odd_fractions.add(offset);
        }
        let ns = u64::from(head.seconds) * 1_000_000_000
            + u64::from(head.fraction) * u64::from(self.ns_per_fraction);
        RecordAt {
            // Below 2^63: 2^32 seconds are 2^62 ns.
            time_ns: ns as i64,
            raw_stamp: None,
            interface: 0,
            original_length: head.original,
            kind: BlockKind::Pcap,
            big_endian: self.big_endian,
            drops: 0,
            ordinal: seen.next_ordinal(),
            options: frame.end..frame.end,
            frame,
        }
    }

    /// What speaks against the record at the start of `rest`; sets `ahead` to the header behind it where nothing does.
    #[inline(always)]
    fn doubt(
        &mut self,
        head: &Head,
        oddities: u8,
        rest: &[u8],
        at_end: bool,
        ahead: &mut Option<(Head, u8)>,
    ) -> Doubt {
        let needed = self.record_header_bytes + head.captured as usize;
        if let Some(next) = rest.get(needed..).and_then(|rest| self.head(rest)) {
            let more = self.oddities(&next, Some(head.seconds));
            let are_usual = (oddities | more) & !self.usual == 0;
            if are_usual && head.captured.max(next.captured) <= self.longest() && next.original > 0
            {
                *ahead = Some((next, more));
                return Doubt::None;
            }
        }
        self.doubt_slowly(head, oddities, rest, needed, at_end)
    }

    #[cold]
    fn doubt_slowly(
        &mut self,
        head: &Head,
        oddities: u8,
        rest: &[u8],
        needed: usize,
        at_end: bool,
    ) -> Doubt {
        if rest.len() < FILE_HEADER_BYTES && !at_end {
            return Doubt::Need(FILE_HEADER_BYTES);
        }
        if let Some(header) = Pcap::header_at(rest) {
            let why = match header.link_type == self.link_type {
                true => {
                    "the file header of another capture, as if two files were joined".to_string()
                }
                false => format!(
                    "another capture, of link type {}, not {}",
                    header.link_type, self.link_type
                ),
            };
            return Doubt::Malformed(why);
        }
        if head.captured > self.longest() {
            let why = format!("a record of {} bytes, longer than the snap length", head.captured);
            return Doubt::Malformed(why);
        }
        if *head == Head::ZEROS {
            return Doubt::Malformed("zeros where a record should be".to_string());
        }
        if rest.len() < needed + FILE_HEADER_BYTES && !at_end {
            return Doubt::Need(needed + FILE_HEADER_BYTES);
        }
        let Some(behind) = rest.get(needed..) else { return Doubt::None };
        let follows = Pcap::header_at(behind).is_some()
            || self.head(behind).is_none_or(|next| {
                let more = self.oddities(&next, Some(head.seconds)) & !(oddities | self.usual);
                more == 0 && next.captured <= self.longest() && next != Head::ZEROS
            });
        if !follows && rest.len() < needed + CHAIN_BYTES && !at_end {
            return Doubt::Need(needed + CHAIN_BYTES);
        }
        // Far from its neighbours in more than time: it may be anything.
        let is_far = oddities & FAR != 0 && self.last_seconds.is_some();
        let is_odd = oddities & !FAR & !self.usual != 0 || head.captured == 0;
        if !follows && (is_far && is_odd || self.is_straddling(rest, needed, at_end)) {
            let why = format!("a record of {} bytes that no other follows", head.captured);
            return Doubt::Malformed(why);
        }
        self.usual |= oddities & !FAR;
        Doubt::None
    }

    #[inline(always)]
    fn oddities(&self, head: &Head, last: Option<u32>) -> u8 {
        let long = head.captured > head.original
            || (self.snap_length > 0 && head.captured > self.snap_length);
        let short = head.captured < head.original && head.captured != self.snap_length;
        let far = last.is_none_or(|last| head.seconds.abs_diff(last) > NEAR_SECONDS);
        let odd_fraction = head.fraction >= self.fractions_per_second;
        let bits = [(long, LONG), (short, SHORT), (odd_fraction, FRACTION), (far, FAR)];
        bits.into_iter().fold(0, |all, (is, bit)| all | if is { bit } else { 0 })
    }

    fn longest(&self) -> u32 {
        self.snap_length.clamp(PLAUSIBLE_LENGTH, LARGEST_LENGTH)
    }
}
