//! Connections that a redirection tore apart: where both directions are translated before they pass (REDIRECT on loopback, as a
//! sidecar's), a capture shows two flows of one direction each. They are found by their handshake, whose numbers no translation
//! changes, and dissected again as one. Never touches a flow that has both directions, nor one whose handshake was not captured.

use super::owned::OwnedPacket;
use super::{Dissected, Dissector, FlowFacts};
use crate::flow::Flow;
use afterpath_formats::frame::Transport;
use afterpath_formats::packet::{Packet, address_bytes, flow_hash, flow_hash_between};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// IP protocol number (IANA).
const TCP: u8 = 6;

/// One direction of a connection at a point: who sends to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Way {
    point: u32,
    from: SocketAddr,
    to: SocketAddr,
}

/// The halves of all connections that were torn.
#[derive(Debug, Default)]
pub struct Torn {
    /// For either half the server as the client's half names it: the end that really answered.
    servers: BTreeMap<Way, SocketAddr>,
    /// The flow hashes of all halves, in order.
    hashes: Vec<i64>,
}

/// A half whose other one is not known: its place among the flows.
enum Half {
    Asking(u32),
    Answering(u32),
}

impl Torn {
    /// Of all flows of all points: a SYN that nobody answered there, and one answer to the same client that acknowledges its number.
    pub fn find(flows: &[Flow], facts: &[FlowFacts]) -> Torn {
        let mut halves: BTreeMap<(u32, SocketAddr, u32), Vec<Half>> = BTreeMap::new();
        for (i, (flow, facts)) in flows.iter().zip(facts).enumerate() {
            let i = i as u32;
            let n_packets = flow.counters.map(|counters| counters.packets);
            let half = match (n_packets, facts.initial_sequence[0], facts.answers) {
                ([_, 0], Some(first), _) => (first.wrapping_add(1), Half::Asking(i)),
                ([0, _], _, Some(number)) => (number, Half::Answering(i)),
                _ => continue,
            };
            if flow.ip_protocol == TCP && facts.at_process.is_none() {
                halves.entry((flow.point, flow.client, half.0)).or_default().push(half.1);
            }
        }
        let mut torn = Torn::default();
        for ((point, client, _), halves) in halves {
            if let [Half::Asking(asking), Half::Answering(answering)]
            | [Half::Answering(answering), Half::Asking(asking)] = halves[..]
            {
                let server = flows[asking as usize].server;
                let alias = flows[answering as usize].server;
                torn.add(Way { point, from: client, to: server }, server);
                torn.add(Way { point, from: alias, to: client }, server);
            }
        }
        torn.hashes.sort_unstable();
        torn.hashes.dedup();
        torn
    }

    fn add(&mut self, way: Way, server: SocketAddr) {
        // An alias whose connections of one client led to several servers, one after the other: the last one counts.
        self.servers.insert(way, server);
        self.hashes.push(flow_hash_between(way.from, way.to, TCP));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The flow hashes of all halves, in order.
    pub fn hashes(&self) -> &[i64] {
        &self.hashes
    }

    /// Whether a flow is a half: as a whole it comes out of [`dissect`].
    pub fn has(&self, flow: &Flow) -> bool {
        let Flow { point, client, server, .. } = *flow;
        let way = match flow.counters.map(|counters| counters.packets) {
            [_, 0] => Way { point, from: client, to: server },
            [0, _] => Way { point, from: server, to: client },
            _ => return false,
        };
        flow.ip_protocol == TCP && self.servers.contains_key(&way)
    }

    /// The packet as one of the whole connection; `None` for one of no half.
    pub fn mend(&self, packet: &Packet<'_>) -> Option<OwnedPacket> {
        let way = way(packet)?;
        let server = *self.servers.get(&way)?;
        let mut headers = packet.headers;
        if way.to != server
            && let (Some(network), Some(Transport::Tcp(tcp))) =
                (&mut headers.network, &mut headers.transport)
        {
            network.source = address_bytes(server.ip());
            tcp.source_port = server.port();
        }
        Some(OwnedPacket {
            time_ns: packet.time_ns,
            source_row: packet.source_row,
            interface: packet.interface,
            headers,
            payload: packet.payload.to_vec(),
        })
    }
}

/// Dissects whole connections; `dissector` is fresh.
pub fn dissect(mut packets: Vec<OwnedPacket>, mut dissector: Dissector) -> Dissected {
    packets.sort_by_cached_key(|packet| {
        (flow_hash(&packet.headers), packet.interface, packet.time_ns, packet.source_row)
    });
    packets.iter().for_each(|packet| dissector.push(&packet.packet()));
    dissector.finish()
}

fn way(packet: &Packet<'_>) -> Option<Way> {
    let network = packet.headers.network?;
    let Some(Transport::Tcp(tcp)) = packet.headers.transport else { return None };
    let end = |address, port| SocketAddr::new(super::ip_address(network.family, address), port);
    Some(Way {
        point: packet.interface,
        from: end(network.source, tcp.source_port),
        to: end(network.destination, tcp.destination_port),
    })
}

#[cfg(test)]
mod tests {
    use super::super::talk::{Frame, Talk};
    use super::*;
    use crate::call::CallState;

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    fn talk() -> Talk {
        let mut talk = Talk::open();
        talk.say(0, GET).say(1, OK).close(0).close(1);
        talk
    }

    /// What the server says comes from port `alias`.
    fn redirected(mut frames: Vec<Frame>, alias: u16) -> Vec<Frame> {
        for frame in &mut frames {
            if let Some(Transport::Tcp(tcp)) = &mut frame.headers.transport
                && tcp.source_port == 80
            {
                tcp.source_port = alias;
            }
        }
        frames
    }

    fn packet(frame: &Frame) -> Packet<'_> {
        Packet {
            time_ns: frame.time_ns,
            source_row: 0,
            interface: 0,
            flow_hash: flow_hash(&frame.headers),
            original_length: 0,
            headers: frame.headers,
            payload: &frame.payload,
        }
    }

    /// Dissected flow by flow, as partitions are.
    fn apart(frames: &[Frame]) -> Dissected {
        let mut packets: Vec<_> = frames.iter().map(packet).collect();
        packets.sort_by_key(|packet| (packet.flow_hash, packet.time_ns));
        let mut dissector = Dissector::default();
        packets.iter().for_each(|packet| dissector.push(packet));
        dissector.finish()
    }

    fn check(frames: &[Frame], n_torn: usize) -> Option<Dissected> {
        let halves = apart(frames);
        let torn = Torn::find(&halves.flows, &halves.facts);
        assert_eq!(halves.flows.iter().filter(|flow| torn.has(flow)).count(), n_torn);
        let mended: Vec<_> = frames.iter().filter_map(|f| torn.mend(&packet(f))).collect();
        (!torn.is_empty()).then(|| dissect(mended, Dissector::default()))
    }

    #[test]
    fn both_halves_are_one_conversation_with_the_server_that_answered() {
        let whole = check(&redirected(talk().frames, 8080), 2).expect("it is torn");
        assert_eq!((whole.flows.len(), whole.spans.len()), (1, 1));
        assert_eq!(whole.flows[0].server.port(), 80);
        assert_eq!(whole.spans[0].state, CallState::Complete);
        let plain = super::super::talk::dissect(&talk().frames);
        assert_eq!(whole.spans[0].times, plain.spans[0].times);
    }

    #[test]
    fn whole_connections_and_those_joined_late_are_left_alone() {
        assert!(check(&talk().frames, 0).is_none());
        let late = redirected(talk().frames.split_off(3), 8080);
        assert!(check(&late, 0).is_none());
        let mut unanswered = talk().frames;
        unanswered.retain(|frame| matches!(frame.headers.transport, Some(Transport::Tcp(tcp)) if tcp.source_port != 80));
        assert!(check(&unanswered, 0).is_none());
    }

    #[test]
    fn an_answer_to_another_number_is_not_its_answer() {
        let mut frames = redirected(talk().frames, 8080);
        if let Some(Transport::Tcp(tcp)) = &mut frames[1].headers.transport {
            tcp.acknowledgment = tcp.acknowledgment.wrapping_add(1);
        }
        assert!(check(&frames, 0).is_none());
    }
}
