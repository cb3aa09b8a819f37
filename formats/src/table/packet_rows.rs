//! Writing packets: records and their decoded headers become columns. Never sorts, never touches a file.

use super::packet_batch::format_wrappers;
use super::packets;
use crate::frame::{Headers, Transport};
use crate::record::Record;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Int64Builder, RecordBatch,
    StringBuilder, UInt8Builder, UInt16Builder, UInt32Builder,
};
use std::sync::Arc;

/// One row about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketRow<'a> {
    /// See the table's `source_row`.
    pub source_row: i64,
    /// Row of the host's `interfaces`.
    pub interface_id: u32,
    /// See [`flow_hash`](crate::packet::flow_hash).
    pub flow_hash: i64,
    /// The record as captured.
    pub record: Record<'a>,
    /// Its decoded headers.
    pub headers: Headers,
    /// What its options say.
    pub readings: Readings<'a>,
}

/// What a packet block's options say; see `import::options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readings<'a> {
    /// `epb_flags` (or `pack_flags`).
    pub flags: Option<u32>,
    /// `epb_dropcount`, or the obsolete block's field.
    pub drop_count: Option<i64>,
    /// `epb_packetid`.
    pub packet_id: Option<i64>,
    /// First `opt_comment`.
    pub comment: Option<&'a [u8]>,
}

/// Column builders for some rows of the packets table.
pub struct PacketRows {
    time_ns: Int64Builder,
    source_row: Int64Builder,
    interface_id: UInt32Builder,
    kind: UInt8Builder,
    captured_length: UInt32Builder,
    original_length: UInt32Builder,
    raw_stamp_high: UInt32Builder,
    raw_stamp_low: UInt32Builder,
    direction: UInt8Builder,
    flow_hash: Int64Builder,
    family: UInt8Builder,
    source_address: FixedSizeBinaryBuilder,
    destination_address: FixedSizeBinaryBuilder,
    protocol: UInt8Builder,
    source_port: UInt16Builder,
    destination_port: UInt16Builder,
    sequence: UInt32Builder,
    acknowledgment: UInt32Builder,
    tcp_flags: UInt8Builder,
    window: UInt16Builder,
    ip_id: UInt32Builder,
    ttl: UInt8Builder,
    timestamp_value: UInt32Builder,
    timestamp_echo: UInt32Builder,
    fragment_offset: UInt32Builder,
    fragment_more: BooleanBuilder,
    encapsulation: StringBuilder,
    payload_offset: UInt32Builder,
    payload_length: UInt32Builder,
    window_scale: UInt8Builder,
    mss: UInt16Builder,
    packet_id: Int64Builder,
    epb_flags: UInt32Builder,
    drop_count: Int64Builder,
    comment: StringBuilder,
    block_options: BinaryBuilder,
    frame: BinaryBuilder,
}

impl PacketRows {
    /// Builders with room for `n_rows` whose frames have `n_bytes`.
    pub fn with_capacity(n_rows: usize, n_bytes: usize) -> PacketRows {
        let u8s = || UInt8Builder::with_capacity(n_rows);
        let u16s = || UInt16Builder::with_capacity(n_rows);
        let u32s = || UInt32Builder::with_capacity(n_rows);
        let i64s = || Int64Builder::with_capacity(n_rows);
        PacketRows {
            time_ns: i64s(),
            source_row: i64s(),
            interface_id: u32s(),
            kind: u8s(),
            captured_length: u32s(),
            original_length: u32s(),
            raw_stamp_high: u32s(),
            raw_stamp_low: u32s(),
            direction: u8s(),
            flow_hash: i64s(),
            family: u8s(),
            source_address: FixedSizeBinaryBuilder::with_capacity(n_rows, 16),
            destination_address: FixedSizeBinaryBuilder::with_capacity(n_rows, 16),
            protocol: u8s(),
            source_port: u16s(),
            destination_port: u16s(),
            sequence: u32s(),
            acknowledgment: u32s(),
            tcp_flags: u8s(),
            window: u16s(),
            ip_id: u32s(),
            ttl: u8s(),
            timestamp_value: u32s(),
            timestamp_echo: u32s(),
            fragment_offset: u32s(),
            fragment_more: BooleanBuilder::with_capacity(n_rows),
            encapsulation: StringBuilder::new(),
            payload_offset: u32s(),
            payload_length: u32s(),
            window_scale: u8s(),
            mss: u16s(),
            packet_id: i64s(),
            epb_flags: u32s(),
            drop_count: i64s(),
            comment: StringBuilder::new(),
            block_options: BinaryBuilder::new(),
            frame: BinaryBuilder::with_capacity(n_rows, n_bytes),
        }
    }

    /// Appends one row.
    pub fn push(&mut self, row: &PacketRow<'_>) {
        self.push_record(row);
        self.push_network(&row.headers);
        self.push_transport(&row.headers);
        self.push_readings(&row.readings);
    }

    /// The rows appended so far as a batch of [`packets::TABLE`]; the builders begin anew.
    pub fn finish(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time_ns.finish()),
            Arc::new(self.source_row.finish()),
            Arc::new(self.interface_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.captured_length.finish()),
            Arc::new(self.original_length.finish()),
            Arc::new(self.raw_stamp_high.finish()),
            Arc::new(self.raw_stamp_low.finish()),
            Arc::new(self.direction.finish()),
            Arc::new(self.flow_hash.finish()),
            Arc::new(self.family.finish()),
            Arc::new(self.source_address.finish()),
            Arc::new(self.destination_address.finish()),
            Arc::new(self.protocol.finish()),
            Arc::new(self.source_port.finish()),
            Arc::new(self.destination_port.finish()),
            Arc::new(self.sequence.finish()),
            Arc::new(self.acknowledgment.finish()),
            Arc::new(self.tcp_flags.finish()),
            Arc::new(self.window.finish()),
            Arc::new(self.ip_id.finish()),
            Arc::new(self.ttl.finish()),
            Arc::new(self.timestamp_value.finish()),
            Arc::new(self.timestamp_echo.finish()),
            Arc::new(self.fragment_offset.finish()),
            Arc::new(self.fragment_more.finish()),
            Arc::new(self.encapsulation.finish()),
            Arc::new(self.payload_offset.finish()),
            Arc::new(self.payload_length.finish()),
            Arc::new(self.window_scale.finish()),
            Arc::new(self.mss.finish()),
            Arc::new(self.packet_id.finish()),
            Arc::new(self.epb_flags.finish()),
            Arc::new(self.drop_count.finish()),
            Arc::new(self.comment.finish()),
            Arc::new(self.block_options.finish()),
            Arc::new(self.frame.finish()),
        ];
        RecordBatch::try_new(packets::TABLE.schema(), columns)
            .expect("the builders stand in the table's column order")
    }

    fn push_record(&mut self, row: &PacketRow<'_>) {
        let record = &row.record;
        self.time_ns.append_value(record.time_ns);
        self.source_row.append_value(row.source_row);
        self.interface_id.append_value(row.interface_id);
        self.kind.append_value(record.kind as u8);
        self.captured_length.append_value(record.frame.len() as u32);
        self.original_length.append_value(record.original_length);
        self.raw_stamp_high.append_option(record.raw_stamp.map(|(high, _)| high));
        self.raw_stamp_low.append_option(record.raw_stamp.map(|(_, low)| low));
        self.flow_hash.append_value(row.flow_hash);
        self.block_options.append_option((!record.options.is_empty()).then_some(record.options));
        self.frame.append_value(record.frame);
    }

    fn push_network(&mut self, headers: &Headers) {
        self.direction.append_option(headers.direction.map(|direction| direction as u8));
        self.encapsulation.append_option(format_wrappers(&headers.wrappers));
        self.payload_offset.append_value(headers.payload_offset);
        self.payload_length.append_value(headers.payload_length);
        let network = headers.network.as_ref();
        self.family.append_option(network.map(|n| n.family));
        self.protocol.append_option(network.map(|n| n.protocol));
        self.ttl.append_option(network.map(|n| n.ttl));
        self.ip_id.append_option(network.and_then(|n| n.id));
        let fragment = network.and_then(|n| n.fragment);
        self.fragment_offset.append_option(fragment.map(|f| f.offset));
        self.fragment_more.append_option(fragment.map(|f| f.more));
        match network {
            Some(n) => {
                let sixteen = "an address has the builder's 16 bytes";
                self.source_address.append_value(n.source).expect(sixteen);
                self.destination_address.append_value(n.destination).expect(sixteen);
            }
            None => {
                self.source_address.append_null();
                self.destination_address.append_null();
            }
        }
    }

    fn push_transport(&mut self, headers: &Headers) {
        let (ports, tcp) = match &headers.transport {
            Some(Transport::Tcp(tcp)) => (Some((tcp.source_port, tcp.destination_port)), Some(tcp)),
            Some(Transport::Udp { source_port, destination_port }) => {
                (Some((*source_port, *destination_port)), None)
            }
            None => (None, None),
        };
        self.source_port.append_option(ports.map(|(source, _)| source));
        self.destination_port.append_option(ports.map(|(_, destination)| destination));
        self.sequence.append_option(tcp.map(|t| t.sequence));
        self.acknowledgment.append_option(tcp.map(|t| t.acknowledgment));
        self.tcp_flags.append_option(tcp.map(|t| t.flags));
        self.window.append_option(tcp.map(|t| t.window));
        self.timestamp_value.append_option(tcp.and_then(|t| t.timestamp_value));
        self.timestamp_echo.append_option(tcp.and_then(|t| t.timestamp_echo));
        self.window_scale.append_option(tcp.and_then(|t| t.window_scale));
        self.mss.append_option(tcp.and_then(|t| t.mss));
    }

    fn push_readings(&mut self, readings: &Readings<'_>) {
        self.packet_id.append_option(readings.packet_id);
        self.epb_flags.append_option(readings.flags);
        self.drop_count.append_option(readings.drop_count);
        self.comment.append_option(readings.comment.map(String::from_utf8_lossy));
    }
}
