//! The values of conditions: read by the kind of their field, compared with a call's. Never compares a number with what
//! is none, never takes a duration whose unit has to be guessed.

use super::Op;
use super::words::Word;
use crate::report::fields::{Kind, Value};
use crate::report::instant::{Moment, Zone, parse_duration};
use std::cmp::Ordering;
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    /// Nothing known: `null`, an empty text, an empty list.
    Null,
    Text(String),
    Integer(i64),
    Real(f64),
    Boolean(bool),
    /// Nanoseconds of a duration field: printed with its unit.
    Duration(i64),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Text(text) => {
                write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Literal::Integer(n) => write!(f, "{n}"),
            Literal::Real(n) => write!(f, "{n:?}"),
            Literal::Boolean(b) => write!(f, "{b}"),
            Literal::Duration(ns) => write!(f, "{ns}ns"),
        }
    }
}

/// Reads the value given for the field typed as `name`, or says what would be right.
pub(super) fn read(
    kind: Kind,
    name: &str,
    op: Op,
    word: &Word,
    zone: Zone,
) -> Result<Literal, String> {
    let raw = word.text.as_str();
    if raw == "null" && !word.quoted {
        return match op {
            Op::Equal | Op::NotEqual => Ok(Literal::Null),
            _ => Err("can only be = null or != null (quoted, 'null' is text)".to_owned()),
        };
    }
    match kind {
        // What has an order as a number is compared as one, as long as a number is asked for.
        Kind::Text if op.orders() => Ok(number(raw).unwrap_or_else(|| Literal::Text(raw.into()))),
        Kind::Text => Ok(Literal::Text(raw.to_owned())),
        Kind::Number => number(raw).ok_or_else(|| format!("needs a number, not `{raw}`")),
        Kind::Boolean => boolean(raw)
            .map(Literal::Boolean)
            .ok_or_else(|| format!("is true or false (or yes, no), not `{raw}`")),
        Kind::Duration => duration(name, raw).map(Literal::Duration),
        Kind::Instant => match Moment::parse(raw, zone) {
            Some(Moment::Unix(ns)) => Ok(Literal::Integer(ns)),
            _ => {
                Err(format!("needs an instant like 2026-11-22T10:14:03Z or Unix time, not `{raw}`"))
            }
        },
    }
}

fn number(raw: &str) -> Option<Literal> {
    let real = || raw.parse().ok().filter(|n: &f64| n.is_finite()).map(Literal::Real);
    raw.parse().map(Literal::Integer).ok().or_else(real)
}

fn boolean(raw: &str) -> Option<bool> {
    let is = |words: [&str; 2]| words.iter().any(|word| raw.eq_ignore_ascii_case(word));
    if is(["true", "yes"]) { Some(true) } else { is(["false", "no"]).then_some(false) }
}

/// With its unit; a bare number only where the field's name ends with it.
fn duration(name: &str, raw: &str) -> Result<i64, String> {
    let wrong = || format!("needs a duration like 5ms, 300us or 2s, not `{raw}`");
    let (size, sign) = raw.strip_prefix('-').map_or((raw, 1), |size| (size, -1));
    let is_bare = !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let ns = match (is_bare, name.ends_with("_ns")) {
        (false, _) => parse_duration(size),
        (true, true) => parse_duration(&format!("{size}ns")),
        (true, false) => {
            return Err(format!("needs a unit: {raw}ns, {raw}us, {raw}ms or {raw}s"));
        }
    };
    ns.map(|ns| sign * ns).ok_or_else(wrong)
}

/// Whether a value stands to the literal as `op` says; a value of another kind doesn't, but for `!=`.
pub(super) fn meets(op: Op, value: &Value<'_>, literal: &Literal) -> bool {
    let text = match value {
        Value::Text(text) => Some(*text),
        Value::Owned(text) => Some(text.as_str()),
        _ => None,
    };
    match (op, text, literal) {
        (Op::Contains, Some(text), Literal::Text(wanted)) => text.contains(wanted.as_str()),
        (op, Some(text), Literal::Text(wanted)) => op.accepts(Some(text.cmp(wanted.as_str()))),
        (op, Some(text), wanted) => {
            op.accepts(number(text).and_then(|found| compare_numbers(&found, wanted)))
        }
        (op, None, wanted) => op.accepts(match value {
            Value::Integer(n) => compare_numbers(&Literal::Integer(*n), wanted),
            Value::Real(n) => compare_numbers(&Literal::Real(*n), wanted),
            Value::Boolean(b) => (Literal::Boolean(*b) == *wanted).then_some(Ordering::Equal),
            Value::Text(_) | Value::Owned(_) => None,
        }),
    }
}

/// Whether a value says that nothing is known.
pub(super) fn is_absent(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::Owned(text) => text.is_empty(),
        _ => false,
    }
}

fn compare_numbers(a: &Literal, b: &Literal) -> Option<Ordering> {
    match (a, b) {
        (Literal::Integer(a), Literal::Integer(b) | Literal::Duration(b)) => Some(a.cmp(b)),
        (Literal::Integer(a), Literal::Real(b)) => (*a as f64).partial_cmp(b),
        (Literal::Real(a), Literal::Integer(b)) => a.partial_cmp(&(*b as f64)),
        (Literal::Real(a), Literal::Real(b)) => a.partial_cmp(b),
        _ => None,
    }
}
