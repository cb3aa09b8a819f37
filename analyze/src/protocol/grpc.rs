//! gRPC's messages in a body (gRPC over HTTP2; gRPC-Web), whatever HTTP carries it: counted by their length prefixes, across gaps. Never looks into
//! a message. What it says of a call:
//!
//! Status = the code's name (`OK`, `NOT_FOUND`), from trailers, or in gRPC-Web from the body's last frame. A code means a failure of the
//! server where OpenTelemetry's conventions say so, else of the client. Attributes: `messages`, `first_message_ns`, `last_message_ns`
//! (when they had passed, since the request's first byte), `compressed_messages`, `encoding`, `deadline_ns`, `grpc_message`.

use super::message::{Message, Outcome};
use super::text;

/// Bytes of gRPC-Web's trailers that are kept.
const MAX_TRAILERS: usize = 1_024;
const PREFIX: usize = 5;
const COMPRESSED: u8 = 1;
const TRAILERS: u8 = 0x80;

/// How a content type frames its body; `None`: it is not gRPC's.
pub(super) fn framing(content_type: &[u8]) -> Option<Framing> {
    let rest = content_type.strip_prefix(b"application/grpc")?;
    match rest.strip_prefix(b"-web") {
        Some(web) if web.starts_with(b"-text") => Some(Framing::Base64),
        Some(_) => Some(Framing::Binary),
        None if rest.is_empty() || matches!(rest[0], b'+' | b';') => Some(Framing::Binary),
        None => None,
    }
}

/// How messages stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// As they are.
    Binary,
    /// In groups of four letters (gRPC-Web's text).
    Base64,
}

/// Where a body stands.
#[derive(Debug, Clone)]
pub(super) struct Body {
    framing: Framing,
    letters: [u8; 4],
    n_letters: usize,
    prefix: [u8; PREFIX],
    n_prefix: usize,
    left: u64,
    /// A prefix was not seen, or was no prefix: what follows is not counted.
    is_lost: bool,
    /// Messages whose flag says that they are compressed.
    n_compressed: u64,
    /// gRPC-Web's trailers, as far as they were seen.
    trailers: Vec<u8>,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Body {
        Body {
            framing,
            letters: [0; 4],
            n_letters: 0,
            prefix: [0; PREFIX],
            n_prefix: 0,
            left: 0,
            is_lost: false,
            n_compressed: 0,
            trailers: Vec::new(),
        }
    }

    /// Goes on through `bytes`; tells behind which byte each message ends.
    pub(super) fn feed(&mut self, bytes: &[u8], mut ended: impl FnMut(usize)) {
        if self.framing == Framing::Binary {
            return self.binary(bytes, &mut ended);
        }
        for (at, &letter) in bytes.iter().enumerate() {
            if self.is_lost || letter.is_ascii_whitespace() {
                continue;
            }
            self.letters[self.n_letters] = letter;
            self.n_letters += 1;
            if self.n_letters == 4 {
                self.n_letters = 0;
                match decoded(self.letters) {
                    Some((three, n)) => self.binary(&three[..n], &mut |_| ended(at + 1)),
                    None => self.is_lost = true,
                }
            }
        }
    }

    fn binary(&mut self, bytes: &[u8], ended: &mut impl FnMut(usize)) {
        let mut at = 0;
        while at < bytes.len() && !self.is_lost {
            if self.n_prefix < PREFIX {
                self.prefix[self.n_prefix] = bytes[at];
                (self.n_prefix, at) = (self.n_prefix + 1, at + 1);
                if self.n_prefix == PREFIX {
                    self.begin();
                }
            } else {
                let n = (bytes.len() - at).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                if self.prefix[0] & TRAILERS != 0 {
                    let most = MAX_TRAILERS - self.trailers.len().min(MAX_TRAILERS);
                    self.trailers.extend_from_slice(&bytes[at..at + n.min(most)]);
                }
                (self.left, at) = (self.left - n as u64, at + n);
            }
            if self.n_prefix == PREFIX && self.left == 0 {
                self.n_prefix = 0;
                if self.prefix[0] & TRAILERS == 0 && !self.is_lost {
                    ended(at);
                }
            }
        }
    }

    fn begin(&mut self) {
        let [flags, length @ ..] = self.prefix;
        self.is_lost = flags & !(COMPRESSED | TRAILERS) != 0;
        self.left = u64::from(u32::from_be_bytes(length));
        self.n_compressed += u64::from(flags == COMPRESSED);
    }

    /// Bytes that were not seen.
    pub(super) fn skip(&mut self, n: u64) {
        let is_inside = self.framing == Framing::Binary && self.n_prefix == PREFIX && n < self.left;
        if is_inside {
            self.left -= n;
        } else {
            self.is_lost = true;
        }
    }

    /// What it tells when it is over.
    pub(super) fn tell(self, message: &mut Message) {
        if self.n_compressed > 0 {
            message.attributes.push(("compressed_messages", self.n_compressed.to_string()));
        }
        if self.is_lost {
            message.attributes.push(("messages_missed", "true".to_string()));
        }
        if let Some(code) = trailer(&self.trailers, "grpc-status") {
            (message.status, message.outcome) = status(code);
            message.inner = Some("grpc");
        }
        if let Some(why) = trailer(&self.trailers, "grpc-message").filter(|why| !why.is_empty()) {
            message.attributes.push(("grpc_message", text::bounded(why, 256)));
        }
    }
}

/// Three bytes at most of four letters (RFC 4648).
fn decoded(letters: [u8; 4]) -> Option<([u8; 3], usize)> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let n_padding = letters.iter().rev().take_while(|&&letter| letter == b'=').count();
    let mut bits = 0;
    for (nth, &letter) in letters.iter().enumerate() {
        let six = if nth >= 4 - n_padding.min(2) { 0 } else { value(letter)? };
        bits = bits << 6 | u32::from(six);
    }
    let [_, a, b, c] = bits.to_be_bytes();
    Some(([a, b, c], 3 - n_padding.min(2)))
}

/// The name of a status and what it means (gRPC: Status codes; OpenTelemetry: semantic conventions of gRPC servers).
pub(crate) fn status(code: &[u8]) -> (String, Option<Outcome>) {
    use Outcome::{ClientError, Ok, ServerError};
    const CODES: [(&str, Outcome); 17] = [
        ("OK", Ok),
        ("CANCELLED", ClientError),
        ("UNKNOWN", ServerError),
        ("INVALID_ARGUMENT", ClientError),
        ("DEADLINE_EXCEEDED", ServerError),
        ("NOT_FOUND", ClientError),
        ("ALREADY_EXISTS", ClientError),
        ("PERMISSION_DENIED", ClientError),
        ("RESOURCE_EXHAUSTED", ClientError),
        ("FAILED_PRECONDITION", ClientError),
        ("ABORTED", ClientError),
        ("OUT_OF_RANGE", ClientError),
        ("UNIMPLEMENTED", ServerError),
        ("INTERNAL", ServerError),
        ("UNAVAILABLE", ServerError),
        ("DATA_LOSS", ServerError),
        ("UNAUTHENTICATED", ClientError),
    ];
    let code = text::bounded(code.trim_ascii(), 16);
    match code.parse::<usize>().ok().and_then(|code| CODES.get(code)) {
        Some((name, outcome)) => (name.to_string(), Some(*outcome)),
        None => (code, None),
    }
}

/// `grpc-timeout` in nanoseconds: at most eight digits and a unit.
pub(super) fn deadline_ns(timeout: &[u8]) -> Option<u64> {
    let (unit, digits) = timeout.split_last()?;
    let unit_ns: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    number.checked_mul(unit_ns)
}

/// A field of gRPC-Web's trailers.
fn trailer<'a>(trailers: &'a [u8], name: &str) -> Option<&'a [u8]> {
    trailers.split(|&byte| byte == b'\n').find_map(|line| {
        let (field, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
        field.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where messages end, whatever pieces the body comes in.
    fn check(framing: Framing, bytes: &[u8], expected: &[usize], trailers: &[u8]) {
        for cut in 0..=bytes.len() {
            let (mut body, mut ends) = (Body::new(framing), Vec::new());
            let (one, two) = bytes.split_at(cut);
            body.feed(one, |at| ends.push(at));
            body.feed(two, |at| ends.push(cut + at));
            assert_eq!(ends, expected, "cut at {cut}");
            assert_eq!(body.trailers, trailers);
        }
    }

    #[test]
    fn messages_are_counted_where_they_end() {
        check(Framing::Binary, b"\0\0\0\0\x02ab\0\0\0\0\0\x01\0\0\0\x01c", &[7, 12, 18], b"");
        check(Framing::Binary, b"\0\0\0\0\x01a\x80\0\0\0\x03b:c", &[6], b"b:c");
        // The same in letters, each frame by itself.
        check(Framing::Base64, b"AAAAAAFhgAAAAANiOmM=", &[8], b"b:c");
        check(Framing::Base64, b"AAAAAAJhYg==AAAAAAFh", &[12, 20], b"");
    }

    #[test]
    fn a_gap_inside_a_message_is_bridged_any_other_ends_the_count() {
        let mut body = Body::new(Framing::Binary);
        let mut n = 0;
        body.feed(b"\0\0\0\0\x0a12", |_| n += 1);
        body.skip(5);
        body.feed(b"890\0\0\0\0\0", |_| n += 1);
        assert_eq!((n, body.is_lost), (2, false));
        body.skip(1);
        body.feed(b"\0\0\0\0\0", |_| n += 1);
        assert_eq!((n, body.is_lost), (2, true));
    }

    #[test]
    fn deadlines_and_codes() {
        for (timeout, expected) in [
            (&b"5S"[..], Some(5_000_000_000)),
            (b"99999999H", None),
            (b"100m", Some(100_000_000)),
            (b"1u", Some(1_000)),
            (b"S", None),
            (b"123456789n", None),
            (b"", None),
        ] {
            assert_eq!(deadline_ns(timeout), expected, "{timeout:?}");
        }
        assert_eq!(status(b"5"), ("NOT_FOUND".into(), Some(Outcome::ClientError)));
        assert_eq!(status(b"77"), ("77".into(), None));
        assert_eq!(
            trailer(b"grpc-status: 0\r\nGrpc-Message:x\r\n", "grpc-message"),
            Some(&b"x"[..])
        );
    }
}
