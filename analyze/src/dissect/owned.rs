//! Packets that own their payload: those that are not dissected where they lie. Never a packet of the common way, which borrows.

use afterpath_formats::frame::Headers;
use afterpath_formats::packet::{Packet, flow_hash};

/// A packet, or a datagram put together from fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPacket {
    /// Its time; of fragments that of the last one that was needed.
    pub time_ns: i64,
    /// Observation point.
    pub interface: u32,
    /// Its place among the host's blocks; of fragments that of the first.
    pub source_row: i64,
    /// Headers; of fragments those of the first with the whole payload's length and no fragment field.
    pub headers: Headers,
    /// Captured payload; shorter than announced when the snap length cut it.
    pub payload: Vec<u8>,
}

impl OwnedPacket {
    /// The packet as one of its flow.
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            time_ns: self.time_ns,
            source_row: self.source_row,
            interface: self.interface,
            flow_hash: flow_hash(&self.headers),
            original_length: self.headers.payload_length,
            headers: self.headers,
            payload: &self.payload,
        }
    }
}
