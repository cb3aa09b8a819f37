//! The wakeups table: which thread woke which. Never why: futex, pipe and condition variable look alike here.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{Int64Builder, RecordBatch, UInt32Builder};
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "wakeups",
    about: "one wake-up of a thread that touches sockets, by another such thread or by an interrupt",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "when; BOOTTIME").layout(Layout::Delta),
        Column::new("waker_tid", Type::UInt32, "the waking thread; 0: an interrupt"),
        Column::new("woken_tid", Type::UInt32, "the woken thread"),
        Column::new("running_ns", Type::Int64, "when the woken thread ran; BOOTTIME")
            .nullable()
            .layout(Layout::Delta),
    ],
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WakeupRow {
    /// When; BOOTTIME, ns.
    pub time_ns: i64,
    /// The waking thread; 0: an interrupt.
    pub waker_tid: u32,
    /// The woken thread.
    pub woken_tid: u32,
    /// When it ran; BOOTTIME, ns.
    pub running_ns: Option<i64>,
}

/// Column builders for some rows.
#[derive(Default)]
pub struct WakeupRows {
    time_ns: Int64Builder,
    tids: [UInt32Builder; 2],
    running_ns: Int64Builder,
    n_rows: usize,
}

impl WakeupRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// One more row.
    pub fn push(&mut self, row: &WakeupRow) {
        self.n_rows += 1;
        self.time_ns.append_value(row.time_ns);
        self.tids[0].append_value(row.waker_tid);
        self.tids[1].append_value(row.woken_tid);
        self.running_ns.append_option(row.running_ns);
    }

    /// The rows, leaving none.
    pub fn finish(&mut self) -> RecordBatch {
        self.n_rows = 0;
        let columns = vec![
            Arc::new(self.time_ns.finish()) as _,
            Arc::new(self.tids[0].finish()) as _,
            Arc::new(self.tids[1].finish()) as _,
            Arc::new(self.running_ns.finish()) as _,
        ];
        RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
    }
}

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> impl Iterator<Item = WakeupRow> {
    let cells = Cells(batch);
    (0..batch.num_rows()).map(move |row| WakeupRow {
        time_ns: cells.int("time_ns", row).unwrap_or(0),
        waker_tid: cells.u32("waker_tid", row).unwrap_or(0),
        woken_tid: cells.u32("woken_tid", row).unwrap_or(0),
        running_ns: cells.int("running_ns", row),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let ran = WakeupRow { time_ns: 1, waker_tid: 0, woken_tid: 7, running_ns: Some(2) };
        let slept = WakeupRow { running_ns: None, waker_tid: 8, ..ran };
        let mut builder = WakeupRows::default();
        [ran, slept].iter().for_each(|row| builder.push(row));
        assert_eq!(rows(&builder.finish()).collect::<Vec<_>>(), [ran, slept]);
        assert!(builder.is_empty());
    }
}
