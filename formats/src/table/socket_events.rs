//! The socket_events table: what each thread did on each socket, as the kernel said. Never an association of its own:
//! which event belongs to which packet or request is found by the analyzer.

use super::texts::text;
use super::{Cells, Column, Layout, Table, Type};
use crate::packet::address_bytes;
use arrow::array::{
    Array, AsArray, BinaryArray, BinaryBuilder, FixedSizeBinaryBuilder, Int64Array, Int64Builder,
    RecordBatch, StringArray, StringDictionaryBuilder, UInt8Array, UInt8Builder, UInt16Builder,
    UInt32Array, UInt32Builder,
};
use arrow::datatypes::{Int32Type, Int64Type, UInt8Type, UInt32Type};
use std::net::SocketAddr;
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "socket_events",
    about: "one read, write, connect, accept, close … on a socket, one event-loop turn, or one use of an eventfd, pipe or timerfd by a thread that touches sockets",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "entry into the call; BOOTTIME").layout(Layout::Delta),
        Column::new("exit_ns", Type::Int64, "return from it; null: not seen").nullable().layout(Layout::Delta),
        Column::new("kind", Type::Text, "what it was done on: `tcp`, `udp`, `unix`, `eventfd`, `pipe`, `timerfd`, `epoll`, `other`").layout(Layout::Seldom),
        Column::new("socket_id", Type::Int64, "row of `sockets`, or the inode number of what `kind` says; null: none, or unknown").nullable(),
        Column::new("pid", Type::UInt32, "process, in the initial PID namespace"),
        Column::new("tid", Type::UInt32, "thread, in the initial PID namespace"),
        Column::new("call", Type::Text, "system call: `read`, `sendmsg`, `epoll_wait` …; `connect`, `accept`, `close`, `shutdown`").layout(Layout::Seldom),
        Column::new("fd", Type::UInt32, "file descriptor").nullable(),
        Column::new("direction", Type::UInt8, "1 inbound, 2 outbound; null: neither").nullable().layout(Layout::Seldom),
        Column::new("result", Type::Int64, "bytes moved (accept: the new descriptor; event loop: ready events), or the negative error number; null: not seen").nullable(),
        Column::new("flags", Type::UInt32, "MSG_ flags as given").nullable().layout(Layout::Seldom),
        Column::new("sequence_before", Type::UInt32, "TCP sequence number at entry (inbound: copied_seq, outbound: write_seq): that of the first byte moved; connect, accept, close, shutdown: copied_seq at return").nullable(),
        Column::new("sequence_after", Type::UInt32, "TCP sequence number at return; connect, accept, close, shutdown: write_seq").nullable(),
        Column::new("mark", Type::Text, "why its bytes are not exactly those between the sequence numbers: see \"Marks\"; null: they are").nullable().layout(Layout::Seldom),
        Column::new("peer_family", Type::UInt8, "of a datagram whose socket is not connected: 4 or 6").nullable().layout(Layout::Seldom),
        Column::new("peer_address", Type::Address, "its other end").nullable(),
        Column::new("peer_port", Type::UInt16, "its other end").nullable(),
        Column::new("bytes", Type::Binary, "the first bytes moved, secrets masked; null: none kept").nullable().layout(Layout::Payload),
    ],
};

/// `direction`: the process received.
pub const INBOUND: u8 = 1;
/// `direction`: the process sent.
pub const OUTBOUND: u8 = 2;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketEventRow<'a> {
    /// Entry; BOOTTIME, ns.
    pub time_ns: i64,
    /// Return; BOOTTIME, ns.
    pub exit_ns: Option<i64>,
    /// What it was done on.
    pub kind: &'a str,
    /// Which one.
    pub socket_id: Option<i64>,
    /// Process, in the initial PID namespace.
    pub pid: u32,
    /// Thread, in the initial PID namespace.
    pub tid: u32,
    /// System call.
    pub call: &'a str,
    /// File descriptor.
    pub fd: Option<u32>,
    /// [`INBOUND`], [`OUTBOUND`] or neither.
    pub direction: Option<u8>,
    /// Bytes moved, or the negative error number.
    pub result: Option<i64>,
    /// MSG_ flags as given.
    pub flags: Option<u32>,
    /// TCP sequence number at entry.
    pub sequence_before: Option<u32>,
    /// TCP sequence number at return.
    pub sequence_after: Option<u32>,
    /// Why the bytes are not exactly those between the sequence numbers.
    pub mark: Option<&'a str>,
    /// The other end of a datagram whose socket is not connected.
    pub peer: Option<SocketAddr>,
    /// The first bytes moved.
    pub bytes: Option<&'a [u8]>,
}

/// Column builders for some rows.
pub struct SocketEventRows {
    time_ns: Int64Builder,
    exit_ns: Int64Builder,
    kind: StringDictionaryBuilder<Int32Type>,
    socket_id: Int64Builder,
    pid: UInt32Builder,
    tid: UInt32Builder,
    call: StringDictionaryBuilder<Int32Type>,
    fd: UInt32Builder,
    direction: UInt8Builder,
    result: Int64Builder,
    flags: UInt32Builder,
    sequence_before: UInt32Builder,
    sequence_after: UInt32Builder,
    mark: StringDictionaryBuilder<Int32Type>,
    peer_family: UInt8Builder,
    peer_address: FixedSizeBinaryBuilder,
    peer_port: UInt16Builder,
    bytes: BinaryBuilder,
    n_rows: usize,
}

impl Default for SocketEventRows {
    fn default() -> SocketEventRows {
        SocketEventRows {
            time_ns: Int64Builder::new(),
            exit_ns: Int64Builder::new(),
            kind: StringDictionaryBuilder::new(),
            socket_id: Int64Builder::new(),
            pid: UInt32Builder::new(),
            tid: UInt32Builder::new(),
            call: StringDictionaryBuilder::new(),
            fd: UInt32Builder::new(),
            direction: UInt8Builder::new(),
            result: Int64Builder::new(),
            flags: UInt32Builder::new(),
            sequence_before: UInt32Builder::new(),
            sequence_after: UInt32Builder::new(),
            mark: StringDictionaryBuilder::new(),
            peer_family: UInt8Builder::new(),
            peer_address: FixedSizeBinaryBuilder::new(16),
            peer_port: UInt16Builder::new(),
            bytes: BinaryBuilder::new(),
            n_rows: 0,
        }
    }
}

impl SocketEventRows {
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// One more row.
    pub fn push(&mut self, row: &SocketEventRow<'_>) {
        self.n_rows += 1;
        self.time_ns.append_value(row.time_ns);
        self.exit_ns.append_option(row.exit_ns);
        self.kind.append_value(row.kind);
        self.socket_id.append_option(row.socket_id);
        self.pid.append_value(row.pid);
        self.tid.append_value(row.tid);
        self.call.append_value(row.call);
        self.fd.append_option(row.fd);
        self.direction.append_option(row.direction);
        self.result.append_option(row.result);
        self.flags.append_option(row.flags);
        self.sequence_before.append_option(row.sequence_before);
        self.sequence_after.append_option(row.sequence_after);
        self.mark.append_option(row.mark);
        self.peer_family.append_option(row.peer.map(|peer| if peer.is_ipv4() { 4 } else { 6 }));
        match row.peer {
            Some(peer) => {
                self.peer_address.append_value(address_bytes(peer.ip())).expect("16 bytes");
            }
            None => self.peer_address.append_null(),
        }
        self.peer_port.append_option(row.peer.map(|peer| peer.port()));
        self.bytes.append_option(row.bytes);
    }

    /// The rows, leaving none.
    pub fn finish(&mut self) -> RecordBatch {
        self.n_rows = 0;
        let columns = vec![
            Arc::new(self.time_ns.finish()) as _,
            Arc::new(self.exit_ns.finish()) as _,
            text(&mut self.kind),
            Arc::new(self.socket_id.finish()) as _,
            Arc::new(self.pid.finish()) as _,
            Arc::new(self.tid.finish()) as _,
            text(&mut self.call),
            Arc::new(self.fd.finish()) as _,
            Arc::new(self.direction.finish()) as _,
            Arc::new(self.result.finish()) as _,
            Arc::new(self.flags.finish()) as _,
            Arc::new(self.sequence_before.finish()) as _,
            Arc::new(self.sequence_after.finish()) as _,
            text(&mut self.mark),
            Arc::new(self.peer_family.finish()) as _,
            Arc::new(self.peer_address.finish()) as _,
            Arc::new(self.peer_port.finish()) as _,
            Arc::new(self.bytes.finish()) as _,
        ];
        RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
    }
}

/// The rows of a batch, borrowed.
pub fn rows(batch: &RecordBatch) -> impl Iterator<Item = SocketEventRow<'_>> {
    let columns = SocketEventColumns::of(batch);
    (0..batch.num_rows()).map(move |row| columns.row(row))
}

/// The columns of a batch, looked up once, for rows in any order.
pub struct SocketEventColumns<'a> {
    batch: &'a RecordBatch,
    times: [&'a Int64Array; 4],
    numbers: [&'a UInt32Array; 6],
    texts: [&'a StringArray; 3],
    direction: &'a UInt8Array,
    peer_family: &'a UInt8Array,
    bytes: &'a BinaryArray,
}

impl<'a> SocketEventColumns<'a> {
    /// Of a batch whose schema was checked.
    pub fn of(batch: &'a RecordBatch) -> SocketEventColumns<'a> {
        let column = |name| batch.column_by_name(name).expect("the schema was checked on opening");
        let int = |name| column(name).as_primitive::<Int64Type>();
        let u32s = |name| column(name).as_primitive::<UInt32Type>();
        let text = |name| column(name).as_string::<i32>();
        SocketEventColumns {
            batch,
            times: ["time_ns", "exit_ns", "socket_id", "result"].map(int),
            numbers: ["pid", "tid", "fd", "flags", "sequence_before", "sequence_after"].map(u32s),
            texts: ["kind", "call", "mark"].map(text),
            direction: column("direction").as_primitive::<UInt8Type>(),
            peer_family: column("peer_family").as_primitive::<UInt8Type>(),
            bytes: column("bytes").as_binary::<i32>(),
        }
    }

    /// One row of them.
    pub fn row(&self, row: usize) -> SocketEventRow<'a> {
        let [time_ns, exit_ns, socket_id, result] = self.times;
        let [pid, tid, fd, flags, before, after] = self.numbers;
        let [kind, call, mark] = self.texts;
        let int = |column: &Int64Array| column.is_valid(row).then(|| column.value(row));
        let number = |column: &UInt32Array| column.is_valid(row).then(|| column.value(row));
        let small = |column: &UInt8Array| column.is_valid(row).then(|| column.value(row));
        SocketEventRow {
            time_ns: time_ns.value(row),
            exit_ns: int(exit_ns),
            kind: kind.value(row),
            socket_id: int(socket_id),
            pid: pid.value(row),
            tid: tid.value(row),
            call: call.value(row),
            fd: number(fd),
            direction: small(self.direction),
            result: int(result),
            flags: number(flags),
            sequence_before: number(before),
            sequence_after: number(after),
            mark: mark.is_valid(row).then(|| mark.value(row)),
            peer: small(self.peer_family).and_then(|family| {
                Cells(self.batch).socket_address(Some(family), "peer_address", "peer_port", row)
            }),
            bytes: self.bytes.is_valid(row).then(|| self.bytes.value(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let read = SocketEventRow {
            time_ns: 1,
            exit_ns: Some(2),
            kind: "tcp",
            socket_id: Some(5),
            pid: 7,
            tid: 8,
            call: "read",
            fd: Some(4),
            direction: Some(INBOUND),
            result: Some(3),
            flags: None,
            sequence_before: Some(u32::MAX),
            sequence_after: Some(2),
            mark: None,
            peer: None,
            bytes: Some(b"abc"),
        };
        let datagram = SocketEventRow {
            kind: "udp",
            peer: Some("[::1]:53".parse().expect("an address")),
            mark: Some("peek"),
            result: Some(-104),
            sequence_before: None,
            sequence_after: None,
            bytes: None,
            ..read
        };
        let mut builder = SocketEventRows::default();
        [read, datagram].iter().for_each(|row| builder.push(row));
        let batch = builder.finish();
        assert_eq!(rows(&batch).collect::<Vec<_>>(), [read, datagram]);
        assert!(builder.is_empty());
    }
}
