//! The losses table: what is known to be missing or doubtful, and why. Never holds a deliberate reduction; the manifest does.

use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "losses",
    about: "one cause of loss, in one second or in one capture file",
    order: &[],
    columns: &[
        Column::new("source", Type::Text, "the probe, or the capture file"),
        Column::new("cause", Type::Text, "stable name, see \"Causes of loss\""),
        Column::new("count", Type::Int64, "how many records, packets or events"),
        Column::new("cpu", Type::UInt32, "the processor that counted").nullable(),
        Column::new("interface_id", Type::UInt32, "the observation point concerned").nullable(),
        Column::new(
            "first_offset",
            Type::Int64,
            "byte offset of the first in the (decompressed) capture file",
        )
        .nullable(),
        Column::new("from_ns", Type::Int64, "beginning of the time concerned, host's clock domain")
            .nullable(),
        Column::new("to_ns", Type::Int64, "end of the time concerned, inclusive").nullable(),
    ],
};

/// Causes that leave nothing out: what was met is kept as it stood, and a note is enough. Every other cause, those of other
/// versions too, is damage.
pub const NOTES: [&str; 5] =
    ["clock-backwards", "over-long", "raw-stamp", "unknown-block", "zero-length"];

/// Whether `cause` means that something is missing, doubtful or unusable.
pub fn is_damage(cause: &str) -> bool {
    !NOTES.contains(&cause)
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LossRow {
    /// The probe, or the capture file.
    pub source: String,
    /// Stable name of the cause.
    pub cause: String,
    /// How many.
    pub count: i64,
    /// The processor that counted.
    pub cpu: Option<u32>,
    /// The observation point concerned: row of the host's `interfaces`.
    pub interface_id: Option<u32>,
    /// Byte offset of the first in the (decompressed) capture file.
    pub first_offset: Option<i64>,
    /// Beginning of the time concerned, nanoseconds.
    pub from_ns: Option<i64>,
    /// End of the time concerned, nanoseconds, inclusive.
    pub to_ns: Option<i64>,
}

/// Rows → batch.
pub fn batch(rows: &[LossRow]) -> RecordBatch {
    let ints = |of: fn(&LossRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.source))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.cause))),
        ints(|row| Some(row.count)),
        Arc::new(rows.iter().map(|row| row.cpu).collect::<UInt32Array>()),
        Arc::new(rows.iter().map(|row| row.interface_id).collect::<UInt32Array>()),
        ints(|row| row.first_offset),
        ints(|row| row.from_ns),
        ints(|row| row.to_ns),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<LossRow> {
    let cells = Cells(batch);
    let row = |row| LossRow {
        source: cells.text("source", row).unwrap_or_default().to_string(),
        cause: cells.text("cause", row).unwrap_or_default().to_string(),
        count: cells.int("count", row).unwrap_or(0),
        cpu: cells.u32("cpu", row),
        interface_id: cells.u32("interface_id", row),
        first_offset: cells.int("first_offset", row),
        from_ns: cells.int("from_ns", row),
        to_ns: cells.int("to_ns", row),
    };
    (0..batch.num_rows()).map(row).collect()
}
