//! WebSocket (RFC 6455), after the upgrade of an HTTP/1 connection or joined behind it: messages of either side, fragments put together,
//! pings with their pongs, what a connection ends with. Never looks into a payload but for a ping's, to know its pong.
//!
//! Request type = `TEXT`, `BINARY`, `PING`, `CLOSE`; resource and host = those of the upgrade, where it was seen. Messages are one-way: what of
//! them answers what, only the application knows. A ping is a request, of either side, its pong the response (`OK`); a pong that nobody asked
//! for stays a response without a request. Status of CLOSE = its code (RFC 6455, 7.4). Attributes: `compressed` (`true`: RFC 7692), `fragments`.

use super::{Carry, Match, Message, Outcome, Parsed, Protocol, Role, Side, Stretch, Transport};
use crate::fingerprint::fingerprint;
use reader::{Item, Kind, Reader};

mod reader;

/// The protocol.
pub struct Websocket;

/// What HTTP/1 knows when it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Upgrade {
    /// Request target.
    pub(super) resource: String,
    pub(super) host: String,
}

/// The state of a conversation that begins with an upgrade.
pub(super) fn upgraded(upgrade: Upgrade) -> Carry {
    Carry::of(State { upgrade, ..State::default() })
}

struct State {
    started: bool,
    upgrade: Upgrade,
    client: Reader,
    server: Reader,
}

impl Default for State {
    fn default() -> Self {
        State {
            started: false,
            upgrade: Upgrade::default(),
            client: Reader::new(Side::Client),
            server: Reader::new(Side::Server),
        }
    }
}

impl Protocol for Websocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    #[cfg(test)]
    fn sample(&self) -> super::laws::Dialog {
        tests::sample()
    }

    /// From its start it is known by the upgrade alone. Joined late: frames one after the other, the client's masked, the server's not.
    fn probe(&self, stretch: &Stretch<'_>) -> Match {
        if stretch.transport != Transport::Tcp || stretch.from_start {
            return Match::No;
        }
        let framed = |side| reader::chain(side, stretch.half(side));
        match (framed(Side::Client), framed(Side::Server)) {
            (Match::No, _) | (_, Match::No) => Match::No,
            (client, server) => client.max(server),
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut state: State = carry.take();
        if !std::mem::replace(&mut state.started, true) {
            state.client.start(&stretch.client, stretch.from_start);
            state.server.start(&stretch.server, stretch.from_start);
        }
        let mut messages = Vec::new();
        while let Some(item) = state.client.next(&stretch.client) {
            messages.push(state.message(Side::Client, item));
        }
        while let Some(item) = state.server.next(&stretch.server) {
            messages.push(state.message(Side::Server, item));
        }
        Parsed {
            messages,
            client_consumed: state.client.position(),
            server_consumed: state.server.position(),
            carry: Carry::of(state),
            switch: None,
        }
    }
}

impl State {
    fn message(&self, from: Side, item: Item) -> Message {
        let mut message = Message::new(from, Role::OneWay, item.begin, item.end);
        message.resource.clone_from(&self.upgrade.resource);
        message.host.clone_from(&self.upgrade.host);
        message.version = "13".to_string();
        message.issues.extend(item.issues);
        match item.kind {
            Kind::Data { is_text, is_compressed, n_fragments } => {
                message.request_type = if is_text { "TEXT" } else { "BINARY" }.to_string();
                if is_compressed {
                    message.attributes.push(("compressed", "true".to_string()));
                }
                if n_fragments > 1 {
                    message.attributes.push(("fragments", n_fragments.to_string()));
                }
            }
            // Its beginning was not seen.
            Kind::Rest => {}
            Kind::Ping(payload) => {
                message.request_type = "PING".to_string();
                message.role = Role::Request;
                message.correlation = Some(correlation(&payload, from));
            }
            Kind::Pong(payload) => {
                message.role = Role::Response;
                (message.status, message.outcome) = ("OK".to_string(), Some(Outcome::Ok));
                message.correlation = Some(correlation(&payload, from.other()));
            }
            Kind::Close(code) => {
                message.request_type = "CLOSE".to_string();
                message.status = code.map(|code| code.to_string()).unwrap_or_default();
                message.outcome = code.and_then(|code| outcome(code, from));
            }
        }
        message
    }
}

/// A ping's payload as a number; who asked is its lowest bit.
fn correlation(payload: &[u8], asked_by: Side) -> u64 {
    fingerprint(payload) << 1 | asked_by as u64
}

/// RFC 6455, 7.4.1: a code blames the other end (1002, 1003, 1007 to 1010), or one's own (1011 and more).
fn outcome(code: u16, from: Side) -> Option<Outcome> {
    match (code, from) {
        (1000 | 1001 | 1005, _) => Some(Outcome::Ok),
        (1002 | 1003 | 1007..=1010, Side::Server) | (1011..=1014, Side::Client) => {
            Some(Outcome::ClientError)
        }
        (1002 | 1003 | 1007..=1010, Side::Client) | (1011..=1014, Side::Server) => {
            Some(Outcome::ServerError)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
