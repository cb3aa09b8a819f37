//! Bodies: how long a message's body is, the walk along chunks, and gRPC-Web's frames inside. Never keeps a byte of them but a status.

use super::super::{Half, Message, grpc};
use super::Asked;
use super::head::{Head, Start};
use crate::issue::Issue;

/// A chunk's size line, or a trailer field, longer than this is not followed.
const MAX_LINE: usize = 8 << 10;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After its last chunk.
    Chunked,
    /// With the connection, as announced.
    UntilClose,
    /// With the connection if the peer keeps to the RFC; with the next head if it doesn't.
    Unknown,
}

/// RFC 9112 §6.3; `asked` is the request's, for a response. With it the doubt about contradicting lengths.
pub(super) fn framing(head: &Head<'_>, asked: Asked) -> (Framing, Option<Issue>) {
    let is_response = match head.start {
        Start::Status(100..200 | 204 | 304) => return (Framing::Length(0), None),
        Start::Status(_) if asked == Asked::Head => return (Framing::Length(0), None),
        Start::Status(_) => true,
        Start::Request { .. } => false,
    };
    let unframed = match head.closes() {
        _ if !is_response => Framing::Length(0),
        true => Framing::UntilClose,
        false => Framing::Unknown,
    };
    if let Some(codings) = head.values("transfer-encoding").last() {
        let last = codings.rsplit(|&b| b == b',').next().unwrap_or_default().trim_ascii();
        let chunked = last.eq_ignore_ascii_case(b"chunked");
        return (if chunked { Framing::Chunked } else { unframed }, None);
    }
    match content_length(head) {
        Ok(Some(length)) => (Framing::Length(length), None),
        Ok(None) => (unframed, None),
        Err(Contradiction(Some(length))) => (Framing::Length(length), Some(Issue::Malformed)),
        Err(Contradiction(None)) => (unframed, Some(Issue::Malformed)),
    }
}

/// Lengths that differ, with the first one; or no number at all.
struct Contradiction(Option<u64>);

fn content_length(head: &Head<'_>) -> Result<Option<u64>, Contradiction> {
    let mut lengths = head.values("content-length").flat_map(|v| v.split(|&b| b == b','));
    let Some(first) = lengths.next() else { return Ok(None) };
    let first = number(first.trim_ascii(), 10);
    match first {
        Some(_) if lengths.all(|l| number(l.trim_ascii(), 10) == first) => Ok(first),
        _ => Err(Contradiction(first)),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` takes a sign, the wire doesn't.
    let unsigned = !digits.starts_with('+');
    unsigned.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// Where in a chunked body (RFC 9112 §7.1) the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before a size line.
    Size,
    /// So many bytes before the next size line, the chunk's CRLF included.
    Data(u64),
    /// Before a trailer field or the last empty line.
    Trailers,
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// The body is over.
    Over,
    /// More bytes are needed.
    Stuck,
    /// No size line where one belongs: the body's end can't be known.
    Lost(Issue),
}

/// What a body holds, if it is looked at.
#[derive(Default)]
pub(super) struct Inside(Option<Box<(grpc::Body, u64)>>);

impl Inside {
    pub(super) fn of(head: &Head<'_>) -> Inside {
        let framing = head.values("content-type").next().and_then(grpc::framing);
        Inside(framing.map(|framing| Box::new((grpc::Body::new(framing), 0))))
    }

    /// The body's bytes between two offsets pass.
    pub(super) fn pass(&mut self, half: &Half<'_>, mut from: u64, to: u64) {
        let Some((body, n)) = self.0.as_deref_mut() else { return };
        while from < to {
            let known = half.at(from);
            let known = &known[..known.len().min((to - from) as usize)];
            if known.is_empty() {
                let next = half.next_known(from).map_or(to, |next| next.min(to));
                body.skip(next - from);
                from = next;
            } else {
                body.feed(known, |_| *n += 1);
                from += known.len() as u64;
            }
        }
    }

    /// What it held, told in its message.
    pub(super) fn tell(self, message: &mut Message) {
        if let Some((body, n)) = self.0.map(|inside| *inside) {
            message.attributes.push(("messages", n.to_string()));
            body.tell(message);
        }
    }
}

impl Chunks {
    /// Walks on from `position` as far as the half goes.
    pub(super) fn walk(
        &mut self,
        half: &Half<'_>,
        position: &mut u64,
        inside: &mut Inside,
    ) -> Walk {
        loop {
            if let Chunks::Data(left) = *self {
                let to = half.end.min(position.saturating_add(left));
                // The last two bytes are the chunk's line end.
                inside.pass(half, *position, to.min(position.saturating_add(left) - 2.min(left)));
                let left = left - (to - *position);
                *position = to;
                *self = if left == 0 { Chunks::Size } else { Chunks::Data(left) };
                if left > 0 {
                    return Walk::Stuck;
                }
            }
            let bytes = half.at(*position);
            let Some(length) = bytes.iter().take(MAX_LINE).position(|&b| b == b'\n') else {
                return match bytes.len() {
                    MAX_LINE.. => Walk::Lost(Issue::Malformed),
                    _ if half.cut_after(*position) => Walk::Lost(Issue::Truncated),
                    _ => Walk::Stuck,
                };
            };
            let line = bytes[..length].trim_ascii();
            if *self == Chunks::Size {
                match chunk_size(line) {
                    Some(0) => *self = Chunks::Trailers,
                    Some(size) => *self = Chunks::Data(size.saturating_add(2)),
                    None => return Walk::Lost(Issue::Malformed),
                }
            } else if line.is_empty() {
                *position += length as u64 + 1;
                return Walk::Over;
            }
            *position += length as u64 + 1;
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&b| b == b';').next()?;
    number(size.trim_ascii(), 16)
}
