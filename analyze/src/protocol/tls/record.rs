//! Records and the handshake messages in them. Never decrypts; never gathers more than one hello.

use std::borrow::Cow;

use super::super::Half;

/// Longest record (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MAX_RECORD: usize = (16 << 10) + 2_048;
/// A hello longer than this is read so far and no further.
const MAX_HELLO: usize = 64 << 10;
pub(super) const HEADER: u64 = 5;

/// Record types.
pub(super) mod kind {
    pub(in super::super) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in super::super) const ALERT: u8 = 21;
    pub(in super::super) const HANDSHAKE: u8 = 22;
    pub(in super::super) const DATA: u8 = 23;
}

/// A record's header and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: u8,
    /// Length of its content.
    pub(super) length: usize,
    pub(super) begin: u64,
}

impl Record {
    /// Stream offset after it.
    pub(super) fn end(&self) -> u64 {
        self.begin + HEADER + self.length as u64
    }

    /// Its content as far as captured.
    pub(super) fn content<'a>(&self, half: &Half<'a>) -> &'a [u8] {
        let known = half.at(self.begin + HEADER);
        &known[..known.len().min(self.length)]
    }

    /// Whether more of its content may come than [`Record::content`] gives.
    pub(super) fn is_growing(&self, half: &Half<'_>) -> bool {
        self.content(half).len() < self.length && !half.cut_after(self.begin + HEADER)
    }
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Record(Record),
    /// More bytes will tell.
    Wait,
    /// No record, or one whose header was not captured.
    Lost,
}

/// The record at `begin`.
pub(super) fn at(half: &Half<'_>, begin: u64) -> Next {
    let bytes = half.at(begin);
    let [kind, major, minor, high, low, ..] = *bytes else {
        let ends_here = bytes.is_empty() && begin >= half.end;
        let cut = if ends_here { half.last } else { half.cut_after(begin) };
        return if cut { Next::Lost } else { Next::Wait };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let plausible = (kind::CHANGE_CIPHER_SPEC..=kind::DATA).contains(&kind)
        && major == 3
        && minor <= 4
        && length <= MAX_RECORD;
    if plausible { Next::Record(Record { kind, length, begin }) } else { Next::Lost }
}

/// A handshake message and the end of the record that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shake<'a> {
    /// Type, length and content, as far as captured.
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) end: u64,
    /// Nothing of it is missing.
    pub(super) whole: bool,
}

/// What came of gathering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gathered<'a> {
    Shake(Shake<'a>),
    Wait,
    Lost,
}

/// The first handshake message of the record at `begin`, which may go on in the next ones (RFC 8446 §5.1).
pub(super) fn gather<'a>(half: &Half<'a>, begin: u64) -> Gathered<'a> {
    let mut bytes: Cow<'a, [u8]> = Cow::Borrowed(&[]);
    let mut end = begin;
    loop {
        let record = match at(half, end) {
            Next::Record(record) if record.kind == kind::HANDSHAKE => record,
            Next::Wait => return Gathered::Wait,
            _ if bytes.is_empty() => return Gathered::Lost,
            _ => return Gathered::Shake(Shake { bytes, end, whole: false }),
        };
        let content = record.content(half);
        let announced = announced(&bytes, content);
        let enough = announced.is_some_and(|n| bytes.len() + content.len() >= n);
        if record.is_growing(half) && !enough {
            return Gathered::Wait;
        }
        if bytes.is_empty() {
            bytes = Cow::Borrowed(content);
        } else {
            bytes.to_mut().extend_from_slice(content);
        }
        end = record.end();
        let over = content.len() < record.length || record.length == 0 || bytes.len() >= MAX_HELLO;
        if over || enough {
            return Gathered::Shake(Shake { bytes, end, whole: enough });
        }
    }
}

/// The length the message announces, its own header included.
fn announced(gathered: &[u8], next: &[u8]) -> Option<usize> {
    let mut header = gathered.iter().chain(next).skip(1).take(3).map(|&b| usize::from(b));
    let (high, middle, low) = (header.next()?, header.next()?, header.next()?);
    Some(4 + ((high << 16) | (middle << 8) | low))
}
