//! Frames → headers: the innermost addresses, ports and sequence numbers of one captured frame, whatever it is wrapped in.
//! The one place where L2–L4 is decoded. Never allocates, never fails: what can't be read is absent.

mod link;
mod network;
mod transport;
mod tunnel;

/// Wrappers peeled at most; deeper nesting is not decoded.
pub const MAX_WRAPPERS: usize = 4;

/// Reads the headers of one captured frame of `link` type.
///
/// `original_length` is the frame's length on the wire in bytes; it matters only where the IP header holds no length
/// (segmentation offload, BIG TCP). A frame cut by the snap length gives every header that was captured whole enough:
/// IPv4 and IPv6 their fixed part, TCP up to its window, UDP its ports.
pub fn decode(link: LinkType, frame: &[u8], original_length: u32) -> Headers {
    let mut walk = Walk { frame, headers: Headers::NONE, n_wrappers: 0 };
    let wire_end = wire_end(frame, original_length);
    link::link(&mut walk, link, wire_end);
    walk.headers
}

/// Where the frame ends on the wire. The kernel never builds more than 512 KiB (`GSO_MAX_SIZE`): a length past twice
/// that is no length, and the captured bytes have to do.
fn wire_end(frame: &[u8], original_length: u32) -> usize {
    const LARGEST: u32 = 1 << 20;
    let claimed = if original_length > LARGEST { 0 } else { original_length as usize };
    claimed.max(frame.len().min(u32::MAX as usize))
}

/// A frame being decoded. Every layer takes the offset it begins at and the offset at which its carrier ends on the wire.
struct Walk<'a> {
    frame: &'a [u8],
    headers: Headers,
    n_wrappers: usize,
}

impl<'a> Walk<'a> {
    /// The `N` bytes at `at`, if all were captured.
    #[inline(always)]
    fn bytes<const N: usize>(&self, at: usize) -> Option<&'a [u8; N]> {
        self.frame.get(at..)?.first_chunk()
    }

    #[inline(always)]
    fn u16_at(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Notes a peeled wrapper; false when there is no room for it and decoding has to stop.
    fn wrap(&mut self, wrapper: Wrapper) -> bool {
        let Some(slot) = self.headers.wrappers.get_mut(self.n_wrappers) else { return false };
        *slot = Some(wrapper);
        self.n_wrappers += 1;
        true
    }

    /// Takes back all wrappers but the first `n`: what they wrapped holds no IP header.
    fn unwrap_to(&mut self, n: usize) {
        self.headers.wrappers[n..].fill(None);
        self.n_wrappers = n;
    }

    /// The payload of the innermost header understood so far lies from `at` to `wire_end`.
    #[inline(always)]
    fn payload(&mut self, at: usize, wire_end: usize) {
        self.headers.payload_offset = at.min(self.frame.len()) as u32;
        self.headers.payload_length = wire_end.saturating_sub(at) as u32;
    }
}

/// The link types understood, by their number in capture files (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// 0: BSD loopback, host byte order address family.
    Null,
    /// 108: OpenBSD loopback, network byte order.
    Loop,
    /// 1.
    Ethernet,
    /// 101 (also 12 and 14): raw IP, version from the first nibble. 228 and 229 are the fixed versions.
    RawIp,
    /// 113: Linux cooked capture v1.
    LinuxSll,
    /// 276: Linux cooked capture v2, which names the interface.
    LinuxSll2,
    /// Any other; frames are kept but not decoded.
    Other(u16),
}

impl LinkType {
    /// The link type of a number found in a capture file (the low 16 bits of a pcap header's field).
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => LinkType::Null,
            1 => LinkType::Ethernet,
            12 | 14 | 101 | 228 | 229 => LinkType::RawIp,
            108 => LinkType::Loop,
            113 => LinkType::LinuxSll,
            276 => LinkType::LinuxSll2,
            other => LinkType::Other(other),
        }
    }

    /// The number to write into a capture file; the first one of the type where it has several.
    pub fn number(self) -> u16 {
        match self {
            LinkType::Null => 0,
            LinkType::Ethernet => 1,
            LinkType::RawIp => 101,
            LinkType::Loop => 108,
            LinkType::LinuxSll => 113,
            LinkType::LinuxSll2 => 276,
            LinkType::Other(other) => other,
        }
    }
}

/// Which way a frame passed its observation point, where the capture says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Came from the network to this machine or namespace.
    Inbound = 1,
    /// Left this machine or namespace.
    Outbound = 2,
}

/// One wrapper peeled off, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wrapper {
    /// 802.1Q or 802.1ad tag, VLAN id.
    Vlan(u16),
    /// VXLAN network identifier.
    Vxlan(u32),
    /// GRE, with its key if it has one.
    Gre(Option<u32>),
    /// Geneve virtual network identifier.
    Geneve(u32),
    /// IPv4 or IPv6 directly in IP.
    IpInIp,
}

/// IP fragmentation fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Offset of this fragment's data in the datagram, in bytes.
    pub offset: u32,
    /// Whether more fragments follow.
    pub more: bool,
}

/// The innermost IP header. IPv4 addresses stand in the first four bytes, the rest zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// 4 or 6.
    pub family: u8,
    /// Source address.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Transport protocol number after all extension headers.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 identification, or that of an IPv6 fragment header.
    pub id: Option<u32>,
    /// Present only when the datagram is fragmented.
    pub fragment: Option<Fragment>,
}

/// The innermost transport header. Absent in later fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp(Tcp),
    /// UDP.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
}

/// TCP header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number (meaningful when the ACK flag is set).
    pub acknowledgment: u32,
    /// The eight flag bits CWR ECE URG ACK PSH RST SYN FIN, FIN lowest.
    pub flags: u8,
    /// Window as on the wire, unscaled.
    pub window: u16,
    /// TSval of the timestamps option (RFC 7323).
    pub timestamp_value: Option<u32>,
    /// TSecr of the timestamps option.
    pub timestamp_echo: Option<u32>,
    /// Window scale option (SYN only).
    pub window_scale: Option<u8>,
    /// MSS option (SYN only).
    pub mss: Option<u16>,
}

/// Everything the packets table keeps of a frame's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Wrappers peeled, outermost first; at most four are kept, deeper nesting is not decoded.
    pub wrappers: [Option<Wrapper>; 4],
    /// Innermost IP header.
    pub network: Option<Network>,
    /// Innermost transport header.
    pub transport: Option<Transport>,
    /// Where the transport payload begins in the frame (for a later fragment: the fragment's data; without a known
    /// transport: what follows the IP headers; without IP: 0). Never past the captured bytes.
    pub payload_offset: u32,
    /// Payload length on the wire, from the IP and UDP lengths, whatever was captured of it. 0 without IP.
    pub payload_length: u32,
    /// From Linux cooked headers' packet type.
    pub direction: Option<Direction>,
    /// The interface index a Linux cooked v2 header names.
    pub interface_index: Option<u32>,
}

impl Headers {
    /// The headers of a frame nothing could be read of.
    pub const NONE: Headers = Headers {
        wrappers: [None; MAX_WRAPPERS],
        network: None,
        transport: None,
        payload_offset: 0,
        payload_length: 0,
        direction: None,
        interface_index: None,
    };

    /// The captured part of the payload, without link-layer padding. `frame` is the frame these headers were read of.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let rest = frame.get(self.payload_offset as usize..).unwrap_or_default();
        &rest[..rest.len().min(self.payload_length as usize)]
    }

    /// The TCP header, if the innermost transport is TCP.
    pub fn tcp(&self) -> Option<&Tcp> {
        match &self.transport {
            Some(Transport::Tcp(tcp)) => Some(tcp),
            _ => None,
        }
    }

    /// Source and destination port of the innermost transport header.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.transport? {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp { source_port, destination_port } => {
                Some((source_port, destination_port))
            }
        }
    }
}
