//! Frames that a recorder captured → rows of the packets table. Never decodes twice: headers come with the frame.

use super::packet_rows::{PacketRow, PacketRows, Readings};
use super::packets;
use crate::frame::Headers;
use crate::packet::flow_hash;
use crate::record::{BlockKind, Record};
use arrow::array::{
    ArrayRef, BinaryBuilder, FixedSizeBinaryBuilder, RecordBatch, UInt8Builder, UInt16Builder,
    UInt32Builder,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// One captured frame.
#[derive(Debug, Clone, Copy)]
pub struct RecordedFrame<'a> {
    /// Capture time, ns of the interface's clock domain.
    pub time_ns: i64,
    /// Counts the host's frames.
    pub source_row: i64,
    /// Row of the host's `interfaces`.
    pub interface_id: u32,
    /// Bytes on the wire.
    pub original_length: u32,
    /// As [`decode`](crate::frame::decode) reads them; `direction` may be filled in.
    pub headers: Headers,
    /// The captured bytes, masked if they are to be.
    pub frame: &'a [u8],
}

/// Rows being gathered.
pub struct RecordedPackets {
    arrays: PacketRows,
    plain: Plain,
    n_rows: usize,
    n_bytes: usize,
}

/// The columns that an import lays out itself, as arrays.
#[derive(Default)]
struct Plain {
    captured_length: UInt32Builder,
    original_length: UInt32Builder,
    source_address: Addresses,
    destination_address: Addresses,
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
    payload_offset: UInt32Builder,
    payload_length: UInt32Builder,
    frame: BinaryBuilder,
}

struct Addresses(FixedSizeBinaryBuilder);

impl Default for Addresses {
    fn default() -> Self {
        Addresses(FixedSizeBinaryBuilder::new(16))
    }
}

impl Addresses {
    fn push(&mut self, address: Option<[u8; 16]>) {
        match address {
            Some(address) => self.0.append_value(address).expect("an address has 16 bytes"),
            None => self.0.append_null(),
        }
    }
}

impl Default for RecordedPackets {
    fn default() -> Self {
        RecordedPackets {
            arrays: PacketRows::with_capacity(0),
            plain: Plain::default(),
            n_rows: 0,
            n_bytes: 0,
        }
    }
}

impl RecordedPackets {
    /// Rows gathered.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Bytes of the frames gathered.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Appends one frame.
    pub fn push(&mut self, recorded: &RecordedFrame<'_>) {
        let record = Record {
            time_ns: recorded.time_ns,
            interface: recorded.interface_id,
            original_length: recorded.original_length,
            kind: BlockKind::Enhanced,
            frame: recorded.frame,
            ..Record::default()
        };
        self.arrays.push(&PacketRow {
            source_row: recorded.source_row,
            interface_id: recorded.interface_id,
            flow_hash: flow_hash(&recorded.headers),
            record,
            headers: recorded.headers,
            readings: Readings::default(),
        });
        self.plain.push(recorded);
        self.n_rows += 1;
        self.n_bytes += recorded.frame.len();
    }

    /// The rows so far as a batch of [`packets::TABLE`]; the next ones begin anew.
    pub fn finish(&mut self) -> RecordBatch {
        let arrays = self.arrays.finish();
        let mut plain: VecDeque<ArrayRef> = self.plain.finish().into();
        self.n_rows = 0;
        self.n_bytes = 0;
        let schema = packets::TABLE.schema();
        let column = |name: &str| match arrays.column_by_name(name) {
            Some(column) => column.clone(),
            None => plain.pop_front().expect("what is no array is plain, in the table's order"),
        };
        let columns: Vec<ArrayRef> =
            schema.fields().iter().map(|field| field.name().as_str()).map(column).collect();
        RecordBatch::try_new(schema, columns).expect("columns stand in the table's order")
    }
}

impl Plain {
    fn push(&mut self, recorded: &RecordedFrame<'_>) {
        let headers = &recorded.headers;
        let (network, tcp, ports) = (headers.network.as_ref(), headers.tcp(), headers.ports());
        self.captured_length.append_value(recorded.frame.len() as u32);
        self.original_length.append_value(recorded.original_length);
        self.source_address.push(network.map(|n| n.source));
        self.destination_address.push(network.map(|n| n.destination));
        self.source_port.append_option(ports.map(|(source, _)| source));
        self.destination_port.append_option(ports.map(|(_, destination)| destination));
        self.sequence.append_option(tcp.map(|t| t.sequence));
        self.acknowledgment.append_option(tcp.map(|t| t.acknowledgment));
        self.tcp_flags.append_option(tcp.map(|t| t.flags));
        self.window.append_option(tcp.map(|t| t.window));
        self.ip_id.append_option(network.and_then(|n| n.id));
        self.ttl.append_option(network.map(|n| n.ttl));
        self.timestamp_value.append_option(tcp.and_then(|t| t.timestamp_value));
        self.timestamp_echo.append_option(tcp.and_then(|t| t.timestamp_echo));
        self.payload_offset.append_value(headers.payload_offset);
        self.payload_length.append_value(headers.payload_length);
        self.frame.append_value(recorded.frame);
    }

    /// In the order of [`packets::PLAIN_HEADERS`], the frames last.
    fn finish(&mut self) -> Vec<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.captured_length.finish()),
            Arc::new(self.original_length.finish()),
            Arc::new(self.source_address.0.finish()),
            Arc::new(self.destination_address.0.finish()),
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
            Arc::new(self.payload_offset.finish()),
            Arc::new(self.payload_length.finish()),
            Arc::new(self.frame.finish()),
        ];
        debug_assert_eq!(columns.len(), packets::PLAIN_HEADERS.len() + 1);
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{LinkType, decode};
    use crate::table::packet_batch::{PacketBatch, Point};

    /// Ethernet, IPv4, TCP with five bytes of payload.
    const FRAME: &[u8] = &[
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 45, 0, 7, 0, 0, 64, 6, 0, 0, 10, 0,
        0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80, 0, 0, 0, 9, 0, 0, 0, 3, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
        b'h', b'e', b'l', b'l', b'o',
    ];

    #[test]
    fn frames_come_back_as_packets() {
        let mut rows = RecordedPackets::default();
        for source_row in 0..3 {
            rows.push(&RecordedFrame {
                time_ns: 100 + source_row,
                source_row,
                interface_id: 4,
                original_length: FRAME.len() as u32,
                headers: decode(LinkType::Ethernet, FRAME, FRAME.len() as u32),
                frame: FRAME,
            });
        }
        assert_eq!(rows.len(), 3);
        let point = Point { interface: 4, cooked_index: None };
        let points = vec![point; 5];
        let batch = PacketBatch::new(&rows.finish(), points.into()).expect("a batch of packets");
        assert!(rows.is_empty());
        let packet = batch.packet(2);
        assert_eq!((packet.time_ns, packet.source_row, packet.interface), (102, 2, 4));
        assert_eq!(packet.payload, b"hello");
        assert_eq!(packet.headers, decode(LinkType::Ethernet, FRAME, FRAME.len() as u32));
    }
}
