//! Batches in any order → one Parquet part in its table's order, by the writer that imports use. Never opens a file.

use crate::bundle::manifest::FileEntry;
use crate::bundle::write::Sink;
use crate::error::{At, Error, Kind, Result};
use crate::import::run::Cutter;
use crate::table::packets::ROW_GROUP_FRAME_BYTES;
use crate::table::{ROW_GROUP_ROWS, Table};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use std::path::Path;

/// Rows turned into one batch at once, and bytes of their large columns: pages end between those only.
const SLICE_ROWS: usize = 8192;
const SLICE_BYTES: usize = 8 << 20;

/// Columns that say when a row was, the first that a table has.
const TIMES: [&str; 5] = ["time_ns", "boottime_ns", "start_ns", "valid_from_ns", "from_ns"];

/// A row: its batch and its place there.
type RowAt = (usize, usize);

/// Writes all rows of `batches` (of the table's own schema) into `sink`, shown as `path`, and closes it.
pub(crate) fn write(
    table: &Table,
    batches: &[RecordBatch],
    mut sink: Sink,
    path: &Path,
) -> Result<FileEntry> {
    let bad = |error: ArrowError| Error::new(path, At::File, Kind::Io(error.to_string()));
    let order = sorted(table, batches).map_err(bad)?;
    let lengths = Lengths::new(batches);
    for group in cut(&order, &lengths, ROW_GROUP_ROWS, ROW_GROUP_FRAME_BYTES) {
        let mut writer = sink.group()?;
        for slice in cut(group, &lengths, SLICE_ROWS, SLICE_BYTES) {
            let parts: Vec<&RecordBatch> = batches.iter().collect();
            writer.write(&interleave_record_batch(&parts, slice).map_err(bad)?)?;
        }
        sink.append(writer.close([])?)?;
    }
    sink.close(range_ns(batches))
}

/// Earliest and latest time in the rows.
pub(super) fn range_ns(batches: &[RecordBatch]) -> Option<(i64, i64)> {
    let mut range: Option<(i64, i64)> = None;
    for batch in batches {
        let column = TIMES.iter().find_map(|name| batch.column_by_name(name))?;
        let times = column.as_primitive::<Int64Type>();
        let lowest = arrow::compute::min(times);
        let (first, last) = lowest.zip(arrow::compute::max(times)).or(range)?;
        let (low, high) = range.unwrap_or((first, last));
        range = Some((first.min(low), last.max(high)));
    }
    range
}

/// All rows in the table's order; equal ones as they came.
fn sorted(table: &Table, batches: &[RecordBatch]) -> std::result::Result<Vec<RowAt>, ArrowError> {
    let mut order: Vec<RowAt> = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        order.extend((0..batch.num_rows()).map(|row| (at, row)));
    }
    if table.order.is_empty() {
        return Ok(order);
    }
    let kinds = table.order.iter().filter_map(|name| {
        let column = table.columns.iter().find(|column| column.name == *name)?;
        Some(SortField::new(column.kind.arrow()))
    });
    let converter = RowConverter::new(kinds.collect())?;
    let keys_of = |batch: &RecordBatch| {
        let columns: Vec<ArrayRef> =
            table.order.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect();
        converter.convert_columns(&columns)
    };
    let keys: Vec<Rows> = batches.iter().map(keys_of).collect::<std::result::Result<_, _>>()?;
    let key = |(batch, row): &RowAt| keys[*batch].row(*row);
    if !order.is_sorted_by(|a, b| key(a) <= key(b)) {
        order.sort_by(|a, b| key(a).cmp(&key(b)));
    }
    Ok(order)
}

/// Consecutive stretches within both limits.
fn cut<'a>(
    rows: &'a [RowAt],
    lengths: &Lengths<'_>,
    max_rows: usize,
    max_bytes: usize,
) -> Vec<&'a [RowAt]> {
    let mut cutter = Cutter::new(max_rows, max_bytes);
    let mut begin = 0;
    let mut cuts = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if cutter.cuts_before(lengths.of(*row)) {
            cuts.push(&rows[begin..at]);
            begin = at;
        }
    }
    if begin < rows.len() {
        cuts.push(&rows[begin..]);
    }
    cuts
}

/// Bytes of rows' large columns.
struct Lengths<'a>(Vec<Vec<&'a [i32]>>);

impl<'a> Lengths<'a> {
    fn new(batches: &'a [RecordBatch]) -> Lengths<'a> {
        let offsets = |column: &'a ArrayRef| match column.data_type() {
            DataType::Binary => Some(column.as_binary::<i32>().value_offsets()),
            _ => None,
        };
        Lengths(batches.iter().map(|b| b.columns().iter().filter_map(offsets).collect()).collect())
    }

    fn of(&self, (batch, row): RowAt) -> usize {
        self.0[batch].iter().map(|offsets| (offsets[row + 1] - offsets[row]) as usize).sum()
    }
}
