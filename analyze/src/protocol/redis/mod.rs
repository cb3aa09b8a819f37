//! Redis: RESP2 and RESP3, pipelined, publish/subscribe and replication. Never shows a value, an argument of AUTH or
//! HELLO, or anything of an unknown command but its name.
//!
//! A request is named by its command (`GET`, `CONFIG GET`); its resource is the first key (publish/subscribe: channel).
//! Replies are in order, so nothing is correlated. MULTI, EXEC and what lies between are requests like others (`+QUEUED`
//! answers). Status is `OK`, or an error's first word (`WRONGTYPE`); `MOVED` and `ASK` are redirections and count as
//! done. One-way: `REPLCONF ACK`, what is sent under `CLIENT REPLY OFF|SKIP`, published messages, MONITOR's lines, RESP3
//! pushes. SUBSCRIBE is answered once per channel: the first confirmation is the response, the others are one-way.
//! After `PSYNC` or `SYNC` is granted the connection is a replication stream, which no protocol here reads.
//!
//! Attributes: `null` = `true` (a miss). A published message is of type `MESSAGE`, `PMESSAGE` or `SMESSAGE`, its
//! resource the channel or pattern.

use std::collections::VecDeque;

use super::{Carry, Half, Match, Message, Parsed, Protocol, Side, Stretch, Switch, Transport};

mod commands;
mod reply;
mod request;
mod resp;
mod seek;

use resp::Reader;
use seek::Verdict;

/// Client bytes that wait for the answer to PSYNC; beyond this the answer was lost.
const HELD_MAX: u64 = 64 * 1024;

/// The protocol.
pub struct Redis;

struct State {
    started: bool,
    client: Reader,
    server: Reader,
    dialog: Dialog,
}

/// What one half's messages mean to the other's.
#[derive(Debug, Default)]
struct Dialog {
    joined_late: bool,
    /// Subscriptions not yet wholly confirmed.
    subscriptions: VecDeque<reply::Subscription>,
    /// RESP2: at least one subscription holds, so arrays may be published messages.
    subscribed: bool,
    /// Replies the client has asked the server not to send.
    silence: request::Silence,
    /// Requests that ask for a reply, and replies.
    n_requests: u64,
    n_replies: u64,
    /// A PSYNC or SYNC that waits for its answer: nothing behind it is read.
    replication: Option<request::Replication>,
    /// Server offset behind the grant of a replication.
    granted_at: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        State {
            started: false,
            client: Reader::new(Side::Client, commands::words_wanted),
            server: Reader::new(Side::Server, |_| 2),
            dialog: Dialog::default(),
        }
    }
}

impl Protocol for Redis {
    fn name(&self) -> &'static str {
        "redis"
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
            return seek::probe_inside(&stretch.client, &stretch.server);
        }
        let server = reply_match(&stretch.server);
        match (request_match(&stretch.client), server) {
            (Match::No, _) | (_, Some(Match::No)) => Match::No,
            (Match::Yes, _) => Match::Yes,
            (Match::Maybe, _) if stretch.client.pieces.is_empty() => server.unwrap_or(Match::No),
            (Match::Maybe, _) => Match::Maybe,
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut state: State = carry.take();
        let joined_late = !state.started && !stretch.from_start;
        state.dialog.joined_late |= joined_late;
        state.started = true;
        state.client.resume(&stretch.client, joined_late);
        state.server.resume(&stretch.server, joined_late);
        let mut messages = Vec::new();
        let switch = state.read(stretch, &mut messages);
        Parsed {
            messages,
            client_consumed: state.client.position().min(stretch.client.end),
            server_consumed: state.server.position().min(stretch.server.end),
            switch,
            carry: Carry::of(state),
        }
    }
}

impl State {
    fn read(&mut self, stretch: &Stretch<'_>, messages: &mut Vec<Message>) -> Option<Switch> {
        loop {
            self.read_client(&stretch.client, messages);
            self.read_server(&stretch.server, messages);
            let waiting = self.dialog.replication?;
            if self.dialog.granted_at.is_none() && self.dialog.n_replies > waiting.n_replies_before
            {
                // Refused: the client goes on with commands.
                self.dialog.replication = None;
                continue;
            }
            let lost = stretch.client.end > waiting.end + HELD_MAX;
            let server_at = self.dialog.granted_at.or(lost.then_some(stretch.server.end))?;
            return Some(Switch { client_at: waiting.end, server_at, to: None, answered_as: None });
        }
    }

    fn read_client(&mut self, half: &Half<'_>, messages: &mut Vec<Message>) {
        while self.dialog.replication.is_none() {
            let Some(value) = self.client.next(half) else { return };
            messages.push(request::message(value, &mut self.dialog));
        }
    }

    fn read_server(&mut self, half: &Half<'_>, messages: &mut Vec<Message>) {
        while self.dialog.granted_at.is_none() {
            let n_replies = self.dialog.n_replies;
            match self.dialog.replication {
                Some(asked) if n_replies > asked.n_replies_before => return,
                Some(asked) if n_replies == asked.n_replies_before && asked.bare => {
                    self.dialog.granted_at = Some(self.server.position());
                    return;
                }
                _ => {}
            }
            let Some(value) = self.server.next(half) else { return };
            messages.push(reply::message(value, &mut self.dialog));
        }
    }
}

fn request_match(client: &Half<'_>) -> Match {
    let Some(piece) = client.pieces.first() else { return Match::Maybe };
    match (seek::judge(Side::Client, piece.bytes, true), piece.bytes.first()) {
        (Verdict::No, _) => Match::No,
        (Verdict::Yes, Some(b'*')) => Match::Yes,
        _ if piece.bytes.windows(6).any(|w| w == b" HTTP/") => Match::No,
        _ => Match::Maybe,
    }
}

fn reply_match(server: &Half<'_>) -> Option<Match> {
    let piece = server.pieces.first()?;
    Some(match seek::judge(Side::Server, piece.bytes, false) {
        Verdict::No => Match::No,
        _ => Match::Maybe,
    })
}

#[cfg(test)]
mod tests;
