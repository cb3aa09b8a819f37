//! The plaintext table: what programs gave to a TLS library and got from it, as the library's functions saw it. Never an
//! association: which socket calls lie beneath is told by thread and time, and found by the analyzer.

use super::texts::text;
use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{
    BinaryBuilder, Int64Builder, RecordBatch, StringDictionaryBuilder, UInt32Builder,
};
use arrow::datatypes::Int32Type;
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "plaintext",
    about: "one call of a TLS library's read, write or handshake, or the end of a connection object; the socket calls beneath are those on its descriptor between entry and return, or of the same thread where no descriptor is told",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "entry into the function; BOOTTIME")
            .layout(Layout::Delta),
        Column::new("exit_ns", Type::Int64, "return from it").layout(Layout::Delta),
        Column::new("pid", Type::UInt32, "process, in the initial PID namespace"),
        Column::new(
            "tid",
            Type::UInt32,
            "thread, in the initial PID namespace; of Go the one that returned",
        ),
        Column::new("library", Type::Text, "`openssl`, `go`").layout(Layout::Seldom),
        Column::new(
            "handle",
            Type::Int64,
            "the connection object's address in the process, taken again after its end",
        ),
        Column::new("call", Type::Text, "`read`, `write`, `handshake`, `close`")
            .layout(Layout::Seldom),
        Column::new(
            "fd",
            Type::UInt32,
            "file descriptor beneath; null: the library's objects don't tell",
        )
        .nullable(),
        Column::new("asked", Type::Int64, "bytes given to write, or room given to read").nullable(),
        Column::new(
            "result",
            Type::Int64,
            "bytes of plaintext moved; handshake: 1 done; 0 or less: not, or not yet",
        ),
        Column::new(
            "bytes",
            Type::Binary,
            "the first bytes moved, secrets masked; null: none kept",
        )
        .nullable()
        .layout(Layout::Payload),
    ],
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlaintextRow<'a> {
    /// Entry; BOOTTIME, ns.
    pub time_ns: i64,
    /// Return; BOOTTIME, ns.
    pub exit_ns: i64,
    /// Process, in the initial PID namespace.
    pub pid: u32,
    /// Thread, in the initial PID namespace.
    pub tid: u32,
    /// `openssl`, `go`.
    pub library: &'a str,
    /// The connection object.
    pub handle: i64,
    /// `read`, `write`, `handshake`, `close`.
    pub call: &'a str,
    /// File descriptor beneath.
    pub fd: Option<u32>,
    /// Bytes given to write, or room given to read.
    pub asked: Option<i64>,
    /// Bytes moved.
    pub result: i64,
    /// The first of them.
    pub bytes: Option<&'a [u8]>,
}

/// Column builders for some rows.
#[derive(Default)]
pub struct PlaintextRows {
    times: [Int64Builder; 2],
    pid: UInt32Builder,
    tid: UInt32Builder,
    library: StringDictionaryBuilder<Int32Type>,
    handle: Int64Builder,
    call: StringDictionaryBuilder<Int32Type>,
    fd: UInt32Builder,
    asked: Int64Builder,
    result: Int64Builder,
    bytes: BinaryBuilder,
    n_rows: usize,
}

impl PlaintextRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// One more row.
    pub fn push(&mut self, row: &PlaintextRow<'_>) {
        self.n_rows += 1;
        self.times[0].append_value(row.time_ns);
        self.times[1].append_value(row.exit_ns);
        self.pid.append_value(row.pid);
        self.tid.append_value(row.tid);
        self.library.append_value(row.library);
        self.handle.append_value(row.handle);
        self.call.append_value(row.call);
        self.fd.append_option(row.fd);
        self.asked.append_option(row.asked);
        self.result.append_value(row.result);
        self.bytes.append_option(row.bytes);
    }

    /// The rows, leaving none.
    pub fn finish(&mut self) -> RecordBatch {
        self.n_rows = 0;
        let columns = vec![
            Arc::new(self.times[0].finish()) as _,
            Arc::new(self.times[1].finish()) as _,
            Arc::new(self.pid.finish()) as _,
            Arc::new(self.tid.finish()) as _,
            text(&mut self.library),
            Arc::new(self.handle.finish()) as _,
            text(&mut self.call),
            Arc::new(self.fd.finish()) as _,
            Arc::new(self.asked.finish()) as _,
            Arc::new(self.result.finish()) as _,
            Arc::new(self.bytes.finish()) as _,
        ];
        RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
    }
}

/// The rows of a batch, borrowed.
pub fn rows(batch: &RecordBatch) -> impl Iterator<Item = PlaintextRow<'_>> {
    (0..batch.num_rows()).map(move |row| {
        let cells = Cells(batch);
        PlaintextRow {
            time_ns: cells.int("time_ns", row).unwrap_or(0),
            exit_ns: cells.int("exit_ns", row).unwrap_or(0),
            pid: cells.u32("pid", row).unwrap_or(0),
            tid: cells.u32("tid", row).unwrap_or(0),
            library: cells.text("library", row).unwrap_or_default(),
            handle: cells.int("handle", row).unwrap_or(0),
            call: cells.text("call", row).unwrap_or_default(),
            fd: cells.u32("fd", row),
            asked: cells.int("asked", row),
            result: cells.int("result", row).unwrap_or(0),
            bytes: cells.bytes("bytes", row),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let read = PlaintextRow {
            time_ns: 1,
            exit_ns: 2,
            pid: 3,
            tid: 4,
            library: "openssl",
            handle: -5,
            call: "read",
            fd: None,
            asked: Some(100),
            result: 3,
            bytes: Some(b"abc"),
        };
        let close = PlaintextRow {
            call: "close",
            asked: None,
            result: 0,
            bytes: None,
            fd: Some(9),
            ..read
        };
        let mut builder = PlaintextRows::default();
        [read, close].iter().for_each(|row| builder.push(row));
        let batch = builder.finish();
        assert_eq!(rows(&batch).collect::<Vec<_>>(), [read, close]);
        assert!(builder.is_empty());
    }
}
