//! The sockets table: what each socket was connected to, and who owned it. Never what was said on it: see `socket_events`.

use super::interval::{FROM, TO};
use super::{Cells, Column, Table, Type};
use crate::packet::address_bytes;
use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringArray, UInt8Array,
    UInt16Array, UInt32Array,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// The table. A socket whose addresses changed (connected, bound) or that was closed has more rows with the same
/// `socket_id` and `valid_from_ns`: the one written last counts, `written_ns` tells.
pub const TABLE: Table = Table {
    name: "sockets",
    about: "one socket, those open before the recording too; written again when its addresses changed and when it was closed, the latest row counts",
    order: &["socket_id", "valid_from_ns", "written_ns"],
    columns: &[
        Column::new("socket_id", Type::Int64, "the socket's inode number, as /proc and ss show it"),
        FROM,
        TO,
        Column::new("written_ns", Type::Int64, "when this row was true; BOOTTIME"),
        Column::new(
            "pid",
            Type::UInt32,
            "the process that used it first, in the initial PID namespace",
        ),
        Column::new("kind", Type::Text, "`stream` or `datagram`"),
        Column::new(
            "family",
            Type::UInt8,
            "4 or 6 (an IPv4-mapped address is 4); null: a unix socket",
        )
        .nullable(),
        Column::new("local_address", Type::Address, "local address").nullable(),
        Column::new("remote_address", Type::Address, "remote address; null: not connected")
            .nullable(),
        Column::new("local_port", Type::UInt16, "local port").nullable(),
        Column::new("remote_port", Type::UInt16, "remote port").nullable(),
        Column::new(
            "asked_address",
            Type::Address,
            "what connect() asked for, where it differs from remote_address",
        )
        .nullable(),
        Column::new("asked_port", Type::UInt16, "as asked_address").nullable(),
        Column::new(
            "protocol",
            Type::UInt32,
            "transport protocol number: 6, 17, 262 (MPTCP); 0: a unix socket",
        ),
        Column::new("netns", Type::UInt32, "network namespace's inode number"),
        Column::new("role", Type::Text, "`client`, `server`, `listener` or `unknown`"),
        Column::new("path", Type::Text, "a unix socket's bound path, `@` before an abstract name")
            .nullable(),
        Column::new("peer_socket_id", Type::Int64, "the other end of a connected unix socket")
            .nullable(),
        Column::new("no_sequence", Type::Text, "why its events carry no TCP sequence numbers")
            .nullable(),
    ],
};

/// Which end of the conversation a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It called connect.
    Client,
    /// It came out of accept.
    Server,
    /// It listens.
    Listener,
    /// Not seen: open before the recording, a datagram socket.
    #[default]
    Unknown,
}

impl Role {
    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
            Role::Listener => "listener",
            Role::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Role {
        match name {
            "client" => Role::Client,
            "server" => Role::Server,
            "listener" => Role::Listener,
            _ => Role::Unknown,
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocketRow {
    /// Its inode number.
    pub socket_id: i64,
    /// When it appeared, or the recording's start; BOOTTIME, ns.
    pub valid_from_ns: i64,
    /// When it went; BOOTTIME, ns.
    pub valid_to_ns: Option<i64>,
    /// When this row was true; BOOTTIME, ns.
    pub written_ns: i64,
    /// The process that used it first.
    pub pid: u32,
    /// A datagram socket, else a stream.
    pub datagram: bool,
    /// Local address and port; `None` for a unix socket.
    pub local: Option<SocketAddr>,
    /// Remote address and port, when connected.
    pub remote: Option<SocketAddr>,
    /// What connect() asked for, where it differs.
    pub asked: Option<SocketAddr>,
    /// Transport protocol number; 0: a unix socket.
    pub protocol: u32,
    /// Network namespace's inode number.
    pub netns: u32,
    /// Which end it is.
    pub role: Role,
    /// A unix socket's bound path.
    pub path: Option<String>,
    /// The other end of a connected unix socket.
    pub peer_socket_id: Option<i64>,
    /// Why its events carry no TCP sequence numbers.
    pub no_sequence: Option<String>,
}

/// The column of the addresses of `ends`.
pub(super) fn addresses(ends: impl Iterator<Item = Option<SocketAddr>>) -> ArrayRef {
    let mut builder = FixedSizeBinaryBuilder::new(16);
    for end in ends {
        match end {
            Some(end) => builder.append_value(address_bytes(end.ip())).expect("16 bytes"),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// The column of the ports of `ends`.
pub(super) fn ports(ends: impl Iterator<Item = Option<SocketAddr>>) -> ArrayRef {
    Arc::new(ends.map(|end| end.map(|end| end.port())).collect::<UInt16Array>())
}

fn family(row: &SocketRow) -> Option<u8> {
    let end = row.local.or(row.remote)?;
    Some(if end.is_ipv4() { 4 } else { 6 })
}

/// Rows → batch.
pub fn batch(rows: &[SocketRow]) -> RecordBatch {
    let ints = |of: fn(&SocketRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let u32s = |of: fn(&SocketRow) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(of)))
    };
    let columns: Vec<ArrayRef> = vec![
        ints(|row| Some(row.socket_id)),
        ints(|row| Some(row.valid_from_ns)),
        ints(|row| row.valid_to_ns),
        ints(|row| Some(row.written_ns)),
        u32s(|row| row.pid),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| if row.datagram { "datagram" } else { "stream" }),
        )),
        Arc::new(rows.iter().map(family).collect::<UInt8Array>()),
        addresses(rows.iter().map(|row| row.local)),
        addresses(rows.iter().map(|row| row.remote)),
        ports(rows.iter().map(|row| row.local)),
        ports(rows.iter().map(|row| row.remote)),
        addresses(rows.iter().map(|row| row.asked)),
        ports(rows.iter().map(|row| row.asked)),
        u32s(|row| row.protocol),
        u32s(|row| row.netns),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.role.name()))),
        Arc::new(rows.iter().map(|row| row.path.as_ref()).collect::<StringArray>()),
        ints(|row| row.peer_socket_id),
        Arc::new(rows.iter().map(|row| row.no_sequence.as_ref()).collect::<StringArray>()),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<SocketRow> {
    let cells = Cells(batch);
    let row = |row| {
        let family = cells.u8("family", row);
        let end = |address, port| cells.socket_address(family, address, port, row);
        SocketRow {
            socket_id: cells.int("socket_id", row).unwrap_or(0),
            valid_from_ns: cells.int("valid_from_ns", row).unwrap_or(0),
            valid_to_ns: cells.int("valid_to_ns", row),
            written_ns: cells.int("written_ns", row).unwrap_or(0),
            pid: cells.u32("pid", row).unwrap_or(0),
            datagram: cells.text("kind", row) == Some("datagram"),
            local: end("local_address", "local_port"),
            remote: end("remote_address", "remote_port"),
            asked: end("asked_address", "asked_port"),
            protocol: cells.u32("protocol", row).unwrap_or(0),
            netns: cells.u32("netns", row).unwrap_or(0),
            role: Role::parse(cells.text("role", row).unwrap_or_default()),
            path: cells.text("path", row).map(str::to_string),
            peer_socket_id: cells.int("peer_socket_id", row),
            no_sequence: cells.text("no_sequence", row).map(str::to_string),
        }
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let tcp = SocketRow {
            socket_id: 77,
            valid_from_ns: 5,
            written_ns: 6,
            pid: 1,
            local: Some("10.0.0.1:80".parse().expect("an address")),
            remote: Some("10.0.0.2:40000".parse().expect("an address")),
            protocol: 6,
            netns: 4026531840,
            role: Role::Server,
            ..SocketRow::default()
        };
        let v6 = SocketRow {
            local: Some("[2001:db8::1]:53".parse().expect("an address")),
            remote: None,
            datagram: true,
            protocol: 17,
            role: Role::Unknown,
            ..tcp.clone()
        };
        let unix = SocketRow {
            local: None,
            remote: None,
            protocol: 0,
            path: Some("@bus".into()),
            peer_socket_id: Some(78),
            ..tcp.clone()
        };
        let given = [tcp, v6, unix];
        assert_eq!(rows(&batch(&given)), given);
    }
}
