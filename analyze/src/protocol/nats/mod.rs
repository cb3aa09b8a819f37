//! NATS (docs: Client Protocol; headers: ADR-4): publish and subscribe, requests and replies, JetStream. Never shows a payload, nor what a
//! client proves itself by.
//!
//! A message is named `PUB` where the client publishes it and `MSG` where the server delivers it; its resource is the subject. One that
//! names a subject for replies is a request, and what is sent to that subject the response: asked by the client (PUB, then MSG), or by the
//! server (MSG, then PUB: a service answers, a consumer acknowledges). Any other is one-way. A second reply to one request is a response
//! without a request. `SUB`, `UNSUB`, `INFO`, `CONNECT` and `ERR` are one-way; `CONNECT` is answered where the client is verbose, whose
//! other `+OK`s are no messages, as the server's own pings are none. A client's `PING` is a request.
//!
//! Status of a response: `OK`, its headers' (`503`: nobody listens), an acknowledgment's word (`+ACK`, `-NAK`), the code of JetStream's error.
//! Attributes: `queue` (SUB), `stream`, `sequence` (what JetStream stored or delivers), `consumer`, `deliveries` (how often by now),
//! `client` (CONNECT: language and version). Where the server asks for TLS, the connection switches.

use super::{
    Carry, Half, IdFields, Match, Message, Outcome, Parsed, Protocol, Role, Side, Stretch, Switch,
    Transport, text,
};
use crate::fingerprint::fingerprint;
use line::{Begins, Line};
use reader::{Item, Reader};
use std::collections::{BTreeSet, VecDeque};

mod content;
mod line;
mod reader;

/// Subjects for replies that are remembered of each side, where they don't show by themselves what they are.
const MAX_REPLIES: usize = 65_536;

/// The protocol.
pub struct Nats;

struct State {
    started: bool,
    client: Reader,
    server: Reader,
    /// Where the client's, the server's requests want their replies.
    replies: [Replies; 2],
    /// A verbose client's CONNECT waits for its `+OK`.
    is_connecting: bool,
}

impl Default for State {
    fn default() -> Self {
        State {
            started: false,
            client: Reader::new(Side::Client),
            server: Reader::new(Side::Server),
            replies: Default::default(),
            is_connecting: false,
        }
    }
}

/// Hashes of subjects, the oldest forgotten first.
#[derive(Default)]
struct Replies {
    known: BTreeSet<u64>,
    order: VecDeque<u64>,
}

impl Replies {
    fn add(&mut self, subject: &[u8]) {
        let hash = fingerprint(subject);
        if !content::is_reply(subject) && self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > MAX_REPLIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn has(&self, subject: &[u8]) -> bool {
        content::is_reply(subject) || self.known.contains(&fingerprint(subject))
    }
}

impl Protocol for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    #[cfg(test)]
    fn sample(&self) -> super::laws::Dialog {
        tests::sample()
    }

    fn probe(&self, stretch: &Stretch<'_>) -> Match {
        if stretch.transport != Transport::Tcp {
            return Match::No;
        }
        if !stretch.from_start {
            return probe_inside(stretch);
        }
        let first =
            |side| stretch.half(side).pieces.first().map(|piece| line::read(side, piece.bytes));
        match (first(Side::Client), first(Side::Server)) {
            (_, Some(Begins::Line(Line::Info(_), _))) => Match::Yes,
            (_, Some(Begins::No | Begins::Line(..))) => Match::No,
            (Some(Begins::Line(Line::Connect(_), _)), _) => Match::Yes,
            (Some(Begins::No | Begins::Line(..)), _) => Match::No,
            _ => Match::Maybe,
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut state: State = carry.take();
        if !std::mem::replace(&mut state.started, true) && !stretch.from_start {
            state.client.joined_late(stretch.client.start);
            state.server.joined_late(stretch.server.start);
        }
        let mut messages = Vec::new();
        let switch = state.read(stretch, &mut messages);
        Parsed {
            messages,
            client_consumed: state
                .client
                .position()
                .clamp(stretch.client.start, stretch.client.end),
            server_consumed: state
                .server
                .position()
                .clamp(stretch.server.start, stretch.server.end),
            carry: Carry::of(state),
            switch,
        }
    }
}

/// A published or delivered message whose end stands where its length says proves it.
fn probe_inside(stretch: &Stretch<'_>) -> Match {
    let proves = |side: Side| {
        let half = stretch.half(side);
        let mut reader = Reader::new(side);
        reader.joined_late(half.start);
        std::iter::from_fn(|| reader.next(half)).any(|item| {
            matches!(item.line, Line::Message(_) | Line::Info(_) | Line::Connect(_))
                && item.end <= half.end
        })
    };
    if proves(Side::Client) || proves(Side::Server) { Match::Yes } else { Match::No }
}

impl State {
    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        let server: Vec<Item<'_>> =
            std::iter::from_fn(|| self.server.next(&stretch.server)).collect();
        let is_tls =
            self.client.position() == 0 && stretch.from_start && begins_tls(&stretch.client);
        let mut client: Vec<Item<'_>> = Vec::new();
        if !is_tls {
            client.extend(std::iter::from_fn(|| self.client.next(&stretch.client)));
        }
        // Who wants a reply where: all of both halves, since the parser knows no times.
        for (side, items) in [&client, &server].into_iter().enumerate() {
            for item in items {
                if let Line::Message(line::Message { reply: Some(reply), .. }) = item.line {
                    self.replies[side].add(reply);
                }
            }
        }
        for item in &client {
            messages.extend(self.message(Side::Client, item, stretch.id_fields));
        }
        for item in &server {
            messages.extend(self.message(Side::Server, item, stretch.id_fields));
        }
        let server_at = self.server.position();
        (is_tls && server_at > 0).then_some(Switch {
            client_at: 0,
            server_at,
            to: Some("tls"),
            answered_as: None,
        })
    }

    fn message(&mut self, from: Side, item: &Item<'_>, id_fields: &IdFields) -> Option<Message> {
        let mut message = Message::new(from, Role::OneWay, item.begin, item.end);
        message.issues.extend(item.issue);
        match (from, item.line) {
            (_, Line::Message(sent)) => {
                self.sent(from, sent, item.body, id_fields, &mut message);
            }
            (_, Line::Subscribe { subject, queue }) => {
                named(&mut message, "SUB", subject);
                message.attributes.extend(queue.map(|queue| ("queue", text::bounded(queue, 256))));
            }
            (_, Line::Unsubscribe) => named(&mut message, "UNSUB", b""),
            (_, Line::Connect(object)) => {
                named(&mut message, "CONNECT", b"");
                let client = [content::field(object, "lang"), content::field(object, "version")];
                let client: Vec<String> = client.into_iter().flatten().collect();
                message
                    .attributes
                    .extend((!client.is_empty()).then(|| ("client", client.join(" "))));
                self.is_connecting = content::is_set(object, "verbose");
                if self.is_connecting {
                    message.role = Role::Request;
                }
            }
            (_, Line::Info(object)) => {
                named(&mut message, "INFO", b"");
                message.host = content::field(object, "server_name").unwrap_or_default();
                message.version = content::field(object, "version").unwrap_or_default();
            }
            (Side::Client, Line::Ping) => {
                named(&mut message, "PING", b"");
                message.role = Role::Request;
            }
            (Side::Server, Line::Pong) => answers(&mut message, "OK", Outcome::Ok),
            (_, Line::Ok) if std::mem::take(&mut self.is_connecting) => {
                answers(&mut message, "OK", Outcome::Ok);
            }
            (_, Line::Error(why)) => {
                let is_answer = std::mem::take(&mut self.is_connecting);
                named(&mut message, "ERR", b"");
                answers(&mut message, &text::bounded(why.trim_ascii(), 256), Outcome::ClientError);
                if !is_answer {
                    message.role = Role::OneWay;
                }
            }
            (_, Line::Ping | Line::Pong | Line::Ok) => return None,
        }
        Some(message)
    }

    fn sent(
        &self,
        from: Side,
        sent: line::Message<'_>,
        body: &[u8],
        id_fields: &IdFields,
        message: &mut Message,
    ) {
        named(message, if from == Side::Client { "PUB" } else { "MSG" }, sent.subject);
        let headers = &body[..body.len().min(sent.header_length as usize)];
        let status = match sent.header_length {
            0 => None,
            _ => content::headers(headers, id_fields, message),
        };
        if sent.header_length > body.len() as u64 {
            message.issues.push(crate::issue::Issue::HeadCut);
        }
        if self.replies[from.other() as usize].has(sent.subject) {
            message.correlation = Some(correlation(sent.subject, from.other()));
            // Heartbeats and flow control.
            let is_interim = status.as_ref().is_some_and(|status| status.starts_with('1'));
            message.role = if is_interim { Role::Interim } else { Role::Response };
            let payload = body.get(sent.header_length as usize..).unwrap_or_default();
            content::answer(sent.subject, status, payload, message);
        } else if let Some(reply) = sent.reply {
            message.correlation = Some(correlation(reply, from));
            message.role = Role::Request;
            content::delivery(reply, message);
        }
    }
}

fn named(message: &mut Message, what: &str, subject: &[u8]) {
    message.request_type = what.to_string();
    message.resource = text::bounded(subject, 1_024);
}

fn answers(message: &mut Message, status: &str, outcome: Outcome) {
    message.role = Role::Response;
    message.status = status.to_string();
    message.outcome = Some(outcome);
}

/// A handshake record of TLS: no line begins so.
fn begins_tls(half: &Half<'_>) -> bool {
    half.at(0).first() == Some(&0x16)
}

/// A reply's subject as a number; who asked is its lowest bit, since both sides of one connection may use it.
fn correlation(subject: &[u8], asked_by: Side) -> u64 {
    fingerprint(subject) << 1 | asked_by as u64
}

#[cfg(test)]
mod tests;
