//! The records that the program writes into its ring, read by offset. Never trusts a length.

use afterpath_formats::table::tcp_info::{TcpInfoRow, state_name};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an event before its payload (`EVENT_HEAD`).
const EVENT_HEAD: usize = 88;
/// Bytes of a socket record (`struct socket_record`).
const SOCKET_RECORD: usize = 216;
/// Bytes of `struct tcp_info_record`.
const TCP_INFO_RECORD: usize = 104;

/// `kind`s, as tables name them; the last is MPTCP, which the tables call `tcp`.
const KINDS: [&str; 9] =
    ["other", "tcp", "udp", "unix", "eventfd", "pipe", "timerfd", "epoll", "tcp"];
/// `KIND_MPTCP`.
const MPTCP: u8 = 8;

/// Names of `enum call`.
const CALLS: [&str; 20] = [
    "read",
    "write",
    "readv",
    "writev",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "sendfile",
    "splice",
    "connect",
    "accept",
    "close",
    "shutdown",
    "epoll_wait",
    "select",
    "poll",
    "",
];

/// One record of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A call.
    Event(Event<'a>),
    /// What a socket is.
    Socket(Socket<'a>),
    /// A connection that ended.
    TcpInfo(TcpInfoRow),
}

/// A call, as the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) call: &'static str,
    pub(super) kind: &'static str,
    pub(super) mptcp: bool,
    /// 0 neither, 1 inbound, 2 outbound.
    pub(super) direction: u8,
    /// `None`: the call names none.
    pub(super) fd: Option<u32>,
    pub(super) time_ns: i64,
    pub(super) exit_ns: i64,
    pub(super) inode: i64,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) result: i64,
    pub(super) flags: u32,
    /// Numbers before and after, of a TCP socket.
    pub(super) sequences: Option<(u32, u32)>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) bytes: &'a [u8],
}

/// A socket's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket<'a> {
    pub(super) mptcp: bool,
    pub(super) state: u8,
    pub(super) pid: u32,
    pub(super) time_ns: i64,
    pub(super) inode: i64,
    pub(super) peer_inode: i64,
    pub(super) netns: u32,
    pub(super) protocol: u32,
    pub(super) datagram: bool,
    /// `None`: a unix socket.
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) asked: Option<SocketAddr>,
    /// The call it was seen in; empty: it was open before.
    pub(super) call: &'static str,
    pub(super) path: &'a [u8],
}

/// Reads one record; `None` for what is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    match *bytes.first()? {
        1 => event(bytes).map(Record::Event),
        2 => socket(bytes).map(Record::Socket),
        3 => ended(bytes).map(Record::TcpInfo),
        _ => None,
    }
}

fn event(bytes: &[u8]) -> Option<Event<'_>> {
    let head = bytes.get(..EVENT_HEAD)?;
    let n_bytes = u32_at(head, 80) as usize;
    let fd = u32_at(head, 4);
    let kind = head[2];
    let family = match head[61] {
        4 => 2,
        6 => 10,
        _ => 0,
    };
    Some(Event {
        call: CALLS.get(usize::from(head[1]))?,
        kind: KINDS.get(usize::from(kind))?,
        mptcp: kind == MPTCP,
        direction: head[3],
        fd: (fd != u32::MAX).then_some(fd),
        time_ns: i64_at(head, 8),
        exit_ns: i64_at(head, 16),
        inode: i64_at(head, 24),
        pid: u32_at(head, 32),
        tid: u32_at(head, 36),
        result: i64_at(head, 40),
        flags: u32_at(head, 48),
        sequences: (head[60] != 0).then(|| (u32_at(head, 52), u32_at(head, 56))),
        peer: address(family, &head[64..80], network_port(head, 62)),
        bytes: bytes.get(EVENT_HEAD..)?.get(..n_bytes)?,
    })
}

fn socket(bytes: &[u8]) -> Option<Socket<'_>> {
    let record = bytes.get(..SOCKET_RECORD)?;
    let family = match record[3] {
        4 => 2,
        6 => 10,
        _ => 0,
    };
    let path_length = usize::from(u16_at(record, 50));
    let local = address(family, &record[56..72], u16_at(record, 42));
    let remote = address(family, &record[72..88], network_port(record, 44));
    let asked = address(u16_at(record, 46), &record[88..104], network_port(record, 48));
    Some(Socket {
        mptcp: record[1] == MPTCP,
        state: record[2],
        pid: u32_at(record, 4),
        time_ns: i64_at(record, 8),
        inode: i64_at(record, 16),
        peer_inode: i64_at(record, 24),
        netns: u32_at(record, 32),
        protocol: u32_at(record, 36),
        datagram: u16_at(record, 40) == 2,
        local,
        remote: remote.filter(|remote| remote.port() != 0),
        asked: asked.filter(|asked| asked.port() != 0),
        call: CALLS.get(u32_at(record, 52) as usize)?,
        path: record.get(104..)?.get(..path_length)?,
    })
}

fn ended(bytes: &[u8]) -> Option<TcpInfoRow> {
    let record = bytes.get(..TCP_INFO_RECORD)?;
    let u32 = |at: usize| u32_at(record, at);
    // The mean is zero, the least all ones, until something was measured; they stand in eighths and quarters (tcp_rtt_estimator).
    let measured = u32(56) != 0;
    Some(TcpInfoRow {
        time_ns: i64_at(record, 8),
        socket_id: i64_at(record, 16),
        state: state_name(record[1]).to_string(),
        error: Some(u32(4)).filter(|error| *error != 0),
        bytes_sent: i64_at(record, 24),
        bytes_acknowledged: i64_at(record, 32),
        bytes_received: i64_at(record, 40),
        bytes_retransmitted: i64_at(record, 48),
        rtt_us: measured.then(|| u32(56) >> 3),
        rtt_variation_us: measured.then(|| u32(60) >> 2),
        min_rtt_us: Some(u32(64)).filter(|least| *least != u32::MAX),
        segments_sent: u32(68),
        segments_received: u32(72),
        segments_retransmitted: u32(76),
        segments_out_of_order: u32(80),
        congestion_window: u32(84),
        segment_size: u32(88),
        unacknowledged: u32(92),
        unread: u32(96),
    })
}

/// An address of an `AF_` family; an IPv4-mapped one is IPv4.
fn address(family: u16, bytes: &[u8], port: u16) -> Option<SocketAddr> {
    let octets: [u8; 16] = bytes.try_into().ok()?;
    let address = match family {
        2 => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        10 => Ipv6Addr::from(octets).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn network_port(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut octets = [0; 16];
        octets[10..].copy_from_slice(&[255, 255, 10, 0, 0, 1]);
        let found = address(10, &octets, 80).map(|a| a.to_string());
        assert_eq!(found.as_deref(), Some("10.0.0.1:80"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..5) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            let _ = parse(&bytes);
        }
    }
}
