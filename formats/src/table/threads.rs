//! The threads table: names of threads that touched sockets. Never a process: see `processes`.

use super::interval::{FROM, TO};
use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use std::sync::Arc;

/// The table. A thread that ended or was renamed has two rows with the same `tid` and `valid_from_ns`: the one with
/// `valid_to_ns` counts.
pub const TABLE: Table = Table {
    name: "threads",
    about: "one thread under one name; written again when it went, that row counts",
    order: &["tid", "valid_from_ns"],
    columns: &[
        Column::new("tid", Type::UInt32, "thread, in the initial PID namespace"),
        Column::new("pid", Type::UInt32, "its process, in the initial PID namespace"),
        FROM,
        TO,
        Column::new("name", Type::Text, "its name (comm)"),
    ],
};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadRow {
    /// Thread, in the initial PID namespace.
    pub tid: u32,
    /// Its process.
    pub pid: u32,
    /// When it appeared under this name, or the recording's start; BOOTTIME, ns.
    pub valid_from_ns: i64,
    /// When it went or was renamed; BOOTTIME, ns.
    pub valid_to_ns: Option<i64>,
    /// Its name.
    pub name: String,
}

/// Rows → batch.
pub fn batch(rows: &[ThreadRow]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.tid))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.pid))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.valid_from_ns))),
        Arc::new(rows.iter().map(|row| row.valid_to_ns).collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name))),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<ThreadRow> {
    let cells = Cells(batch);
    let row = |row| ThreadRow {
        tid: cells.u32("tid", row).unwrap_or(0),
        pid: cells.u32("pid", row).unwrap_or(0),
        valid_from_ns: cells.int("valid_from_ns", row).unwrap_or(0),
        valid_to_ns: cells.int("valid_to_ns", row),
        name: cells.text("name", row).unwrap_or_default().to_string(),
    };
    (0..batch.num_rows()).map(row).collect()
}
