//! Frames → flows, and what is said in them → spans at each observation point. The packets of one partition come in
//! (flow, time) order; nothing of one flow is needed for another. Never looks at two points together: that is `join`.

use crate::flow::Flow;
use crate::pair::Span;
use crate::protocol::{IdFields, Side};
use afterpath_formats::frame::{Direction as Passing, Transport};
use afterpath_formats::packet::Packet;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

mod bursts;
pub mod clear;
mod conversation;
mod datagrams;
mod direction;
pub mod fragments;
mod owned;
pub mod partitions;
mod proxied;
pub mod redirected;
pub mod sockets;
mod speech;
mod whole;

use clear::Clear;
use conversation::{Conversation, Room};
use datagrams::Exchange;
pub use proxied::Proxied;
pub use whole::Whole;

/// From 1970 to 2116, the last instant a classic capture can name and ten years more; what lies outside is damaged, and
/// clamped so that no difference, and no sum of two, can overflow.
const TIMES_NS: RangeInclusive<i64> = 0..=(1 << 62) - 1;

/// IP protocol numbers (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What `join` needs of a flow beyond its public description. Index 0: client's packets, 1: server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowFacts {
    /// Sequence numbers of SYN and SYN-ACK.
    pub initial_sequence: [Option<u32>; 2],
    /// What the SYN-ACK acknowledged: one behind the number of the SYN that it answers, whether that passed here or not.
    pub answers: Option<u32>,
    /// TTL or hop limit of the first packet.
    pub ttl: [Option<u8>; 2],
    /// Which way packets passed this point.
    pub passing: [Option<Passing>; 2],
    /// It is a socket of a process: that of its client or of its server.
    pub at_process: Option<Side>,
    /// The connection that this one forwards, as the proxy's header before it says.
    pub proxied: Option<Proxied>,
}

/// What could not be used: how much, by point and cause.
pub type Unused = BTreeMap<(u32, &'static str), u64>;

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
    /// Socket events taken.
    pub n_events: u64,
    /// What processes did on their sockets, by index into `flows`.
    pub logs: Vec<(u32, sockets::log::SocketLog)>,
    /// Packets and socket events that could not be used, by point and cause.
    pub unused: Unused,
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

/// What dissection is told beside packets and socket events.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Connections whose plaintext is known.
    pub clear: Option<Arc<Clear>>,
    /// Fields that name requests.
    pub id_fields: IdFields,
}

/// Dissects the packets of one partition, pushed in (flow, time) order.
#[derive(Default)]
pub struct Dissector {
    hash: Option<i64>,
    open: Vec<(FlowKey, Open)>,
    last: usize,
    room: Room,
    out: Dissected,
}

impl Dissector {
    /// One that is told this beforehand.
    pub fn knowing(given: &Given) -> Dissector {
        Dissector { room: Room::knowing(given), ..Dissector::default() }
    }

    /// Takes the next packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let time_ns = packet.time_ns.clamp(*TIMES_NS.start(), *TIMES_NS.end());
        if time_ns != packet.time_ns {
            self.unused(packet.interface, "time-out-of-range");
        }
        let packet = &Packet { time_ns, ..*packet };
        self.out.n_packets += 1;
        if self.hash != Some(packet.flow_hash) {
            self.finish_flows();
            self.hash = Some(packet.flow_hash);
        }
        let Some(network) = packet.headers.network else {
            return self.unused(packet.interface, "not-ip");
        };
        if network.fragment.is_some() {
            return; // reassembled beforehand, see `fragments`
        }
        let (source_port, destination_port, udp) = match packet.headers.transport {
            Some(Transport::Tcp(tcp)) => (tcp.source_port, tcp.destination_port, false),
            Some(Transport::Udp { source_port, destination_port }) => {
                (source_port, destination_port, true)
            }
            None if matches!(network.protocol, TCP | UDP) => {
                return self.unused(packet.interface, "transport-header-cut");
            }
            None => return self.unused(packet.interface, "not-tcp-or-udp"),
        };
        let source = (network.source, source_port);
        let destination = (network.destination, destination_port);
        let (low, high) = (source.min(destination), source.max(destination));
        let from = usize::from(source != low);
        let key = FlowKey { point: packet.interface, family: network.family, low, high, udp };
        self.deliver(key, packet, from);
    }

    fn unused(&mut self, point: u32, cause: &'static str) {
        *self.out.unused.entry((point, cause)).or_default() += 1;
    }

    fn deliver(&mut self, key: FlowKey, packet: &Packet<'_>, from: usize) {
        let index = self.index_of(key, packet.time_ns);
        match (&mut self.open[index].1, packet.headers.transport) {
            (Open::Tcp(conversation), Some(Transport::Tcp(tcp))) => {
                if conversation.ends_before(from, &tcp) {
                    let next = Box::new(Conversation::new(key, packet.time_ns, &mut self.room));
                    std::mem::replace(conversation, next).finish(&mut self.out, &mut self.room);
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
                true => Open::Udp(Box::new(Exchange::new(key, now_ns, self.room.id_fields()))),
                false => Open::Tcp(Box::new(Conversation::new(key, now_ns, &mut self.room))),
            };
            self.open.push((key, open));
        }
        self.last
    }

    fn finish_flows(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            match open {
                Open::Tcp(conversation) => conversation.finish(&mut self.out, &mut self.room),
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

#[cfg(test)]
pub(crate) mod talk;

#[cfg(test)]
mod tests {
    use super::talk::{Frame, Talk, dissect};
    use super::*;
    use crate::call::CallState;
    use crate::issue::Issue;
    use proptest::prelude::*;

    /// (request type, resource, status, request_first, response_last) of a span.
    type Row<'a> = (&'a str, &'a str, &'a str, Option<i64>, Option<i64>);

    fn check(frames: &[Frame], expected: &[Row<'_>]) {
        let spans = dissect(frames).spans;
        let found: Vec<_> = spans
            .iter()
            .map(|s| {
                let f = &s.facts;
                let (first, last) = (s.times.request_first, s.times.response_last);
                (&*f.request_type, &*f.resource, &*f.status, first, last)
            })
            .collect();
        assert_eq!(found, expected);
    }

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

    fn two_requests() -> Talk {
        let mut talk = Talk::open();
        talk.say(0, GET).say(1, &OK[..20]).say(1, &OK[20..]).say(0, b"");
        talk.say(0, &GET[..5]).say(0, &GET[5..]).say(1, OK).close(0).close(1);
        talk
    }

    const TWO: [Row<'static>; 2] = [
        ("GET", "/a", "200", Some(4_000), Some(6_000)),
        ("GET", "/a", "200", Some(8_000), Some(10_000)),
    ];

    #[test]
    fn requests_and_responses_over_several_segments() {
        check(&two_requests().frames, &TWO);
    }

    #[test]
    fn frames_captured_twice_change_nothing() {
        let frames = two_requests().frames;
        let twice: Vec<Frame> = frames.iter().flat_map(|f| [f.clone(), f.clone()]).collect();
        check(&twice, &TWO);
        let counters = dissect(&twice).flows[0].counters;
        assert_eq!(counters[0].capture_duplicates + counters[1].capture_duplicates, 12);
        assert_eq!(counters[0].retransmissions + counters[1].retransmissions, 0);
    }

    #[test]
    fn without_the_handshake_the_protocol_names_the_client() {
        let mut talk = Talk::joined_late();
        talk.say(1, OK).say(0, GET).say(1, OK);
        let spans = dissect(&talk.frames).spans;
        let states: Vec<_> = spans.iter().map(|s| s.state).collect();
        assert_eq!(states, [CallState::ResponseOnly, CallState::Complete]);
    }

    #[test]
    fn an_unanswered_request_stays_open() {
        let mut talk = Talk::open();
        talk.say(0, GET);
        check(&talk.frames, &[("GET", "/a", "", Some(4_000), None)]);
    }

    #[test]
    fn a_refused_connect_is_a_span() {
        let mut frames = Talk::open().frames;
        frames.truncate(2);
        if let Some(Transport::Tcp(tcp)) = &mut frames[1].headers.transport {
            tcp.flags = 4 | 16;
        }
        check(&frames, &[("CONNECT", "", "refused", Some(1_000), Some(2_000))]);
        assert_eq!(dissect(&frames).flows[0].issues, [], "its beginning was seen");
    }

    #[test]
    fn a_flow_joined_late_or_seen_on_one_side_only_says_so() {
        let mut talk = Talk::joined_late();
        talk.say(1, OK).say(0, GET);
        assert!(dissect(&talk.frames).flows[0].issues.contains(&Issue::MissedStart));
        let mut frames = two_requests().frames;
        frames.remove(1); // the server's SYN
        assert!(dissect(&frames).flows[0].issues.contains(&Issue::MissedStart));
    }

    #[test]
    fn an_unknown_alternating_dialog_is_opaque_spans() {
        let mut talk = Talk::open();
        for _ in 0..3 {
            talk.say(0, b"\x01\x02\x03\x04?").say(1, b"\x05\x06").say(1, b"\x07\x08");
        }
        let spans = dissect(&talk.frames).spans;
        let times: Vec<_> = spans.iter().map(|s| (s.protocol, s.times.duration_ns())).collect();
        assert_eq!(times, [("opaque", Some(2_000)); 3]);
    }

    #[test]
    fn a_request_in_one_packet_with_the_end_of_a_handshake_begins_behind_it() {
        let mut talk = Talk::open();
        for (side, said) in
            [0, 1, 0, 1].into_iter().zip(crate::protocol::tls::tests::exchange_1_3())
        {
            talk.say(side, &said);
        }
        let spans = dissect(&talk.frames).spans;
        let told: Vec<_> = spans.iter().map(|s| (s.protocol, s.bytes[0])).collect();
        assert_eq!(told, [("tls", 103), ("opaque", 5 + 81)]);
    }

    #[test]
    fn a_response_lost_in_a_gap_does_not_shift_the_next() {
        let mut frames = two_requests().frames;
        frames.drain(4..6); // the first response
        let spans = dissect(&frames).spans;
        let states: Vec<_> = spans.iter().map(|s| (s.state, s.times.request_first)).collect();
        assert_eq!(states, [(CallState::Open, Some(4_000)), (CallState::Complete, Some(8_000))]);
    }

    proptest! {
        #[test]
        fn any_loss_repetition_and_order_is_survived(picks in prop::collection::vec(0usize..12, 0..60)) {
            let frames = two_requests().frames;
            let chosen: Vec<Frame> = picks.iter().filter_map(|&i| frames.get(i).cloned()).collect();
            let dissected = dissect(&chosen);
            prop_assert_eq!(dissected.n_packets as usize, chosen.len());
        }

        #[test]
        fn any_order_of_arrival_gives_the_same_requests(seed in prop::collection::vec(any::<u32>(), 12)) {
            let mut frames = two_requests().frames;
            let tail = frames.split_off(3); // the handshake comes first
            let mut order: Vec<usize> = (0..tail.len()).collect();
            order.sort_by_key(|&i| seed[i]);
            frames.extend(order.iter().map(|&i| tail[i].clone()));
            let statuses = dissect(&frames).spans.iter().filter(|s| s.state == CallState::Complete).count();
            let orphans = dissect(&frames).spans.len();
            prop_assert!(statuses <= 2 && (1..=4).contains(&orphans));
        }
    }
}
