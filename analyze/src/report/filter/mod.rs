//! Conditions on calls: `FIELD OP VALUE` joined by `and`. The fields are those of `calls`; how each kind compares is told in
//! `CALLS.md`. Never guesses: an unknown field, operator, value or unit is an error that names the known ones.

use super::fields::{self, Field, Kind, Subject};
use super::instant::Zone;
use crate::analysis::Analysis;
use crate::call::Call;
use crate::names::Names;
use literal::{Literal, is_absent, meets};
use std::cmp::Ordering;
use std::fmt;
use words::Rest;

mod literal;
mod words;

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

impl Op {
    fn sign(self) -> &'static str {
        OPS.iter()
            .find(|(_, op)| *op == self)
            .map_or("=", |(sign, _)| if *sign == "==" { "=" } else { sign })
    }

    fn orders(self) -> bool {
        matches!(self, Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual)
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
            Op::NotEqual if self.literal == Literal::Null => !values.iter().all(is_absent),
            _ if self.literal == Literal::Null => values.iter().all(is_absent),
            Op::NotEqual => values.iter().all(|v| meets(self.op, v, &self.literal)),
            _ => values.iter().any(|v| meets(self.op, v, &self.literal)),
        }
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
    if op.orders() && field.kind == Kind::Boolean {
        return Err(
            rest.error(format!("`{}` is true or false: compare it with = or !=", field.name))
        );
    }
    rest.skip(sign.len());
    let before = rest.at;
    let word = rest.value()?;
    let literal = literal::read(field.kind, name, *op, &word, zone)
        .map_err(|reason| FilterError { at: before, reason: format!("`{name}` {reason}") })?;
    Ok(Condition { field, op: *op, literal })
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
    fn texts_with_an_order_are_numbers_where_a_number_is_asked_for() {
        let all: Vec<_> = sample::shop().calls.iter().map(|c| c.status.clone()).collect();
        let from_400 = |s: &&String| s.parse::<i64>().is_ok_and(|n| n >= 400);
        let numbers = |s: &&String| s.parse::<i64>().is_ok();
        assert!(all.iter().any(|s| !s.is_empty() && s.parse::<i64>().is_err()), "{all:?}");
        check("status >= 400", Ok(all.iter().filter(from_400).count()));
        check("status >= '400'", Ok(all.iter().filter(from_400).count()));
        check("status >= 0", Ok(all.iter().filter(numbers).count()));
        check("status < 1e9", Ok(all.iter().filter(numbers).count()));
        check("status = 200", Ok(all.iter().filter(|s| *s == "200").count()));
        check("status != 200", Ok(all.iter().filter(|s| *s != "200").count()));
    }

    #[test]
    fn durations_have_a_unit_or_a_field_that_names_it() {
        let analysis = sample::shop();
        let long = |c: &&Call| crate::measure::duration(&analysis, c).ns > 200_000_000;
        let n = analysis.calls.iter().filter(long).count();
        assert!(n > 0 && n < analysis.calls.len());
        for text in ["duration_ns > 200000000", "duration_ns > 200ms", "duration > 0.2s"] {
            check(text, Ok(n));
        }
        check("hops.total_ns < -5", Ok(0));
        check("duration > 200", Err("`duration` needs a unit: 200ns, 200us, 200ms or 200s"));
        check("latency <= 0", Err("needs a unit"));
        check("duration_ns > 5 parsecs", Err("expected `and`"));
    }

    #[test]
    fn truth_has_four_words_and_absence_one() {
        let calls = sample::shop().calls;
        let n_failed = calls.iter().filter(|c| c.failed()).count();
        let n_roots = calls.iter().filter(|c| c.link.is_none()).count();
        assert!(n_failed > 0 && n_roots > 0 && n_roots < calls.len());
        check("failed = yes", Ok(n_failed));
        check("failed = True", Ok(n_failed));
        check("failed != no", Ok(n_failed));
        check("failed = false", Ok(calls.len() - n_failed));
        check("failed = 1", Err("`failed` is true or false (or yes, no), not `1`"));
        check("failed > no", Err("compare it with = or !="));
        check("failed ~ t", Err("needs text"));
        check("parent = null", Ok(n_roots));
        check("parent != null", Ok(calls.len() - n_roots));
        check("parent = 'null'", Ok(0));
        check("link.confidence = null", Ok(n_roots));
        check("status = null", Ok(calls.iter().filter(|c| c.status.is_empty()).count()));
        check("ids.name = null", Ok(calls.iter().filter(|c| c.ids.is_empty()).count()));
        check("parent > null", Err("can only be = null or != null"));
    }

    #[test]
    fn errors_name_what_would_be_right() {
        check("duratoin > 5ms", Err("known are: id, trace"));
        check("duration > 5 parsecs", Err("needs a unit"));
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
                    Kind::Boolean => Literal::Boolean(n % 2 == 0),
                    Kind::Duration => Literal::Duration(n),
                    Kind::Instant => Literal::Integer(n.max(1_000_000_000_000_000_000)),
                };
                let op = match (field.kind, OPS[o].1) {
                    // Where it has an order, a text that is a number is one.
                    (Kind::Text, op) if !op.orders() => op,
                    (Kind::Text | Kind::Boolean, _) => Op::Equal,
                    _ => Op::Less,
                };
                Condition { field, op, literal }
            }).collect();
            let printed = Filter { conditions }.to_string();
            prop_assert_eq!(Filter::parse(&printed, Zone::UTC).map(|f| f.to_string()), Ok(printed.clone()));
        }
    }
}
