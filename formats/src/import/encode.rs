//! Rows in table order → row groups of the packets file, several encoded at once, appended in order. Never sorts.

use super::options::Options;
use super::points::{Lookup, PointKey};
use super::run::{NEAR_ROWS, Row, Rows, fetch};
use crate::bundle::write::{Group, Sink};
use crate::error::Result;
use crate::frame::{self, Direction};
use crate::record::BlockKind;
use crate::table::packet_rows::{PacketRow, PacketRows, Readings};
use arrow::buffer::Buffer;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use rayon::{Scope, Yield};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Rows turned into arrays at once.
const SLICE_ROWS: usize = 8192;
/// Row groups being encoded at once: bounds memory at any number of threads (columns are encoded in parallel too).
const IN_FLIGHT: usize = 3;

type Encoded = (usize, Result<Vec<ArrowColumnChunk>>);

/// Row groups on their way into a file.
pub(super) struct Queue<'a, 'scope> {
    scope: &'a Scope<'scope>,
    lookup: &'scope Lookup,
    sink: &'a mut Sink,
    done: (Sender<Encoded>, Receiver<Encoded>),
    waiting: BTreeMap<usize, Vec<ArrowColumnChunk>>,
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
    fn next_encoded(&self) -> Encoded {
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
) -> Result<Vec<ArrowColumnChunk>> {
    let mut some = Vec::with_capacity(NEAR_ROWS);
    let blocks: Vec<Buffer> = rows.blocks().into_iter().map(Buffer::from).collect();
    for begin in range.clone().step_by(SLICE_ROWS) {
        let end = range.end.min(begin + SLICE_ROWS);
        let mut columns = PacketRows::with_capacity(end - begin, &blocks);
        for near in (begin..end).step_by(NEAR_ROWS) {
            fetch(rows, near..end.min(near + NEAR_ROWS), &mut some);
            some.iter().for_each(|row| columns.push(&packet_row(*row, lookup)));
        }
        group.write(&columns.finish())?;
    }
    group.close()
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
        frame_at: row.frame_at,
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
