//! The hosts table: one row per host and recording. Never says how clocks relate; see `clock`.

use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "hosts",
    about: "one host and how it was recorded",
    order: &[],
    columns: &[
        Column::new("name", Type::Text, "the host's name"),
        Column::new("origin", Type::Text, "`recorded` or `imported`"),
        Column::new("boot_id", Type::Text, "the kernel's boot id").nullable(),
        Column::new("kernel", Type::Text, "release and version").nullable(),
        Column::new("cpus", Type::UInt32, "processors online").nullable(),
        Column::new("clock_source", Type::Text, "the kernel's clock source").nullable(),
        Column::new("probes", Type::Text, "JSON: probe name → `ran`, or why it could not")
            .nullable(),
    ],
};

/// One row, as far as imports know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// The host's name.
    pub name: String,
    /// `recorded` or `imported`.
    pub origin: String,
}

/// Rows → batch; what captures don't say is null.
pub fn batch(rows: &[HostRow]) -> RecordBatch {
    let text = |of: fn(&HostRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let absent = |kind: Type| arrow::array::new_null_array(&kind.arrow(), rows.len());
    let columns = vec![
        text(|row| &row.name),
        text(|row| &row.origin),
        absent(Type::Text),
        absent(Type::Text),
        absent(Type::UInt32),
        absent(Type::Text),
        absent(Type::Text),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<HostRow> {
    let cells = Cells(batch);
    let text = |name, row| cells.text(name, row).unwrap_or_default().to_string();
    (0..batch.num_rows())
        .map(|row| HostRow { name: text("name", row), origin: text("origin", row) })
        .collect()
}
