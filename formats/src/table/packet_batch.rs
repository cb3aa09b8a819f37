//! Reading packets: a batch of rows as `Packet` views that borrow from it. Never copies a frame, never opens a file.

use super::packets;
use crate::frame::{Direction, Fragment, Headers, Network, Tcp, Transport, Wrapper};
use crate::packet::Packet;
use arrow::array::{
    Array, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Int64Array,
    PrimitiveArray, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use std::sync::Arc;

/// What a row's `interface_id` stands for once bundles are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Index into the opened bundles' interfaces.
    pub interface: u32,
    /// The interface number a cooked v2 header named, for points derived from one.
    pub cooked_index: Option<u32>,
}

/// Up to 8192 rows of the packets table.
#[derive(Debug, Clone)]
pub struct PacketBatch {
    n_rows: usize,
    points: Arc<[Point]>,
    time_ns: Int64Array,
    source_row: Int64Array,
    interface_id: UInt32Array,
    original_length: UInt32Array,
    direction: UInt8Array,
    flow_hash: Int64Array,
    family: UInt8Array,
    source_address: FixedSizeBinaryArray,
    destination_address: FixedSizeBinaryArray,
    protocol: UInt8Array,
    source_port: UInt16Array,
    destination_port: UInt16Array,
    sequence: UInt32Array,
    acknowledgment: UInt32Array,
    tcp_flags: UInt8Array,
    window: UInt16Array,
    ip_id: UInt32Array,
    ttl: UInt8Array,
    timestamp_value: UInt32Array,
    timestamp_echo: UInt32Array,
    fragment_offset: UInt32Array,
    fragment_more: BooleanArray,
    encapsulation: StringArray,
    payload_offset: UInt32Array,
    payload_length: UInt32Array,
    window_scale: UInt8Array,
    mss: UInt16Array,
    frame: Option<Frames>,
}

/// Captured bytes as they were read.
#[derive(Debug, Clone)]
enum Frames {
    Views(BinaryViewArray),
    Copies(BinaryArray),
}

impl PacketBatch {
    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Row `row` (below [`PacketBatch::len`]). Its payload is empty when frames were not read.
    #[inline]
    pub fn packet(&self, row: usize) -> Packet<'_> {
        let point = self.points[self.point(row)];
        let headers = self.headers(row, point);
        Packet {
            time_ns: self.time_ns.value(row),
            source_row: self.source_row.value(row),
            interface: point.interface,
            flow_hash: self.flow_hash.value(row),
            original_length: self.original_length.value(row),
            headers,
            payload: self.payload(row, &headers),
        }
    }

    /// The flow hash of row `row`, without what else [`PacketBatch::packet`] makes of it.
    pub fn flow_hash(&self, row: usize) -> i64 {
        self.flow_hash.value(row)
    }

    /// The captured frame of row `row`; empty when frames were not read.
    pub fn frame(&self, row: usize) -> &[u8] {
        match &self.frame {
            Some(Frames::Views(frames)) => frames.value(row),
            Some(Frames::Copies(frames)) => frames.value(row),
            None => &[],
        }
    }

    /// A batch of a file whose schema was checked; `Err` says which value contradicts the bundle.
    pub(crate) fn new(batch: &RecordBatch, points: Arc<[Point]>) -> Result<PacketBatch, String> {
        let column = |name: &str| {
            batch.column_by_name(name).expect("the schema was checked, the columns were asked for")
        };
        fn primitive<T: ArrowPrimitiveType>(column: &dyn Array) -> PrimitiveArray<T> {
            column.as_primitive::<T>().clone()
        }
        let u8s = |name| primitive::<UInt8Type>(column(name));
        let u16s = |name| primitive::<UInt16Type>(column(name));
        let u32s = |name| primitive::<UInt32Type>(column(name));
        let i64s = |name| primitive::<Int64Type>(column(name));
        let addresses = |name| column(name).as_fixed_size_binary().clone();
        let read = PacketBatch {
            n_rows: batch.num_rows(),
            time_ns: i64s("time_ns"),
            source_row: i64s("source_row"),
            interface_id: u32s("interface_id"),
            original_length: u32s("original_length"),
            direction: u8s("direction"),
            flow_hash: i64s("flow_hash"),
            family: u8s("family"),
            source_address: addresses("source_address"),
            destination_address: addresses("destination_address"),
            protocol: u8s("protocol"),
            source_port: u16s("source_port"),
            destination_port: u16s("destination_port"),
            sequence: u32s("sequence"),
            acknowledgment: u32s("acknowledgment"),
            tcp_flags: u8s("tcp_flags"),
            window: u16s("window"),
            ip_id: u32s("ip_id"),
            ttl: u8s("ttl"),
            timestamp_value: u32s("timestamp_value"),
            timestamp_echo: u32s("timestamp_echo"),
            fragment_offset: u32s("fragment_offset"),
            fragment_more: column("fragment_more").as_boolean().clone(),
            encapsulation: column("encapsulation").as_string::<i32>().clone(),
            payload_offset: u32s("payload_offset"),
            payload_length: u32s("payload_length"),
            window_scale: u8s("window_scale"),
            mss: u16s("mss"),
            frame: batch.column_by_name("frame").map(|frames| match frames.data_type() {
                DataType::BinaryView => Frames::Views(frames.as_binary_view().clone()),
                _ => Frames::Copies(frames.as_binary::<i32>().clone()),
            }),
            points,
        };
        read.checked()
    }

    /// Where the row's point stands: a number beyond all of them means the last, which is the unknown one then.
    #[inline]
    fn point(&self, row: usize) -> usize {
        (self.interface_id.value(row) as usize).min(self.points.len() - 1)
    }

    fn checked(self) -> Result<PacketBatch, String> {
        if self.n_rows > 0 && self.points.is_empty() {
            return Err(format!("{}.interface_id: there is no interface", packets::TABLE.name));
        }
        Ok(self)
    }

    #[inline]
    fn headers(&self, row: usize, point: Point) -> Headers {
        Headers {
            wrappers: self.wrappers(row),
            network: self.network(row),
            transport: self.transport(row),
            payload_offset: self.payload_offset.value(row),
            payload_length: self.payload_length.value(row),
            direction: match some(&self.direction, row) {
                Some(1) => Some(Direction::Inbound),
                Some(2) => Some(Direction::Outbound),
                _ => None,
            },
            interface_index: point.cooked_index,
        }
    }

    #[inline]
    fn network(&self, row: usize) -> Option<Network> {
        let family = some(&self.family, row)?;
        Some(Network {
            family,
            source: address(&self.source_address, row),
            destination: address(&self.destination_address, row),
            protocol: self.protocol.value(row),
            ttl: self.ttl.value(row),
            id: some(&self.ip_id, row),
            fragment: some(&self.fragment_offset, row)
                .map(|offset| Fragment { offset, more: self.fragment_more.value(row) }),
        })
    }

    #[inline]
    fn transport(&self, row: usize) -> Option<Transport> {
        let source_port = some(&self.source_port, row)?;
        let destination_port = self.destination_port.value(row);
        let Some(sequence) = some(&self.sequence, row) else {
            return Some(Transport::Udp { source_port, destination_port });
        };
        Some(Transport::Tcp(Tcp {
            source_port,
            destination_port,
            sequence,
            acknowledgment: self.acknowledgment.value(row),
            flags: self.tcp_flags.value(row),
            window: self.window.value(row),
            timestamp_value: some(&self.timestamp_value, row),
            timestamp_echo: some(&self.timestamp_echo, row),
            window_scale: some(&self.window_scale, row),
            mss: some(&self.mss, row),
        }))
    }

    #[inline]
    fn wrappers(&self, row: usize) -> [Option<Wrapper>; 4] {
        if self.encapsulation.is_null(row) {
            return [None; 4];
        }
        parse_wrappers(self.encapsulation.value(row))
    }

    #[inline]
    fn payload(&self, row: usize, headers: &Headers) -> &[u8] {
        // Ethernet pads short frames: what stands behind the IP length is no payload.
        let rest = self.frame(row).get(headers.payload_offset as usize..).unwrap_or(&[]);
        &rest[..rest.len().min(headers.payload_length as usize)]
    }
}

/// The text of the `encapsulation` column; `None` when nothing was wrapped.
pub(crate) fn format_wrappers(wrappers: &[Option<Wrapper>; 4]) -> Option<String> {
    let words: Vec<String> = wrappers
        .iter()
        .flatten()
        .map(|wrapper| match wrapper {
            Wrapper::Vlan(id) => format!("vlan:{id}"),
            Wrapper::Vxlan(id) => format!("vxlan:{id}"),
            Wrapper::Gre(None) => "gre".to_string(),
            Wrapper::Gre(Some(key)) => format!("gre:{key}"),
            Wrapper::Geneve(id) => format!("geneve:{id}"),
            Wrapper::IpInIp => "ip".to_string(),
        })
        .collect();
    (!words.is_empty()).then(|| words.join("/"))
}

fn parse_wrappers(text: &str) -> [Option<Wrapper>; 4] {
    let mut wrappers = [None; 4];
    for (slot, word) in wrappers.iter_mut().zip(text.split('/')) {
        let (name, number) = word.split_once(':').unwrap_or((word, ""));
        let number = number.parse::<u32>().ok();
        *slot = match name {
            "vlan" => number.map(|id| Wrapper::Vlan(id as u16)),
            "vxlan" => number.map(Wrapper::Vxlan),
            "gre" => Some(Wrapper::Gre(number)),
            "geneve" => number.map(Wrapper::Geneve),
            "ip" => Some(Wrapper::IpInIp),
            _ => None,
        };
    }
    wrappers
}

#[inline]
fn some<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

#[inline]
fn address(array: &FixedSizeBinaryArray, row: usize) -> [u8; 16] {
    array.value(row).try_into().expect("the schema says 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wrappers: [Option<Wrapper>; 4], text: &str) {
        assert_eq!(format_wrappers(&wrappers).as_deref().unwrap_or(""), text);
        assert_eq!(parse_wrappers(text), wrappers);
    }

    #[test]
    fn wrappers_are_text_and_back() {
        check([None; 4], "");
        check([Some(Wrapper::Vlan(5)), Some(Wrapper::Vxlan(7)), None, None], "vlan:5/vxlan:7");
        check(
            [
                Some(Wrapper::Gre(None)),
                Some(Wrapper::Gre(Some(u32::MAX))),
                Some(Wrapper::Geneve(3)),
                Some(Wrapper::IpInIp),
            ],
            "gre/gre:4294967295/geneve:3/ip",
        );
    }
}
