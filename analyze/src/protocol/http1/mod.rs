//! HTTP/1.0 and 1.1 (RFC 9110, RFC 9112): requests in order, responses in the same order, pipelining included, bodies
//! skipped by length across gaps. Never holds a body, never decodes one, never goes on after an upgrade.
//!
//! Request type = method, resource = request target, status = status code, version = `1.0`, `1.1`. A 1xx is an interim
//! response except 101, which answers its request and switches. Attributes: `content_length`, `content_type`,
//! `user_agent` (≤ 256 bytes), `connection_close` (`true`).
//!
//! Where a chunked body falls into a gap, its end is unknown: the message then ends where the next plausible head
//! begins, or with the half. The same holds for a message whose head is cut.

mod body;
mod describe;
mod head;
mod reader;
mod search;

use std::collections::VecDeque;

pub(super) use self::describe::outcome;
use self::head::Begins;
use self::reader::{Reader, Step};
use super::{
    Carry, Half, Match, Message, Parsed, Protocol, Side, Stretch, Switch, Transport, websocket,
};

/// Requests without a response that are remembered.
const MAX_OUTSTANDING: usize = 10_000;
/// Client bytes held back while an upgrade's answer is awaited.
const MAX_HELD_BACK: usize = 64 << 10;

/// HTTP/1.x.
pub struct Http1;

impl Protocol for Http1 {
    fn name(&self) -> &'static str {
        "http1"
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
        let client = begins(&stretch.client, Side::Client);
        let server = begins(&stretch.server, Side::Server);
        match (client, server) {
            (Match::No, _) | (_, Match::No) => Match::No,
            (client, server) => client.max(server),
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut talk: Talk = carry.take();
        let mut messages = Vec::new();
        talk.go_on(stretch);
        let switch = talk.read(stretch, &mut messages);
        let (client_consumed, server_consumed) = (talk.client.position, talk.server.position);
        let carry = match switch.and_then(|switch| switch.to) {
            None => Carry::of(talk),
            Some("websocket") => websocket::upgraded(talk.client.upgrade),
            Some(_) => Carry::default(),
        };
        Parsed { messages, client_consumed, server_consumed, carry, switch }
    }
}

/// Whether a half begins like its side's heads.
fn begins(half: &Half<'_>, side: Side) -> Match {
    match half.pieces.first().filter(|piece| piece.offset == half.start) {
        None => Match::Maybe,
        Some(piece) => match head::probe(side, piece.bytes) {
            Begins::Yes => Match::Yes,
            Begins::No => Match::No,
            Begins::More => Match::Maybe,
        },
    }
}

/// Joined in the middle of a conversation, bytes that are no head prove nothing, but one head anywhere does. Where only
/// one side has spoken so far it may be a long body.
fn probe_inside(stretch: &Stretch<'_>) -> Match {
    let found = |side| search::occurs(side, stretch.half(side));
    if found(Side::Client) || found(Side::Server) {
        return Match::Yes;
    }
    let one_side = stretch.client.pieces.is_empty() != stretch.server.pieces.is_empty();
    let goes_on = !stretch.client.last && !stretch.server.last;
    if one_side && goes_on { Match::Maybe } else { Match::No }
}

/// What a response has to know of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// HEAD: the response has no body whatever its head says.
    Head,
    /// CONNECT: a 2xx makes a tunnel of the connection.
    Connect,
    /// Asks for another protocol: a 101 may come.
    Upgrade,
    /// Anything else.
    Plain,
}

/// A request without a response yet.
#[derive(Debug, Clone, Copy)]
struct Outstanding {
    asked: Asked,
    /// Stream offset after the request, as far as its head tells.
    end: u64,
}

/// Both halves, and the requests that wait for their responses.
#[derive(Default)]
struct Talk {
    client: Reader,
    server: Reader,
    outstanding: VecDeque<Outstanding>,
}

impl Talk {
    fn go_on(&mut self, stretch: &Stretch<'_>) {
        self.client.go_on(Side::Client, stretch);
        self.server.go_on(Side::Server, stretch);
    }

    /// Reads the responses, and requests only as far as responses need them, so that the queue stays as short as it
    /// was on the wire; then the other requests.
    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        // Asked again without more bytes it would read the same head again.
        let mut client_is_stuck = false;
        loop {
            while self.server.awaits_head() && self.outstanding.is_empty() && !client_is_stuck {
                client_is_stuck = self.hear_client(stretch, messages) == Step::Stuck;
            }
            match self.server.step(&stretch.server, &mut self.outstanding, messages) {
                Step::On => {}
                Step::Stuck => break,
                Step::Switched { client_at, server_at, to } => {
                    let client_at = client_at.unwrap_or(self.client.position);
                    while !self.client.awaits_head()
                        && self.hear_client(stretch, messages) == Step::On
                    {}
                    messages.extend(self.client.leave(client_at));
                    let answered_as = (to == Some("http2")).then_some(1);
                    return Some(Switch { client_at, server_at, to, answered_as });
                }
            }
        }
        while self.may_hear_client(stretch) && self.hear_client(stretch, messages) == Step::On {}
        None
    }

    fn hear_client(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Step {
        self.client.step(&stretch.client, &mut self.outstanding, messages)
    }

    /// After an upgrade or CONNECT, what the client sends may be another protocol: that is known with the response.
    fn may_hear_client(&self, stretch: &Stretch<'_>) -> bool {
        let undecided = self.client.awaits_head()
            && self
                .outstanding
                .back()
                .is_some_and(|o| matches!(o.asked, Asked::Connect | Asked::Upgrade));
        !undecided
            || stretch.server.last
            || stretch.client.at(self.client.position).len() > MAX_HELD_BACK
    }
}

#[cfg(test)]
pub(in crate::protocol) mod tests;
