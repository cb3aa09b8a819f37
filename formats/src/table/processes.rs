//! The processes table: who was there, from when to when, and what the node itself says of it. Never a thread: see
//! `threads`.

use super::interval::{FROM, TO};
use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use std::sync::Arc;

/// The table. A process that ended has two rows with the same `pid` and `valid_from_ns`: the one with `valid_to_ns` counts. One that was
/// moved has one for each cgroup.
pub const TABLE: Table = Table {
    name: "processes",
    about: "one process (one executable of it), from start or the recording's start to exit; written again when it was moved into another cgroup, and when it went: that row counts",
    order: &["pid", "valid_from_ns"],
    columns: &[
        Column::new("pid", Type::UInt32, "process, in the initial PID namespace"),
        FROM,
        TO,
        Column::new("parent_pid", Type::UInt32, "its parent"),
        Column::new("name", Type::Text, "the main thread's name (comm)"),
        Column::new("exe", Type::Text, "executable; empty where it can't be read"),
        Column::new("command_line", Type::Text, "arguments separated by spaces, secrets masked"),
        Column::new("cgroup", Type::Text, "cgroup path (v2, else of the first v1 controller)")
            .nullable(),
        Column::new("container", Type::Text, "container id, from the cgroup path").nullable(),
        Column::new("container_name", Type::Text, "container's name, as the node's own files say")
            .nullable(),
        Column::new("pod", Type::Text, "`namespace/pod`, as the node's own files say").nullable(),
        Column::new("netns", Type::UInt32, "network namespace's inode number"),
    ],
};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessRow {
    /// Process, in the initial PID namespace.
    pub pid: u32,
    /// When it appeared (or became this executable), or the recording's start; BOOTTIME, ns.
    pub valid_from_ns: i64,
    /// When it went; BOOTTIME, ns.
    pub valid_to_ns: Option<i64>,
    /// Its parent.
    pub parent_pid: u32,
    /// The main thread's name.
    pub name: String,
    /// Executable; empty where it can't be read.
    pub exe: String,
    /// Arguments separated by spaces, secrets masked.
    pub command_line: String,
    /// Cgroup path.
    pub cgroup: Option<String>,
    /// Container id.
    pub container: Option<String>,
    /// Container's name.
    pub container_name: Option<String>,
    /// `namespace/pod`.
    pub pod: Option<String>,
    /// Network namespace's inode number.
    pub netns: u32,
}

/// Rows → batch.
pub fn batch(rows: &[ProcessRow]) -> RecordBatch {
    let u32s = |of: fn(&ProcessRow) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(of)))
    };
    let texts = |of: fn(&ProcessRow) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        u32s(|row| row.pid),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.valid_from_ns))),
        Arc::new(rows.iter().map(|row| row.valid_to_ns).collect::<Int64Array>()),
        u32s(|row| row.parent_pid),
        texts(|row| Some(&row.name)),
        texts(|row| Some(&row.exe)),
        texts(|row| Some(&row.command_line)),
        texts(|row| row.cgroup.as_ref()),
        texts(|row| row.container.as_ref()),
        texts(|row| row.container_name.as_ref()),
        texts(|row| row.pod.as_ref()),
        u32s(|row| row.netns),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<ProcessRow> {
    let cells = Cells(batch);
    let text = |name, row| cells.text(name, row).map(str::to_string);
    let row = |row| ProcessRow {
        pid: cells.u32("pid", row).unwrap_or(0),
        valid_from_ns: cells.int("valid_from_ns", row).unwrap_or(0),
        valid_to_ns: cells.int("valid_to_ns", row),
        parent_pid: cells.u32("parent_pid", row).unwrap_or(0),
        name: text("name", row).unwrap_or_default(),
        exe: text("exe", row).unwrap_or_default(),
        command_line: text("command_line", row).unwrap_or_default(),
        cgroup: text("cgroup", row),
        container: text("container", row),
        container_name: text("container_name", row),
        pod: text("pod", row),
        netns: cells.u32("netns", row).unwrap_or(0),
    };
    (0..batch.num_rows()).map(row).collect()
}
