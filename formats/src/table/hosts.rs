//! The hosts table: one row per host and recording. Never says how clocks relate; see `clock`.

use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
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

/// One row; an import knows a name only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRow {
    /// The host's name.
    pub name: String,
    /// `recorded` or `imported`.
    pub origin: String,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// Release and version.
    pub kernel: Option<String>,
    /// Processors online.
    pub cpus: Option<u32>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// JSON: probe name → `ran`, or why it could not.
    pub probes: Option<String>,
}

/// Rows → batch.
pub fn batch(rows: &[HostRow]) -> RecordBatch {
    let text = |of: fn(&HostRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let texts = |of: fn(&HostRow) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|row| &row.name),
        text(|row| &row.origin),
        texts(|row| row.boot_id.as_ref()),
        texts(|row| row.kernel.as_ref()),
        Arc::new(rows.iter().map(|row| row.cpus).collect::<UInt32Array>()),
        texts(|row| row.clock_source.as_ref()),
        texts(|row| row.probes.as_ref()),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<HostRow> {
    let cells = Cells(batch);
    let text = |name, row| cells.text(name, row).map(str::to_string);
    let row = |row| HostRow {
        name: text("name", row).unwrap_or_default(),
        origin: text("origin", row).unwrap_or_default(),
        boot_id: text("boot_id", row),
        kernel: text("kernel", row),
        cpus: cells.u32("cpus", row),
        clock_source: text("clock_source", row),
        probes: text("probes", row),
    };
    (0..batch.num_rows()).map(row).collect()
}
