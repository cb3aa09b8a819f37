//! One row of the packets table as readers see it, and the flow hash that orders the table. Never owns frame bytes.

use crate::frame::{Direction, Headers, Network, Transport};
use std::net::{IpAddr, SocketAddr};

/// One captured frame, decoded: what the packets table holds, borrowed from a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Capture time, nanoseconds of the host's clock domain.
    pub time_ns: i64,
    /// Place among the host's imported blocks: the order of the original file.
    pub source_row: i64,
    /// Observation point: index into the opened bundles' interfaces.
    pub interface: u32,
    /// See [`flow_hash`].
    pub flow_hash: i64,
    /// Length of the frame on the wire, in bytes.
    pub original_length: u32,
    /// Decoded headers.
    pub headers: Headers,
    /// Captured part of the transport payload (may be shorter than `headers.payload_length`, the length on the wire).
    pub payload: &'a [u8],
}

impl Packet<'_> {
    /// Which way the frame passed its observation point, where the capture says so.
    pub fn direction(&self) -> Option<Direction> {
        self.headers.direction
    }
}

/// The hash that both directions of a flow share: 64-bit FNV-1a over the smaller endpoint, the larger endpoint (each
/// 16 address bytes then the port, big-endian), the protocol number and the family, finished by MurmurHash3's `fmix64`,
/// shifted right by one so that it fits a signed column. Fragments hash with both ports 0; frames without an IP header get 0.
/// Test vectors stand in `formats/README.md`.
pub fn flow_hash(headers: &Headers) -> i64 {
    let Some(network) = headers.network else { return 0 };
    let (source_port, destination_port) = match headers.transport {
        _ if network.fragment.is_some() => (0, 0),
        Some(Transport::Tcp(tcp)) => (tcp.source_port, tcp.destination_port),
        Some(Transport::Udp { source_port, destination_port }) => (source_port, destination_port),
        None => (0, 0),
    };
    hash_endpoints(&network, source_port, destination_port)
}

/// The hash of the flows of an IP protocol between two ends, see [`flow_hash`].
pub fn flow_hash_between(one: SocketAddr, other: SocketAddr, protocol: u8) -> i64 {
    let network = Network {
        family: if one.is_ipv4() { 4 } else { 6 },
        source: address_bytes(one.ip()),
        destination: address_bytes(other.ip()),
        protocol,
        ttl: 0,
        id: None,
        fragment: None,
    };
    hash_endpoints(&network, one.port(), other.port())
}

/// An address as the packets table keeps it: that of IPv4 in the first four bytes, the rest zero.
pub fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn hash_endpoints(network: &Network, source_port: u16, destination_port: u16) -> i64 {
    let source = (network.source, source_port);
    let destination = (network.destination, destination_port);
    let (low, high) =
        if source <= destination { (source, destination) } else { (destination, source) };
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for (address, port) in [low, high] {
        hash.absorb_address(&address);
        hash.absorb(&port.to_be_bytes());
    }
    hash.absorb(&[network.protocol, network.family]);
    (finish(hash.0) >> 1) as i64
}

/// 64-bit FNV-1a.
struct Fnv(u64);

impl Fnv {
    const PRIME: u64 = 0x0100_0000_01b3;
    /// What twelve zero bytes do: each only multiplies. One after the other they took a twentieth of an import.
    const TWELVE_ZEROS: u64 = {
        let (mut power, mut n) = (1u64, 0);
        while n < 12 {
            power = power.wrapping_mul(Fnv::PRIME);
            n += 1;
        }
        power
    };

    fn absorb(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(Fnv::PRIME);
        }
    }

    fn absorb_address(&mut self, address: &[u8; 16]) {
        match address {
            [begin @ .., 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => {
                self.absorb(begin);
                self.0 = self.0.wrapping_mul(Fnv::TWELVE_ZEROS);
            }
            whole => self.absorb(whole),
        }
    }
}

/// MurmurHash3's 64-bit finaliser.
fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
