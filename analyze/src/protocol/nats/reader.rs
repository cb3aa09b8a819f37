//! The lines of one half and what follows them, payloads skipped by length across gaps. Never waits for more than a payload.

use super::line::{self, Begins, Line};
use crate::issue::Issue;
use crate::protocol::{Half, Side};

/// A longer payload is not waited for: when its last byte passed stays unknown.
const MAX_WAIT: u64 = 16 << 20;

/// A line with what follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) line: Line<'a>,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The bytes behind the line, as far as they are known.
    pub(super) body: &'a [u8],
    pub(super) issue: Option<Issue>,
}

/// Where a half stands.
pub(super) struct Reader {
    side: Side,
    position: u64,
    /// Nobody knows where the next line begins; at a boundary, maybe here.
    is_lost: bool,
    at_boundary: bool,
    /// What is doubtful of what comes next.
    doubt: Option<Issue>,
}

impl Reader {
    pub(super) fn new(side: Side) -> Reader {
        Reader { side, position: 0, is_lost: false, at_boundary: true, doubt: None }
    }

    /// The half was joined in its middle.
    pub(super) fn joined_late(&mut self, start: u64) {
        (self.position, self.is_lost) = (start, true);
        self.doubt = Some(Issue::MissedStart);
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn next<'a>(&mut self, half: &Half<'a>) -> Option<Item<'a>> {
        loop {
            if self.is_lost && !self.seek(half) {
                return None;
            }
            let (begin, bytes) = (self.position, half.at(self.position));
            if bytes.is_empty() {
                if begin >= half.end {
                    return None;
                }
                self.lose(Issue::HeadCut, true);
                continue;
            }
            match line::read(self.side, bytes) {
                Begins::Line(line, length) => {
                    let payload = match line {
                        Line::Message(message) => message.length + 2,
                        _ => 0,
                    };
                    let body_at = begin + length as u64;
                    let end = body_at + payload;
                    if end > half.end && !half.last && payload <= MAX_WAIT {
                        return None;
                    }
                    if payload > 0 && !ends_a_line(half.at(end - 2)) {
                        self.lose(Issue::Malformed, false);
                        continue;
                    }
                    self.position = end;
                    let cut = (end > half.end).then_some(Issue::Truncated);
                    let body = half.at(body_at);
                    let body = &body[..body.len().min(payload.saturating_sub(2) as usize)];
                    return Some(Item { line, begin, end, body, issue: self.doubt.take().or(cut) });
                }
                Begins::More if !half.cut_after(begin) => return None,
                Begins::More => {
                    self.position += bytes.len() as u64;
                    self.lose(Issue::HeadCut, true);
                }
                Begins::No => self.lose(Issue::Malformed, false),
            }
        }
    }

    fn lose(&mut self, why: Issue, at_boundary: bool) {
        (self.is_lost, self.at_boundary) = (true, at_boundary);
        self.doubt.get_or_insert(why);
    }

    /// Goes to where a line begins; false: more bytes are needed.
    fn seek(&mut self, half: &Half<'_>) -> bool {
        loop {
            let bytes = half.at(self.position);
            if bytes.is_empty() {
                if self.position >= half.end {
                    return false;
                }
                self.position =
                    half.next_known(self.position).map_or(half.end, |at| at.min(half.end));
                self.at_boundary = true;
                continue;
            }
            let is_cut = half.cut_after(self.position);
            if self.at_boundary {
                match line::read(self.side, bytes) {
                    Begins::Line(..) => {
                        self.is_lost = false;
                        return true;
                    }
                    Begins::More if !is_cut => return false,
                    _ => self.at_boundary = false,
                }
            }
            match bytes.windows(2).position(|two| two == b"\r\n") {
                Some(at) => {
                    self.position += at as u64 + 2;
                    self.at_boundary = true;
                }
                // The line's end may be cut in two.
                None if bytes.ends_with(b"\r") && !is_cut => {
                    self.position += bytes.len() as u64 - 1;
                    return false;
                }
                None => self.position += bytes.len() as u64,
            }
        }
    }
}

/// Whether what is known of the two bytes behind a payload is their line's end.
fn ends_a_line(bytes: &[u8]) -> bool {
    b"\r\n".iter().zip(bytes).all(|(expected, found)| expected == found)
}
