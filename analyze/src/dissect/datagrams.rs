//! One UDP conversation at one observation point: datagrams kept until the exchange is over or long enough, then parsed.
//! Never reassembles: a datagram is whole or cut by the snap length.

use super::speech::Datagrams;
use super::{Dissected, FlowFacts, FlowKey};
use crate::flow::{Close, DirectionCounters, Flow};
use crate::pair::Pairing;
use crate::protocol::{IdFields, Piece};
use afterpath_formats::packet::Packet;

/// Captured bytes kept before the exchange so far is parsed.
const STRETCH_BYTES: usize = 4 << 20;

#[derive(Default)]
struct Sent {
    arena: Vec<u8>,
    /// (stream offset, place in the arena, captured length, wire length)
    places: Vec<(u64, usize, usize, u32)>,
    times: Vec<i64>,
    offset: u64,
}

impl Sent {
    fn pieces(&self) -> Vec<Piece<'_>> {
        let piece = |&(offset, at, length, wire_length): &(u64, usize, usize, u32)| Piece {
            offset,
            bytes: &self.arena[at..at + length],
            wire_length,
        };
        self.places.iter().map(piece).collect()
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.places.clear();
        self.times.clear();
    }
}

/// State of one UDP conversation. Index 0 is the key's lower end.
pub(super) struct Exchange {
    key: FlowKey,
    client: usize,
    sent: [Sent; 2],
    counters: [DirectionCounters; 2],
    facts: [FlowFacts; 1],
    recent: Vec<(usize, u32, u32)>,
    first_ns: i64,
    last_ns: i64,
    started: bool,
    protocol: Option<&'static str>,
    pairing: Pairing,
    id_fields: IdFields,
}

impl Exchange {
    /// An exchange whose first datagram came at `now_ns`.
    pub(super) fn new(key: FlowKey, now_ns: i64, id_fields: IdFields) -> Self {
        Exchange {
            key,
            client: 0,
            sent: Default::default(),
            counters: Default::default(),
            facts: Default::default(),
            recent: Vec::new(),
            first_ns: now_ns,
            last_ns: now_ns,
            started: false,
            protocol: None,
            pairing: Pairing::default(),
            id_fields,
        }
    }

    /// Takes the next datagram, sent by end `from`.
    pub(super) fn push(&mut self, packet: &Packet<'_>, from: usize) {
        if self.is_duplicate(packet, from) {
            self.counters[from].capture_duplicates += 1;
            return;
        }
        if !self.started {
            self.started = true;
            self.client = self.asking_end(from);
        }
        self.note(packet, from);
        let sent = &mut self.sent[from];
        let wire_length = packet.headers.payload_length;
        sent.places.push((sent.offset, sent.arena.len(), packet.payload.len(), wire_length));
        sent.arena.extend_from_slice(packet.payload);
        sent.times.push(packet.time_ns);
        sent.offset += u64::from(wire_length.max(1));
        if self.sent.iter().map(|s| s.arena.len()).sum::<usize>() > STRETCH_BYTES {
            self.parse();
        }
    }

    /// The first sender asks, unless it sends from a well-known port to an ephemeral one.
    fn asking_end(&self, first: usize) -> usize {
        let ports = [self.key.low.1, self.key.high.1];
        let answers = ports[first] < 1024 && ports[1 - first] >= 1024;
        if answers { 1 - first } else { first }
    }

    fn is_duplicate(&mut self, packet: &Packet<'_>, from: usize) -> bool {
        let Some(id) = packet.headers.network.and_then(|n| n.id).filter(|&id| id != 0) else {
            return false;
        };
        let name = (from, id, packet.headers.payload_length);
        if self.recent.contains(&name) {
            return true;
        }
        if self.recent.len() >= 16 {
            self.recent.remove(0);
        }
        self.recent.push(name);
        false
    }

    fn note(&mut self, packet: &Packet<'_>, from: usize) {
        self.last_ns = self.last_ns.max(packet.time_ns);
        self.counters[from].packets += 1;
        self.counters[from].payload_bytes += u64::from(packet.headers.payload_length);
        let side = usize::from(from != self.client);
        let facts = &mut self.facts[0];
        facts.ttl[side] = facts.ttl[side].or(packet.headers.network.map(|n| n.ttl));
        facts.passing[side] = facts.passing[side].or(packet.headers.direction);
    }

    fn parse(&mut self) {
        let (client, server) = (self.client, 1 - self.client);
        let ports = [self.key.low.1, self.key.high.1];
        let pieces = [self.sent[client].pieces(), self.sent[server].pieces()];
        let datagrams = Datagrams {
            pieces: [&pieces[0], &pieces[1]],
            times: [&self.sent[client].times, &self.sent[server].times],
            ports: [ports[client], ports[server]],
            id_fields: &self.id_fields,
        };
        if let Some((name, messages)) = datagrams.parse() {
            self.protocol.get_or_insert(name);
            self.pairing.take(name, messages);
        }
        self.sent.iter_mut().for_each(Sent::clear);
    }

    /// The exchange is over: hands its flow and spans to `out`.
    pub(super) fn finish(mut self, out: &mut Dissected) {
        self.parse();
        let protocol = self.protocol.unwrap_or("opaque");
        self.pairing.finish(protocol);
        let index = out.flows.len() as u32;
        let mut spans = std::mem::take(&mut self.pairing.spans);
        spans.iter_mut().for_each(|span| span.flow = index);
        out.spans.extend(spans);
        out.facts.push(self.facts[0]);
        let ends = [self.key.low, self.key.high];
        out.flows.push(Flow {
            point: self.key.point,
            ip_protocol: 17,
            protocol: protocol.to_string(),
            client: self.key.socket(ends[self.client]),
            server: self.key.socket(ends[1 - self.client]),
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            handshake_ns: [None; 3],
            counters: [self.counters[self.client], self.counters[1 - self.client]],
            pace: Default::default(),
            close: Close::Open,
            issues: Vec::new(),
        });
    }
}
