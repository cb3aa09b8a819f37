//! What a trigger means, by the bytes before it: is there a name of a credential, a scheme, the beginning of a token. It never
//! looks at more than the window, nor at what follows.

use super::super::names;
use super::{State, Value};

/// The state behind `trigger`, which `before` precedes.
pub(super) fn judge(trigger: u8, before: &[u8]) -> State {
    match trigger {
        b':' => colon(before),
        b'=' => equals(before),
        b'J' if before.ends_with(b"ey") => token(before, 2),
        b'A' if before.ends_with(b"AKI") || before.ends_with(b"ASI") => token(before, 3),
        b'B' | b'b' if !before.last().is_some_and(u8::is_ascii_alphanumeric) => {
            State::Bearer { n: 1, first: false }
        }
        b'K' if is_private_key(before) => State::PemHead,
        b'\'' if is_sql_password(before) => {
            State::In(Value::Quoted { quote: b'\'', level: 0, run: 0, depth: 0 })
        }
        b'>' if is_credential_element(before) => State::In(Value::Xml),
        b'\n' => State::Word(0),
        _ => State::Idle,
    }
}

/// What a token that begins with its last `n` bytes and the trigger leads to: it must begin a word.
fn token(before: &[u8], n: usize) -> State {
    match before[..before.len() - n].last() {
        Some(byte) if is_token(*byte) && *byte != b'=' => State::Idle,
        _ => State::In(Value::Token { blank: false }),
    }
}

/// The alphabet of tokens: RFC 6750's, what URLs make of it, and what is overwritten already.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'%' | b'*')
}

fn colon(before: &[u8]) -> State {
    let trimmed = trim_blanks(before);
    if let Some((&quote @ (b'"' | b'\''), rest)) = trimmed.split_last() {
        let rest =
            &rest[..rest.len() - rest.iter().rev().take_while(|&&byte| byte == b'\\').count()];
        let name = last_while(rest, |byte| byte != quote && byte != b'\n' && byte != b'\\');
        if names::is_credential(name) {
            return expect(Value::Json { depth: 0 }, true);
        }
        return State::Idle;
    }
    let name = last_while(trimmed, is_name);
    if !names::is_credential(name) {
        return if before.last().is_some_and(u8::is_ascii_alphanumeric) {
            State::Slashes(0)
        } else {
            State::Idle
        };
    }
    let is_line = matches!(trimmed[..trimmed.len() - name.len()].last(), None | Some(b'\n'));
    expect(if is_line { Value::Line { answers: 0 } } else { Value::Colon }, true)
}

fn equals(before: &[u8]) -> State {
    let trimmed = trim_blanks(before);
    let is_part = |byte| is_name(byte) || matches!(byte, b'[' | b']' | b'%' | b'$');
    if names::is_credential(last_while(trimmed, is_part)) {
        return expect(Value::Equals, trimmed.len() < before.len());
    }
    State::Idle
}

fn expect(value: Value, blanks: bool) -> State {
    State::Expect { value, level: 0, blanks }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// `-----BEGIN … PRIVATE ` right before.
fn is_private_key(before: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let Some(kind) = before.strip_suffix(b"PRIVATE ") else { return false };
    let kind = last_while(kind, |byte| byte.is_ascii_uppercase() || byte == b' ');
    let begins = before.len() - b"PRIVATE ".len() - kind.len();
    before[begins.saturating_sub(5)..].starts_with(BEGIN)
}

/// `PASSWORD '…'`, `PASSWORD('…')`, `IDENTIFIED … BY '…'`, `SET PASSWORD FOR … = '…'`.
fn is_sql_password(before: &[u8]) -> bool {
    let is_sign = |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'(' | b'=' | b'E' | b'e');
    let signs = last_while(before, is_sign);
    let words = &before[..before.len() - signs.len()];
    // Right behind a name stands the quote that ends it.
    !signs.is_empty() && ends_with(words, b"password")
        || (ends_with(words, b"by") && contains(words, b"identified"))
        || (signs.contains(&b'=') && contains(words, b"password for"))
}

/// `<name …>` of a credential.
fn is_credential_element(before: &[u8]) -> bool {
    let inside = last_while(before, |byte| byte != b'<' && byte != b'>');
    if inside.len() == before.len() || inside.last() == Some(&b'/') {
        return false;
    }
    let is_open = before[before.len() - inside.len() - 1] == b'<';
    let name =
        inside.iter().position(|&byte| !is_name(byte) && byte != b':').unwrap_or(inside.len());
    is_open && names::is_credential(&inside[..name])
}

fn trim_blanks(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - last_while(bytes, |byte| byte == b' ' || byte == b'\t').len()]
}

/// The longest ending whose bytes all are so.
fn last_while(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> &[u8] {
    &bytes[bytes.len() - bytes.iter().rev().take_while(|&&byte| is_so(byte)).count()..]
}

/// Without case.
pub(super) fn ends_with(bytes: &[u8], end: &[u8]) -> bool {
    bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// What a blank behind the first words of a line leads to: `AUTH …`, `PASS …`, IMAP's `tag LOGIN …`.
pub(super) fn command(before: &[u8], n_words: u8) -> State {
    let word = last_while(before, |byte| byte.is_ascii_alphanumeric());
    let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    if is(&["AUTH", "AUTHENTICATE"]) {
        // Base64 answers may follow on lines of their own: AUTH LOGIN has two.
        State::In(Value::Line { answers: 2 })
    } else if is(&["PASS", "LOGIN"]) {
        State::In(Value::Line { answers: 0 })
    } else if n_words == 0 && word.len() <= 12 && word.iter().any(u8::is_ascii_digit) {
        State::Word(1)
    } else {
        State::Idle
    }
}
