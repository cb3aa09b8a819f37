//! Conditions on calls: `FIELD OP VALUE` joined by `and`. The fields are those of `calls`. Never guesses: an unknown field,
//! operator or unit is an error that names the known ones.

use super::fields::{self, Field, Kind, Subject, Value};
use super::instant::{Moment, Zone, parse_duration};
use super::names::Names;
use crate::call::{Analysis, Call};
use std::cmp::Ordering;
use std::fmt;

/// All of these conditions; none: everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// What is wrong with a filter's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Byte in the text.
    pub at: usize,
    /// What was wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {})", self.reason, self.at + 1)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Reads `duration > 5ms and server.service = 'cart' and resource ~ /checkout`. Instants without a zone are in `zone`.
    pub fn parse(text: &str, zone: Zone) -> Result<Filter, FilterError> {
        let mut rest = Rest { text, at: 0 };
        let mut conditions = Vec::new();
        loop {
            conditions.push(condition(&mut rest, zone)?);
            match rest.word() {
                "" if rest.at_end() => return Ok(Filter { conditions }),
                word if word.eq_ignore_ascii_case("and") => rest.skip(word.len()),
                _ => return Err(rest.error("expected `and` or the end".to_owned())),
            }
        }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether a call meets every condition.
    pub fn matches(&self, analysis: &Analysis, names: &Names, call: &Call) -> bool {
        let subject = Subject { analysis, names, call };
        self.conditions.iter().all(|c| c.holds(&subject))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, c) in self.conditions.iter().enumerate() {
            let and = if i > 0 { " and " } else { "" };
            write!(f, "{and}{} {} {}", c.field.name, c.op.sign(), c.literal)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Condition {
    field: &'static Field,
    op: Op,
    literal: Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

/// Longer signs first: `<=` is not `<`.
const OPS: &[(&str, Op)] = &[
    ("!=", Op::NotEqual),
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("==", Op::Equal),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
    ("~", Op::Contains),
];

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Text(String),
    Integer(i64),
    Real(f64),
    /// Nanoseconds of a duration field: printed with its unit.
    Duration(i64),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => {
                write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Literal::Integer(n) => write!(f, "{n}"),
            Literal::Real(n) => write!(f, "{n:?}"),
            Literal::Duration(ns) => write!(f, "{ns}ns"),
        }
    }
}

impl Op {
    fn sign(self) -> &'static str {
        OPS.iter()
            .find(|(_, op)| *op == self)
            .map_or("=", |(sign, _)| if *sign == "==" { "=" } else { sign })
    }

    fn accepts(self, ordering: Option<Ordering>) -> bool {
        match self {
            Op::Equal => ordering == Some(Ordering::Equal),
            Op::NotEqual => ordering != Some(Ordering::Equal),
            Op::Less => ordering == Some(Ordering::Less),
            Op::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Op::Greater => ordering == Some(Ordering::Greater),
            Op::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            Op::Contains => false,
        }
    }
}

impl Condition {
    /// One value meets it; `!=`: none is equal.
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let values = (self.field.values)(subject);
        match self.op {
            Op::NotEqual => values.iter().all(|v| self.meets(v)),
            _ => values.iter().any(|v| self.meets(v)),
        }
    }

    fn meets(&self, value: &Value<'_>) -> bool {
        let text = match value {
            Value::Text(text) => Some(*text),
            Value::Owned(text) => Some(text.as_str()),
            _ => None,
        };
        match (self.op, text, &self.literal) {
            (Op::Contains, Some(text), Literal::Text(wanted)) => text.contains(wanted.as_str()),
            (op, Some(text), Literal::Text(wanted)) => op.accepts(Some(compare_text(text, wanted))),
            (op, None, literal) => op.accepts(compare_number(value, literal)),
            _ => false,
        }
    }
}

/// As numbers where both are (statuses, versions), else as text.
fn compare_text(a: &str, b: &str) -> Ordering {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y),
        _ => a.cmp(b),
    }
}

fn compare_number(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Integer(a), Literal::Integer(b) | Literal::Duration(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Literal::Real(b)) => (*a as f64).partial_cmp(b),
        (Value::Real(a), Literal::Integer(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Real(a), Literal::Real(b)) => a.partial_cmp(b),
        _ => None,
    }
}

fn condition(rest: &mut Rest<'_>, zone: Zone) -> Result<Condition, FilterError> {
    let name = rest.word();
    let Some(field) = fields::named(name) else {
        let known: Vec<_> = fields::FIELDS.iter().map(|f| f.name).collect();
        let what = if name.is_empty() {
            "expected a field".to_owned()
        } else {
            format!("unknown field `{name}`")
        };
        return Err(rest.error(format!("{what}; known are: {}", known.join(", "))));
    };
    rest.skip(name.len());
    let Some((sign, op)) = OPS.iter().find(|(sign, _)| rest.trimmed().starts_with(sign)) else {
        return Err(rest.error(format!(
            "expected an operator after `{name}`: =, !=, <, <=, >, >= or ~ (contains)"
        )));
    };
    if *op == Op::Contains && field.kind != Kind::Text {
        return Err(rest.error(format!("`~` (contains) needs text, `{}` is none", field.name)));
    }
    rest.skip(sign.len());
    let before = rest.at;
    let raw = rest.value()?;
    let literal = literal(field.kind, &raw, zone).map_err(|reason| FilterError {
        at: before,
        reason: format!("`{}` {reason}", field.name),
    })?;
    Ok(Condition { field, op: *op, literal })
}

fn literal(kind: Kind, raw: &str, zone: Zone) -> Result<Literal, String> {
    match kind {
        Kind::Text => Ok(Literal::Text(raw.to_owned())),
        Kind::Number => {
            let real = || raw.parse().ok().filter(|n: &f64| n.is_finite()).map(Literal::Real);
            let number = raw.parse().map(Literal::Integer).ok().or_else(real);
            number.ok_or_else(|| format!("needs a number, not `{raw}`"))
        }
        Kind::Duration => parse_duration(raw)
            .map(Literal::Duration)
            .ok_or_else(|| format!("needs a duration like 5ms, 300us or 2s, not `{raw}`")),
        Kind::Instant => match Moment::parse(raw, zone) {
            Some(Moment::Unix(ns)) => Ok(Literal::Integer(ns)),
            _ => {
                Err(format!("needs an instant like 2026-11-22T10:14:03Z or Unix time, not `{raw}`"))
            }
        },
    }
}

/// What is left of the text.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn trimmed(&self) -> &'a str {
        self.text[self.at..].trim_start()
    }

    fn at_end(&self) -> bool {
        self.trimmed().is_empty()
    }

    /// The name that comes next, not taken yet.
    fn word(&self) -> &'a str {
        let rest = self.trimmed();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        &rest[..end.unwrap_or(rest.len())]
    }

    fn skip(&mut self, n: usize) {
        self.at = self.text.len() - self.trimmed().len() + n;
    }

    /// Takes a value: quoted with `'` or `"` (backslash escapes), else up to the next space.
    fn value(&mut self) -> Result<String, FilterError> {
        let rest = self.trimmed();
        let Some(quote @ ('\'' | '"')) = rest.chars().next() else {
            let word = rest.split_whitespace().next().unwrap_or("");
            self.skip(word.len());
            return if word.is_empty() {
                Err(self.error("expected a value".to_owned()))
            } else {
                Ok(word.to_owned())
            };
        };
        let mut value = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.skip(i + 1);
                    return Ok(value);
                }
                c => value.push(c),
            }
        }
        Err(self.error(format!("the quote {quote} is not closed")))
    }

    fn error(&self, reason: String) -> FilterError {
        FilterError { at: self.text.len() - self.trimmed().len(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<usize, &str>) {
        let analysis = sample::shop();
        let names = Names::of(&analysis);
        match (Filter::parse(text, Zone::UTC), expected) {
            (Ok(f), Ok(n)) => {
                assert_eq!(
                    analysis.calls.iter().filter(|c| f.matches(&analysis, &names, c)).count(),
                    n,
                    "{text}"
                );
            }
            (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{text}: {e}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn conditions_select_calls() {
        check("protocol = redis", Ok(2));
        check("protocol=redis AND request_type!='HGETALL'", Ok(1));
        check("resource ~ /checkout and status >= 200", Ok(3));
        check("duration > 100ms and failed = false", Ok(4));
        check("points.interface = eth0 and service = redis", Ok(2));
        check("request_first >= 2026-11-22T00:00:00Z", Ok(9));
        check("link.confidence < 0.9", Ok(1));
        check("issues = open-at-end", Ok(1));
    }

    #[test]
    fn errors_name_what_would_be_right() {
        check("duratoin > 5ms", Err("known are: id, trace"));
        check("duration > 5 parsecs", Err("expected `and`"));
        check("duration > fast", Err("needs a duration like 5ms"));
        check("duration ~ 5", Err("needs text"));
        check("status", Err("expected an operator"));
        check("status =", Err("expected a value"));
        check("status = 'a", Err("not closed"));
        check("", Err("expected a field"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = Filter::parse(&text, Zone::UTC);
        }

        #[test]
        fn printed_and_read_again(
            choices in proptest::collection::vec((0..fields::FIELDS.len(), 0..OPS.len(), any::<String>(), 0i64..i64::MAX), 1..5),
        ) {
            let conditions = choices.into_iter().map(|(f, o, text, n)| {
                let field = &fields::FIELDS[f];
                let literal = match field.kind {
                    Kind::Text => Literal::Text(text),
                    Kind::Number => Literal::Integer(n),
                    Kind::Duration => Literal::Duration(n),
                    Kind::Instant => Literal::Integer(n.max(1_000_000_000_000_000_000)),
                };
                let op = if field.kind == Kind::Text { OPS[o].1 } else { Op::Less };
                Condition { field, op, literal }
            }).collect();
            let printed = Filter { conditions }.to_string();
            prop_assert_eq!(Filter::parse(&printed, Zone::UTC).map(|f| f.to_string()), Ok(printed.clone()));
        }
    }
}
