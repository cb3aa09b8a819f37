//! Frames → flows, and what is said in them → spans at each observation point. The packets of one partition come in
//! (flow, time) order; nothing of one flow is needed for another. Never looks at two points together: that is `join`.

use crate::call::Flow;
use crate::pair::Span;
use afterpath_formats::frame::{Direction as Passing, Transport};
use afterpath_formats::packet::Packet;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

mod bursts;
mod conversation;
mod datagrams;
mod direction;
pub mod fragments;
mod speech;

use conversation::Conversation;
use datagrams::Exchange;

/// Stamps beyond this (73 years from 1970) are damaged; clamped so that no difference can overflow.
const MAX_TIME_NS: i64 = 1 << 61;

/// What `join` needs of a flow beyond its public description. Index 0: client's packets, 1: server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowFacts {
    /// Sequence numbers of SYN and SYN-ACK.
    pub initial_sequence: [Option<u32>; 2],
    /// TTL or hop limit of the first packet.
    pub ttl: [Option<u8>; 2],
    /// Which way packets passed this point.
    pub passing: [Option<Passing>; 2],
}

/// What comes out of one partition.
#[derive(Debug, Default)]
pub struct Dissected {
    /// Flows, in the order they ended.
    pub flows: Vec<Flow>,
    /// One per flow.
    pub facts: Vec<FlowFacts>,
    /// Spans; `flow` indexes `flows`.
    pub spans: Vec<Span>,
    /// Packets taken.
    pub n_packets: u64,
    /// Packets that could not be used, by cause.
    pub unused: BTreeMap<&'static str, u64>,
}

/// An L4 conversation's ends at one point, the lower address and port first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FlowKey {
    point: u32,
    family: u8,
    low: ([u8; 16], u16),
    high: ([u8; 16], u16),
    udp: bool,
}

impl FlowKey {
    fn socket(&self, end: ([u8; 16], u16)) -> SocketAddr {
        SocketAddr::new(ip_address(self.family, end.0), end.1)
    }
}

/// An address as the packets table keeps it.
pub fn ip_address(family: u8, bytes: [u8; 16]) -> IpAddr {
    match family {
        4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        _ => IpAddr::from(bytes),
    }
}

enum Open {
    Tcp(Box<Conversation>),
    Udp(Box<Exchange>),
}

/// Dissects the packets of one partition, pushed in (flow, time) order.
#[derive(Default)]
pub struct Dissector {
    hash: Option<i64>,
    open: Vec<(FlowKey, Open)>,
    last: usize,
    out: Dissected,
}

impl Dissector {
    /// Takes the next packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let time_ns = packet.time_ns.clamp(-MAX_TIME_NS, MAX_TIME_NS);
        let packet = &Packet { time_ns, ..*packet };
        self.out.n_packets += 1;
        if self.hash != Some(packet.flow_hash) {
            self.finish_flows();
            self.hash = Some(packet.flow_hash);
        }
        let Some(network) = packet.headers.network else { return self.unused("no-ip-header") };
        if network.fragment.is_some() {
            return; // reassembled beforehand, see `fragments`
        }
        let (source_port, destination_port, udp) = match packet.headers.transport {
            Some(Transport::Tcp(tcp)) => (tcp.source_port, tcp.destination_port, false),
            Some(Transport::Udp { source_port, destination_port }) => {
                (source_port, destination_port, true)
            }
            None => return self.unused("no-transport-header"),
        };
        let source = (network.source, source_port);
        let destination = (network.destination, destination_port);
        let (low, high) = (source.min(destination), source.max(destination));
        let from = usize::from(source != low);
        let key = FlowKey { point: packet.interface, family: network.family, low, high, udp };
        self.deliver(key, packet, from);
    }

    fn unused(&mut self, cause: &'static str) {
        *self.out.unused.entry(cause).or_default() += 1;
    }

    fn deliver(&mut self, key: FlowKey, packet: &Packet<'_>, from: usize) {
        let index = self.index_of(key, packet.time_ns);
        match (&mut self.open[index].1, packet.headers.transport) {
            (Open::Tcp(conversation), Some(Transport::Tcp(tcp))) => {
                if conversation.ends_before(from, &tcp) {
                    let next = Box::new(Conversation::new(key, packet.time_ns));
                    std::mem::replace(conversation, next).finish(&mut self.out);
                }
                conversation.push(packet, &tcp, from);
            }
            (Open::Udp(exchange), _) => exchange.push(packet, from),
            (Open::Tcp(_), _) => {}
        }
    }

    /// Which open conversation has this key; the one of the last packet is tried first.
    fn index_of(&mut self, key: FlowKey, now_ns: i64) -> usize {
        let found = match self.open.get(self.last) {
            Some((open, _)) if *open == key => Some(self.last),
            _ => self.open.iter().position(|(open, _)| *open == key),
        };
        self.last = found.unwrap_or(self.open.len());
        if found.is_none() {
            let open = match key.udp {
                true => Open::Udp(Box::new(Exchange::new(key, now_ns))),
                false => Open::Tcp(Box::new(Conversation::new(key, now_ns))),
            };
            self.open.push((key, open));
        }
        self.last
    }

    fn finish_flows(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            match open {
                Open::Tcp(conversation) => conversation.finish(&mut self.out),
                Open::Udp(exchange) => exchange.finish(&mut self.out),
            }
        }
    }

    /// The partition is over.
    pub fn finish(mut self) -> Dissected {
        self.finish_flows();
        self.out
    }
}
