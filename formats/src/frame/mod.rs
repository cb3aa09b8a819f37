//! Frames → headers: the innermost addresses, ports and sequence numbers of one captured frame, whatever it is wrapped in.
//! The one place where L2–L4 is decoded. Never allocates, never fails: what can't be read is absent.

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
    /// Where the transport payload begins in the frame (for a later fragment: the fragment's data).
    pub payload_offset: u32,
    /// Payload length on the wire, from the IP lengths, whatever was captured of it.
    pub payload_length: u32,
    /// From Linux cooked headers' packet type.
    pub direction: Option<Direction>,
    /// The interface index a Linux cooked v2 header names.
    pub interface_index: Option<u32>,
}
