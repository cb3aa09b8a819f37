//! One table while it is recorded: rows gathered in memory, the open segment behind them. Never holds more than its bound and
//! one batch.

use super::options::SegmentLimits;
use super::rows::n_bytes;
use super::segment_writer::SegmentWriter;
use super::state::{Finished, State};
use crate::bundle::names;
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

/// A table being recorded.
pub(super) struct OpenTable {
    table: &'static Table,
    host: String,
    limits: SegmentLimits,
    gathered: Vec<RecordBatch>,
    gathered_bytes: usize,
    segment: Option<(String, u32, SegmentWriter)>,
    next_number: u32,
    /// Rows taken.
    pub(super) n_rows: u64,
}

impl OpenTable {
    pub(super) fn new(table: &'static Table, host: &str, limits: SegmentLimits) -> OpenTable {
        OpenTable {
            table,
            host: host.to_string(),
            limits,
            gathered: Vec::new(),
            gathered_bytes: 0,
            segment: None,
            next_number: 0,
            n_rows: 0,
        }
    }

    /// Whether `batch` is more than may be gathered.
    pub(super) fn is_full(&self, batch: &RecordBatch, most_bytes: usize) -> bool {
        !self.gathered.is_empty() && self.gathered_bytes + n_bytes(batch) > most_bytes
    }

    /// Takes a batch of the table's own schema.
    pub(super) fn gather(&mut self, batch: RecordBatch) {
        self.n_rows += batch.num_rows() as u64;
        self.gathered_bytes += n_bytes(&batch);
        self.gathered.push(batch);
    }

    /// Writes what was gathered; after an error what was not written is still gathered.
    pub(super) fn write(&mut self, state: &State) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let failed =
            |why: String| Error::new(state.root.join(self.table.name), At::File, Kind::Io(why));
        let batch = match &self.gathered[..] {
            [one] => one.clone(),
            some => {
                concat_batches(&self.table.schema(), some).map_err(|e| failed(e.to_string()))?
            }
        };
        let (path, _, segment) = self.open_segment(state)?;
        let appended = segment.append(&batch);
        state.inner().segments.insert(path.clone(), segment.length());
        let left = match &appended {
            Ok(()) => batch.slice(0, 0),
            Err((n, _)) => batch.slice(*n, batch.num_rows() - n),
        };
        self.gathered_bytes = n_bytes(&left);
        self.gathered = if left.num_rows() > 0 { vec![left] } else { Vec::new() };
        appended.map_err(|(_, error)| error)
    }

    /// Makes what was written survive a crash.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.segment.as_mut().map_or(Ok(()), |(_, _, segment)| segment.sync())
    }

    /// Whether the open segment has all it may have.
    pub(super) fn is_due(&self) -> bool {
        self.segment.as_ref().is_some_and(|(_, _, segment)| {
            let SegmentLimits { rows, bytes, age } = self.limits;
            segment.n_rows >= rows || segment.n_bytes >= bytes || segment.begun.elapsed() >= age
        })
    }

    /// Ends the open segment; what was gathered goes to the next one.
    pub(super) fn roll(&mut self, state: &State) -> Result<Option<Finished>> {
        let Some((path, number, segment)) = &mut self.segment else { return Ok(None) };
        segment.seal()?;
        state.inner().segments.insert(path.clone(), segment.length());
        let finished =
            Finished { table: self.table, number: *number, n_rows: Some(segment.n_rows) };
        self.segment = None;
        Ok(Some(finished))
    }

    fn open_segment(&mut self, state: &State) -> Result<&mut (String, u32, SegmentWriter)> {
        if self.segment.is_none() {
            let number = self.next_number;
            let path = names::segment_file(self.table.name, &self.host, number);
            state.folder(self.table, &self.host)?;
            let segment = SegmentWriter::create(&state.root.join(&path), self.table, number)?;
            self.next_number += 1;
            self.segment = Some((path, number, segment));
        }
        Ok(self.segment.as_mut().expect("it was just opened"))
    }
}
