//! The interfaces table: a host's observation points. Never holds packets' facts beyond their count and time range.

use super::{Cells, Column, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt16Array, UInt32Array};
use std::sync::Arc;

/// The table; row *n* has `interface_id` *n*.
pub const TABLE: Table = Table {
    name: "interfaces",
    about: "one observation point of the host, or one more declaration of it in a capture file",
    order: &["interface_id"],
    columns: &[
        Column::new("interface_id", Type::UInt32, "dense within the host"),
        Column::new(
            "point",
            Type::UInt32,
            "the first row that is the same observation point; its own id when there is none before",
        ),
        Column::new(
            "domain_id",
            Type::UInt32,
            "clock domain of its packets: index into the manifest's `domains`",
        ),
        Column::new(
            "capture_file",
            Type::UInt32,
            "index among the host's captures in the manifest",
        )
        .nullable(),
        Column::new("section", Type::UInt32, "pcapng section it was declared in").nullable(),
        Column::new(
            "capture_index",
            Type::UInt32,
            "index among the file's interfaces, all sections counted on",
        )
        .nullable(),
        Column::new(
            "parent",
            Type::UInt32,
            "for a point named by cooked v2 headers: the capture's own interface",
        )
        .nullable(),
        Column::new("netns", Type::Text, "network namespace; null: the only or the initial one")
            .nullable(),
        Column::new(
            "netns_inode",
            Type::UInt32,
            "the namespace's inode number, as in `sockets` and `processes`",
        )
        .later(),
        Column::new("name", Type::Text, "interface name; `if3` where only a number is known"),
        Column::new("ifindex", Type::UInt32, "the kernel's interface number").nullable(),
        Column::new(
            "kind",
            Type::Text,
            "`capture`, `cooked`, or the kernel's link kind (`veth`, `bridge` …)",
        ),
        Column::new("master", Type::UInt32, "ifindex of its bridge or bond").nullable(),
        Column::new("peer", Type::UInt32, "ifindex of its veth peer").nullable(),
        Column::new("addresses", Type::Text, "addresses with prefix lengths, comma-separated")
            .nullable(),
        Column::new("offloads", Type::Text, "offloads switched on (`gro,gso,tso`)").nullable(),
        Column::new("link_type", Type::UInt16, "LINKTYPE_ number of its frames"),
        Column::new("snap_length", Type::UInt32, "bytes kept of a frame; 0: no limit"),
        Column::new("ticks_per_second", Type::Int64, "resolution of the capture's stamps")
            .nullable(),
        Column::new("offset_seconds", Type::Int64, "seconds added to the capture's stamps")
            .nullable(),
        Column::new("received", Type::Int64, "packets the interface received, as the capture says")
            .nullable(),
        Column::new("dropped", Type::Int64, "packets the capture lost there, as it says")
            .nullable(),
        Column::new("n_packets", Type::Int64, "rows of `packets` with this interface_id"),
        Column::new("valid_from_ns", Type::Int64, "time of the first packet, or when it appeared")
            .nullable(),
        Column::new("valid_to_ns", Type::Int64, "time of the last packet, or when it went")
            .nullable(),
        Column::new("description", Type::Text, "`if_description`").nullable(),
    ],
};

/// One row. Fields are the columns of [`TABLE`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the columns of TABLE, described there")]
pub struct InterfaceRow {
    pub interface_id: u32,
    pub point: u32,
    pub domain_id: u32,
    pub capture_file: Option<u32>,
    pub section: Option<u32>,
    pub capture_index: Option<u32>,
    pub parent: Option<u32>,
    pub netns: Option<String>,
    pub netns_inode: Option<u32>,
    pub name: String,
    pub ifindex: Option<u32>,
    pub kind: String,
    pub master: Option<u32>,
    pub peer: Option<u32>,
    pub addresses: Option<String>,
    pub offloads: Option<String>,
    pub link_type: u16,
    pub snap_length: u32,
    pub ticks_per_second: Option<i64>,
    pub offset_seconds: Option<i64>,
    pub received: Option<i64>,
    pub dropped: Option<i64>,
    pub n_packets: i64,
    pub valid_from_ns: Option<i64>,
    pub valid_to_ns: Option<i64>,
    pub description: Option<String>,
}

/// Rows → batch.
pub fn batch(rows: &[InterfaceRow]) -> RecordBatch {
    let u32s = |of: fn(&InterfaceRow) -> Option<u32>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt32Array>())
    };
    let ints = |of: fn(&InterfaceRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let texts = |of: fn(&InterfaceRow) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        u32s(|row| Some(row.interface_id)),
        u32s(|row| Some(row.point)),
        u32s(|row| Some(row.domain_id)),
        u32s(|row| row.capture_file),
        u32s(|row| row.section),
        u32s(|row| row.capture_index),
        u32s(|row| row.parent),
        texts(|row| row.netns.as_ref()),
        u32s(|row| row.netns_inode),
        texts(|row| Some(&row.name)),
        u32s(|row| row.ifindex),
        texts(|row| Some(&row.kind)),
        u32s(|row| row.master),
        u32s(|row| row.peer),
        texts(|row| row.addresses.as_ref()),
        texts(|row| row.offloads.as_ref()),
        Arc::new(UInt16Array::from_iter_values(rows.iter().map(|row| row.link_type))),
        u32s(|row| Some(row.snap_length)),
        ints(|row| row.ticks_per_second),
        ints(|row| row.offset_seconds),
        ints(|row| row.received),
        ints(|row| row.dropped),
        ints(|row| Some(row.n_packets)),
        ints(|row| row.valid_from_ns),
        ints(|row| row.valid_to_ns),
        texts(|row| row.description.as_ref()),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<InterfaceRow> {
    let cells = Cells(batch);
    let text = |name, row| cells.text(name, row).map(str::to_string);
    let row = |row| InterfaceRow {
        interface_id: cells.u32("interface_id", row).unwrap_or(0),
        point: cells.u32("point", row).unwrap_or(0),
        domain_id: cells.u32("domain_id", row).unwrap_or(0),
        capture_file: cells.u32("capture_file", row),
        section: cells.u32("section", row),
        capture_index: cells.u32("capture_index", row),
        parent: cells.u32("parent", row),
        netns: text("netns", row),
        netns_inode: cells.u32("netns_inode", row),
        name: text("name", row).unwrap_or_default(),
        ifindex: cells.u32("ifindex", row),
        kind: text("kind", row).unwrap_or_default(),
        master: cells.u32("master", row),
        peer: cells.u32("peer", row),
        addresses: text("addresses", row),
        offloads: text("offloads", row),
        link_type: cells.u16("link_type", row).unwrap_or(0),
        snap_length: cells.u32("snap_length", row).unwrap_or(0),
        ticks_per_second: cells.int("ticks_per_second", row),
        offset_seconds: cells.int("offset_seconds", row),
        received: cells.int("received", row),
        dropped: cells.int("dropped", row),
        n_packets: cells.int("n_packets", row).unwrap_or(0),
        valid_from_ns: cells.int("valid_from_ns", row),
        valid_to_ns: cells.int("valid_to_ns", row),
        description: text("description", row),
    };
    (0..batch.num_rows()).map(row).collect()
}
