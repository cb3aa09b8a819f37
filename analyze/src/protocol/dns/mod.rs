//! DNS (RFC 1035) over UDP and TCP, multicast DNS (RFC 6762) included. Never resolves, never keeps a cache, never shows
//! record data but addresses and names.
//!
//! Request type = the first question's type (`A`, `SRV`, `TYPE65280`), for other operations `NOTIFY`, `UPDATE` …;
//! resource = its name without the last dot (the root is `.`), on responses as well; status = the response code's name.
//! Correlation = 48 bits of the question's hash above the id, so that an id used again for another name does not match;
//! a response without question has 0 there. Attributes: `answers` (the first 8 addresses and names, separated by
//! spaces), `n_answers` as announced, `truncated` (`true`).

mod frames;
mod name;
mod packet;

use self::frames::Frames;
use self::packet::Read;
use super::{Carry, Half, Match, Message, Outcome, Parsed, Piece, Protocol, Role, Side, Stretch};
use super::{Transport, text};
use crate::issue::Issue;

const PORTS: [u16; 3] = [53, MULTICAST, 5355];
const MULTICAST: u16 = 5353;
const MAX_ANSWERS: usize = 8;
/// Counts above this are taken for another protocol's bytes, unless the port says DNS.
const MAX_PLAUSIBLE_COUNT: u16 = 64;

/// DNS.
pub struct Dns;

impl Protocol for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    #[cfg(test)]
    fn sample(&self) -> super::laws::Dialog {
        tests::sample()
    }

    fn probe(&self, stretch: &Stretch<'_>) -> Match {
        let known_port = PORTS.contains(&stretch.server_port);
        let sides = [Side::Client, Side::Server].map(|side| fits(stretch, side));
        match sides.contains(&Some(true)) {
            _ if sides.contains(&Some(false)) => Match::No,
            true if known_port => Match::Yes,
            false if !known_port => Match::No,
            _ => Match::Maybe,
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut messages = Vec::new();
        let multicast = (stretch.client_port, stretch.server_port) == (MULTICAST, MULTICAST);
        let mut frames: [Frames; 2] = carry.take();
        let mut consumed = [stretch.client.end, stretch.server.end];
        for side in [Side::Client, Side::Server] {
            let half = stretch.half(side);
            let mut tell = |begin, end, bytes: &[u8], cut: bool| {
                messages.extend(message(side, begin, end, bytes, cut, multicast));
            };
            match stretch.transport {
                Transport::Udp => half.pieces.iter().for_each(|datagram| {
                    let end = datagram.offset + u64::from(datagram.wire_length);
                    tell(
                        datagram.offset,
                        end.max(datagram.end()),
                        datagram.bytes,
                        is_cut(datagram),
                    );
                }),
                Transport::Tcp => {
                    let frames = &mut frames[side as usize];
                    consumed[side as usize] = frames.read(half, stretch.from_start, tell);
                }
            }
        }
        let [client_consumed, server_consumed] = consumed;
        Parsed {
            messages,
            client_consumed,
            server_consumed,
            carry: Carry::of(frames),
            switch: None,
        }
    }
}

fn is_cut(datagram: &Piece<'_>) -> bool {
    datagram.wire_length as usize > datagram.bytes.len()
}

/// Whether what `side` sends first is a packet it may send; `None`: too little is known.
fn fits(stretch: &Stretch<'_>, side: Side) -> Option<bool> {
    let half: &Half<'_> = stretch.half(side);
    let first = half.pieces.first()?;
    let (packet, cut) = match stretch.transport {
        Transport::Udp => (first.bytes, is_cut(first)),
        Transport::Tcp => (first.bytes.get(2..)?, true),
    };
    let multicast = stretch.server_port == MULTICAST;
    let lenient = PORTS.contains(&stretch.server_port);
    match packet::read(packet) {
        Read::Packet(p) => {
            let turned = p.is_response == (side == Side::Server);
            let plain = p.question.is_some() && p.counts.iter().all(|c| *c <= MAX_PLAUSIBLE_COUNT);
            let readable = !p.malformed && (cut || !p.short);
            Some((turned || multicast) && (plain || lenient) && readable)
        }
        Read::Short if cut || stretch.transport == Transport::Tcp => None,
        Read::Short | Read::NotDns => Some(false),
    }
}

/// The message in `bytes`; `cut`: they end before it does.
fn message(
    from: Side,
    begin: u64,
    end: u64,
    bytes: &[u8],
    cut: bool,
    multicast: bool,
) -> Option<Message> {
    let Read::Packet(packet) = packet::read(bytes) else { return None };
    let role = match packet.is_response {
        // Asked of everybody, answered to everybody: never in the flow of the question.
        _ if multicast => Role::OneWay,
        true => Role::Response,
        false => Role::Request,
    };
    let mut message = Message::new(from, role, begin, end);
    message.correlation = Some(packet.correlation());
    message.request_type = packet.request_type();
    if let Some(question) = &packet.question {
        message.resource = text::bounded(question.name.as_bytes(), 1_024);
    }
    if packet.is_response {
        message.status = packet.status();
        message.outcome = Some(outcome(packet.rcode));
        message.attributes.push(("n_answers", packet.counts[1].to_string()));
        if !packet.answers.is_empty() {
            message.attributes.push(("answers", packet.answers.join(" ")));
        }
    }
    if packet.truncated {
        message.attributes.push(("truncated", "true".to_owned()));
    }
    match (packet.malformed, packet.short) {
        (false, true) if cut => message.issues.push(Issue::Truncated),
        (true, _) | (_, true) => message.issues.push(Issue::Malformed),
        _ => {}
    }
    Some(message)
}

/// RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6895 §2.3.
fn outcome(rcode: u16) -> Outcome {
    match rcode {
        0 => Outcome::Ok,
        1 | 3 | 5..=10 => Outcome::ClientError,
        _ => Outcome::ServerError,
    }
}

#[cfg(test)]
pub(in crate::protocol) mod tests;
