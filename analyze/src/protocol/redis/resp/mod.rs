//! RESP values off one half, a token at a time: what is inside a value lives in the reader, so a value of any size may
//! arrive in any number of stretches, and bulk bodies are passed by length, through gaps too.
//! Never recursive, never holds a body, never allocates for a count or length that the wire announces.
//!
//! Source: RESP specification (redis.io "Redis serialization protocol specification") and the RESP3 draft
//! (github.com/redis/redis-specifications, "Streamed strings", "Streamed aggregated data types", "Attribute type").

use crate::issue::Issue;
use crate::protocol::{Half, Side};

use super::seek;

mod grammar;

/// Redis itself refuses inline requests above 64 KiB (PROTO_INLINE_MAX_SIZE).
const LINE_MAX: usize = 64 * 1024;
const KEPT_MAX: usize = 1024;

/// One top-level value with the few parts of it that a message needs.
#[derive(Debug, Default)]
pub(super) struct Value {
    pub(super) begin: u64,
    pub(super) end: u64,
    /// RESP type byte; 0 for an inline command.
    pub(super) kind: u8,
    /// First line without its type byte, at most 1,024 bytes.
    pub(super) line: Vec<u8>,
    /// Elements announced, of an aggregate.
    pub(super) count: u64,
    /// The first few elements, at most 1,024 bytes each, empty where not a string.
    pub(super) items: Vec<Vec<u8>>,
    /// The last direct element's number, if it was one.
    pub(super) last_integer: Option<u64>,
    pub(super) issues: Vec<Issue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counted,
    /// RESP3 attribute: precedes a value, is none itself.
    Attribute,
    /// RESP3 aggregate or string of unknown length.
    Streamed,
}

#[derive(Debug)]
struct Frame {
    remaining: u64,
    kind: Kind,
}

/// Where the reading of one half stands.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    /// How many leading elements to keep, given those known.
    wanted: fn(&[Vec<u8>]) -> usize,
    position: u64,
    value: Option<Value>,
    stack: Vec<Frame>,
    /// End of the bulk being passed, before its CR LF.
    body_end: Option<u64>,
    keep_body: bool,
    /// In search of a value's beginning; `Some(true)`: the very next byte may be one.
    seeking: Option<bool>,
}

enum Line<'a> {
    Whole(&'a [u8]),
    Wait,
    Cut,
    Bad,
}

impl Reader {
    pub(super) fn new(side: Side, wanted: fn(&[Vec<u8>]) -> usize) -> Self {
        Reader {
            side,
            wanted,
            position: 0,
            value: None,
            stack: Vec::new(),
            body_end: None,
            keep_body: false,
            seeking: None,
        }
    }

    /// Takes up a new stretch; `joined_late`: its first byte may lie inside a value.
    pub(super) fn resume(&mut self, half: &Half<'_>, joined_late: bool) {
        self.position = self.position.max(half.start);
        if joined_late {
            self.seeking = Some(true);
        }
    }

    /// Bytes before this offset are done with.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next whole value, or broken one with its issue; `None`: nothing more in this stretch.
    pub(super) fn next(&mut self, half: &Half<'_>) -> Option<Value> {
        loop {
            if self.seeking.is_some() && !self.seek(half) {
                return None;
            }
            if self.body_end.is_some() {
                let done = match self.pass_body(half) {
                    Ok(true) => self.element_done(),
                    Ok(false) => return self.wait(half),
                    Err(issue) => self.abandon(issue, self.position),
                };
                if done.is_some() {
                    return done;
                }
                continue;
            }
            let start = self.position;
            let done = match self.line(half) {
                Line::Whole(line) => {
                    self.position += line.len() as u64 + 2;
                    self.token(line, start).unwrap_or_else(|issue| self.abandon(issue, start))
                }
                Line::Wait => return self.wait(half),
                Line::Cut => self.gap(half),
                Line::Bad => self.abandon(Issue::Malformed, start),
            };
            if done.is_some() {
                return done;
            }
        }
    }

    fn line<'a>(&self, half: &Half<'a>) -> Line<'a> {
        let bytes = half.at(self.position);
        let window = &bytes[..bytes.len().min(LINE_MAX)];
        match window.iter().position(|&b| b == b'\n') {
            Some(n) if n > 0 && window[n - 1] == b'\r' => Line::Whole(&window[..n - 1]),
            Some(_) => Line::Bad,
            None if window.len() == LINE_MAX => Line::Bad,
            None if self.position + (bytes.len() as u64) < half.end => Line::Cut,
            None => Line::Wait,
        }
    }

    /// A head is incomplete at the end of what is there: kept for later, unless nothing follows.
    fn wait(&mut self, half: &Half<'_>) -> Option<Value> {
        if !half.last {
            return None;
        }
        let begun = self.value.take().or_else(|| {
            let partial = self.position < half.end;
            partial.then(|| Value { begin: self.position, ..Value::default() })
        });
        let announced = self.body_end.map_or(0, |end| end + 2);
        self.position = half.end;
        self.forget();
        begun.map(|value| broken(value, Issue::Truncated, announced.max(half.end)))
    }

    /// A gap swallows a head: what was begun ends here, and the search goes on behind it.
    fn gap(&mut self, half: &Half<'_>) -> Option<Value> {
        let at = self.position + half.at(self.position).len() as u64;
        let partial = at > self.position && self.value.is_none();
        if partial {
            self.value = Some(Value { begin: self.position, ..Value::default() });
        }
        self.position = at;
        let value = self.abandon(Issue::HeadCut, at);
        self.position = half.next_known(at).unwrap_or(half.end);
        self.seeking = Some(true);
        value
    }

    /// Gives up the value being read, if any, and searches for the next from `at`.
    fn abandon(&mut self, issue: Issue, at: u64) -> Option<Value> {
        let value = self.value.take();
        self.forget();
        // Inside a value the offending token may begin the next one; where a value begins it can't, or we'd stay here.
        let nested = value.as_ref().is_some_and(|value| value.begin < at);
        self.position = at;
        self.seeking = Some(nested);
        value.map(|value| broken(value, issue, at))
    }

    fn forget(&mut self) {
        self.value = None;
        self.stack.clear();
        self.body_end = None;
        self.keep_body = false;
    }

    fn seek(&mut self, half: &Half<'_>) -> bool {
        let boundary = self.seeking == Some(true);
        let (position, found) = seek::next_value(half, self.side, self.position, boundary);
        self.position = position;
        match found {
            seek::Found::Value => self.seeking = None,
            seek::Found::Nothing { boundary } => self.seeking = Some(boundary),
        }
        self.seeking.is_none()
    }

    /// Passes a bulk's body and its CR LF, keeping its first bytes if wanted. `false`: it goes on in the next stretch.
    fn pass_body(&mut self, half: &Half<'_>) -> Result<bool, Issue> {
        let Some(end) = self.body_end else { return Ok(true) };
        while self.keep_body && self.position < end && self.position < half.end {
            self.keep(half.at(self.position), end);
        }
        self.position = self.position.max(end.min(half.end));
        if self.position < end {
            return Ok(false);
        }
        let tail = half.at(end);
        let tail = &tail[..tail.len().min(2)];
        if !b"\r\n".starts_with(tail) {
            return Err(Issue::Malformed);
        }
        if half.end < end + 2 {
            return Ok(false);
        }
        self.position = end + 2;
        self.body_end = None;
        self.keep_body = false;
        Ok(true)
    }

    fn keep(&mut self, bytes: &[u8], end: u64) {
        let Some(value) = &mut self.value else { return };
        let Some(item) = value.items.last_mut() else { return };
        if bytes.is_empty() {
            value.issues.push(Issue::HeadCut);
            self.keep_body = false;
            return;
        }
        let room = (KEPT_MAX - item.len()) as u64;
        let n = room.min(end - self.position).min(bytes.len() as u64);
        item.extend_from_slice(&bytes[..n as usize]);
        self.position += n;
        self.keep_body = n < room;
    }
}

fn broken(mut value: Value, issue: Issue, end: u64) -> Value {
    value.end = end.max(value.begin);
    if !value.issues.contains(&issue) {
        value.issues.push(issue);
    }
    value
}
