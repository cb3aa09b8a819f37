//! HTTP/2 (RFC 9113, HPACK: RFC 7541), with and without an upgrade, and gRPC in it: streams side by side, joined in the middle of a connection too. Never
//! holds a body, never decodes one.
//!
//! Request type = `:method`, resource = `:path`, host = `:authority`, status = `:status`, version = `2`. A message passes in parts, one
//! correlation a stream: head, items (gRPC's messages, see `grpc`), stalls, end, which `pair` puts together. Attributes: those of
//! http1; `reset` (the error code's name; it is the status too, where nothing was answered before), `window_stalls` and
//! `window_stalled_ns` (how often and how long its sender stood because it had used up the receiver's window), `messages_missed`.
//! `GOAWAY` and what a server promises unasked (`promised_stream`) are one-way. An entry of HPACK's table that was inserted before
//! the capture began has no text: a path is then called `h2:path?#17`, the same for all requests that name this entry (several numbers:
//! one of these entries is the path; `#2.17`: entries were lost twice since), and `join` names it where any other point knew it.

use super::{Carry, Half, Match, Message, Parsed, Protocol, Side, Stretch, Transport};
use frame::{Frame, HEAD, PREFACE};
use reader::Reader;

mod frame;
mod head;
mod hpack;
mod huffman;
mod reader;
mod search;
mod window;

pub use head::is_placeholder;

/// The protocol.
pub struct Http2;

struct Talk {
    client: Reader,
    server: Reader,
}

impl Default for Talk {
    fn default() -> Self {
        Talk { client: Reader::new(Side::Client), server: Reader::new(Side::Server) }
    }
}

impl Protocol for Http2 {
    fn name(&self) -> &'static str {
        "http2"
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
        let client = begins(&stretch.client, |bytes| match bytes.starts_with(PREFACE) {
            true => Match::Yes,
            false if PREFACE.starts_with(bytes) => Match::Maybe,
            false => Match::No,
        });
        let server = begins(&stretch.server, |bytes| match Frame::read(bytes) {
            Some(frame)
                if frame.kind == frame::SETTINGS && frame.is_likely() && frame.flags == 0 =>
            {
                Match::Yes
            }
            Some(_) => Match::No,
            None => Match::Maybe,
        });
        match (client, server) {
            (Match::No, _) | (_, Match::No) => Match::No,
            (client, server) => client.max(server),
        }
    }

    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed {
        let mut talk: Talk = carry.take();
        let messages = talk.read(stretch);
        Parsed {
            messages,
            client_consumed: talk.client.position,
            server_consumed: talk.server.position,
            carry: Carry::of(talk),
            switch: None,
        }
    }
}

/// How a half begins; what is not seen says nothing.
fn begins(half: &Half<'_>, look: impl Fn(&[u8]) -> Match) -> Match {
    match half.pieces.first().filter(|piece| piece.offset == half.start) {
        Some(piece) => look(piece.bytes),
        None => Match::Maybe,
    }
}

/// Frames anywhere; who is client shows in the first head. Frames alone are the same in both directions.
fn probe_inside(stretch: &Stretch<'_>) -> Match {
    let mut talk = Talk::default();
    talk.read(stretch);
    let has = |is_so: fn(&Reader) -> bool| is_so(&talk.client) || is_so(&talk.server);
    if has(|reader| reader.is_others) || !has(Reader::is_found) {
        return Match::No;
    }
    let is_framed = |half: &Half<'_>| half.pieces.iter().any(|piece| piece.bytes.len() >= HEAD);
    match has(|reader| reader.is_own) {
        true => Match::Yes,
        false if is_framed(&stretch.client) || is_framed(&stretch.server) => Match::Maybe,
        false => Match::No,
    }
}

impl Talk {
    fn read(&mut self, stretch: &Stretch<'_>) -> Vec<Message> {
        let mut messages = Vec::new();
        self.client.read(stretch, &mut messages);
        self.server.read(stretch, &mut messages);
        let n_before = messages.len();
        self.client.stalls(&mut self.server.granted, &mut messages);
        self.server.stalls(&mut self.client.granted, &mut messages);
        if messages.len() > n_before {
            messages.sort_by_key(|message| (message.from, message.end));
        }
        messages
    }
}

#[cfg(test)]
mod tests;
