//! The nat table: the connection-tracking map, the authoritative tuple pairs. Never a guess.

use super::interval::{FROM, TO};
use super::sockets::{addresses, ports};
use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use std::net::SocketAddr;
use std::sync::Arc;

/// The table.
pub const TABLE: Table = Table {
    name: "nat",
    about: "one translated connection of the connection-tracking table: the authoritative tuple pair; written again when it went, that row counts",
    order: &["valid_from_ns"],
    columns: &[
        FROM,
        TO,
        Column::new("netns", Type::UInt32, "network namespace's inode number"),
        Column::new("protocol", Type::UInt8, "transport protocol number"),
        Column::new("family", Type::UInt8, "4 or 6"),
        Column::new("original_source", Type::Address, "original direction's source").nullable(),
        Column::new("original_destination", Type::Address, "original direction's destination")
            .nullable(),
        Column::new("original_source_port", Type::UInt16, "original direction's source port")
            .nullable(),
        Column::new(
            "original_destination_port",
            Type::UInt16,
            "original direction's destination port",
        )
        .nullable(),
        Column::new("reply_source", Type::Address, "reply direction's source").nullable(),
        Column::new("reply_destination", Type::Address, "reply direction's destination").nullable(),
        Column::new("reply_source_port", Type::UInt16, "reply direction's source port").nullable(),
        Column::new("reply_destination_port", Type::UInt16, "reply direction's destination port")
            .nullable(),
    ],
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatRow {
    /// When it was first seen; BOOTTIME, ns.
    pub valid_from_ns: i64,
    /// When it went; BOOTTIME, ns.
    pub valid_to_ns: Option<i64>,
    /// Network namespace's inode number.
    pub netns: u32,
    /// Transport protocol number.
    pub protocol: u8,
    /// Original direction: source, destination.
    pub original: (SocketAddr, SocketAddr),
    /// Reply direction: source, destination.
    pub reply: (SocketAddr, SocketAddr),
}

/// Rows → batch.
pub fn batch(rows: &[NatRow]) -> RecordBatch {
    let ends: [fn(&NatRow) -> SocketAddr; 4] =
        [|row| row.original.0, |row| row.original.1, |row| row.reply.0, |row| row.reply.1];
    let address = |i: usize| addresses(rows.iter().map(|row| Some(ends[i](row))));
    let port = |i: usize| ports(rows.iter().map(|row| Some(ends[i](row))));
    let family = |row: &NatRow| if row.original.0.is_ipv4() { 4 } else { 6 };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.valid_from_ns))),
        Arc::new(rows.iter().map(|row| row.valid_to_ns).collect::<Int64Array>()),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.netns))),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.protocol))),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(family))),
        address(0),
        address(1),
        port(0),
        port(1),
        address(2),
        address(3),
        port(2),
        port(3),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows; a row without a whole tuple pair is left out.
pub fn rows(batch: &RecordBatch) -> Vec<NatRow> {
    let cells = Cells(batch);
    let row = |row| {
        let family = cells.u8("family", row);
        let end = |address, port| cells.socket_address(family, address, port, row);
        Some(NatRow {
            valid_from_ns: cells.int("valid_from_ns", row)?,
            valid_to_ns: cells.int("valid_to_ns", row),
            netns: cells.u32("netns", row)?,
            protocol: cells.u8("protocol", row)?,
            original: (
                end("original_source", "original_source_port")?,
                end("original_destination", "original_destination_port")?,
            ),
            reply: (
                end("reply_source", "reply_source_port")?,
                end("reply_destination", "reply_destination_port")?,
            ),
        })
    };
    (0..batch.num_rows()).filter_map(row).collect()
}
