//! The capture_blocks table: every block of an imported capture that is no packet, byte for byte, so that export is exact.
//! Never interprets a block.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{ArrayRef, BinaryBuilder, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "capture_blocks",
    about: "one non-packet block of a capture file",
    order: &["source_row"],
    columns: &[
        Column::new(
            "source_row",
            Type::Int64,
            "place among all records and blocks of the host's capture files; see `packets`",
        )
        .layout(Layout::Delta),
        Column::new(
            "capture_file",
            Type::UInt32,
            "index among the host's captures in the manifest",
        ),
        Column::new("section", Type::UInt32, "pcapng section it stands in"),
        Column::new("block_type", Type::UInt32, "pcapng block type"),
        Column::new("big_endian", Type::Boolean, "byte order of its section"),
        Column::new("bytes", Type::Binary, "the whole block, both lengths included")
            .layout(Layout::Payload),
    ],
};

/// One row. Fields are the columns of [`TABLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of TABLE, described there")]
pub struct CaptureBlockRow {
    pub source_row: i64,
    pub capture_file: u32,
    pub section: u32,
    pub block_type: u32,
    pub big_endian: bool,
    pub bytes: Vec<u8>,
}

/// Rows → batch.
pub fn batch(rows: &[CaptureBlockRow]) -> RecordBatch {
    let u32s = |of: fn(&CaptureBlockRow) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(of)))
    };
    let mut bytes = BinaryBuilder::new();
    rows.iter().for_each(|row| bytes.append_value(&row.bytes));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.source_row))),
        u32s(|row| row.capture_file),
        u32s(|row| row.section),
        u32s(|row| row.block_type),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.big_endian)))),
        Arc::new(bytes.finish()),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<CaptureBlockRow> {
    let cells = Cells(batch);
    let row = |row| CaptureBlockRow {
        source_row: cells.int("source_row", row).unwrap_or(0),
        capture_file: cells.u32("capture_file", row).unwrap_or(0),
        section: cells.u32("section", row).unwrap_or(0),
        block_type: cells.u32("block_type", row).unwrap_or(0),
        big_endian: cells.boolean("big_endian", row).unwrap_or(false),
        bytes: cells.bytes("bytes", row).unwrap_or_default().to_vec(),
    };
    (0..batch.num_rows()).map(row).collect()
}
