//! Where a RESP value may begin: behind a gap, behind nonsense, in a conversation joined late, and for the probe.
//! Never looks further ahead than the 64 bytes that decide.

use crate::protocol::{Half, Match, Side};

use super::commands;

const INLINE_NAME_MAX: usize = 64;

/// What the search came to.
pub(super) enum Found {
    /// A value may begin here.
    Value,
    /// More bytes are needed; `boundary`: the very next byte may begin a value.
    Nothing { boundary: bool },
}

/// Whether bytes begin a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// So far it could.
    TooShort,
}

/// The first place from `position` on where a value may begin: behind a CR LF, or, at a `boundary`, at once.
pub(super) fn next_value(
    half: &Half<'_>,
    side: Side,
    position: u64,
    boundary: bool,
) -> (u64, Found) {
    let (mut position, mut boundary) = (position, boundary);
    loop {
        let bytes = half.at(position);
        if bytes.is_empty() {
            if position >= half.end {
                return (position, Found::Nothing { boundary });
            }
            match half.next_known(position) {
                Some(known) => position = known,
                None => return (half.end, Found::Nothing { boundary: true }),
            }
            boundary = true;
            continue;
        }
        let cut = half.cut_after(position);
        if boundary {
            match judge(side, bytes, true) {
                Verdict::Yes => return (position, Found::Value),
                Verdict::TooShort if !cut => return (position, Found::Nothing { boundary }),
                _ => boundary = false,
            }
        }
        for at in (0..bytes.len()).filter(|&at| bytes[at] == b'\r') {
            match behind_line_end(side, &bytes[at..]) {
                Verdict::Yes => return (position + at as u64 + 2, Found::Value),
                Verdict::TooShort if !cut => {
                    return (position + at as u64, Found::Nothing { boundary });
                }
                _ => {}
            }
        }
        position += bytes.len() as u64;
    }
}

/// What two halves joined late look like: a half may begin inside a value, so it counts what is found behind a line's end.
/// A command in its array form is sure where replies are found too, or nothing was said against it.
pub(super) fn probe_inside(client: &Half<'_>, server: &Half<'_>) -> Match {
    let first = |half: &Half<'_>, side| match next_value(half, side, half.start, true) {
        (at, Found::Value) => Some(half.at(at).first().copied()),
        _ => None,
    };
    let asked = (!client.pieces.is_empty()).then(|| first(client, Side::Client));
    let answered = (!server.pieces.is_empty()).then(|| first(server, Side::Server));
    match (asked, answered) {
        (None, None) | (Some(None), _) | (_, Some(None)) => Match::No,
        (Some(Some(Some(b'*'))), _) => Match::Yes,
        _ => Match::Maybe,
    }
}

fn behind_line_end(side: Side, bytes: &[u8]) -> Verdict {
    match bytes.strip_prefix(b"\r\n") {
        Some(rest) => judge(side, rest, false),
        None if bytes == b"\r" => Verdict::TooShort,
        None => Verdict::No,
    }
}

/// Whether `bytes` begin a request (`side` is the client) or a reply.
pub(super) fn judge(side: Side, bytes: &[u8], inline: bool) -> Verdict {
    match (side, bytes.first()) {
        (_, None) => Verdict::TooShort,
        (Side::Client, Some(b'*')) => command(&bytes[1..]),
        (Side::Client, Some(_)) if inline => known_inline(bytes),
        (Side::Client, Some(_)) => Verdict::No,
        (Side::Server, Some(b'+' | b'-')) => match bytes.get(1..3) {
            Some(word) if word.iter().all(u8::is_ascii_uppercase) => Verdict::Yes,
            None if bytes[1..].iter().all(u8::is_ascii_uppercase) => Verdict::TooShort,
            _ => Verdict::No,
        },
        (Side::Server, Some(b':' | b'$' | b'*' | b'%' | b'~' | b'>' | b'|' | b'!' | b'=')) => {
            number(&bytes[1..]).0
        }
        (Side::Server, Some(b'#')) => fixed(bytes, &[b"#t\r\n", b"#f\r\n"]),
        (Side::Server, Some(b'_')) => fixed(bytes, &[b"_\r\n"]),
        (Side::Server, Some(b',' | b'(')) => match bytes.get(1) {
            Some(b'-' | b'0'..=b'9' | b'i' | b'n') => Verdict::Yes,
            None => Verdict::TooShort,
            _ => Verdict::No,
        },
        _ => Verdict::No,
    }
}

/// Behind the `*`: a count, and the bulk of a command's name.
fn command(bytes: &[u8]) -> Verdict {
    let (verdict, rest) = number(bytes);
    match (verdict, rest.split_first()) {
        (Verdict::Yes, None) => Verdict::TooShort,
        (Verdict::Yes, Some((b'$', rest))) => match number(rest) {
            (Verdict::Yes, []) => Verdict::TooShort,
            (Verdict::Yes, [letter, ..]) if letter.is_ascii_alphabetic() => Verdict::Yes,
            (Verdict::TooShort, _) => Verdict::TooShort,
            _ => Verdict::No,
        },
        (Verdict::TooShort, _) => Verdict::TooShort,
        _ => Verdict::No,
    }
}

/// A decimal of at most ten digits and its CR LF, and what follows.
fn number(bytes: &[u8]) -> (Verdict, &[u8]) {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    match &digits[n..] {
        _ if n > 10 => (Verdict::No, &[]),
        [] | [b'\r'] if n > 0 || digits.is_empty() => (Verdict::TooShort, &[]),
        [b'\r', b'\n', rest @ ..] if n > 0 => (Verdict::Yes, rest),
        _ => (Verdict::No, &[]),
    }
}

fn fixed(bytes: &[u8], forms: &[&[u8]]) -> Verdict {
    if forms.iter().any(|form| bytes.starts_with(form)) {
        Verdict::Yes
    } else if forms.iter().any(|form| form.starts_with(bytes)) {
        Verdict::TooShort
    } else {
        Verdict::No
    }
}

/// An inline command with a name of Redis's own.
fn known_inline(bytes: &[u8]) -> Verdict {
    let window = &bytes[..bytes.len().min(INLINE_NAME_MAX)];
    match window.iter().position(|b| b.is_ascii_whitespace()) {
        Some(n) if commands::is_known(&window[..n]) => Verdict::Yes,
        None if is_word(window) && window.len() < INLINE_NAME_MAX => Verdict::TooShort,
        _ => Verdict::No,
    }
}

/// Whether a line can be an inline command: a name, then printable words; not a request of HTTP.
pub(super) fn is_inline(line: &[u8]) -> bool {
    let name = line.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    let printable = line.iter().all(|&b| b >= b' ' || b == b'\t');
    let http = line.windows(6).any(|w| w == b" HTTP/");
    is_word(name) && name.len() <= INLINE_NAME_MAX && printable && !http
}

/// Whether this may name a command.
pub(super) fn is_word(name: &[u8]) -> bool {
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'|');
    name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(inner)
}
