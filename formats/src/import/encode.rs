//! Rows in table order → row groups of the packets file, several encoded at once, appended in order. Never sorts.

use super::options::Options;
use super::points::{Lookup, PointKey};
use super::run::{Cutter, NEAR_ROWS, Row, Rows, fetch};
use crate::bundle::plain_packets::PlainColumns;
use crate::bundle::write::{Encoded, Group, Sink};
use crate::error::Result;
use crate::frame::{self, Direction};
use crate::record::BlockKind;
use crate::table::packet_rows::{PacketRow, PacketRows, Readings};

use rayon::{Scope, Yield};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Rows turned into arrays at once, and bytes of their frames and options: pages, too, are ended between slices only.
const SLICE_ROWS: usize = 8192;
const SLICE_BYTES: usize = 8 << 20;
/// Row groups being encoded at once: bounds memory at any number of threads (columns are encoded in parallel too).
const IN_FLIGHT: usize = 2;

type Done = (usize, Result<Vec<Encoded>>);

/// Row groups on their way into a file.
pub(super) struct Queue<'a, 'scope> {
    scope: &'a Scope<'scope>,
    lookup: &'scope Lookup,
    sink: &'a mut Sink,
    done: (Sender<Done>, Receiver<Done>),
    waiting: BTreeMap<usize, Vec<Encoded>>,
    n_begun: usize,
    n_received: usize,
    n_appended: usize,
}

impl<'a, 'scope> Queue<'a, 'scope> {
    pub(super) fn new(
        scope: &'a Scope<'scope>,
        lookup: &'scope Lookup,
        sink: &'a mut Sink,
    ) -> Self {
        let done = channel();
        Queue {
            scope,
            lookup,
            sink,
            done,
            waiting: BTreeMap::new(),
            n_begun: 0,
            n_received: 0,
            n_appended: 0,
        }
    }

    /// Encodes `range` of `rows` as the next row group; waits while enough of them are at work.
    pub(super) fn push<R>(&mut self, rows: R, range: Range<usize>) -> Result<()>
    where
        R: std::ops::Deref<Target: Rows> + Send + 'scope,
    {
        while self.n_begun - self.n_appended >= IN_FLIGHT {
            self.receive()?;
        }
        let group = self.sink.group()?;
        let (number, lookup, done) = (self.n_begun, self.lookup, self.done.0.clone());
        self.n_begun += 1;
        self.scope.spawn(move |_| {
            let encoded = encode(&*rows, range, lookup, group);
            // Nobody listens once another row group has failed.
            let _ = done.send((number, encoded));
        });
        Ok(())
    }

    /// Waits for all row groups.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.n_received < self.n_begun {
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let (number, encoded) = self.next_encoded();
        self.n_received += 1;
        self.waiting.insert(number, encoded?);
        while let Some(chunks) = self.waiting.remove(&self.n_appended) {
            self.sink.append(chunks)?;
            self.n_appended += 1;
        }
        Ok(())
    }

    /// Called on a pool's own thread, waiting idly could wait for ourselves: work is done meanwhile.
    fn next_encoded(&self) -> Done {
        loop {
            if let Ok(encoded) = self.done.1.try_recv() {
                return encoded;
            }
            if !matches!(rayon::yield_now(), Some(Yield::Executed)) {
                return self.done.1.recv().expect("the queue holds a sender itself");
            }
        }
    }
}

fn encode(
    rows: &(impl Rows + ?Sized),
    range: Range<usize>,
    lookup: &Lookup,
    mut group: Group,
) -> Result<Vec<Encoded>> {
    let mut near = Vec::with_capacity(NEAR_ROWS);
    let mut plain = PlainColumns::new(&mut group).map_err(|error| group.failed(&error))?;
    for slice in slices(rows, range) {
        let mut arrays = PacketRows::with_capacity(slice.len());
        for begin in slice.clone().step_by(NEAR_ROWS) {
            fetch(rows, begin..slice.end.min(begin + NEAR_ROWS), &mut near);
            let some: Vec<PacketRow<'_>> =
                near.iter().map(|row| packet_row(*row, lookup)).collect();
            let pushed = plain.push(&some);
            pushed.map_err(|error| group.failed(&error))?;
            some.iter().for_each(|row| arrays.push(row));
        }
        group.write(&arrays.finish())?;
    }
    let plain = plain.close().map_err(|error| group.failed(&error))?;
    group.close(plain)
}

/// The stretches of `range` that are turned into arrays at once.
fn slices(rows: &(impl Rows + ?Sized), range: Range<usize>) -> Vec<Range<usize>> {
    let mut cutter = Cutter::new(SLICE_ROWS, SLICE_BYTES);
    let mut begin = range.start;
    let mut slices = Vec::new();
    for index in range.clone() {
        if cutter.cuts_before(rows.frame_bytes(index)) {
            slices.push(begin..index);
            begin = index;
        }
    }
    slices.push(begin..range.end);
    slices
}

fn packet_row<'a>(row: Row<'a>, lookup: &Lookup) -> PacketRow<'a> {
    let record = row.record;
    let mut headers = frame::decode(row.link, record.frame, record.original_length);
    let point =
        PointKey { file: row.file, interface: record.interface, cooked: headers.interface_index };
    let mut readings = readings(&row);
    if record.kind == BlockKind::Obsolete && record.drops != u16::MAX {
        readings.drop_count = Some(i64::from(record.drops));
    }
    headers.direction = headers.direction.or_else(|| direction(readings.flags?));
    PacketRow {
        source_row: row.source_row,
        interface_id: lookup.id(point),
        flow_hash: row.flow_hash,
        record,
        headers,
        readings,
    }
}

fn readings<'a>(row: &Row<'a>) -> Readings<'a> {
    let mut readings = Readings::default();
    let record = row.record;
    if record.options.is_empty() || record.kind == BlockKind::Simple {
        return readings;
    }
    let enhanced = record.kind == BlockKind::Enhanced;
    let u32_of = |value: &[u8]| {
        let bytes: [u8; 4] = value.try_into().ok()?;
        Some(if record.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let i64_of = |value: &[u8]| {
        let bytes: [u8; 8] = value.try_into().ok()?;
        Some(if record.big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) })
    };
    for (code, value) in Options::new(record.options, record.big_endian) {
        match code {
            1 => readings.comment = readings.comment.or(Some(value)),
            2 => readings.flags = u32_of(value),
            4 if enhanced => readings.drop_count = i64_of(value),
            5 if enhanced => readings.packet_id = i64_of(value),
            _ => {}
        }
    }
    readings
}

fn direction(flags: u32) -> Option<Direction> {
    match flags & 0b11 {
        1 => Some(Direction::Inbound),
        2 => Some(Direction::Outbound),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of which only lengths are known.
    struct Lengths(Vec<usize>);

    impl Rows for Lengths {
        fn n_rows(&self) -> usize {
            self.0.len()
        }

        fn row(&self, _: usize) -> Row<'_> {
            unreachable!("slices are cut by lengths alone")
        }

        fn frame_bytes(&self, index: usize) -> usize {
            self.0[index]
        }
    }

    fn check(lengths: Vec<usize>, expected: &[Range<usize>]) {
        let n = lengths.len();
        assert_eq!(slices(&Lengths(lengths), 0..n), expected);
    }

    #[test]
    fn slices_end_by_rows_and_by_bytes() {
        check(vec![100; 10_000], &[0..8192, 8192..10_000]);
        check(vec![3 << 20; 5], &[0..2, 2..4, 4..5]);
        check(vec![20 << 20, 1, 20 << 20], &[0..1, 1..2, 2..3]);
    }
}
