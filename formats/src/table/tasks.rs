//! The tasks table: which goroutine a thread ran, as seen at its socket calls. Never what made the runtime switch.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{Int64Builder, RecordBatch, StringBuilder, UInt32Builder};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "tasks",
    about: "a goroutine or task that a thread ran at a socket call, other than the one it ran at the call before; until the thread's next row",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "within the call; BOOTTIME").layout(Layout::Delta),
        Column::new("pid", Type::UInt32, "process, in the initial namespace"),
        Column::new("tid", Type::UInt32, "thread, in the initial namespace"),
        Column::new("task_id", Type::Int64, "the runtime's number for it"),
        Column::new("creator_task_id", Type::Int64, "the task that made it").nullable(),
        Column::new("runtime", Type::Text, "`go`"),
    ],
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskRow<'a> {
    /// Within the call; BOOTTIME, ns.
    pub time_ns: i64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// The runtime's number for it.
    pub task_id: i64,
    /// The task that made it.
    pub creator_task_id: Option<i64>,
    /// `go`.
    pub runtime: &'a str,
}

/// Column builders for some rows.
#[derive(Default)]
pub struct TaskRows {
    time_ns: Int64Builder,
    ids: [UInt32Builder; 2],
    tasks: [Int64Builder; 2],
    runtime: StringBuilder,
    n_rows: usize,
}

impl TaskRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// One more row.
    pub fn push(&mut self, row: &TaskRow<'_>) {
        self.n_rows += 1;
        self.time_ns.append_value(row.time_ns);
        self.ids[0].append_value(row.pid);
        self.ids[1].append_value(row.tid);
        self.tasks[0].append_value(row.task_id);
        self.tasks[1].append_option(row.creator_task_id);
        self.runtime.append_value(row.runtime);
    }

    /// The rows, leaving none.
    pub fn finish(&mut self) -> RecordBatch {
        self.n_rows = 0;
        let columns = vec![
            Arc::new(self.time_ns.finish()) as _,
            Arc::new(self.ids[0].finish()) as _,
            Arc::new(self.ids[1].finish()) as _,
            Arc::new(self.tasks[0].finish()) as _,
            Arc::new(self.tasks[1].finish()) as _,
            Arc::new(self.runtime.finish()) as _,
        ];
        RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
    }
}

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> impl Iterator<Item = TaskRow<'_>> {
    let cells = Cells(batch);
    (0..batch.num_rows()).map(move |row| TaskRow {
        time_ns: cells.int("time_ns", row).unwrap_or(0),
        pid: cells.u32("pid", row).unwrap_or(0),
        tid: cells.u32("tid", row).unwrap_or(0),
        task_id: cells.int("task_id", row).unwrap_or(0),
        creator_task_id: cells.int("creator_task_id", row),
        runtime: cells.text("runtime", row).unwrap_or(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let made = TaskRow {
            time_ns: 1,
            pid: 6,
            tid: 7,
            task_id: 18,
            creator_task_id: Some(1),
            runtime: "go",
        };
        let first = TaskRow { task_id: 1, creator_task_id: None, ..made };
        let mut builder = TaskRows::default();
        [made, first].iter().for_each(|row| builder.push(row));
        assert_eq!(rows(&builder.finish()).collect::<Vec<_>>(), [made, first]);
        assert!(builder.is_empty());
    }
}
