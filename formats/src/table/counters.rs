//! The counters table: what the kernel counted, once a second. Never a rate: differences are taken offline.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "counters",
    about: "one counter's value in one second; only those that changed are written after the first",
    order: &["name", "subject", "time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "when it was read; BOOTTIME").layout(Layout::Delta),
        Column::new(
            "name",
            Type::Text,
            "`nstat.TcpExtListenOverflows`, `softnet.dropped`, `psi.cpu.some` …",
        ),
        Column::new("subject", Type::Text, "namespace, interface, cgroup or processor it is about")
            .nullable(),
        Column::new("value", Type::Int64, "cumulative count, or the gauge's value in its own unit"),
    ],
};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CounterRow {
    /// When it was read; BOOTTIME, ns.
    pub time_ns: i64,
    /// Which counter.
    pub name: String,
    /// What it is about.
    pub subject: Option<String>,
    /// Its value.
    pub value: i64,
}

/// Rows → batch.
pub fn batch(rows: &[CounterRow]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.time_ns))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name))),
        Arc::new(rows.iter().map(|row| row.subject.as_ref()).collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.value))),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<CounterRow> {
    let cells = Cells(batch);
    let row = |row| CounterRow {
        time_ns: cells.int("time_ns", row).unwrap_or(0),
        name: cells.text("name", row).unwrap_or_default().to_string(),
        subject: cells.text("subject", row).map(str::to_string),
        value: cells.int("value", row).unwrap_or(0),
    };
    (0..batch.num_rows()).map(row).collect()
}
