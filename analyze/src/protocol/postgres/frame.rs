//! PostgreSQL's messages off one half: a type byte and a length, or at the start an untyped packet. A body of any size
//! passes by its length, through gaps too; only its first bytes are kept, and only of the types that are read.
//! Never says what a message means to the dialog.
//!
//! Source: PostgreSQL documentation, 54.7 "Message Formats".

use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::{Half, Side};

/// `kind` of an untyped packet: start-up, cancel and encryption requests.
pub(super) const OPENING: u8 = 0;
/// `kind` of the server's one-byte answer to an encryption request, which is its `head`.
pub(super) const ANSWER: u8 = 1;

const LENGTH_MAX: u32 = 1 << 30;
const OPENING_MAX: u32 = 10_000;
/// How far behind a presumed message the next one is looked for.
const CHAIN_MAX: usize = 64 * 1024;

/// One message.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The first bytes of the body.
    pub(super) head: Vec<u8>,
    pub(super) issues: Vec<Issue>,
}

/// What reading came to.
pub(super) enum Event {
    Frame(Frame),
    /// Messages are missing from here on: how many is unknown.
    Lost(Issue, u64),
}

/// Where the reading of one half stands.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    position: u64,
    frame: Option<Frame>,
    /// Bytes of the body still to keep.
    wanted: usize,
    /// Untyped packets (client) or one-byte answers (server) may come.
    opening: bool,
    /// Requests for encryption without an answer: what follows may be ciphertext.
    n_negotiating: u32,
    /// Copy data are not read: they may belong to a replication.
    pub(super) stops_at_copy: bool,
    seeking: bool,
}

impl Reader {
    pub(super) fn new(side: Side) -> Self {
        Reader {
            side,
            position: 0,
            frame: None,
            wanted: 0,
            opening: true,
            n_negotiating: 0,
            stops_at_copy: false,
            seeking: false,
        }
    }

    /// Takes up a new stretch; `joined_late`: its first byte may lie inside a message.
    pub(super) fn resume(&mut self, half: &Half<'_>, joined_late: bool) {
        self.position = self.position.max(half.start);
        if joined_late {
            (self.seeking, self.opening) = (true, false);
        }
    }

    /// Bytes before this offset are done with.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the client's next bytes wait for the server's answer.
    pub(super) fn waits(&self, half: &Half<'_>) -> bool {
        ((self.opening && self.n_negotiating > 0) || self.stops_at_copy)
            && !half.at(self.position).is_empty()
    }

    /// One request for encryption was refused.
    pub(super) fn stays_plain(&mut self) {
        self.n_negotiating = self.n_negotiating.saturating_sub(1);
    }

    /// The next message; `None`: nothing more in this stretch.
    pub(super) fn next(&mut self, half: &Half<'_>) -> Option<Event> {
        if self.seeking && !self.seek(half) {
            return None;
        }
        if self.frame.is_none() {
            let bytes = half.at(self.position);
            match self.head(bytes) {
                Head::Frame(frame, wanted, skipped) => {
                    self.position += skipped;
                    (self.frame, self.wanted) = (Some(frame), wanted);
                }
                Head::Held => return None,
                Head::Bad => {
                    self.position += 1;
                    return Some(self.lose(Issue::Malformed, self.position - 1));
                }
                Head::Short => {
                    let known_to = self.position + bytes.len() as u64;
                    if known_to < half.end {
                        self.position = half.next_known(known_to).unwrap_or(half.end);
                        return Some(self.lose(Issue::HeadCut, known_to));
                    }
                    if half.last {
                        self.position = half.end;
                    }
                    return None;
                }
            }
        }
        self.pass_body(half).map(Event::Frame)
    }

    fn lose(&mut self, issue: Issue, at: u64) -> Event {
        (self.seeking, self.opening) = (true, false);
        Event::Lost(issue, at)
    }

    fn head(&mut self, bytes: &[u8]) -> Head {
        let Some(&first) = bytes.first() else { return Head::Short };
        if self.opening && self.side == Side::Server {
            if matches!(first, b'S' | b'N' | b'G') {
                let mut frame = self.frame_of(ANSWER, 1);
                frame.head.push(first);
                return Head::Frame(frame, 0, 1);
            }
            self.opening = false;
        }
        if self.opening {
            return self.opening_head(bytes);
        }
        let mut cursor = Cursor::new(bytes);
        let (Some(kind), Some(length)) = (cursor.u8(), cursor.u32_be()) else {
            return if can_be(self.side, first) { Head::Short } else { Head::Bad };
        };
        if !plausible(self.side, kind, length) {
            return Head::Bad;
        }
        if self.stops_at_copy && kind == b'd' {
            return Head::Held;
        }
        Head::Frame(self.frame_of(kind, 1 + u64::from(length)), wanted(self.side, kind), 5)
    }

    fn opening_head(&mut self, bytes: &[u8]) -> Head {
        let mut cursor = Cursor::new(bytes);
        let (length, code) = (cursor.u32_be(), cursor.u32_be());
        match (length, code) {
            (Some(length), Some(code)) if opens(length, code) => {
                self.opening = matches!(code, SSL_REQUEST | GSS_REQUEST);
                self.n_negotiating = self.n_negotiating.saturating_add(u32::from(self.opening));
                Head::Frame(self.frame_of(OPENING, u64::from(length)), 2048, 4)
            }
            _ if self.n_negotiating > 0 && bytes[0] != 0 => Head::Held,
            (_, None) => Head::Short,
            _ if self.n_negotiating > 0 => Head::Held,
            _ => Head::Bad,
        }
    }

    fn frame_of(&self, kind: u8, length: u64) -> Frame {
        let begin = self.position;
        Frame { kind, begin, end: begin + length, head: Vec::new(), issues: Vec::new() }
    }

    fn pass_body(&mut self, half: &Half<'_>) -> Option<Frame> {
        let frame = self.frame.as_mut()?;
        while self.wanted > 0 && self.position < frame.end && self.position < half.end {
            let bytes = half.at(self.position);
            let left = (frame.end - self.position).min(bytes.len() as u64) as usize;
            let n = left.min(self.wanted);
            if n == 0 {
                frame.issues.push(Issue::HeadCut);
                self.wanted = 0;
            } else {
                frame.head.extend_from_slice(&bytes[..n]);
                self.wanted -= n;
                self.position += n as u64;
            }
        }
        self.position = self.position.max(frame.end.min(half.end));
        if self.position < frame.end {
            if !half.last {
                return None;
            }
            frame.issues.push(Issue::Truncated);
        }
        self.frame.take()
    }

    /// Goes on to where a message seems to begin and another follows it.
    fn seek(&mut self, half: &Half<'_>) -> bool {
        loop {
            let bytes = half.at(self.position);
            if bytes.is_empty() {
                if self.position >= half.end {
                    return false;
                }
                self.position = half.next_known(self.position).unwrap_or(half.end);
                continue;
            }
            let cut = half.cut_after(self.position);
            for at in (0..bytes.len()).filter(|&at| can_be(self.side, bytes[at])) {
                match chained(self.side, &bytes[at..]) {
                    Chain::Yes => {
                        self.position += at as u64;
                        self.seeking = false;
                        return true;
                    }
                    Chain::TooShort { exact } if cut && exact => {
                        self.position += at as u64;
                        self.seeking = false;
                        return true;
                    }
                    Chain::TooShort { .. } if !cut => {
                        self.position += at as u64;
                        return false;
                    }
                    _ => {}
                }
            }
            self.position += bytes.len() as u64;
        }
    }
}

enum Head {
    /// A frame, how much of its body to keep, and how many bytes come before that body.
    Frame(Frame, usize, u64),
    /// Not to be read before the other half has spoken.
    Held,
    Short,
    Bad,
}

pub(super) const CANCEL_REQUEST: u32 = 80_877_102;
pub(super) const SSL_REQUEST: u32 = 80_877_103;
pub(super) const GSS_REQUEST: u32 = 80_877_104;

/// Whether a length and a code open a conversation: one of the requests, or a start-up of protocol 3.x.
pub(super) fn opens(length: u32, code: u32) -> bool {
    let request = matches!(code, CANCEL_REQUEST | SSL_REQUEST | GSS_REQUEST);
    (8..=OPENING_MAX).contains(&length) && (request || (code >> 16 == 3 && code & 0xffff < 10))
}

/// How sure it is that bytes begin a message.
pub(super) enum Chain {
    Yes,
    No,
    /// So far; `exact`: one message ends exactly with the bytes.
    TooShort {
        exact: bool,
    },
}

/// Whether `bytes` begin with a message that another follows.
pub(super) fn chained(side: Side, bytes: &[u8]) -> Chain {
    let head = |bytes: &[u8]| {
        let mut cursor = Cursor::new(bytes);
        cursor.u8().zip(cursor.u32_be())
    };
    let Some((kind, length)) = head(bytes) else {
        let possible = bytes.first().is_none_or(|&kind| can_be(side, kind));
        return if possible { Chain::TooShort { exact: false } } else { Chain::No };
    };
    let next = length as usize + 1;
    if !plausible(side, kind, length) || next > CHAIN_MAX {
        return Chain::No;
    }
    match bytes.get(next..).map(|rest| (rest, head(rest))) {
        Some((_, Some((kind, length)))) if plausible(side, kind, length) => Chain::Yes,
        Some((_, Some(_))) => Chain::No,
        Some((rest, None)) => Chain::TooShort { exact: rest.is_empty() },
        None => Chain::TooShort { exact: false },
    }
}

fn can_be(side: Side, kind: u8) -> bool {
    lengths(side, kind).is_some()
}

fn plausible(side: Side, kind: u8, length: u32) -> bool {
    lengths(side, kind).is_some_and(|(least, most)| (least..=most).contains(&length))
}

/// Least and greatest length of a message, which counts itself but not the type.
fn lengths(side: Side, kind: u8) -> Option<(u32, u32)> {
    let open = |least| Some((least, LENGTH_MAX));
    match (side, kind) {
        (Side::Client, b'S' | b'H' | b'X') | (_, b'c') => Some((4, 4)),
        (Side::Client, b'Q' | b'f') => open(5),
        (Side::Client, b'P') => open(8),
        (Side::Client, b'B') => open(12),
        (Side::Client, b'D' | b'C') => open(6),
        (Side::Client, b'E') => open(9),
        (Side::Client, b'F') => open(14),
        (Side::Client, b'p') => Some((4, 1 << 20)),
        (_, b'd') => open(4),
        (Side::Server, b'1' | b'2' | b'3' | b'n' | b's' | b'I') => Some((4, 4)),
        (Side::Server, b'Z') => Some((5, 5)),
        (Side::Server, b'C') => Some((5, 1024)),
        (Side::Server, b'E' | b'N') => open(5),
        (Side::Server, b'R' | b'V') => open(8),
        (Side::Server, b'K') => Some((12, 512)),
        (Side::Server, b'T' | b'D' | b't' | b'S') => open(6),
        (Side::Server, b'G' | b'H' | b'W') => open(7),
        (Side::Server, b'A') => open(10),
        (Side::Server, b'v') => open(12),
        _ => None,
    }
}

fn wanted(side: Side, kind: u8) -> usize {
    match (side, kind) {
        (Side::Client, b'Q' | b'P') => 16 * 1024,
        (Side::Client, b'B' | b'D' | b'C' | b'E') => 512,
        (Side::Server, b'E') => 2048,
        (Side::Server, b'A') => 256,
        (Side::Server, b'C') => 64,
        (Side::Server, b'R') => 4,
        _ => 0,
    }
}
