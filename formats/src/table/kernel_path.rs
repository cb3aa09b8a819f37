//! The kernel_path table: packets at points of the kernel's network stack, and where it dropped them. Headers only. Never an
//! association: which flow a header belongs to is found by the analyzer.

use super::texts::text;
use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{
    BinaryBuilder, Int64Builder, RecordBatch, StringDictionaryBuilder, UInt32Builder,
};
use arrow::datatypes::Int32Type;
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "kernel_path",
    about: "one packet past one point of the kernel's network stack, or its drop there",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "when; BOOTTIME").layout(Layout::Delta),
        Column::new(
            "point",
            Type::Text,
            "the tracepoint, or the kernel function that dropped it; `?`: its name is not known",
        )
        .layout(Layout::Seldom),
        Column::new("ifindex", Type::UInt32, "device; null: none").nullable(),
        Column::new("netns", Type::UInt32, "network namespace's inode number; null: unknown")
            .nullable(),
        Column::new(
            "header",
            Type::Binary,
            "header bytes from the network layer on, never payload: as much as lay in the packet's linear part",
        )
        .layout(Layout::Payload),
        Column::new("length", Type::UInt32, "bytes from the network layer on"),
        Column::new(
            "drop_reason",
            Type::Text,
            "the kernel's drop reason, without `SKB_DROP_REASON_`; null: it was not dropped here",
        )
        .nullable()
        .layout(Layout::Seldom),
    ],
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelPathRow<'a> {
    /// When; BOOTTIME, ns.
    pub time_ns: i64,
    /// Tracepoint, or the function that dropped it.
    pub point: &'a str,
    /// Device.
    pub ifindex: Option<u32>,
    /// Network namespace's inode number.
    pub netns: Option<u32>,
    /// Headers from the network layer on.
    pub header: &'a [u8],
    /// Bytes from the network layer on.
    pub length: u32,
    /// Why it was dropped.
    pub drop_reason: Option<&'a str>,
}

/// Column builders for some rows.
#[derive(Default)]
pub struct KernelPathRows {
    time_ns: Int64Builder,
    point: StringDictionaryBuilder<Int32Type>,
    ifindex: UInt32Builder,
    netns: UInt32Builder,
    header: BinaryBuilder,
    length: UInt32Builder,
    drop_reason: StringDictionaryBuilder<Int32Type>,
    n_rows: usize,
}

impl KernelPathRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// One more row.
    pub fn push(&mut self, row: &KernelPathRow<'_>) {
        self.n_rows += 1;
        self.time_ns.append_value(row.time_ns);
        self.point.append_value(row.point);
        self.ifindex.append_option(row.ifindex);
        self.netns.append_option(row.netns);
        self.header.append_value(row.header);
        self.length.append_value(row.length);
        self.drop_reason.append_option(row.drop_reason);
    }

    /// The rows, leaving none.
    pub fn finish(&mut self) -> RecordBatch {
        self.n_rows = 0;
        let columns = vec![
            Arc::new(self.time_ns.finish()) as _,
            text(&mut self.point),
            Arc::new(self.ifindex.finish()) as _,
            Arc::new(self.netns.finish()) as _,
            Arc::new(self.header.finish()) as _,
            Arc::new(self.length.finish()) as _,
            text(&mut self.drop_reason),
        ];
        RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
    }
}

/// The rows of a batch, borrowed.
pub fn rows(batch: &RecordBatch) -> impl Iterator<Item = KernelPathRow<'_>> {
    (0..batch.num_rows()).map(move |row| {
        let cells = Cells(batch);
        KernelPathRow {
            time_ns: cells.int("time_ns", row).unwrap_or(0),
            point: cells.text("point", row).unwrap_or_default(),
            ifindex: cells.u32("ifindex", row),
            netns: cells.u32("netns", row),
            header: cells.bytes("header", row).unwrap_or_default(),
            length: cells.u32("length", row).unwrap_or(0),
            drop_reason: cells.text("drop_reason", row),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let dropped = KernelPathRow {
            time_ns: 5,
            point: "tcp_v4_rcv",
            ifindex: Some(1),
            netns: Some(2),
            header: b"\x45",
            length: 40,
            drop_reason: Some("NO_SOCKET"),
        };
        let passed = KernelPathRow { ifindex: None, drop_reason: None, ..dropped };
        let mut builder = KernelPathRows::default();
        [dropped, passed].iter().for_each(|row| builder.push(row));
        let batch = builder.finish();
        assert_eq!(rows(&batch).collect::<Vec<_>>(), [dropped, passed]);
        assert!(builder.is_empty());
    }
}
