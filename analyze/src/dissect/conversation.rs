//! One TCP conversation at one observation point: handshake, directions, close, and the spans spoken in it. Never joins
//! what another point saw.

use super::clear::{Clear, Known};
use super::direction::{Direction, Transmission};
use super::speech::{Ends, Speech};
use super::{Dissected, FlowFacts, FlowKey};
use crate::flow::Flow;
use crate::issue::Issue;
use crate::protocol::{IdFields, Match};
use afterpath_formats::frame::{Direction as Passing, Tcp};
use afterpath_formats::packet::Packet;
use std::sync::Arc;

mod ending;
mod heard;
mod pace;
mod room;

use pace::{Paces, Piece};
pub(in crate::dissect) use room::Room;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A stretch ends at this many buffered bytes or this much time, and at the latest at twice as much.
const STRETCH_BYTES: usize = 16 << 20;
const STRETCH_NS: i64 = 30_000_000_000;

/// How a conversation's `close` says that it was no reset.
const FIN_SEEN: bool = false;

/// State of one conversation. Index 0 is the key's lower end, 1 the higher.
pub(super) struct Conversation {
    key: FlowKey,
    directions: [Direction; 2],
    client: Option<usize>,
    guessed: bool,
    initial_sequence: [Option<u32>; 2],
    answers: Option<u32>,
    handshake: [Option<i64>; 3],
    first_ns: i64,
    last_ns: i64,
    stretch_from_ns: i64,
    close: Option<(usize, bool)>,
    ttl: [Option<u8>; 2],
    passing: [Option<Passing>; 2],
    reset_ns: Option<i64>,
    /// What became of a process's connect, and when: it was told.
    failure: Option<(&'static str, Option<i64>)>,
    paces: Paces,
    speech: Speech,
    /// Connections whose plaintext is known, until this one was looked for.
    clear: Option<Arc<Clear>>,
    id_fields: IdFields,
}

impl Conversation {
    /// A conversation whose first packet came at `now_ns`, with room that others are done with.
    pub(super) fn new(key: FlowKey, now_ns: i64, room: &mut Room) -> Self {
        Conversation {
            key,
            directions: [room.direction(), room.direction()],
            client: None,
            guessed: false,
            initial_sequence: [None; 2],
            answers: None,
            handshake: [None; 3],
            first_ns: now_ns,
            last_ns: now_ns,
            stretch_from_ns: now_ns,
            close: None,
            ttl: [None; 2],
            passing: [None; 2],
            reset_ns: None,
            failure: None,
            paces: Paces::default(),
            speech: Speech::default(),
            clear: room.given.clear.clone(),
            id_fields: room.id_fields(),
        }
    }

    /// Whether this packet opens another conversation between the same ends.
    pub(super) fn ends_before(&self, from: usize, tcp: &Tcp) -> bool {
        tcp.flags & (SYN | ACK | RST) == SYN
            && self.initial_sequence[from] != Some(tcp.sequence)
            && (self.initial_sequence[from].is_some() || self.directions[from].has_base())
    }

    /// Takes the next packet, sent by end `from`.
    pub(super) fn push(&mut self, packet: &Packet<'_>, tcp: &Tcp, from: usize) {
        let now_ns = packet.time_ns;
        let transmission = Transmission {
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            length: packet.headers.payload_length,
            flags: tcp.flags,
            id: identity(packet, tcp),
        };
        if self.directions[from].is_duplicate(transmission) {
            return;
        }
        self.maybe_cut(now_ns);
        self.last_ns = self.last_ns.max(now_ns);
        self.directions[from].counters.packets += 1;
        self.ttl[from] = self.ttl[from].or(packet.headers.network.map(|n| n.ttl));
        self.passing[from] = self.passing[from].or(packet.headers.direction);
        if tcp.flags & SYN != 0 {
            self.synchronise(tcp, from, now_ns);
        }
        if tcp.flags & RST != 0 {
            self.directions[from].counters.resets += 1;
            self.reset_ns.get_or_insert(now_ns);
            self.close.get_or_insert((from, true));
        } else if tcp.flags & ACK != 0 {
            self.acknowledge(tcp, from, now_ns);
        }
        if tcp.window == 0 && tcp.flags & (SYN | FIN | RST) == 0 {
            self.directions[from].counters.zero_windows += 1;
        }
        self.receive(packet, tcp, from);
        if tcp.flags & FIN != 0 {
            let direction = &mut self.directions[from];
            direction.fin.get_or_insert(direction.next);
            self.close.get_or_insert((from, false));
        }
    }

    fn synchronise(&mut self, tcp: &Tcp, from: usize, now_ns: i64) {
        let answering = tcp.flags & ACK != 0;
        self.client = Some(if answering { 1 - from } else { from });
        let step = usize::from(answering);
        if answering {
            self.answers.get_or_insert(tcp.acknowledgment);
        }
        if self.initial_sequence[from].is_some() {
            self.directions[from].counters.syn_retransmissions += 1;
        } else {
            self.initial_sequence[from] = Some(tcp.sequence);
            if !self.directions[from].has_base() || self.directions[from].next == 0 {
                self.directions[from].begin_at(tcp.sequence.wrapping_add(1));
            }
        }
        self.handshake[step].get_or_insert(now_ns);
    }

    fn acknowledge(&mut self, tcp: &Tcp, from: usize, now_ns: i64) {
        self.directions[1 - from].acknowledge(tcp.acknowledgment);
        let answered = self.handshake[1].is_some() && self.client == Some(from);
        let offset = self.directions[1 - from].offset_of(tcp.acknowledgment);
        if answered && tcp.flags & SYN == 0 && offset.is_some_and(|offset| offset >= 0) {
            self.handshake[2].get_or_insert(now_ns);
            self.paces.opened(self.handshake, from);
        }
    }

    fn receive(&mut self, packet: &Packet<'_>, tcp: &Tcp, from: usize) {
        let length = packet.headers.payload_length;
        let acked = self.directions[1 - from].offset_of(tcp.acknowledgment);
        let acked = acked.filter(|_| tcp.flags & ACK != 0);
        let is_plain = tcp.flags & (SYN | FIN | RST) == 0;
        self.paces.packet(from, acked);
        if length == 0 || tcp.flags & RST != 0 {
            return self.paces.bare(from, acked.filter(|_| is_plain), packet.time_ns);
        }
        let sequence = tcp.sequence.wrapping_add(u32::from(tcp.flags & SYN != 0));
        let acked = acked.map_or(0, |offset| offset.max(0) as u64);
        let at_ns = packet.time_ns;
        let direction = &mut self.directions[from];
        let brought = direction.receive(sequence, packet.payload, length, at_ns, acked);
        let piece = Piece { from, brought, length, end: direction.next, at_ns };
        self.paces.data(piece, is_plain);
    }

    /// Ends the stretch when it is long enough, preferably where no byte is missing.
    fn maybe_cut(&mut self, now_ns: i64) {
        let bytes: usize = self.directions.iter().map(Direction::buffered).sum();
        let age_ns = now_ns.saturating_sub(self.stretch_from_ns);
        if bytes < STRETCH_BYTES && age_ns < STRETCH_NS {
            return;
        }
        let holes = self.directions.iter().any(Direction::has_holes);
        if !holes || bytes >= 2 * STRETCH_BYTES || age_ns >= 2 * STRETCH_NS {
            self.flush(false);
            self.stretch_from_ns = now_ns;
        }
    }

    fn flush(&mut self, last: bool) {
        self.look_for_plaintext();
        let client = self.orientation(last);
        let (low, high) = self.directions.split_at_mut(1);
        let mut directions = [&mut low[0], &mut high[0]];
        let mut ports = [self.key.low.1, self.key.high.1];
        if client == 1 {
            directions.reverse();
            ports.reverse();
        }
        let from_start = self.initial_sequence.iter().all(Option::is_some);
        let id_fields = &self.id_fields;
        self.speech.flush(&mut Ends { directions, ports, last, from_start, id_fields });
    }

    /// Asks whether the plaintext of this conversation is known, until it is.
    fn look_for_plaintext(&mut self) {
        let Some(clear) = &self.clear else { return };
        let known = Known {
            initial_sequence: self.initial_sequence,
            ends: [self.key.low, self.key.high].map(|end| self.key.socket(end)),
            directions: &self.directions,
        };
        if let Some((hearing, client)) = clear.find(&known) {
            self.client.get_or_insert(client);
            self.speech.hearing = Some(hearing);
            self.clear = None;
        }
    }

    /// Who is the client: the handshake says; else the protocol that recognises one orientation; else the higher port.
    fn orientation(&mut self, last: bool) -> usize {
        if let Some(client) = self.client {
            return client;
        }
        let by_port = if self.key.low.1 > self.key.high.1 { 0 } else { 1 };
        let [as_guessed, reversed] = [by_port, 1 - by_port].map(|c| self.certainty(c, last));
        let client = if reversed > as_guessed { 1 - by_port } else { by_port };
        self.guessed = as_guessed.max(reversed) != Match::Yes;
        self.client = Some(client);
        client
    }

    fn certainty(&mut self, client: usize, last: bool) -> Match {
        let (low, high) = self.directions.split_at_mut(1);
        let mut directions = [&mut low[0], &mut high[0]];
        let mut ports = [self.key.low.1, self.key.high.1];
        if client == 1 {
            directions.reverse();
            ports.reverse();
        }
        let (from_start, id_fields) = (false, &self.id_fields);
        Speech::certainty(&mut Ends { directions, ports, last, from_start, id_fields })
    }

    /// The conversation is over: hands its flow and spans to `out`, and its room back.
    pub(super) fn finish(mut self, out: &mut Dissected, room: &mut Room) {
        self.flush(true);
        self.speech.finish();
        let client = self.client.unwrap_or(0);
        let index = out.flows.len() as u32;
        let mut spans = std::mem::take(&mut self.speech.pairing.spans);
        if let Some(attempt) = self.failed_attempt(client) {
            spans.push(attempt);
        }
        spans.iter_mut().for_each(|span| span.flow = index);
        out.spans.extend(spans);
        out.facts.push(self.facts(client));
        out.flows.push(self.flow(client));
        self.directions.into_iter().for_each(|direction| room.take_back(direction));
    }

    fn facts(&self, client: usize) -> FlowFacts {
        let pick = |pair: [Option<u32>; 2]| [pair[client], pair[1 - client]];
        FlowFacts {
            initial_sequence: pick(self.initial_sequence),
            answers: self.answers,
            ttl: [self.ttl[client], self.ttl[1 - client]],
            passing: [self.passing[client], self.passing[1 - client]],
            proxied: self.speech.proxied,
            at_process: None,
        }
    }

    /// Whether a side said something before it was seen to begin. One that never answered, or only refused, has no beginning.
    fn began_before(&self) -> bool {
        let spoke = |side: usize| {
            let counters = &self.directions[side].counters;
            counters.packets > counters.resets
        };
        let is_unknown = |side: usize| self.initial_sequence[side].is_none();
        [0, 1].into_iter().all(is_unknown)
            || [0, 1].into_iter().any(|side| is_unknown(side) && spoke(side))
    }

    fn flow(&self, client: usize) -> Flow {
        let ends = [self.key.low, self.key.high];
        let mut issues: Vec<Issue> =
            self.directions.iter().flat_map(|d| d.issues.clone()).collect();
        if self.began_before() {
            issues.push(Issue::MissedStart);
        }
        if self.guessed {
            issues.push(Issue::OrientationGuessed);
        }
        issues.sort();
        issues.dedup();
        let counters = |side: usize| {
            let direction = &self.directions[side];
            let mut counters = direction.counters;
            counters.missing_bytes = direction.missing_bytes();
            counters
        };
        Flow {
            point: self.key.point,
            ip_protocol: 6,
            protocol: self.speech.protocol().to_string(),
            client: self.key.socket(ends[client]),
            server: self.key.socket(ends[1 - client]),
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            handshake_ns: self.handshake,
            counters: [counters(client), counters(1 - client)],
            pace: [self.paces.of(client, true), self.paces.of(1 - client, false)],
            close: self.closed(client),
            issues,
        }
    }
}

/// What tells a second capture of one transmission from a retransmission: the IPv4 id (0 says nothing), else TSval.
fn identity(packet: &Packet<'_>, tcp: &Tcp) -> Option<u32> {
    let network = packet.headers.network?;
    match network.family {
        4 => network.id.filter(|&id| id != 0),
        _ => tcp.timestamp_value,
    }
}
