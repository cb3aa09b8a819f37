//! TLS handshakes (RFC 8446, 5246), as attempts that take time and may fail. Never decrypts, never looks into certificates,
//! never reads past the handshake: what follows is opaque.
//!
//! Request = the ClientHello: type `ClientHello`, host = server name. A second one, after HelloRetryRequest (an
//! `Interim`), is `OneWay`. Response = the server's side of the handshake, from its ServerHello:
//! * TLS 1.2 and before: to the end of its Finished, the first handshake record after its ChangeCipherSpec;
//! * TLS 1.3: to the end of the encrypted record that holds its Finished, told by the lengths of the records
//!   ([`flight`]), and approximate where several messages share a record.
//!
//! Status: `ok`; an alert's name, whichever side sent it; `encrypted_alert` where the client's first encrypted record has
//! an alert's length; empty where the end was not captured. An alert from the client says that it does not accept the
//! server: `ServerError`. Attributes of the request: `alpn` (offered, by commas), `version_offered`; of the response:
//! `alpn` (chosen; in TLS 1.3 it is encrypted), `cipher_suite` (`0x1301`), `resumed` (`true`), `alert_from` (`client`,
//! `server`).

mod alert;
mod client;
mod flight;
mod hello;
mod record;
mod server;

use self::client::ClientSide;
use self::record::kind;
use self::server::ServerSide;
use super::{Carry, Half, Match, Message, Outcome, Parsed, Protocol, Side, Stretch, Switch};
use crate::issue::Issue;

/// Client bytes held back while the server's hello is awaited.
const MAX_HELD_BACK: usize = 256 << 10;

/// TLS.
pub struct Tls;

impl Protocol for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    #[cfg(test)]
    fn sample(&self) -> super::laws::Dialog {
        tests::sample()
    }

    fn probe(&self, stretch: &Stretch<'_>) -> Match {
        if stretch.transport != super::Transport::Tcp {
            return Match::No;
        }
        const CLIENT_HELLO: &[(u8, u8)] = &[(kind::HANDSHAKE, hello::CLIENT_HELLO)];
        const SERVER_HELLO: &[(u8, u8)] =
            &[(kind::HANDSHAKE, hello::SERVER_HELLO), (kind::ALERT, 2)];
        let client = begins(&stretch.client, CLIENT_HELLO);
        let server = begins(&stretch.server, SERVER_HELLO);
        match (client, server) {
            (Match::No, _) | (_, Match::No) => Match::No,
            (client, server) => client.max(server),
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut shake: Handshake = carry.take();
        let mut messages = Vec::new();
        let switch = shake.read(stretch, &mut messages);
        Parsed {
            messages,
            client_consumed: shake.client.position,
            server_consumed: shake.server.position,
            carry: Carry::of(shake),
            switch,
        }
    }
}

/// Whether a half begins with a record of one of these (record type, first byte of its content).
fn begins(half: &Half<'_>, kinds: &[(u8, u8)]) -> Match {
    let Some(first) = half.pieces.first() else { return Match::Maybe };
    let (major, minor) = (first.bytes.get(1), first.bytes.get(2));
    let version = major.is_none_or(|&m| m == 3) && minor.is_none_or(|&m| m <= 4);
    let fits = |(kind, content): &(u8, u8)| {
        first.bytes.first().is_none_or(|first| first == kind)
            && first.bytes.get(5).is_none_or(|first| first == content)
    };
    match version && first.offset == half.start && kinds.iter().any(fits) {
        false => Match::No,
        true if first.bytes.len() < 6 => Match::Maybe,
        true => Match::Yes,
    }
}

/// How a handshake ended.
enum Verdict {
    Ok,
    /// An alert's name and who sent it; with the end of its record if the server did.
    Alert(&'static str, Side, Option<u64>),
    /// Not seen to its end.
    Unknown,
}

/// Both sides of a handshake, and what is decided already.
#[derive(Default)]
struct Handshake {
    client: ClientSide,
    server: ServerSide,
    told: bool,
    failed: bool,
}

impl Handshake {
    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        self.client.position = stretch.client.start;
        self.server.position = stretch.server.start;
        messages.extend(self.client.first_hello(&stretch.client));
        if !self.failed {
            messages.extend(self.server.read(&stretch.server, self.client.hello.as_ref()));
            self.read_client(stretch, messages);
        }
        if !self.told
            && let Some(verdict) = self.verdict(stretch)
        {
            self.told = true;
            self.failed = matches!(verdict, Verdict::Alert(..));
            messages.extend(self.response(verdict));
        }
        if self.failed {
            // Whatever comes after an alert is neither handshake nor data.
            (self.client.position, self.server.position) = (stretch.client.end, stretch.server.end);
            return None;
        }
        let over = self.told && self.client.is_over() && self.server.is_over();
        over.then_some(Switch {
            client_at: self.client.position,
            server_at: self.server.position,
            to: None,
            answered_as: None,
        })
    }

    fn read_client(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) {
        let held_back = stretch.client.at(self.client.position).len() > MAX_HELD_BACK;
        let waits = self.server.awaits_hello() && !stretch.server.last && !held_back;
        if !waits {
            messages.extend(self.client.read(&stretch.client, self.server.hello.as_ref()));
        }
    }

    /// Decided as soon as, in the order of the wire, it could be; so that no cutting changes it.
    fn verdict(&self, stretch: &Stretch<'_>) -> Option<Verdict> {
        let ended = |side: &Half<'_>, over: bool| side.last || over;
        let encrypted_flight = self.server.hello.as_ref().is_some_and(|h| h.is_1_3());
        if self.server.finished && (self.client.finished || !encrypted_flight) {
            return Some(Verdict::Ok);
        }
        if let Some(name) = self.client.alert {
            return Some(Verdict::Alert(name, Side::Client, None));
        }
        if let Some((name, end)) = self.server.alert {
            return Some(Verdict::Alert(name, Side::Server, Some(end)));
        }
        let over = ended(&stretch.client, self.client.is_over())
            && ended(&stretch.server, self.server.is_over());
        over.then_some(if self.client.finished { Verdict::Ok } else { Verdict::Unknown })
    }

    /// The server's side as one message; `None` if nothing came of it.
    fn response(&self, verdict: Verdict) -> Option<Message> {
        let mut message = self.server.message()?;
        match verdict {
            Verdict::Ok => {
                message.status = "ok".to_owned();
                message.outcome = Some(Outcome::Ok);
                message.issues.extend((!self.server.finished).then_some(Issue::Truncated));
            }
            Verdict::Alert(name, from, end) => {
                message.end = end.unwrap_or(message.end);
                message.status = name.to_owned();
                message.outcome = Some(alert::outcome(name, from));
                let from = if from == Side::Client { "client" } else { "server" };
                message.attributes.push(("alert_from", from.to_owned()));
            }
            Verdict::Unknown => message.issues.push(Issue::Truncated),
        }
        Some(message)
    }
}

#[cfg(test)]
pub(crate) mod tests;
