//! Heads: start line and fields of a request or response, whole or cut. Never reads a body.

use std::ops::Range;

use super::super::Side;
use crate::issue::Issue;

/// A head longer than this is not read to its end.
const MAX_HEAD: usize = 64 << 10;
/// Fields that httparse is given room for; a head with more is read by hand.
const USUAL_FIELDS: usize = 64;
/// A longer first word is no method.
pub(super) const MAX_METHOD: usize = 24;

/// Methods that begin a request when joined in the middle: RFC 9110, 5789, 4918 (WebDAV), 3253, 3744, 4791, 5842, and
/// those of caches and UPnP.
pub(super) const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "VERSION-CONTROL",
    "CHECKOUT",
    "CHECKIN",
    "UNCHECKOUT",
    "MKWORKSPACE",
    "UPDATE",
    "LABEL",
    "MERGE",
    "BASELINE-CONTROL",
    "MKACTIVITY",
    "ACL",
    "MKCALENDAR",
    "BIND",
    "UNBIND",
    "REBIND",
    "PURGE",
    "BAN",
    "LINK",
    "UNLINK",
    "M-SEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
];

/// Whether bytes begin like a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// They do.
    Yes,
    /// They don't, whatever follows.
    No,
    /// So far they do.
    More,
}

/// The start line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start<'a> {
    Request { method: &'a [u8], target: &'a [u8] },
    Status(u16),
}

/// A head, whole or the known part of it.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) start: Start<'a>,
    /// `1` of HTTP/1.1; `None` when cut before it.
    pub(super) minor: Option<u8>,
    fields: Vec<(&'a [u8], &'a [u8])>,
    /// Bytes it takes, the empty line included.
    pub(super) length: usize,
}

/// What came of reading a head.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    Whole(Head<'a>),
    /// It ends before its empty line, for this reason.
    Part(Head<'a>, Issue),
    /// More bytes will tell.
    Wait,
    /// Something else.
    NotAHead,
}

/// Reads the head at the start of `bytes`; `cut`: nothing follows them.
pub(super) fn read(side: Side, bytes: &[u8], cut: bool) -> Reading<'_> {
    match begins(side, bytes, false) {
        Begins::Yes => {}
        Begins::More if !cut => return Reading::Wait,
        Begins::More | Begins::No => return Reading::NotAHead,
    }
    let window = &bytes[..bytes.len().min(MAX_HEAD)];
    if let Some(head) = by_httparse(side, window) {
        return Reading::Whole(head);
    }
    let (head, whole) = match by_hand(side, window) {
        Some(read) => read,
        None => return Reading::NotAHead,
    };
    match whole {
        true => Reading::Whole(head),
        false if bytes.len() >= MAX_HEAD => Reading::Part(head, Issue::LimitExceeded),
        false if cut => Reading::Part(head, Issue::HeadCut),
        false => Reading::Wait,
    }
}

/// Whether `bytes` begin like a head of `side`. A method is any token, or one of [`METHODS`] if `known_method`.
pub(super) fn begins(side: Side, bytes: &[u8], known_method: bool) -> Begins {
    match side {
        Side::Client => begins_request(bytes, known_method),
        Side::Server => begins_response(bytes),
    }
}

/// Like [`begins`], for an unknown protocol: a complete first line must be an HTTP/1 one.
pub(super) fn probe(side: Side, bytes: &[u8]) -> Begins {
    let begins = begins(side, bytes, true);
    let line_is_wrong = || by_hand(side, &bytes[..bytes.len().min(MAX_HEAD)]).is_none();
    if begins == Begins::Yes && line_is_wrong() { Begins::No } else { begins }
}

fn begins_request(bytes: &[u8], known_method: bool) -> Begins {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let length = bytes.iter().take(MAX_METHOD + 1).take_while(|b| is_token(b)).count();
    let method = &bytes[..length];
    let known = METHODS.iter().any(|m| m.as_bytes() == method);
    let could_be = METHODS.iter().any(|m| m.as_bytes().starts_with(method));
    match &bytes[length..] {
        _ if length > MAX_METHOD => Begins::No,
        [] if !known_method || could_be => Begins::More,
        [b' ', ..] if length == 0 || (known_method && !known) => Begins::No,
        [b' '] => Begins::More,
        [b' ', target, ..] if *target > b' ' && *target != 0x7f => Begins::Yes,
        _ => Begins::No,
    }
}

fn begins_response(bytes: &[u8]) -> Begins {
    let fits = |(i, b): (usize, &u8)| match i {
        0..=6 => *b == b"HTTP/1."[i],
        8 => *b == b' ',
        _ => b.is_ascii_digit(),
    };
    match bytes.iter().take(12).enumerate().all(fits) {
        false => Begins::No,
        true if bytes.len() < 12 => Begins::More,
        true => Begins::Yes,
    }
}

fn by_httparse(side: Side, bytes: &[u8]) -> Option<Head<'_>> {
    let mut fields = [httparse::EMPTY_HEADER; USUAL_FIELDS];
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    let (length, start, minor, fields) = match side {
        Side::Client => {
            let mut request = httparse::Request::new(&mut fields);
            let parsed = config.parse_request(&mut request, bytes).ok()?;
            let start = Start::Request {
                method: request.method?.as_bytes(),
                target: request.path?.as_bytes(),
            };
            (parsed, start, request.version?, request.headers)
        }
        Side::Server => {
            let mut response = httparse::Response::new(&mut fields);
            let parsed = config.parse_response(&mut response, bytes).ok()?;
            (parsed, Start::Status(response.code?), response.version?, response.headers)
        }
    };
    let httparse::Status::Complete(length) = length else { return None };
    let fields = fields.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
    Some(Head { start, minor: Some(b'0' + minor), fields, length })
}

/// Reads what httparse refuses and peers send all the same: folded fields, any byte in names and targets, many fields;
/// and heads that are cut. The flag tells whether the empty line was found; `None`: the start line is no HTTP/1 one.
fn by_hand(side: Side, bytes: &[u8]) -> Option<(Head<'_>, bool)> {
    let mut lines = bytes.split_inclusive(|&b| b == b'\n');
    let first = lines.next()?;
    let mut length = first.len();
    let line_is_whole = first.ends_with(b"\n");
    let (start, minor) = match side {
        Side::Client => request_line(first.trim_ascii(), line_is_whole)?,
        Side::Server => status_line(first)?,
    };
    let (mut logical, mut whole) = (Vec::<Range<usize>>::new(), false);
    for line in lines {
        let begin = length;
        length += line.len();
        whole = matches!(line, b"\n" | b"\r\n");
        match logical.last_mut() {
            // A cut line's value may be wrong rather than short.
            _ if whole || !line.ends_with(b"\n") => break,
            // RFC 9112 §5.2: a line that begins with white space goes on with the field before.
            Some(field) if matches!(line[0], b' ' | b'\t') => field.end = length,
            _ => logical.push(begin..length),
        }
    }
    let fields = logical.into_iter().filter_map(|l| field(&bytes[l])).collect();
    Some((Head { start, minor, fields, length }, whole))
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
}

fn request_line(line: &[u8], whole: bool) -> Option<(Start<'_>, Option<u8>)> {
    let space = line.iter().position(|&b| b == b' ')?;
    let (method, rest) = (&line[..space], line[space..].trim_ascii());
    let last_space = rest.iter().rposition(|&b| b == b' ');
    let (target, version) = rest.split_at(last_space.unwrap_or(rest.len()));
    match version.trim_ascii() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] => {
            Some((Start::Request { method, target: target.trim_ascii() }, Some(*minor)))
        }
        _ if whole => None,
        cut if b"HTTP/1.".starts_with(cut) => {
            Some((Start::Request { method, target: target.trim_ascii() }, None))
        }
        _ => Some((Start::Request { method, target: rest }, None)),
    }
}

fn status_line(line: &[u8]) -> Option<(Start<'_>, Option<u8>)> {
    let minor = *line.get(7)?;
    let digits = line.get(9..12)?;
    let code = digits.iter().fold(0, |code, d| code * 10 + u16::from(d.wrapping_sub(b'0')));
    Some((Start::Status(code), Some(minor)))
}

impl<'a> Head<'a> {
    /// The values of all fields of this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let of_name = move |(n, _): &&(&[u8], &[u8])| n.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(of_name).map(|(_, value)| *value)
    }

    /// Whether a list field holds this word (RFC 9110 §5.6.1).
    pub(super) fn lists(&self, name: &'static str, word: &str) -> bool {
        let is_word = |w: &[u8]| w.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        self.values(name).any(|v| v.split(|&b| b == b',').any(is_word))
    }

    /// Whether the sender closes the connection after this message (RFC 9112 §9.3).
    pub(super) fn closes(&self) -> bool {
        let keeps = self.lists("connection", "keep-alive");
        self.lists("connection", "close") || (self.minor == Some(b'0') && !keeps)
    }
}
