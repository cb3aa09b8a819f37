//! Which protocol a stream speaks: by its first bytes where its beginning was seen, by a whole and certain beginning of a
//! message at the start of a chunk elsewhere. It never guesses: what is not certain is not kept.

use super::http1::{self, Http1};
use super::http2::{self, Http2};
use super::mysql::{self, Mysql};
use super::pen::Pen;
use super::postgres::{self, Postgres};
use super::redis::{self, Redis};
use super::text::Text;
use super::tls::{self, Tls};

/// First bytes that are enough to tell the protocol.
const FIRST: usize = 24;

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(super) enum Protocol {
    /// The first bytes, which are text until the protocol is known.
    First {
        bytes: [u8; FIRST],
        n: u8,
        text: Text,
    },
    Text(Text),
    Http1(Http1),
    Http2(Box<Http2>),
    Mysql(Mysql),
    Postgres(Postgres),
    Redis(Redis),
    Tls(Tls),
    /// Nothing is known.
    Lost,
}

impl Protocol {
    /// At a stream's first byte.
    pub(super) fn first() -> Self {
        Self::First { bytes: [0; FIRST], n: 0, text: Text::default() }
    }

    /// Goes on through `bytes`.
    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let n = if matches!(self, Self::First { .. }) { self.feed_first(bytes, pen) } else { 0 };
        let bytes = &mut bytes[n..];
        match self {
            Self::First { .. } => {}
            Self::Text(text) => text.body(bytes, pen),
            Self::Http1(http1) => http1.feed(bytes, pen),
            Self::Http2(http2) => http2.feed(bytes, pen),
            Self::Mysql(mysql) => mysql.feed(bytes, pen),
            Self::Postgres(postgres) => postgres.feed(bytes, pen),
            Self::Redis(redis) => redis.feed(bytes, pen),
            Self::Tls(tls) => tls.feed(bytes, pen),
            Self::Lost => pen.withhold(bytes),
        }
    }

    /// Unseen bytes.
    pub(super) fn skip(&mut self, n: u64) {
        match self {
            Self::First { .. } => *self = Self::Lost,
            Self::Text(text) => *text = Text::lost(),
            Self::Http1(http1) => http1.skip(n),
            Self::Http2(http2) => http2.skip(n),
            Self::Mysql(mysql) => mysql.skip(n),
            Self::Postgres(postgres) => postgres.skip(n),
            Self::Redis(redis) => redis.skip(n),
            Self::Tls(tls) => tls.skip(n),
            Self::Lost => {}
        }
    }

    /// Lost its place: at the start of a chunk in which a message certainly begins, goes on from there. A connection whose
    /// protocol is known speaks no other.
    pub(super) fn find(&mut self, bytes: &[u8], wire_length: u64) {
        let found = match self {
            Self::Http1(http1) if http1.is_lost() => http1_at(bytes),
            Self::Http2(http2) if http2.is_lost() => http2_at(bytes, wire_length),
            Self::Mysql(mysql) if mysql.is_lost() => mysql_at(bytes, wire_length),
            Self::Postgres(postgres) if postgres.is_lost() => postgres_at(bytes, wire_length),
            Self::Redis(redis) if redis.is_lost() => redis_at(bytes, wire_length),
            Self::Tls(tls) if tls.is_lost() => tls_at(bytes, wire_length),
            Self::Lost => certain(bytes, wire_length),
            _ => None,
        };
        if let Some(found) = found {
            *self = found;
        }
    }

    /// The same protocol, its place unknown: for bytes that come again.
    pub(super) fn again(&self, bytes: &[u8], wire_length: u64) -> Option<Self> {
        match self {
            Self::Http1(_) => http1_at(bytes),
            Self::Http2(_) => http2_at(bytes, wire_length),
            Self::Mysql(_) => mysql_at(bytes, wire_length),
            Self::Postgres(_) => postgres_at(bytes, wire_length),
            Self::Redis(_) => redis_at(bytes, wire_length),
            Self::Tls(_) => tls_at(bytes, wire_length),
            Self::Lost => certain(bytes, wire_length),
            Self::First { .. } | Self::Text(_) => None,
        }
    }

    /// Up to the byte that tells the protocol; that byte is the protocol's own.
    fn feed_first(&mut self, chunk: &mut [u8], pen: &mut Pen) -> usize {
        let Self::First { bytes, n, text } = self else { return 0 };
        for at in 0..chunk.len() {
            let n_before = usize::from(*n);
            bytes[n_before] = chunk[at];
            *n += 1;
            match first(&bytes[..=n_before]) {
                First::Undecided if n_before + 1 < FIRST => text.feed(&mut chunk[at..=at], pen),
                First::Undecided | First::Text => {
                    *self = Self::Text(std::mem::take(text));
                    return at;
                }
                First::Is(mut protocol) => {
                    // They have passed already; only the protocol's state is of interest.
                    let mut passed = *bytes;
                    protocol.feed(&mut passed[..n_before], &mut Pen::default());
                    *self = protocol;
                    return at;
                }
            }
        }
        chunk.len()
    }
}

/// What the first bytes of a stream say.
enum First {
    Undecided,
    Is(Protocol),
    Text,
}

fn first(bytes: &[u8]) -> First {
    let second = |is_so: fn(u8) -> bool| match bytes.get(1) {
        None => First::Undecided,
        Some(&byte) if is_so(byte) => First::Is(Protocol::Redis(Redis::new())),
        Some(_) => First::Text,
    };
    match bytes[0] {
        b'P' if starts(bytes, b"PRI * HTTP/2").is_some() => {
            if bytes.len() < 5 {
                First::Undecided
            } else {
                First::Is(Protocol::Http2(Box::new(Http2::new(true))))
            }
        }
        b'H' if starts(bytes, b"HTTP/1.").is_some() => {
            whole(starts(bytes, b"HTTP/1."), || Protocol::Http1(Http1::new()))
        }
        b'R' | b'E' | b'S' | b'N' | b'G'
            if bytes.get(1).is_none_or(|&byte| byte < b' ' || byte == b'R') =>
        {
            server(bytes)
        }
        b'A'..=b'Z' => request(bytes),
        b'*' | b'$' | b':' | b'%' | b'~' | b'>' => second(|byte| byte.is_ascii_digit()),
        b'+' | b'-' => second(|byte| byte.is_ascii_uppercase()),
        20..=24 => match bytes.len() {
            _ if !tls::is_record(bytes) => First::Text,
            0..5 => First::Undecided,
            _ => First::Is(Protocol::Tls(Tls::new())),
        },
        _ => binary(bytes),
    }
}

/// How far `bytes` are a beginning of `expected`, or it of them: whether it is all there.
fn starts(bytes: &[u8], expected: &[u8]) -> Option<bool> {
    let n = bytes.len().min(expected.len());
    (bytes[..n] == expected[..n]).then_some(n == expected.len())
}

fn whole(is_whole: Option<bool>, protocol: impl FnOnce() -> Protocol) -> First {
    match is_whole {
        Some(true) => First::Is(protocol()),
        Some(false) => First::Undecided,
        None => First::Text,
    }
}

/// A method, a blank, and how a target begins.
fn request(bytes: &[u8]) -> First {
    let n = bytes.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    match (bytes.get(n), bytes.get(n + 1)) {
        (None, _) | (Some(b' '), None) => First::Undecided,
        (Some(b' '), Some(b'/' | b'*' | b'h' | b'H')) => First::Is(Protocol::Http1(Http1::new())),
        (Some(b' '), _) if &bytes[..n] == b"CONNECT" && bytes[n + 1] != b'{' => {
            First::Is(Protocol::Http1(Http1::new()))
        }
        _ => First::Text,
    }
}

/// PostgreSQL's server: an answer about encryption, authentication, an error.
fn server(bytes: &[u8]) -> First {
    let answers = bytes.iter().take_while(|byte| matches!(byte, b'S' | b'N' | b'G')).count();
    let Some(&kind) = bytes.get(answers) else { return First::Undecided };
    if kind == 0x16 && answers > 0 {
        return First::Is(Protocol::Postgres(Postgres::server()));
    }
    let length = &bytes[answers + 1..];
    match length {
        _ if !matches!(kind, b'R' | b'E') || !length.iter().take(2).all(|&byte| byte == 0) => {
            request(bytes)
        }
        [_, _, _, _, ..] => First::Is(Protocol::Postgres(Postgres::server())),
        _ => First::Undecided,
    }
}

/// SETTINGS of an HTTP/2 server, a PostgreSQL client's first message, MySQL's handshake.
fn binary(bytes: &[u8]) -> First {
    let is_settings = http2::is_settings(bytes);
    if is_settings == Some(true) {
        return First::Is(Protocol::Http2(Box::new(Http2::new(false))));
    }
    let is_postgres = match bytes.first_chunk::<8>() {
        Some(&[a, b, c, d, e, f, g, h]) => {
            let is_it = postgres::is_startup(
                u32::from_be_bytes([a, b, c, d]),
                u32::from_be_bytes([e, f, g, h]),
            );
            if is_it {
                return First::Is(Protocol::Postgres(Postgres::client()));
            }
            false
        }
        None => bytes.iter().take(2).all(|&byte| byte == 0),
    };
    match mysql::is_first(bytes) {
        Some(true) => First::Is(Protocol::Mysql(Mysql::new())),
        None => First::Undecided,
        Some(false) if is_postgres || is_settings.is_none() => First::Undecided,
        Some(false) => First::Text,
    }
}

/// Where nothing is known: what certainly begins here.
fn certain(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    tls_at(bytes, wire_length)
        .or_else(|| http2_at(bytes, wire_length))
        .or_else(|| http1_at(bytes))
        .or_else(|| redis_at(bytes, wire_length))
        .or_else(|| postgres_at(bytes, wire_length))
        .or_else(|| mysql_at(bytes, wire_length))
}

fn http1_at(bytes: &[u8]) -> Option<Protocol> {
    http1::begins(bytes).then(|| Protocol::Http1(Http1::new()))
}

fn http2_at(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    let has_preface = http2::is_preface(bytes);
    (has_preface || http2::begins(bytes, wire_length))
        .then(|| Protocol::Http2(Box::new(Http2::new(has_preface))))
}

fn mysql_at(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    mysql::begins(bytes, wire_length).then(|| Protocol::Mysql(Mysql::joined()))
}

fn postgres_at(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    postgres::begins(bytes, wire_length).then(|| Protocol::Postgres(Postgres::joined()))
}

fn redis_at(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    redis::begins(bytes, wire_length).then(|| Protocol::Redis(Redis::joined()))
}

fn tls_at(bytes: &[u8], wire_length: u64) -> Option<Protocol> {
    tls::begins(bytes, wire_length).then(|| Protocol::Tls(Tls::new()))
}
