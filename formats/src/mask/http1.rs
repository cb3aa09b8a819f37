//! HTTP/1 (RFC 9112), as far as masking needs it: heads and bodies are masked by the same rules (`text`), so that a mistaken
//! boundary hides nothing less. What framing adds: the lines of chunked bodies stay as they are and don't end a value,
//! compressed bodies and what follows an upgrade (but to WebSocket or HTTP/2) are overwritten whole, and a gap inside a body of known length is survived.
//! It never keeps a byte of which it does not know the message.
//! Long: one state machine over heads, bodies and what follows them.

use super::http2::Http2;
use super::pen::{Pen, STAR};
use super::text::Text;
use super::websocket::Websocket;

/// Beginning of a line that is kept to read a header's value: `transfer-encoding: gzip, chunked` and more.
const LINE: usize = 40;

/// Longest method.
const METHOD: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in the first word of a message; `otherwise` says what it is if it is no message.
    Start {
        n: u8,
        otherwise: Otherwise,
    },
    Head,
    /// A response's body, or the next head if it has none in truth: an answer to HEAD. `n` bytes of `HTTP/1.` were seen.
    BodyStart {
        n: u8,
        left: Option<u64>,
    },
    Body {
        left: Option<u64>,
    },
    ChunkSize {
        size: u64,
        n: u8,
    },
    ChunkExtension {
        size: u64,
    },
    Chunk {
        left: u64,
    },
    ChunkEnd {
        n: u8,
    },
    /// Another protocol, after an upgrade.
    Opaque,
    /// WebSocket, after an upgrade.
    Websocket,
    /// HTTP/2, after an upgrade.
    Http2,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otherwise {
    Lost,
    Opaque,
    Websocket,
    Http2,
}

/// What a head said.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_first_line_over: bool,
    is_trailer: bool,
    status: Option<u16>,
    length: Option<u64>,
    is_chunked: bool,
    is_encoded: bool,
    is_upgrade: bool,
    is_websocket: bool,
    is_http2: bool,
}

/// One direction of an HTTP/1 connection.
#[derive(Clone, Debug)]
pub(super) struct Http1 {
    state: State,
    text: Text,
    head: Head,
    line: [u8; LINE],
    n_line: u8,
    websocket: Option<Box<Websocket>>,
    http2: Option<Box<Http2>>,
}

impl Http1 {
    /// Before a message.
    pub(super) fn new() -> Self {
        let state = State::Start { n: 0, otherwise: Otherwise::Lost };
        Self {
            state,
            text: Text::default(),
            head: Head::default(),
            line: [0; LINE],
            n_line: 0,
            websocket: None,
            http2: None,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = self.piece(rest, pen);
            rest = &mut rest[n..];
        }
    }

    /// Unseen bytes.
    pub(super) fn skip(&mut self, n: u64) {
        let left = match self.state {
            State::Opaque => return,
            State::Websocket => {
                self.websocket.iter_mut().for_each(|frames| frames.skip(n));
                return;
            }
            State::Http2 => {
                self.http2.iter_mut().for_each(|frames| frames.skip(n));
                return;
            }
            State::BodyStart { n: seen, left } => left.map(|left| left - u64::from(seen)),
            State::Body { left } => left,
            State::Chunk { left } => Some(left),
            _ => Some(0),
        };
        self.text = Text::lost();
        match (self.state, left.map(|left| left.checked_sub(n))) {
            (_, Some(None)) => self.state = State::Lost,
            (State::Chunk { .. }, Some(Some(left))) => self.chunk(left),
            (_, Some(Some(left))) => self.body(Some(left)),
            (_, None) => self.body(None),
        }
    }

    /// Consumes at least a byte, or changes the state.
    fn piece(&mut self, bytes: &mut [u8], pen: &mut Pen) -> usize {
        match self.state {
            State::Start { n, otherwise } => self.start(n, otherwise, bytes, pen),
            State::Head => self.head_piece(bytes, pen),
            State::BodyStart { n, left } => self.body_start(n, left, bytes, pen),
            State::Body { left } => {
                let n = left.map_or(bytes.len(), |left| shorter(bytes.len(), left));
                self.content(&mut bytes[..n], pen);
                self.body(left.map(|left| left - n as u64));
                n
            }
            State::Chunk { left } => {
                let n = shorter(bytes.len(), left);
                self.content(&mut bytes[..n], pen);
                self.chunk(left - n as u64);
                n
            }
            State::ChunkSize { .. } | State::ChunkExtension { .. } | State::ChunkEnd { .. } => {
                self.chunk_line(bytes, pen)
            }
            State::Opaque => {
                if pen.heads_only {
                    pen.withhold(bytes)
                } else {
                    pen.fill(bytes, STAR)
                }
                bytes.len()
            }
            State::Websocket => {
                self.websocket.get_or_insert_with(|| Box::new(Websocket::new())).feed(bytes, pen);
                bytes.len()
            }
            State::Http2 => {
                // A server has no preface.
                self.http2.get_or_insert_with(|| Box::new(Http2::new(false))).feed(bytes, pen);
                bytes.len()
            }
            State::Lost => {
                pen.withhold(bytes);
                bytes.len()
            }
        }
    }

    /// Whether a byte goes on with the first word of a version.
    fn is_version(&self, n: u8, byte: u8) -> bool {
        let n = usize::from(n);
        n < VERSION.len() && self.line[..n] == VERSION[..n] && byte == VERSION[n]
    }

    /// What there is of a message's first word, capitals or `HTTP/1`; or the byte behind that.
    fn start(&mut self, n: u8, otherwise: Otherwise, bytes: &mut [u8], pen: &mut Pen) -> usize {
        if n == 0 {
            (self.text, self.head, self.n_line) = (Text::default(), Head::default(), 0);
        }
        let mut at = 0;
        while at < bytes.len() {
            let (n, byte) = (n + at as u8, bytes[at]);
            let is_method = byte.is_ascii_uppercase() || byte == b'-';
            let is_version = self.is_version(n, byte);
            let is_whole = is_version && usize::from(n) + 1 == VERSION.len();
            if is_whole || !(is_method || is_version) || usize::from(n) >= METHOD {
                break;
            }
            self.push(&bytes[at..=at]);
            at += 1;
        }
        if at > 0 {
            self.text.feed(&mut bytes[..at], pen);
            self.state = State::Start { n: n + at as u8, otherwise };
            return at;
        }
        self.behind_start(n, otherwise, bytes, pen)
    }

    /// What is no part of a message's first word, but for the last byte of `HTTP/1.`.
    fn behind_start(
        &mut self,
        n: u8,
        otherwise: Otherwise,
        bytes: &mut [u8],
        pen: &mut Pen,
    ) -> usize {
        let byte = bytes[0];
        if n == 0 && matches!(byte, b'\r' | b'\n') {
            pen.keep(1);
            return 1;
        }
        if byte == b' ' && otherwise == Otherwise::Http2 && self.line[..usize::from(n)] == *b"PRI" {
            let mut http2 = Http2::new(true);
            http2.feed(&mut { *b"PRI" }, &mut Pen::default());
            (self.http2, self.state) = (Some(Box::new(http2)), State::Http2);
            return 0;
        }
        if (byte == b' ' && n > 0) || self.is_version(n, byte) {
            self.state = State::Head;
            return self.head_piece(bytes, pen);
        }
        self.state = match otherwise {
            Otherwise::Lost => State::Lost,
            // What looked like a method was no frame.
            Otherwise::Websocket if n == 0 => State::Websocket,
            Otherwise::Opaque | Otherwise::Websocket | Otherwise::Http2 => State::Opaque,
        };
        0
    }

    /// Up to the end of a head's line.
    fn head_piece(&mut self, bytes: &mut [u8], pen: &mut Pen) -> usize {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let n = end.map_or(bytes.len(), |end| end + 1);
        self.push(&bytes[..n]);
        self.text.feed(&mut bytes[..n], pen);
        if end.is_some() {
            self.text.end_line();
            self.line_end();
            self.n_line = 0;
        }
        n
    }

    fn push(&mut self, bytes: &[u8]) {
        let begin = usize::from(self.n_line);
        let n = bytes.len().min(LINE - begin);
        self.line[begin..begin + n].copy_from_slice(&bytes[..n]);
        self.n_line += n as u8;
    }

    /// Reads the line that ended.
    fn line_end(&mut self) {
        let line = self.line[..usize::from(self.n_line)].trim_ascii_end();
        let head = &mut self.head;
        if !head.is_first_line_over && !head.is_trailer {
            head.is_first_line_over = true;
            head.status =
                line.strip_prefix(VERSION).map(|rest| number(rest.get(2..).unwrap_or(b"")) as u16);
            head.is_upgrade = line.starts_with(b"CONNECT ");
        } else if line.is_empty() {
            self.head_end();
        } else if let Some(value) = header(line, b"content-length:") {
            head.length = Some(number(value));
        } else if let Some(value) = header(line, b"transfer-encoding:") {
            head.is_chunked = ends_with(value, b"chunked");
            head.is_encoded |= !value.eq_ignore_ascii_case(b"chunked");
        } else if let Some(value) = header(line, b"content-encoding:") {
            head.is_encoded |= !value.eq_ignore_ascii_case(b"identity");
        } else if let Some(value) = header(line, b"upgrade:") {
            head.is_upgrade |= head.status.is_none();
            head.is_websocket |= value.eq_ignore_ascii_case(b"websocket");
            head.is_http2 |= value.eq_ignore_ascii_case(b"h2c");
        }
    }

    /// What follows a head (RFC 9112, 6.3).
    fn head_end(&mut self) {
        let head = self.head;
        let start = |otherwise| State::Start { n: 0, otherwise };
        self.text = Text::default();
        self.state = match (head.status, head.is_trailer) {
            (_, true) => start(Otherwise::Lost),
            (Some(101), _) if head.is_websocket => State::Websocket,
            (Some(101), _) if head.is_http2 => State::Http2,
            (Some(101), _) => State::Opaque,
            (Some(100..=199 | 204 | 304), _) => start(Otherwise::Lost),
            _ if head.is_chunked => State::ChunkSize { size: 0, n: 0 },
            (Some(_), _) if head.length != Some(0) => State::BodyStart { n: 0, left: head.length },
            (None, _) if head.length.is_some_and(|length| length > 0) => {
                State::Body { left: head.length }
            }
            _ if head.is_upgrade && head.is_websocket => start(Otherwise::Websocket),
            _ if head.is_upgrade && head.is_http2 => start(Otherwise::Http2),
            _ if head.is_upgrade => start(Otherwise::Opaque),
            _ => start(Otherwise::Lost),
        };
    }

    fn body_start(&mut self, n: u8, left: Option<u64>, bytes: &mut [u8], pen: &mut Pen) -> usize {
        if bytes[0] == VERSION[usize::from(n)] {
            self.line[usize::from(n)] = bytes[0];
            pen.keep(1);
            let n = n + 1;
            if usize::from(n) == VERSION.len() {
                self.text.feed(&mut VERSION.clone(), &mut Pen::default());
                (self.head, self.n_line, self.state) = (Head::default(), n, State::Head);
            } else if left == Some(u64::from(n)) {
                self.body(Some(0));
            } else {
                self.state = State::BodyStart { n, left };
            }
            return 1;
        }
        self.text.feed(&mut { *VERSION }[..usize::from(n)], &mut Pen::default());
        self.body(left.map(|left| left - u64::from(n)));
        0
    }

    fn content(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        if self.head.is_encoded && !pen.heads_only {
            pen.fill(bytes, STAR);
        } else {
            self.text.body(bytes, pen);
        }
    }

    fn body(&mut self, left: Option<u64>) {
        let otherwise = if self.head.is_upgrade { Otherwise::Opaque } else { Otherwise::Lost };
        self.state =
            if left == Some(0) { State::Start { n: 0, otherwise } } else { State::Body { left } };
    }

    fn chunk(&mut self, left: u64) {
        self.state = if left == 0 { State::ChunkEnd { n: 0 } } else { State::Chunk { left } };
    }

    /// A byte between the chunks.
    fn chunk_line(&mut self, bytes: &mut [u8], pen: &mut Pen) -> usize {
        let byte = bytes[0];
        let next = match (self.state, byte) {
            (State::ChunkSize { size, n }, _) if byte.is_ascii_hexdigit() && n < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                State::ChunkSize { size: size << 4 | u64::from(digit), n: n + 1 }
            }
            (State::ChunkSize { size, n: 1.. }, b'\r' | b';' | b' ') => {
                State::ChunkExtension { size }
            }
            (State::ChunkSize { size, n: 1.. } | State::ChunkExtension { size }, b'\n') => {
                self.chunk(size);
                if size == 0 {
                    (self.text, self.n_line) = (Text::default(), 0);
                    self.head.is_trailer = true;
                    self.state = State::Head;
                }
                self.state
            }
            (State::ChunkExtension { .. }, _) => {
                pen.overwrite(&mut bytes[..1]);
                return 1;
            }
            (State::ChunkEnd { n: 0 }, b'\r') => State::ChunkEnd { n: 1 },
            (State::ChunkEnd { .. }, b'\n') => State::ChunkSize { size: 0, n: 0 },
            _ => {
                self.state = State::Lost;
                return 0;
            }
        };
        self.state = next;
        pen.keep(1);
        1
    }
}

const VERSION: &[u8; 7] = b"HTTP/1.";

fn shorter(length: usize, left: u64) -> usize {
    usize::try_from(left).map_or(length, |left| length.min(left))
}

/// The value of a line of this header.
fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let is_it = line.len() >= name.len() && line[..name.len()].eq_ignore_ascii_case(name);
    is_it.then(|| line[name.len()..].trim_ascii())
}

fn ends_with(value: &[u8], end: &[u8]) -> bool {
    value.len() >= end.len() && value[value.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// The number a value begins with.
fn number(value: &[u8]) -> u64 {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).take(18);
    digits.fold(0, |number, &digit| number * 10 + u64::from(digit - b'0'))
}

/// Whether a message certainly begins here: a whole request line, or a status line's beginning.
pub(super) fn begins(bytes: &[u8]) -> bool {
    if let Some(rest) = bytes.strip_prefix(VERSION) {
        return rest.len() >= 5
            && matches!(rest[0], b'0' | b'1')
            && rest[1] == b' '
            && rest[2..5].iter().all(u8::is_ascii_digit);
    }
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return false };
    let line = bytes[..end].trim_ascii_end();
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    let is_version = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
    (1..METHOD).contains(&method)
        && line[method..].starts_with(b" ")
        && is_version
        && line.iter().filter(|&&byte| byte == b' ').count() == 2
}

#[cfg(test)]
mod tests {
    use super::super::laws::{Field, check, check_bytes, fields, frame, masked, request};

    #[test]
    fn heads() {
        check(
            "GET /p?token=abc&x=1 HTTP/1.1\r\nHost: a:80\r\nAuthorization: Bearer x y\r\nCookie:a=b; c=d\r\n\r\n",
            "GET /p?token=***&x=1 HTTP/1.1\r\nHost: a:80\r\nAuthorization: **********\r\nCookie:********\r\n\r\n",
        );
        check(
            "HTTP/1.1 204 No\r\nSet-Cookie: a=b\r\n folded\r\nX: y\r\nLocation: https://u:p@h/?sig=1\r\n\r\n",
            "HTTP/1.1 204 No\r\nSet-Cookie: ***\r\n ******\r\nX: y\r\nLocation: https://u:*@h/?sig=*\r\n\r\n",
        );
        check(
            "GET / HTTP/1.1\r\nX-A: \"token\":\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nX-A: \"token\":\r\nHost: a\r\n\r\n",
        );
        check(
            "GET / HTTP/1.1\r\nX-A: password=\"a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nX-A: password=\"*\r\nHost: a\r\n\r\n",
        );
    }

    #[test]
    fn bodies() {
        check(
            "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\npassword=aGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\npassword=*GET / HTTP/1.1\r\n\r\n",
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"password\":\"abc\r\n3;e=1\r\nd\"}\r\n0\r\nX-Token: t\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"password\":\"***\r\n3;***\r\n*\"}\r\n0\r\nX-Token: *\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        );
        // An answer to HEAD announces what does not come.
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 999\r\nContent-Encoding: gzip\r\n\r\nHTTP/1.1 204 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 999\r\nContent-Encoding: gzip\r\n\r\nHTTP/1.1 204 OK\r\n\r\n",
        );
    }

    #[test]
    fn what_cannot_be_read_is_overwritten() {
        check(
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n\x1fabcdGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n*****GET / HTTP/1.1\r\n\r\n",
        );
        check(
            "GET / HTTP/1.1\r\nUpgrade: other\r\n\r\n\x01\x02abc",
            "GET / HTTP/1.1\r\nUpgrade: other\r\n\r\n*****",
        );
        check("HTTP/1.1 101 Up\r\n\r\nabc", "HTTP/1.1 101 Up\r\n\r\n***");
    }

    #[test]
    fn an_upgrade_to_http2_goes_on_as_http2() {
        let sent = [Field::Literal(":path", "/a"), Field::Literal("authorization", "hunter2")];
        let masked_fields =
            [Field::Literal(":path", "/a"), Field::Literal("authorization", "*******")];
        let upgrade = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
        let client = |fields_sent: &[Field]| {
            [&upgrade[..], &request(&[fields(fields_sent, false)], b"")].concat()
        };
        check_bytes(&client(&sent), &client(&masked_fields));
        let answer = b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n";
        let server = |fields_sent: &[Field]| {
            [&answer[..], &frame(1, 4, 1, &fields(fields_sent, false))].concat()
        };
        check_bytes(&server(&sent), &server(&masked_fields));
        // Not upgraded, the client goes on as before.
        check(
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nPOST /?token=abc HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nPOST /?token=*** HTTP/1.1\r\n\r\n",
        );
    }

    #[test]
    fn heads_parse_as_before() {
        let head = b"GET /a?api_key=abc HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nX-Api-Key: 123\r\nReferer: http://u:p@x/\r\n\r\n";
        let masked = masked(head);
        let shape = |bytes: &[u8]| {
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            assert!(request.parse(bytes).unwrap().is_complete());
            let headers =
                request.headers.iter().map(|header| (header.name.to_owned(), header.value.len()));
            (request.path.unwrap().len(), headers.collect::<Vec<_>>())
        };
        assert_eq!(shape(head), shape(&masked));
        assert_ne!(head.to_vec(), masked);
    }
}
