//! One control line of the protocol (docs: Client Protocol): an operation and its words. Never looks behind the line's end.

use crate::protocol::Side;

/// Longest line but INFO's and CONNECT's; the server's own limit is 4,096.
pub(super) const MAX_LINE: usize = 4_096;
/// Longest line of all: INFO names every server of a cluster.
pub(super) const MAX_INFO: usize = 64 << 10;
/// A payload is at most so long: the server's own limit.
const MAX_PAYLOAD: u64 = 64 << 20;

/// A message that is published or delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) subject: &'a [u8],
    pub(super) reply: Option<&'a [u8]>,
    /// Bytes of headers, of all that follows.
    pub(super) header_length: u64,
    pub(super) length: u64,
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// PUB, HPUB, MSG, HMSG; a payload and a line's end follow.
    Message(Message<'a>),
    Subscribe {
        subject: &'a [u8],
        queue: Option<&'a [u8]>,
    },
    Unsubscribe,
    /// What stands in braces.
    Connect(&'a [u8]),
    Info(&'a [u8]),
    Ping,
    Pong,
    Ok,
    /// The text between quotes.
    Error(&'a [u8]),
}

/// Whether bytes begin a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins<'a> {
    /// A line, and its length with its end.
    Line(Line<'a>, usize),
    /// So far they could.
    More,
    No,
}

/// The line that `bytes`, sent by `side`, begin with.
pub(super) fn read(side: Side, bytes: &[u8]) -> Begins<'_> {
    // Most of what is asked about is none, and a line's end may be far.
    if !could_begin(side, bytes) {
        return Begins::No;
    }
    let Some(end) = bytes.windows(2).take(MAX_INFO).position(|two| two == b"\r\n") else {
        let longest = if is_long(side, bytes) { MAX_INFO } else { MAX_LINE };
        return if bytes.len() < longest { Begins::More } else { Begins::No };
    };
    match parse(side, &bytes[..end]) {
        Some(line) => Begins::Line(line, end + 2),
        None => Begins::No,
    }
}

/// Operations of each side, as they are written; any case is allowed.
fn operations(side: Side) -> &'static [&'static [u8]] {
    match side {
        Side::Client => &[b"PUB", b"HPUB", b"SUB", b"UNSUB", b"CONNECT", b"PING", b"PONG"],
        Side::Server => &[b"MSG", b"HMSG", b"INFO", b"PING", b"PONG", b"+OK", b"-ERR"],
    }
}

fn could_begin(side: Side, bytes: &[u8]) -> bool {
    operations(side).iter().any(|operation| {
        let n = operation.len().min(bytes.len());
        operation[..n].eq_ignore_ascii_case(&bytes[..n])
            && bytes.get(n).is_none_or(|next| matches!(next, b' ' | b'\t' | b'\r'))
    })
}

fn is_long(side: Side, bytes: &[u8]) -> bool {
    let long: &[u8] = if side == Side::Client { b"CONNECT" } else { b"INFO" };
    bytes.get(..long.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(long))
}

fn parse(side: Side, line: &[u8]) -> Option<Line<'_>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (operation, rest) = line.split_at(end);
    let known = operations(side).iter().find(|known| known.eq_ignore_ascii_case(operation))?;
    if is_long(side, line) {
        let braces = rest.trim_ascii();
        let is_object = braces.first() == Some(&b'{') && braces.last() == Some(&b'}');
        let line = if side == Side::Client { Line::Connect } else { Line::Info };
        return is_object.then_some(line(braces));
    }
    if line.len() > MAX_LINE || rest.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let mut words = rest.split(blank).filter(|word| !word.is_empty());
    let line = match *known {
        b"-ERR" => return Some(Line::Error(rest.trim_ascii())),
        b"PING" => Line::Ping,
        b"PONG" => Line::Pong,
        b"+OK" => Line::Ok,
        b"SUB" => {
            let (subject, second, third) = (words.next()?, words.next()?, words.next());
            Line::Subscribe { subject, queue: third.map(|_| second) }
        }
        b"UNSUB" => {
            words.next()?;
            words.next();
            Line::Unsubscribe
        }
        operation => {
            let has_headers = matches!(operation, b"HPUB" | b"HMSG");
            let words: Vec<&[u8]> = words.by_ref().take(7).collect();
            return Some(Line::Message(message(side, has_headers, &words)?));
        }
    };
    words.next().is_none().then_some(line)
}

/// `subject [sid] [reply] [header length] length`
fn message<'a>(side: Side, has_headers: bool, words: &[&'a [u8]]) -> Option<Message<'a>> {
    let n_numbers = 1 + usize::from(has_headers);
    let (names, numbers) = words.split_at_checked(words.len().checked_sub(n_numbers)?)?;
    let (subject, mut names) = names.split_first()?;
    if side == Side::Server {
        names = names.split_first()?.1;
    }
    let reply = match names {
        [] => None,
        [reply] => Some(*reply),
        _ => return None,
    };
    let length = number(numbers.last()?)?;
    let header_length = if has_headers { number(numbers.first()?)? } else { 0 };
    let is_possible = header_length <= length && length <= MAX_PAYLOAD;
    is_possible.then_some(Message { subject, reply, header_length, length })
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.len() <= 9 && word.iter().all(u8::is_ascii_digit);
    digits.then(|| word.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(side: Side, line: &str, expected: Option<Line<'_>>) {
        let sent = format!("{line}\r\n");
        let read = read(side, sent.as_bytes());
        let expected = expected.map_or(Begins::No, |found| Begins::Line(found, sent.len()));
        assert_eq!(read, expected, "{line}");
    }

    fn message<'a>(
        subject: &'a str,
        reply: Option<&'a str>,
        lengths: [u64; 2],
    ) -> Option<Line<'a>> {
        let [header_length, length] = lengths;
        let (subject, reply) = (subject.as_bytes(), reply.map(str::as_bytes));
        Some(Line::Message(Message { subject, reply, header_length, length }))
    }

    #[test]
    fn lines_of_both_sides() {
        use Side::*;
        check(Client, "PUB a.b 5", message("a.b", None, [0, 5]));
        check(Client, "pub a.b\tr.1  5", message("a.b", Some("r.1"), [0, 5]));
        check(Client, "HPUB a r 12 17", message("a", Some("r"), [12, 17]));
        check(Server, "MSG a 9 5", message("a", None, [0, 5]));
        check(Server, "HMSG a 9 r 12 17", message("a", Some("r"), [12, 17]));
        check(Client, "SUB a 9", Some(Line::Subscribe { subject: b"a", queue: None }));
        check(Client, "SUB a q 9", Some(Line::Subscribe { subject: b"a", queue: Some(b"q") }));
        check(Client, "UNSUB 9 4", Some(Line::Unsubscribe));
        check(Client, "CONNECT {\"a\":1}", Some(Line::Connect(b"{\"a\":1}")));
        check(Server, "+OK", Some(Line::Ok));
        check(Server, "-ERR 'No'", Some(Line::Error(b"'No'")));
    }

    #[test]
    fn what_is_no_line() {
        use Side::*;
        for line in [
            "MSG a 9 5",
            "PUB a",
            "PUB a b c 5",
            "PUB a 5x",
            "HPUB a 17 12",
            "CONNECT h:1 HTTP/1.1",
        ] {
            check(Client, line, None);
        }
        for line in ["PUB a 5", "MSG a 5", "INFO", "+OKAY", "PING 1"] {
            check(Server, line, None);
        }
        assert_eq!(read(Client, b"PU"), Begins::More);
        assert_eq!(read(Client, b"PUT /"), Begins::No);
    }
}
