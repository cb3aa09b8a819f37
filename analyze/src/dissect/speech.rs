//! Which protocol a conversation speaks, and its messages with their times: asks the table, parses stretch by stretch,
//! follows switches. Never pairs messages.

use super::bursts::Bursts;
use super::clear::Hearing;
use super::direction::{Arrival, Direction};
use super::proxied::{Proxied, header};
use crate::fingerprint::fingerprint;
use crate::pair::{Pairing, TimedMessage};
use crate::protocol::{
    Carry, Half, IdFields, Match, Message, PROTOCOLS, Part, Piece, Protocol, Side, Stretch,
    Transport,
};

/// What a parser may leave unconsumed before it is given up on.
const MAX_UNCONSUMED: u64 = 32 << 20;
/// Bytes of a message's start that its head hash covers.
const HEAD: usize = 16;
/// Bytes of a message that its body hash covers.
const BODY: usize = 1024;

/// What a conversation is known to speak.
#[derive(Default)]
#[allow(
    clippy::large_enum_variant,
    reason = "one per conversation: boxing would cost each opaque one an allocation"
)]
enum Spoken {
    /// Not asked yet.
    #[default]
    Unknown,
    /// A protocol and its state.
    Protocol(&'static dyn Protocol, Carry),
    /// Nothing known: bursts only.
    Opaque(Bursts),
    /// Ciphertext whose plaintext is known.
    Clear(Hearing),
}

/// The L7 side of a conversation.
#[derive(Default)]
pub(super) struct Speech {
    spoken: Spoken,
    switched_from: Option<&'static str>,
    first_protocol: Option<&'static str>,
    /// What is known of the plaintext inside, until the ciphertext begins.
    pub(super) hearing: Option<Hearing>,
    /// What a PROXY header before the conversation says.
    pub(super) proxied: Option<Proxied>,
    /// Spans so far.
    pub(super) pairing: Pairing,
}

/// The two directions of a conversation as a stretch sees them; index 0 is the client's.
pub(super) struct Ends<'a> {
    /// Reassembly state.
    pub(super) directions: [&'a mut Direction; 2],
    /// Ports.
    pub(super) ports: [u16; 2],
    /// Nothing follows.
    pub(super) last: bool,
    /// The handshake was seen.
    pub(super) from_start: bool,
    /// Fields that name requests.
    pub(super) id_fields: &'a IdFields,
}

impl Speech {
    /// The first protocol recognised, else `opaque`.
    pub(super) fn protocol(&self) -> &'static str {
        self.first_protocol.unwrap_or("opaque")
    }

    /// How sure the table is of these two directions in this orientation.
    pub(super) fn certainty(ends: &mut Ends<'_>) -> Match {
        with_stretch(ends, |stretch| best(stretch, None).map_or(Match::No, |(m, _)| m))
    }

    /// Parses what has come and forgets what is done with.
    pub(super) fn flush(&mut self, ends: &mut Ends<'_>) {
        self.peel(ends);
        for _ in 0..4 {
            if matches!(self.spoken, Spoken::Unknown) && !self.ask(ends) {
                return;
            }
            if !self.parse(ends) {
                break;
            }
        }
        for direction in &mut ends.directions {
            if direction.end().saturating_sub(direction.consumed) > MAX_UNCONSUMED {
                let end = direction.end();
                direction.consume(end);
            }
        }
    }

    /// Takes off a PROXY header: it belongs to the connection, not to what is said on it.
    fn peel(&mut self, ends: &mut Ends<'_>) {
        if !matches!(self.spoken, Spoken::Unknown) || ends.directions[0].consumed != 0 {
            return;
        }
        let found = with_stretch(ends, |stretch| header(stretch.client.at(0)));
        if let Some((length, proxied)) = found {
            self.proxied = proxied;
            ends.directions[0].consume(length as u64);
        }
    }

    fn ask(&mut self, ends: &mut Ends<'_>) -> bool {
        if ends.directions.iter().all(|d| d.end() == d.consumed) {
            return false;
        }
        let except = self.switched_from;
        // What follows a handshake, or what a capture joined behind it, is ciphertext.
        let is_cipher = except == Some("tls") || !ends.from_start;
        if is_cipher && let Some(hearing) = self.hearing.take() {
            self.first_protocol.get_or_insert("tls");
            self.spoken = Spoken::Clear(hearing);
            return true;
        }
        let found = with_stretch(ends, |stretch| best(stretch, except));
        self.spoken = match found {
            Some((_, protocol)) => {
                self.first_protocol.get_or_insert(protocol.name());
                Spoken::Protocol(protocol, Carry::default())
            }
            None if except == Some("tls") => Spoken::Opaque(Bursts::of_ciphertext()),
            None => Spoken::Opaque(Bursts::default()),
        };
        true
    }

    /// One stretch; true when the protocol changed and the rest wants another look.
    fn parse(&mut self, ends: &mut Ends<'_>) -> bool {
        match std::mem::take(&mut self.spoken) {
            Spoken::Unknown => false,
            Spoken::Opaque(mut bursts) => {
                bursts.take(ends, &mut self.pairing);
                self.spoken = Spoken::Opaque(bursts);
                false
            }
            Spoken::Clear(mut hearing) => {
                hearing.take(ends, &mut self.pairing);
                self.spoken = Spoken::Clear(hearing);
                false
            }
            Spoken::Protocol(protocol, carry) => {
                let (parsed, messages) = with_stretch(ends, |stretch| {
                    let mut parsed = protocol.parse(stretch, carry);
                    let hashed: Vec<_> = std::mem::take(&mut parsed.messages)
                        .into_iter()
                        .map(|m| (hashes(stretch.half(m.from), &m), m))
                        .collect();
                    (parsed, hashed)
                });
                let timed = messages.into_iter().map(|(h, m)| timed(&ends.directions, m, h));
                self.pairing.take(protocol.name(), timed.collect());
                ends.directions[0].consume(parsed.client_consumed);
                ends.directions[1].consume(parsed.server_consumed);
                let Some(switch) = parsed.switch else {
                    self.spoken = Spoken::Protocol(protocol, parsed.carry);
                    return false;
                };
                if let Some(id) = switch.answered_as {
                    self.pairing.hand_over(id);
                }
                self.pairing.switch(protocol.name());
                ends.directions[0].consume(switch.client_at);
                ends.directions[1].consume(switch.server_at);
                self.switched_from = Some(protocol.name());
                if let Some(next) = PROTOCOLS.iter().find(|p| Some(p.name()) == switch.to) {
                    self.spoken = Spoken::Protocol(*next, parsed.carry);
                }
                true
            }
        }
    }

    /// The conversation is over.
    pub(super) fn finish(&mut self) {
        let name = match &mut self.spoken {
            Spoken::Protocol(protocol, _) => protocol.name(),
            Spoken::Opaque(bursts) => {
                bursts.finish(&mut self.pairing);
                "opaque"
            }
            Spoken::Clear(hearing) => hearing.protocol(),
            Spoken::Unknown => return,
        };
        self.pairing.finish(name);
    }
}

/// The first protocol that is sure, else the first that could be. A conversation that is over is none that a protocol
/// could only be and yet finds no message in.
pub(super) fn best(
    stretch: &Stretch<'_>,
    except: Option<&'static str>,
) -> Option<(Match, &'static dyn Protocol)> {
    let mut maybe = Vec::new();
    for protocol in PROTOCOLS.iter().filter(|p| Some(p.name()) != except) {
        match protocol.probe(stretch) {
            Match::Yes => return Some((Match::Yes, *protocol)),
            Match::Maybe => maybe.push(*protocol),
            Match::No => {}
        }
    }
    let over = stretch.client.last && stretch.server.last;
    let speaks = |p: &&dyn Protocol| !p.parse(stretch, Carry::default()).messages.is_empty();
    let found = maybe.into_iter().find(|p| !over || speaks(p));
    found.map(|protocol| (Match::Maybe, protocol))
}

fn with_stretch<T>(ends: &mut Ends<'_>, look: impl FnOnce(&Stretch<'_>) -> T) -> T {
    let [client, server] = &mut ends.directions;
    let last = ends.last;
    let (client_start, client_end) = (client.consumed, client.end());
    let (server_start, server_end) = (server.consumed, server.end());
    let (client_pieces, server_pieces) = (client.pieces(), server.pieces());
    let half = |start, end, pieces| Half { start, end, pieces, last };
    look(&Stretch {
        transport: Transport::Tcp,
        client_port: ends.ports[0],
        server_port: ends.ports[1],
        client: half(client_start, client_end, &client_pieces),
        server: half(server_start, server_end, &server_pieces),
        from_start: ends.from_start,
        id_fields: ends.id_fields,
    })
}

/// Head and body hash of a message that begins in this half.
pub(super) fn hashes(half: &Half<'_>, message: &Message) -> [u64; 2] {
    if !matches!(message.part, None | Some(Part::Whole | Part::Begin)) {
        return [0; 2];
    }
    hashes_of(half.at(message.begin), message.end.saturating_sub(message.begin))
}

/// Head and body hash of a message of `length` bytes of which `known` are at hand.
pub(super) fn hashes_of(known: &[u8], length: u64) -> [u64; 2] {
    let prefix = |limit: usize| {
        let wanted = usize::try_from(length).unwrap_or(limit).min(limit);
        known.get(..wanted).filter(|bytes| !bytes.is_empty()).map(|bytes| fingerprint(bytes) | 1)
    };
    let body = prefix(BODY).map(|h| h.wrapping_mul(31).wrapping_add(length) | 1);
    [prefix(HEAD).unwrap_or(0), body.unwrap_or(0)]
}

/// When a message passed, by the arrivals of its bytes.
pub(super) fn timed(
    directions: &[&mut Direction; 2],
    message: Message,
    hashes: [u64; 2],
) -> TimedMessage {
    let direction = &directions[if message.from == Side::Client { 0 } else { 1 }];
    let inside = arrivals_in(direction, message.begin, message.end);
    TimedMessage {
        first_ns: inside.first().map(|a| a.time_ns),
        last_ns: inside.iter().map(|a| a.time_ns).max(),
        acked: inside.first().map_or(0, |a| a.acked),
        sequence: direction.sequence_of(message.begin),
        head_hash: hashes[0],
        body_hash: hashes[1],
        retransmissions: direction.retransmissions_in(message.begin, message.end),
        missing_bytes: direction.missing_in(message.begin, message.end),
        message,
    }
}

fn arrivals_in(direction: &Direction, begin: u64, end: u64) -> &[Arrival] {
    let from = direction.arrivals_from(begin);
    &from[..from.partition_point(|a| a.offset < end.max(begin + 1))]
}

/// A UDP conversation's messages: every datagram is a piece, its time that of its packet.
pub(super) struct Datagrams<'a> {
    /// Pieces of client and server.
    pub(super) pieces: [&'a [Piece<'a>]; 2],
    /// Capture times of the pieces.
    pub(super) times: [&'a [i64]; 2],
    /// Ports of client and server.
    pub(super) ports: [u16; 2],
    /// Fields that name requests.
    pub(super) id_fields: &'a IdFields,
}

impl Datagrams<'_> {
    /// The protocol and its timed messages; `None` when nothing claims them.
    pub(super) fn parse(&self) -> Option<(&'static str, Vec<TimedMessage>)> {
        let half = |side: usize| {
            let pieces = self.pieces[side];
            let end = pieces.last().map_or(0, |p| p.offset + u64::from(p.wire_length));
            Half { start: 0, end, pieces, last: true }
        };
        let stretch = Stretch {
            transport: Transport::Udp,
            client_port: self.ports[0],
            server_port: self.ports[1],
            client: half(0),
            server: half(1),
            from_start: true,
            id_fields: self.id_fields,
        };
        let (_, protocol) = best(&stretch, None)?;
        let parsed = protocol.parse(&stretch, Carry::default());
        let timed = parsed.messages.into_iter().map(|m| self.timed(m)).collect();
        Some((protocol.name(), timed))
    }

    fn timed(&self, message: Message) -> TimedMessage {
        let side = if message.from == Side::Client { 0 } else { 1 };
        let pieces = self.pieces[side];
        let at = pieces.partition_point(|p| p.offset + u64::from(p.wire_length) <= message.begin);
        let time = self.times[side].get(at).copied();
        let bytes = pieces.get(at).map_or(&[][..], |p| p.bytes);
        let [head_hash, body_hash] =
            hashes_of(bytes, pieces.get(at).map_or(0, |p| u64::from(p.wire_length)));
        TimedMessage {
            message,
            first_ns: time,
            last_ns: time,
            sequence: None,
            acked: 0,
            head_hash,
            body_hash,
            retransmissions: 0,
            missing_bytes: 0,
        }
    }
}
