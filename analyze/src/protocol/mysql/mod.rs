//! MySQL and MariaDB, client/server protocol 4.1 (MySQL Internals: "Client/Server Protocol"; MariaDB: "Clients & Utilities: protocol"). Never shows a literal, a
//! parameter, a row or a password.
//!
//! Requests and what answers them:
//! * `LOGIN`: the client's handshake response up to the server's last word of it; host is the database, version the server's.
//! * A command and its response: OK, an error, one result set or several, with their rows. What a query's type and resource are, its
//!   text tells: first keyword, and the text with `?` for literals.
//! * `PREPARE` gets a number; a statement executed by this number has the type and text that were prepared (attribute `prepared`), where that
//!   was seen, else it is `EXECUTE #5`. `FETCH` and `RESET` name it, too.
//! * Other commands by their names: `PING`, `INIT_DB`, `CHANGE_USER`, … One-way: `QUIT`, `CLOSE`, `LONG_DATA`, which have no answer; an error
//!   that the server sends unasked, `ERR`.
//!
//! Status is `OK` or the error's number. Attributes: `user` (LOGIN), `statements` (more than one), `rows`, `results` (more than one),
//! `affected_rows`, `sqlstate`. Where the client asks for TLS the connection switches; a compressed one is opaque from its login on.
//! Each half is read by itself: what the server answers tells what it is.

use super::{Carry, Half, Match, Message, Parsed, Protocol, Side, Stretch, Switch, Transport};
use client::Client;
use server::{Ends, Server};

mod client;
mod packet;
mod search;
mod server;

/// The protocol.
pub struct Mysql;

#[derive(Default)]
struct State {
    started: bool,
    client: Client,
    server: Server,
}

impl Protocol for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
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
        let first = |half: &Half<'_>| half.pieces.first().is_some_and(|p| p.offset == half.start);
        let server = match first(&stretch.server) {
            true => search::greets(&stretch.server),
            false => Match::Maybe,
        };
        let client = match first(&stretch.client) {
            true => client::logs_in(&stretch.client),
            false => Match::Maybe,
        };
        match (client, server) {
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
        let switch = state.read(stretch, &mut messages);
        Parsed {
            messages,
            client_consumed: state.client.position,
            server_consumed: state.server.position,
            carry: Carry::of(state),
            switch,
        }
    }
}

/// A query's text that fills its packet, packets of a result one after the other, or a command and an OK.
fn probe_inside(stretch: &Stretch<'_>) -> Match {
    let known = |side| stretch.half(side).pieces.first().map_or(&[][..], |piece| piece.bytes);
    let (asked, told) = (known(Side::Client), known(Side::Server));
    let is_exchange = client::is_command(asked) && search::is_ok(told);
    match client::is_query(asked) || search::is_result(told) || is_exchange {
        true => Match::Yes,
        false => Match::No,
    }
}

impl State {
    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        self.client.read(&stretch.client, messages);
        let ends = match (self.client.wants_tls, self.client.login) {
            (true, _) => Ends::BehindGreeting,
            (_, Some(login)) if login.is_compressed => Ends::BehindLogin,
            _ => Ends::Never,
        };
        self.server.read(&stretch.server, ends, messages);
        let is_tls = self.client.begins_tls() && (self.server.is_greeted() || stretch.server.last);
        let is_compressed = self.server.is_compressed;
        let at = |to| Switch {
            client_at: self.client.position,
            server_at: self.server.position,
            to,
            answered_as: None,
        };
        match (is_tls, is_compressed) {
            (true, _) => Some(at(Some("tls"))),
            (_, true) => Some(at(None)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
