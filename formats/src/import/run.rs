//! A run: some hundred MB of records in memory, in table order. Never writes; see `encode` and `spill`.

use super::chunk::{CaptureInterface, Chunk};
use super::points::{PointFacts, PointKey};
use crate::frame::{self, LinkType};
use crate::packet::flow_hash;
use crate::record::{BlockKind, Record};
use rayon::prelude::*;
use std::mem::size_of;
use std::ops::Range;

/// A row on its way to the packets table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) flow_hash: i64,
    pub(crate) source_row: i64,
    /// The host's capture file.
    pub(crate) file: u32,
    pub(crate) link: LinkType,
    /// Its `interface` counts within the file.
    pub(crate) record: Record<'a>,
}

/// Rows in table order.
pub(super) trait Rows: Sync {
    /// How many.
    fn n_rows(&self) -> usize;
    /// Row `index`.
    fn row(&self, index: usize) -> Row<'_>;
    /// At least the bytes of its frame; cheap.
    fn frame_bytes(&self, index: usize) -> usize;
}

/// Rows fetched into the processor's cache at once.
pub(super) const NEAR_ROWS: usize = 512;

/// Fills `some` with the rows of `range`, their headers brought near.
///
/// Rows in table order lie all over a run. Two tight loops fetch many at once; one after the other, each would wait for
/// memory alone, which took a third of the time.
pub(super) fn fetch<'a>(
    rows: &'a (impl Rows + ?Sized),
    range: Range<usize>,
    some: &mut Vec<Row<'a>>,
) {
    let touch = |frame: &[u8]| {
        let byte = |at: usize| u32::from(frame.get(at).copied().unwrap_or(0));
        byte(0) + byte(64)
    };
    some.clear();
    some.extend(range.map(|index| rows.row(index)));
    std::hint::black_box(some.iter().map(|row| touch(row.record.frame)).sum::<u32>());
}

/// A chunk and where it came from.
pub(super) struct Loaded {
    pub(super) chunk: Chunk,
    pub(super) file: u32,
    /// `source_row` of the file's ordinal 0.
    pub(super) base: i64,
    /// Link types of the file's interfaces.
    pub(super) links: Vec<LinkType>,
}

/// What looking at a chunk's records gives.
#[derive(Default)]
pub(super) struct Examined {
    keys: Vec<Key>,
    /// Packets by observation point.
    pub(super) points: Vec<(PointKey, PointFacts)>,
    /// By capture interface.
    pub(super) clocks: Vec<ClockFacts>,
}

/// How one interface's stamps went in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockFacts {
    pub(super) file: u32,
    pub(super) interface: u32,
    /// First and last stamp; simple packet blocks have none of their own.
    pub(super) range_ns: Option<(i64, i64)>,
    /// Stamps earlier than the one before.
    pub(super) n_backwards: i64,
    /// Frames of a link type not decoded here.
    pub(super) n_unknown_link: i64,
}

/// The sort key of one record: (chunk, index) grows with `source_row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    flow_hash: i64,
    time_ns: i64,
    chunk: u32,
    index: u32,
    length: u32,
}

/// Records in memory.
#[derive(Default)]
pub(super) struct Run {
    chunks: Vec<Loaded>,
    keys: Vec<Key>,
}

impl Loaded {
    /// Memory this chunk and the keys of its records take, in bytes.
    pub(super) fn memory(&self) -> usize {
        let records = self.chunk.records.capacity() * size_of::<super::chunk::RecordAt>();
        self.chunk.bytes.len() + records + self.chunk.records.len() * size_of::<Key>()
    }

    /// Decodes every record once, for its flow and its observation point.
    pub(super) fn examine(&self) -> Examined {
        let mut found =
            Examined { keys: Vec::with_capacity(self.chunk.records.len()), ..Examined::default() };
        let (mut point_at, mut clock_at) = (0, 0);
        for (index, at) in self.chunk.records.iter().enumerate() {
            let record = self.chunk.record(index);
            let link = self.links[at.interface as usize];
            let headers = frame::decode(link, record.frame, record.original_length);
            found.keys.push(Key {
                flow_hash: flow_hash(&headers),
                time_ns: at.time_ns,
                chunk: 0,
                index: index as u32,
                length: (record.frame.len() + record.options.len()) as u32,
            });
            let key = PointKey {
                file: self.file,
                interface: at.interface,
                cooked: headers.interface_index,
            };
            let stamped = at.kind != BlockKind::Simple;
            found.count(key, (at.time_ns, stamped), link, &mut point_at, &mut clock_at);
        }
        found
    }
}

impl Examined {
    /// Counts a packet; the two positions remember where the packet before was counted.
    fn count(
        &mut self,
        key: PointKey,
        (time_ns, stamped): (i64, bool),
        link: LinkType,
        point_at: &mut usize,
        clock_at: &mut usize,
    ) {
        if self.points.get(*point_at).is_none_or(|(known, _)| *known != key) {
            *point_at =
                self.points.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                    self.points.push((key, PointFacts::default()));
                    self.points.len() - 1
                });
        }
        self.points[*point_at].1.add(time_ns);
        if self.clocks.get(*clock_at).is_none_or(|known| known.interface != key.interface) {
            let found = self.clocks.iter().position(|known| known.interface == key.interface);
            *clock_at = found.unwrap_or_else(|| {
                self.clocks.push(ClockFacts {
                    file: key.file,
                    interface: key.interface,
                    range_ns: None,
                    n_backwards: 0,
                    n_unknown_link: 0,
                });
                self.clocks.len() - 1
            });
        }
        let clock = &mut self.clocks[*clock_at];
        clock.n_unknown_link += i64::from(matches!(link, LinkType::Other(_)));
        if stamped {
            let (first, last) = clock.range_ns.unwrap_or((time_ns, time_ns));
            clock.n_backwards += i64::from(time_ns < last);
            clock.range_ns = Some((first, time_ns));
        }
    }

    /// Gives the keys away; they name their chunk by its place in the run.
    fn take_keys(&mut self, chunk: u32) -> impl Iterator<Item = Key> {
        std::mem::take(&mut self.keys).into_iter().map(move |key| Key { chunk, ..key })
    }
}

impl Run {
    /// Chunks in source order and what examining them gave, sorted into table order.
    pub(super) fn new(chunks: Vec<Loaded>, examined: &mut [Examined]) -> Run {
        let mut keys = Vec::with_capacity(examined.iter().map(|found| found.keys.len()).sum());
        for (chunk, found) in examined.iter_mut().enumerate() {
            keys.extend(found.take_keys(chunk as u32));
        }
        keys.par_sort_unstable();
        Run { chunks, keys }
    }

    /// Consecutive stretches of at most `max_rows` rows and `max_bytes` bytes of frames and options (one row at least).
    pub(super) fn cuts(&self, max_rows: usize, max_bytes: usize) -> Vec<Range<usize>> {
        let mut cutter = Cutter::new(max_rows, max_bytes);
        let mut begin = 0;
        let mut cuts = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            if cutter.cuts_before(key.length as usize) {
                cuts.push(begin..index);
                begin = index;
            }
        }
        if begin < self.keys.len() {
            cuts.push(begin..self.keys.len());
        }
        cuts
    }
}

impl Rows for Run {
    fn frame_bytes(&self, index: usize) -> usize {
        self.keys[index].length as usize
    }

    fn n_rows(&self) -> usize {
        self.keys.len()
    }

    fn row(&self, index: usize) -> Row<'_> {
        let key = self.keys[index];
        let loaded = &self.chunks[key.chunk as usize];
        let at = &loaded.chunk.records[key.index as usize];
        Row {
            flow_hash: key.flow_hash,
            source_row: loaded.base + at.ordinal as i64,
            file: loaded.file,
            link: loaded.links[at.interface as usize],
            record: loaded.chunk.record(key.index as usize),
        }
    }
}

/// Decides where a stretch of rows ends; the same for runs in memory and for merged ones.
pub(crate) struct Cutter {
    max_rows: usize,
    max_bytes: usize,
    n_rows: usize,
    n_bytes: usize,
}

impl Cutter {
    pub(crate) fn new(max_rows: usize, max_bytes: usize) -> Cutter {
        Cutter { max_rows, max_bytes, n_rows: 0, n_bytes: 0 }
    }

    /// Whether the row of `length` bytes begins a new stretch; it is counted to that one then.
    pub(crate) fn cuts_before(&mut self, length: usize) -> bool {
        let full = self.n_rows == self.max_rows || self.n_bytes + length > self.max_bytes;
        let cuts = full && self.n_rows > 0;
        if cuts {
            (self.n_rows, self.n_bytes) = (0, 0);
        }
        self.n_rows += 1;
        self.n_bytes += length;
        cuts
    }
}

/// The link types of a file's interfaces.
pub(super) fn links(interfaces: &[CaptureInterface]) -> Vec<LinkType> {
    interfaces.iter().map(|interface| interface.link_type).collect()
}
