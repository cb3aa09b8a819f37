//! The packets table: one row per captured frame, sorted by (flow_hash, time_ns, source_row). Never decodes; see
//! `packet_rows` (writing) and `packet_batch` (reading).

use super::{Column, Layout, Table, Type};

/// Largest sum of captured bytes in one row group, so that a row group of jumbo frames still fits in memory.
pub const ROW_GROUP_FRAME_BYTES: usize = 64 << 20;

/// The table.
pub const TABLE: Table = Table {
    name: "packets",
    about: "one captured frame",
    order: &["flow_hash", "time_ns", "source_row"],
    columns: COLUMNS,
};

/// Columns a [`Packet`](crate::packet::Packet) is rebuilt from, the frame left out.
pub const HEADER_COLUMNS: &[&str] = &[
    "time_ns",
    "source_row",
    "interface_id",
    "original_length",
    "direction",
    "flow_hash",
    "family",
    "source_address",
    "destination_address",
    "protocol",
    "source_port",
    "destination_port",
    "sequence",
    "acknowledgment",
    "tcp_flags",
    "window",
    "ip_id",
    "ttl",
    "timestamp_value",
    "timestamp_echo",
    "fragment_offset",
    "fragment_more",
    "encapsulation",
    "payload_offset",
    "payload_length",
    "window_scale",
    "mss",
];

/// Columns of headers whose values are laid out plainly, row by row, in the table's order.
pub(crate) const PLAIN_HEADERS: [&str; 16] = [
    "captured_length",
    "original_length",
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
    "sequence",
    "acknowledgment",
    "tcp_flags",
    "window",
    "ip_id",
    "ttl",
    "timestamp_value",
    "timestamp_echo",
    "payload_offset",
    "payload_length",
];
/// The last column of the table, laid out so, too.
pub(crate) const FRAME: &str = "frame";

/// Columns a capture's packet block is rebuilt from.
pub const BLOCK_COLUMNS: &[&str] = &[
    "time_ns",
    "source_row",
    "interface_id",
    "kind",
    "original_length",
    "raw_stamp_high",
    "raw_stamp_low",
    "drop_count",
    "block_options",
    "frame",
];

const COLUMNS: &[Column] = &[
    Column::new("time_ns", Type::Int64, "capture time, ns of the interface's clock domain (Unix time for captures)").layout(Layout::Delta),
    Column::new("source_row", Type::Int64, "place among all records and blocks of the host's capture files, in their given order").layout(Layout::Delta),
    Column::new("interface_id", Type::UInt32, "row of `interfaces` of this host"),
    Column::new("kind", Type::UInt8, "0 pcap record, 1 enhanced, 2 simple, 3 obsolete packet block").layout(Layout::Seldom),
    Column::new("captured_length", Type::UInt32, "captured bytes"),
    Column::new("original_length", Type::UInt32, "bytes on the wire, as the capture says"),
    Column::new("raw_stamp_high", Type::UInt32, "high half of the stamp, where time_ns can't hold it exactly").nullable().layout(Layout::Seldom),
    Column::new("raw_stamp_low", Type::UInt32, "low half of the stamp, where time_ns can't hold it exactly").nullable().layout(Layout::Seldom),
    Column::new("direction", Type::UInt8, "1 inbound, 2 outbound: from the cooked header, else the block's flags").nullable().layout(Layout::Seldom),
    Column::new("flow_hash", Type::Int64, "see \"Flow hash\"; both directions of a flow share it; 0: no IP header").layout(Layout::Delta),
    Column::new("family", Type::UInt8, "innermost IP header: 4 or 6").nullable().layout(Layout::Seldom),
    Column::new("source_address", Type::Address, "innermost source address").nullable(),
    Column::new("destination_address", Type::Address, "innermost destination address").nullable(),
    Column::new("protocol", Type::UInt8, "transport protocol number after all extension headers").nullable().layout(Layout::Seldom),
    Column::new("source_port", Type::UInt16, "null in later fragments and where no transport header was captured").nullable(),
    Column::new("destination_port", Type::UInt16, "as source_port").nullable(),
    Column::new("sequence", Type::UInt32, "TCP sequence number").nullable(),
    Column::new("acknowledgment", Type::UInt32, "TCP acknowledgment number").nullable(),
    Column::new("tcp_flags", Type::UInt8, "CWR ECE URG ACK PSH RST SYN FIN, FIN lowest").nullable(),
    Column::new("window", Type::UInt16, "TCP window, unscaled").nullable(),
    Column::new("ip_id", Type::UInt32, "IPv4 identification, or that of an IPv6 fragment header").nullable(),
    Column::new("ttl", Type::UInt8, "TTL or hop limit").nullable(),
    Column::new("timestamp_value", Type::UInt32, "TSval (RFC 7323)").nullable(),
    Column::new("timestamp_echo", Type::UInt32, "TSecr (RFC 7323)").nullable(),
    Column::new("fragment_offset", Type::UInt32, "bytes; null: not fragmented").nullable().layout(Layout::Seldom),
    Column::new("fragment_more", Type::Boolean, "more fragments follow; null: not fragmented").nullable().layout(Layout::Seldom),
    Column::new("encapsulation", Type::Text, "wrappers peeled off, outermost first: `vlan:5/vxlan:7/gre/gre:9/geneve:3/ip`").nullable().layout(Layout::Seldom),
    Column::new("payload_offset", Type::UInt32, "where the transport payload begins in the frame, bytes"),
    Column::new("payload_length", Type::UInt32, "payload bytes on the wire, from the IP lengths"),
    Column::new("window_scale", Type::UInt8, "TCP window scale option (SYN only)").nullable().layout(Layout::Seldom),
    Column::new("mss", Type::UInt16, "TCP MSS option, bytes (SYN only)").nullable().layout(Layout::Seldom),
    Column::new("packet_id", Type::Int64, "epb_packetid, as two's complement").nullable().layout(Layout::Seldom),
    Column::new("epb_flags", Type::UInt32, "epb_flags").nullable().layout(Layout::Seldom),
    Column::new("drop_count", Type::Int64, "packets lost since the one before: epb_dropcount, or the obsolete block's field").nullable().layout(Layout::Seldom),
    Column::new("comment", Type::Text, "first opt_comment, invalid UTF-8 replaced").nullable().layout(Layout::Seldom),
    Column::new("block_options", Type::Binary, "the block's options byte for byte; packet_id, epb_flags, drop_count and comment are readings of it").nullable(),
    Column::new("frame", Type::Binary, "the captured bytes").layout(Layout::Payload),
];
