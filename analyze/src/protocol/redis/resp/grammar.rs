//! What a line of RESP means where it stands: the nesting of values, kept on a bounded stack.
//! Never recursive, never touches the stream.

use crate::issue::Issue;
use crate::protocol::Side;

use super::super::seek;
use super::{Frame, KEPT_MAX, Kind, Reader, Value};

const DEPTH_MAX: usize = 64;
const BULK_MAX: u64 = 1 << 40;

impl Reader {
    /// Takes one line; a value that it completes.
    pub(super) fn token(&mut self, line: &[u8], start: u64) -> Result<Option<Value>, Issue> {
        match (self.side, line.split_first()) {
            (Side::Client, None) if self.value.is_none() => Ok(None),
            (Side::Client, Some((b'*', rest))) if self.value.is_none() => self.command(rest, start),
            (Side::Client, Some((b'$', rest))) if self.value.is_some() => self.bulk(b'$', rest),
            (Side::Client, Some(_)) if self.value.is_none() => self.inline(line, start),
            (Side::Server, Some((&kind, rest))) => self.reply(kind, rest, start),
            _ => Err(Issue::Malformed),
        }
    }

    fn command(&mut self, rest: &[u8], start: u64) -> Result<Option<Value>, Issue> {
        let Some(count) = length(rest)? else { return Ok(None) };
        if count > 0 {
            self.value = Some(Value { begin: start, kind: b'*', count, ..Value::default() });
            self.stack.push(Frame { remaining: count, kind: Kind::Counted });
        }
        Ok(None)
    }

    fn inline(&mut self, line: &[u8], start: u64) -> Result<Option<Value>, Issue> {
        if !seek::is_inline(line) {
            return Err(Issue::Malformed);
        }
        let words = line.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty());
        let mut items: Vec<Vec<u8>> = Vec::new();
        let mut count = 0;
        for word in words {
            count += 1;
            if items.len() < (self.wanted)(&items) {
                items.push(word[..word.len().min(KEPT_MAX)].to_vec());
            }
        }
        Ok(Some(Value { begin: start, end: self.position, count, items, ..Value::default() }))
    }

    fn reply(&mut self, kind: u8, rest: &[u8], start: u64) -> Result<Option<Value>, Issue> {
        let value = self.value.get_or_insert_with(|| Value { begin: start, ..Value::default() });
        if self.stack.is_empty() && kind != b'|' {
            value.kind = kind;
            value.line = rest[..rest.len().min(KEPT_MAX)].to_vec();
        }
        match kind {
            b'+' | b'-' | b',' | b'(' | b'#' | b'_' | b':' => {
                self.begin_element((kind == b'+').then_some(rest));
                self.note_integer(kind, rest);
                Ok(self.element_done())
            }
            b'$' | b'!' | b'=' | b';' => self.bulk(kind, rest),
            b'*' | b'%' | b'~' | b'>' | b'|' => self.aggregate(kind, rest),
            b'.' => match self.stack.pop() {
                Some(Frame { kind: Kind::Streamed, .. }) if rest.is_empty() => {
                    Ok(self.element_done())
                }
                _ => Err(Issue::Malformed),
            },
            _ => Err(Issue::Malformed),
        }
    }

    fn bulk(&mut self, kind: u8, rest: &[u8]) -> Result<Option<Value>, Issue> {
        if kind == b';' {
            return self.chunk(rest);
        }
        let kept = self.begin_element(Some(b"")) || (kind == b'!' && self.stack.is_empty());
        if rest == b"?" && self.side == Side::Server {
            return self.open(u64::MAX, Kind::Streamed).map(|()| None);
        }
        let Some(n) = length(rest)? else {
            return if self.side == Side::Server {
                Ok(self.element_done())
            } else {
                Err(Issue::Malformed)
            };
        };
        if kept && self.stack.is_empty() {
            self.value.iter_mut().for_each(|v| v.items.push(Vec::new()));
        }
        self.body_end = Some(self.position.saturating_add(n));
        self.keep_body = kept;
        Ok(None)
    }

    /// A streamed string's part; one of length 0 ends it.
    fn chunk(&mut self, rest: &[u8]) -> Result<Option<Value>, Issue> {
        let streamed = matches!(self.stack.last(), Some(Frame { kind: Kind::Streamed, .. }));
        match length(rest)? {
            Some(0) if streamed => {
                self.stack.pop();
                Ok(self.element_done())
            }
            Some(n) if streamed => {
                self.body_end = Some(self.position.saturating_add(n));
                Ok(None)
            }
            _ => Err(Issue::Malformed),
        }
    }

    fn aggregate(&mut self, kind: u8, rest: &[u8]) -> Result<Option<Value>, Issue> {
        if kind != b'|' {
            self.begin_element(None);
        }
        if rest == b"?" {
            return self.open(u64::MAX, Kind::Streamed).map(|()| None);
        }
        let Some(n) = length(rest)? else { return Ok(self.element_done()) };
        let n = if matches!(kind, b'%' | b'|') { n.saturating_mul(2) } else { n };
        if self.stack.is_empty() && kind != b'|' {
            self.value.iter_mut().for_each(|v| v.count = n);
        }
        match (n, kind) {
            (0, b'|') => Ok(None),
            (0, _) => Ok(self.element_done()),
            (_, b'|') => self.open(n, Kind::Attribute).map(|()| None),
            _ => self.open(n, Kind::Counted).map(|()| None),
        }
    }

    fn open(&mut self, remaining: u64, kind: Kind) -> Result<(), Issue> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Issue::LimitExceeded);
        }
        self.stack.push(Frame { remaining, kind });
        Ok(())
    }

    /// A direct element of the value begins: whether its bytes are kept.
    fn begin_element(&mut self, text: Option<&[u8]>) -> bool {
        let direct = matches!(&self.stack[..], [Frame { kind: Kind::Counted, .. }]);
        let Some(value) = self.value.as_mut().filter(|_| direct) else { return false };
        value.last_integer = None;
        let kept = value.items.len() < (self.wanted)(&value.items);
        if kept {
            let text = text.unwrap_or_default();
            value.items.push(text[..text.len().min(KEPT_MAX)].to_vec());
        }
        kept && text.is_some()
    }

    fn note_integer(&mut self, kind: u8, rest: &[u8]) {
        if let (Some(value), 1, b':') = (&mut self.value, self.stack.len(), kind) {
            value.last_integer = length(rest).ok().flatten();
        }
    }

    /// An element ended, and with it perhaps aggregates around it, and perhaps the value.
    pub(super) fn element_done(&mut self) -> Option<Value> {
        while let Some(frame) = self.stack.last_mut() {
            if frame.kind == Kind::Streamed {
                return None;
            }
            frame.remaining -= 1;
            if frame.remaining > 0 {
                return None;
            }
            let attribute = frame.kind == Kind::Attribute;
            self.stack.pop();
            if attribute {
                return None;
            }
        }
        let mut value = self.value.take()?;
        value.end = self.position;
        Some(value)
    }
}

/// A length or count; `None`: −1, RESP2's null.
fn length(digits: &[u8]) -> Result<Option<u64>, Issue> {
    if digits == b"-1" {
        return Ok(None);
    }
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Issue::Malformed);
    }
    let n = digits.iter().fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
    if n > BULK_MAX { Err(Issue::LimitExceeded) } else { Ok(Some(n)) }
}
