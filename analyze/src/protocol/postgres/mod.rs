//! PostgreSQL, frontend/backend protocol 3. Never shows a literal, a parameter, a row or a password.
//!
//! Requests and what answers them:
//! * `Startup` up to the first ReadyForQuery; host is the database. Requests for a password and passwords are interim.
//! * A simple query is one request, however many statements it has; its response reaches to ReadyForQuery.
//! * Of the extended protocol each Execute is a request, from the first Parse, Bind or Close that belongs to it to the
//!   Execute's end, or the end of the Sync that directly follows. Its response reaches from the first answer to any of
//!   these to CommandComplete or its like, or the ReadyForQuery that directly follows.
//! * What ends with a Describe of a statement, or with a Sync without Execute, is a request `PREPARE`; Close messages
//!   alone are a request `CLOSE`, but those behind an Execute before its Sync belong to nothing.
//! * Requests behind a failed one up to its Sync get a response of status `skipped` and no outcome, at ReadyForQuery.
//! * COPY FROM: the data belong to the request; the response begins behind them. COPY TO: the data are the response.
//! * A notice before a response's first message is interim; later ones are part of the response.
//! * `SSLRequest`, `GSSENCRequest` with status `S`, `G` or `N`; `FunctionCall`. One-way: `CancelRequest`, `Terminate`,
//!   the server's `NOTIFY`.
//!
//! A request's type is its first keyword, its resource the text with `?` for literals. Status is `OK` or the SQLSTATE.
//! Attributes: `user`, `application_name` (Startup); `statements` (more than one); `rows`, `tag` (responses).
//! Nothing is correlated: as skipped requests are answered too, requests and responses have one order, and order heals
//! behind losses, which numbers counted on each side would not.

use super::{Carry, Half, Match, Message, Parsed, Protocol, Side, Stretch, Switch, Transport};
use crate::issue::Issue;

mod client;
mod epochs;
mod frame;
mod probe;
mod server;

use epochs::Epochs;
use frame::{Event, Reader};
use server::Turn;

/// Client bytes that wait for an answer of the server's; beyond this the answer was lost.
const HELD_MAX: u64 = 64 * 1024;

/// The protocol.
pub struct Postgres;

struct State {
    started: bool,
    client_reader: Reader,
    server_reader: Reader,
    client: client::Client,
    server: server::Server,
    epochs: Epochs,
    left: Option<Turn>,
}

impl Default for State {
    fn default() -> Self {
        State {
            started: false,
            client_reader: Reader::new(Side::Client),
            server_reader: Reader::new(Side::Server),
            client: client::Client::default(),
            server: server::Server::default(),
            epochs: Epochs::default(),
            left: None,
        }
    }
}

impl Protocol for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    #[cfg(test)]
    fn sample(&self) -> super::laws::Dialog {
        tests::sample()
    }

    fn probe(&self, stretch: &Stretch<'_>) -> Match {
        if stretch.transport == Transport::Tcp { probe::probe(stretch) } else { Match::No }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut state: State = carry.take();
        let mut messages = Vec::new();
        state.begin(stretch, &mut messages);
        let switch = state.read(stretch, &mut messages);
        if switch.is_none() && stretch.client.last {
            state.client.finish(stretch.client.end, &mut messages);
        }
        if switch.is_none() && stretch.server.last {
            state.server.finish(stretch.server.end, &mut messages);
        }
        Parsed {
            messages,
            client_consumed: state.client_reader.position(),
            server_consumed: state.server_reader.position(),
            switch,
            carry: Carry::of(state),
        }
    }
}

impl State {
    fn begin(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) {
        let joined_late = !self.started && !stretch.from_start;
        self.started = true;
        self.client_reader.resume(&stretch.client, joined_late);
        self.server_reader.resume(&stretch.server, joined_late);
        if joined_late {
            self.client.lose(Issue::MissedStart, stretch.client.start, messages);
            self.server.lose(Issue::MissedStart, stretch.server.start, messages);
        }
    }

    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        self.read_client(&stretch.client, messages);
        if self.read_server(&stretch.server, messages) && self.left.is_none() {
            self.read_client(&stretch.client, messages);
        }
        let client_at = self.client_reader.position();
        let waits = self.client_reader.waits(&stretch.client);
        let (server_at, to) = match &self.left {
            Some(Turn::Tls) => (self.server_reader.position(), Some("tls")),
            Some(_) => (self.server_reader.position(), None),
            None if waits && stretch.client.end > client_at + HELD_MAX => {
                (stretch.server.end, None)
            }
            None => return None,
        };
        self.client.finish(client_at, messages);
        self.server.finish(server_at, messages);
        Some(Switch { client_at, server_at, to, answered_as: None })
    }

    fn read_client(&mut self, half: &Half<'_>, messages: &mut Vec<Message>) {
        while let Some(event) = self.client_reader.next(half) {
            match event {
                Event::Lost(issue, at) => self.client.lose(issue, at, messages),
                Event::Frame(frame) => {
                    let stops = self.client.take(&frame, &mut self.epochs, messages);
                    self.client_reader.stops_at_copy = stops;
                }
            }
        }
        self.server.doubt(self.client.doubtful_from());
    }

    /// Whether the client may go on with what it was held back from.
    fn read_server(&mut self, half: &Half<'_>, messages: &mut Vec<Message>) -> bool {
        let mut freed = false;
        while self.left.is_none() {
            match self.server_reader.next(half) {
                None => break,
                Some(Event::Lost(issue, at)) => self.server.lose(issue, at, messages),
                Some(Event::Frame(frame)) => {
                    match self.server.take(&frame, &mut self.epochs, messages) {
                        Turn::GoesOn => {}
                        Turn::Plain => {
                            self.client_reader.stays_plain();
                            freed = true;
                        }
                        turn => self.left = Some(turn),
                    }
                }
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests;
