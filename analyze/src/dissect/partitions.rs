//! A host's packets, cut between flows: rows of all its files, merged in (flow, time) order where there are several, with the
//! reassembled datagrams in their places. Starts no thread: `pipeline` does.

use super::fragments::Fragments;
use super::owned::OwnedPacket;
use super::redirected::Torn;
use super::{Dissected, Dissector, Given};
use crate::loss::{DAMAGED, Loss};
use afterpath_formats::bundle::{PacketFile, PacketReader};
use afterpath_formats::error::{At, Error};
use afterpath_formats::packet::{Packet, flow_hash};
use afterpath_formats::table::packet_batch::PacketBatch;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Rows of one partition, about.
pub const PARTITION_ROWS: u64 = 32_768;

/// Rows that begin and end at flow boundaries, of each file its own, and the reassembled datagrams that belong between them.
pub struct Partition {
    rows: Vec<Range<u64>>,
    reassembled: Vec<OwnedPacket>,
}

/// Cuts the files of one host. What could not be reassembled is added to `losses`.
pub fn partitions(files: &[PacketFile], losses: &mut Vec<Loss>) -> Vec<Partition> {
    // Damage counts where the rows themselves are read.
    let whole = || vec![files.iter().map(|file| 0..file.n_rows()).collect()];
    let cuts = match files {
        [file] => file
            .flow_cuts(PARTITION_ROWS)
            .map(|cuts| cuts.into_iter().map(|rows| vec![rows]).collect()),
        _ => common_cuts(files),
    };
    let (mut reassembled, incomplete) = reassemble(files);
    if let Some(file) = files.first().filter(|_| incomplete > 0) {
        let cause = "incomplete-ip-datagrams".to_string();
        losses.push(Loss { place: place(file), cause, count: incomplete });
    }
    let mut parts: Vec<Partition> = cuts
        .unwrap_or_else(|_| whole())
        .into_iter()
        .map(|rows| Partition { rows, reassembled: Vec::new() })
        .collect();
    if !reassembled.is_empty() {
        // From the last partition down: each takes what is not before its first flow.
        for i in (0..parts.len()).rev() {
            let first = if i == 0 { None } else { first_hash(files, &parts[i].rows) };
            let from = first
                .map_or(0, |hash| reassembled.partition_point(|r| flow_hash(&r.headers) < hash));
            parts[i].reassembled = reassembled.split_off(from);
        }
    }
    parts
}

/// Cuts several files between the same flows, by where the largest would be cut.
fn common_cuts(files: &[PacketFile]) -> Result<Vec<Vec<Range<u64>>>, Error> {
    let n_rows: u64 = files.iter().map(PacketFile::n_rows).sum();
    let Some(largest) = files.iter().max_by_key(|file| file.n_rows()) else {
        return Ok(Vec::new());
    };
    let pivots = largest.flow_pivots(n_rows.div_ceil(PARTITION_ROWS))?;
    let mut cuts: Vec<Vec<Range<u64>>> = vec![Vec::new(); pivots.len() + 1];
    for file in files {
        let mut begin = 0;
        let ends = file.first_rows_from(&pivots)?.into_iter().chain([file.n_rows()]);
        for (cut, end) in cuts.iter_mut().zip(ends) {
            cut.push(begin..end);
            begin = end;
        }
    }
    Ok(cuts)
}

fn first_hash(files: &[PacketFile], rows: &[Range<u64>]) -> Option<i64> {
    let first = |(file, rows): (&PacketFile, &Range<u64>)| {
        if rows.is_empty() { None } else { file.flow_hash_at(rows.start) }
    };
    files.iter().zip(rows).filter_map(first).min()
}

/// Fragments name no ports, so they are put together before flows are dissected.
fn reassemble(files: &[PacketFile]) -> (Vec<OwnedPacket>, u64) {
    let mut fragments = Fragments::default();
    let sources = files.iter().map(|file| Source::new(file, file.fragment_rows())).collect();
    merged(sources, |packet| fragments.push(packet));
    fragments.finish()
}

/// The packets of one partition that belong to halves of torn connections.
pub fn halves(files: &[PacketFile], part: &Partition, torn: &Torn) -> Vec<OwnedPacket> {
    chosen(files, part, torn.hashes(), |packet, _| torn.mend(packet))
}

/// What `take` makes of the packets of one partition that belong to flows of these hashes, which are in order, and of their frames (empty
/// of reassembled datagrams). Others are read only where they lie between.
pub fn chosen<T>(
    files: &[PacketFile],
    part: &Partition,
    hashes: &[i64],
    mut take: impl FnMut(&Packet<'_>, &[u8]) -> Option<T>,
) -> Vec<T> {
    let reassembled = part.reassembled.iter();
    let mut found: Vec<T> =
        reassembled.filter_map(|datagram| take(&datagram.packet(), &[])).collect();
    let ends = |(file, rows): (&PacketFile, &Range<u64>)| {
        let last = rows.end.checked_sub(1).filter(|last| *last >= rows.start)?;
        Some((file.flow_hash_at(rows.start)?, file.flow_hash_at(last)?))
    };
    for (file, rows) in files.iter().zip(&part.rows) {
        let Some((first, last)) = ends((file, rows)) else { continue };
        let from = hashes.partition_point(|hash| *hash < first);
        if hashes.get(from).is_none_or(|hash| *hash > last) {
            continue;
        }
        let wanted = |batch: &PacketBatch, row| hashes.binary_search(&batch.flow_hash(row)).is_ok();
        for rows in file.rows_of_flows(rows.clone(), hashes) {
            // What can't be read was counted before.
            for batch in file.read(rows).flatten() {
                let each = (0..batch.len()).filter(|row| wanted(&batch, *row));
                found.extend(each.filter_map(|row| take(&batch.packet(row), batch.frame(row))));
            }
        }
    }
    found
}

/// Dissects one partition of `files`.
pub fn dissect(files: &[PacketFile], part: &Partition, given: &Given) -> (Dissected, Vec<Loss>) {
    let mut dissector = Dissector::knowing(given);
    let mut inserted = part.reassembled.iter().peekable();
    let each = files.iter().zip(&part.rows);
    let sources = each.map(|(file, rows)| Source::new(file, vec![rows.clone()])).collect();
    let sources = merged(sources, |packet| {
        while let Some(r) = inserted.next_if(|r| order(&r.packet()) <= order(packet)) {
            dissector.push(&r.packet());
        }
        dissector.push(packet);
    });
    inserted.for_each(|r| dissector.push(&r.packet()));
    let losses = sources.iter().zip(&part.rows).filter_map(|(source, rows)| {
        let n_lost = (rows.end - rows.start).saturating_sub(source.n_rows);
        source.damage.as_ref().map(|error| damage(source.file, error, n_lost))
    });
    let losses = losses.collect();
    (dissector.finish(), losses)
}

/// What the packets table is sorted by: flow, time, place in the capture.
type Order = (i64, i64, i64);

fn order(packet: &Packet<'_>) -> Order {
    (packet.flow_hash, packet.time_ns, packet.source_row)
}

/// Gives the packets of all sources in (flow, time) order. A single source keeps its own, whatever it is.
fn merged<'a>(mut sources: Vec<Source<'a>>, mut take: impl FnMut(&Packet<'_>)) -> Vec<Source<'a>> {
    if let [only] = sources.as_mut_slice() {
        while only.fill() {
            (only.at..only.batch_len()).for_each(|_| only.step(&mut take));
        }
        return sources;
    }
    let mut heads: BinaryHeap<Reverse<(Order, usize)>> = BinaryHeap::new();
    for (i, source) in sources.iter_mut().enumerate() {
        heads.extend(source.head().map(|head| Reverse((head, i))));
    }
    while let Some(Reverse((mut head, i))) = heads.pop() {
        // One file holds a flow's rows of some time: it goes on until another is due.
        let limit = heads.peek().map(|Reverse(next)| *next);
        while limit.is_none_or(|limit| (head, i) <= limit) {
            sources[i].step(&mut take);
            match sources[i].head() {
                Some(next) => head = next,
                None => break,
            }
        }
        heads.extend(sources[i].head().map(|head| Reverse((head, i))));
    }
    sources
}

/// Some rows of one file, being read.
struct Source<'a> {
    file: &'a PacketFile,
    ranges: std::vec::IntoIter<Range<u64>>,
    reader: Option<PacketReader>,
    batch: Option<PacketBatch>,
    at: usize,
    n_rows: u64,
    damage: Option<Error>,
}

impl<'a> Source<'a> {
    fn new(file: &'a PacketFile, ranges: Vec<Range<u64>>) -> Source<'a> {
        let ranges = ranges.into_iter();
        Source { file, ranges, reader: None, batch: None, at: 0, n_rows: 0, damage: None }
    }

    fn batch_len(&self) -> usize {
        self.batch.as_ref().map_or(0, PacketBatch::len)
    }

    /// Makes sure that there is a packet at `at`; false at the end.
    fn fill(&mut self) -> bool {
        while self.at >= self.batch_len() {
            self.batch = None;
            self.at = 0;
            let next = match &mut self.reader {
                Some(reader) => reader.next(),
                None => None,
            };
            match next {
                Some(Ok(batch)) => {
                    self.n_rows += batch.len() as u64;
                    self.batch = Some(batch);
                }
                Some(Err(error)) => {
                    self.damage.get_or_insert(error);
                }
                None => match self.ranges.next() {
                    Some(rows) => self.reader = Some(self.file.read(rows)),
                    None => return false,
                },
            }
        }
        true
    }

    fn head(&mut self) -> Option<Order> {
        if !self.fill() {
            return None;
        }
        self.batch.as_ref().map(|batch| order(&batch.packet(self.at)))
    }

    fn step(&mut self, take: &mut impl FnMut(&Packet<'_>)) {
        if let Some(batch) = self.batch.as_ref().filter(|batch| self.at < batch.len()) {
            take(&batch.packet(self.at));
        }
        self.at += 1;
    }
}

/// Damage found in a file: `n_rows` of its packets could not be used, or can't be trusted.
pub fn damage(file: &PacketFile, error: &Error, n_rows: u64) -> Loss {
    let at = match &error.at {
        At::File => String::new(),
        at => format!(", {at}"),
    };
    Loss {
        place: place(file) + &at,
        cause: format!("{DAMAGED}{}", error.kind.name()),
        count: n_rows,
    }
}

/// `packets/host=box/part-00000.parquet`.
fn place(file: &PacketFile) -> String {
    let names: Vec<_> = file.path().iter().rev().take(3).map(|n| n.to_string_lossy()).collect();
    names.into_iter().rev().collect::<Vec<_>>().join("/")
}
