//! Where a damaged capture can be read on: places at which several records or blocks follow one another plausibly. Never
//! takes a place on one number's word, never looks further than the bytes given.

use super::options::{u16_of, u32_of};
use super::pcap::{FILE_HEADER_BYTES, Pcap};
use super::pcapng::{self, Pcapng};

/// Bytes looked through at once.
pub(super) const WINDOW_BYTES: usize = 4 << 20;
/// Bytes behind a place that may be looked at to judge it.
pub(super) const CHAIN_BYTES: usize = 1 << 20;
/// Records or blocks that have to follow one another.
const LINKS: usize = 3;
/// A frame's length, as far as a place is judged by it.
const PLAUSIBLE_FRAME: u32 = 256 * 1024;
/// Seconds between neighbours, as far as a place is judged by it: a day.
pub(super) const NEAR_SECONDS: u32 = 86_400;

/// What a search gave: a place, or how many of the bytes can be left behind.
pub(super) enum Search {
    Found(usize),
    Nothing(usize),
}

/// Links that may be followed in one search: a hostile file could make every place begin a long chain that breaks.
#[derive(Clone, Copy)]
struct Budget(usize);

impl Budget {
    fn of(bytes: &[u8]) -> Budget {
        Budget(1000 + bytes.len())
    }

    /// Whether one more may be followed.
    fn spend(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// Tries `is_place` from `first` on; behind the last place that can be judged it waits for more bytes, if there are any.
fn search(
    bytes: &[u8],
    first: usize,
    at_end: bool,
    mut is_place: impl FnMut(usize) -> bool,
) -> Search {
    let judged = if at_end { bytes.len() } else { bytes.len().saturating_sub(CHAIN_BYTES) };
    match (first..judged).find(|at| is_place(*at)) {
        Some(at) => Search::Found(at),
        None => Search::Nothing(judged.max(first).min(bytes.len())),
    }
}

/// How a chain has to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// After some links, or with the bytes if they are the file's last.
    Links,
    /// With the file's last byte.
    End,
    /// Behind this place.
    Past(usize),
}

impl Pcapng {
    /// The first place in `bytes` where blocks follow one another. They begin with the damaged block if `is_first`.
    pub(super) fn search(
        &self,
        bytes: &[u8],
        is_first: bool,
        at_end: bool,
        until: Until,
    ) -> Search {
        let mut budget = Budget::of(bytes);
        let mut first = 0;
        if is_first {
            // A packet's own length tells where its block should end, and its frame may hold a capture of another time.
            first = self.frame_end(bytes).unwrap_or(1);
            for end in [self.own_end(bytes).unwrap_or(first), first + 4] {
                if self.chains(bytes, end, at_end, until, &mut budget) {
                    return Search::Found(end);
                }
            }
        }
        search(bytes, first, at_end, |at| self.chains(bytes, at, at_end, until, &mut budget))
    }

    /// The first place in `bytes`, but for their start if `is_first`, where a section begins.
    pub(super) fn search_section(&self, bytes: &[u8], is_first: bool, at_end: bool) -> Search {
        let begins = |at: usize| {
            self.word_at(bytes, at) == Some(pcapng::SECTION_HEADER)
                && self.link(&bytes[at..], self.big_endian()).is_some()
        };
        search(bytes, usize::from(is_first), at_end, begins)
    }

    /// Whether a packet block that reaches past the end was only cut: its length agrees with its frame's, and it ends nowhere
    /// before.
    pub(super) fn is_cut(&self, bytes: &[u8]) -> bool {
        let (Some(length), Some(end)) = (self.word_at(bytes, 4), self.frame_end(bytes)) else {
            return bytes.len() < 28;
        };
        length as usize >= end + 4 && self.own_end(bytes).is_none()
    }

    /// Where the packet block at the start of `bytes` ends by its own frame and options, its length being found there.
    fn own_end(&self, bytes: &[u8]) -> Option<usize> {
        let (mut at, mut is_last) = (self.frame_end(bytes)?, false);
        loop {
            let word = bytes.get(at..)?.first_chunk::<4>()?;
            if u32_of(*word, self.big_endian()) as usize == at + 4 {
                return Some(at + 4);
            }
            if is_last {
                return None;
            }
            let half = |at: usize| u16_of([word[at], word[at + 1]], self.big_endian());
            is_last = half(0) == 0;
            at += 4 + usize::from(half(2)).next_multiple_of(4);
        }
    }

    /// Where the frame of the packet block at the start of `bytes` ends, padded.
    fn frame_end(&self, bytes: &[u8]) -> Option<usize> {
        let kind = self.word_at(bytes, 0)?;
        if kind != pcapng::ENHANCED_PACKET && kind != pcapng::OBSOLETE_PACKET {
            return None;
        }
        let (captured, original) = (self.word_at(bytes, 20)?, self.word_at(bytes, 24)?);
        let plausible = captured <= original && captured <= PLAUSIBLE_FRAME;
        plausible.then(|| 28 + (captured as usize).next_multiple_of(4))
    }

    fn chains(
        &self,
        bytes: &[u8],
        at: usize,
        at_end: bool,
        until: Until,
        budget: &mut Budget,
    ) -> bool {
        let (mut here, mut big_endian, mut n_known, mut n_links) = (at, self.big_endian(), 0, 0);
        loop {
            if here == bytes.len() && at_end && n_known > 0 {
                return true;
            }
            let rest = &bytes[here.min(bytes.len())..];
            let Some((length, order, known)) = self.link(rest, big_endian) else { return false };
            if !budget.spend() {
                return false;
            }
            (n_known, n_links) = (n_known + usize::from(known), n_links + 1);
            (here, big_endian) = (here + length, order);
            if until == Until::Links && (n_known >= 2 || n_known >= 1 && n_links >= LINKS) {
                return true;
            }
        }
    }

    /// The block at the start of `bytes`, if its two lengths agree: length, byte order, whether it is of a known kind.
    fn link(&self, bytes: &[u8], big_endian: bool) -> Option<(usize, bool, bool)> {
        let head = bytes.first_chunk::<12>()?;
        let kind = u32_of([head[0], head[1], head[2], head[3]], big_endian);
        let order = match kind {
            pcapng::SECTION_HEADER => pcapng::byte_order(&head[8..12])?,
            _ => big_endian,
        };
        let length = u32_of([head[4], head[5], head[6], head[7]], order);
        if length < 12 || !length.is_multiple_of(4) || length as usize > CHAIN_BYTES {
            return None;
        }
        let block = bytes.get(..length as usize)?;
        let trailing = block.last_chunk().map(|bytes| u32_of(*bytes, order))?;
        let fits = match kind {
            pcapng::ENHANCED_PACKET | pcapng::OBSOLETE_PACKET => {
                let captured = block.get(20..24).and_then(<[u8]>::first_chunk);
                captured
                    .is_some_and(|captured| u32_of(*captured, order).saturating_add(32) <= length)
            }
            pcapng::SECTION_HEADER => length >= 28,
            pcapng::INTERFACE_DESCRIPTION => length >= 20,
            pcapng::SIMPLE_PACKET => length >= 16,
            _ => true,
        };
        (trailing == length && fits).then(|| (length as usize, order, pcapng::is_known(kind)))
    }
}

impl Pcap {
    /// The first place in `bytes` where records follow one another, or a file header stands. They begin with the damaged
    /// record if `is_first`.
    pub(super) fn search(
        &self,
        bytes: &[u8],
        is_first: bool,
        at_end: bool,
        until: Until,
    ) -> Search {
        let mut budget = Budget::of(bytes);
        let is_header = |at: usize| Pcap::header_at(&bytes[at..]).is_some();
        if is_first && !is_header(0) {
            // The length on the wire may be right where the other is wrong.
            let original = self.head(bytes).map_or(0, |head| head.original);
            let end = self.record_header_bytes + self.snapped(original) as usize;
            let is_plausible = original <= PLAUSIBLE_FRAME;
            if is_plausible && self.chains(bytes, end, at_end, until, &mut budget) {
                return Search::Found(end);
            }
        }
        let first = usize::from(is_first && !is_header(0));
        search(bytes, first, at_end, |at| {
            is_header(at) || self.chains(bytes, at, at_end, until, &mut budget)
        })
    }

    /// The first place in `bytes` where a file header stands.
    pub(super) fn search_header(bytes: &[u8], at_end: bool) -> Search {
        search(bytes, 0, at_end, |at| Pcap::header_at(&bytes[at..]).is_some())
    }

    /// Whether a record's two lengths agree and its stamp is near: what is missing of it was cut off.
    pub(super) fn is_cut(&self, bytes: &[u8]) -> bool {
        self.head(bytes).is_none_or(|head| {
            let last = self.last_seconds();
            head.captured == self.snapped(head.original)
                && self.is_fraction(head.fraction)
                && last.is_none_or(|last| head.seconds.abs_diff(last) <= NEAR_SECONDS)
        })
    }

    /// Whether the record at the start of `bytes`, which should end at `end`, has a wrong length: others follow one another
    /// from where it would end whole, or from inside it past its end.
    pub(super) fn is_straddling(&self, bytes: &[u8], end: usize, at_end: bool) -> bool {
        let from = self.record_header_bytes;
        let bytes = &bytes[..bytes.len().min(end + CHAIN_BYTES)];
        let mut budget = Budget::of(bytes);
        let until = Until::Past(end);
        let own = self.head(bytes).map_or(end, |head| from + self.snapped(head.original) as usize);
        if own != end && self.chains(bytes, own, at_end, Until::Links, &mut budget) {
            return true;
        }
        (from..end.min(bytes.len())).any(|at| {
            Pcap::header_at(&bytes[at..])
                .is_some_and(|header| Pcap::is_followed(header, &bytes[at..]))
                || self.chains(bytes, at, at_end, until, &mut budget)
        })
    }

    /// Whether a record of its own follows a file header: a frame may hold one, too.
    fn is_followed(header: Pcap, bytes: &[u8]) -> bool {
        let records = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
        header.chains(records, 0, false, Until::Links, &mut Budget::of(bytes))
    }

    fn chains(
        &self,
        bytes: &[u8],
        at: usize,
        at_end: bool,
        until: Until,
        budget: &mut Budget,
    ) -> bool {
        let (mut here, mut n_links, mut last) = (at, 0, self.last_seconds());
        loop {
            let done = match until {
                Until::Links => n_links >= LINKS,
                Until::End => false,
                Until::Past(end) => n_links >= LINKS && here > end,
            };
            if done || (here == bytes.len() && at_end && n_links > 0) {
                return true;
            }
            let Some(rest) = bytes.get(here..) else { return false };
            let Some(head) = self.head(rest).filter(|_| budget.spend()) else { return false };
            let near = last.is_none_or(|last| head.seconds.abs_diff(last) <= NEAR_SECONDS);
            let fits = head.captured <= head.original && head.original <= PLAUSIBLE_FRAME;
            // Zeros are near nothing but the beginning.
            let is_zero = head.original == 0 && last.is_none();
            if !near || !fits || is_zero || !self.is_fraction(head.fraction) {
                return false;
            }
            last = Some(head.seconds);
            (here, n_links) =
                (here + self.record_header_bytes + head.captured as usize, n_links + 1);
        }
    }
}
