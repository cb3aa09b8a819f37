//! SQL without its literals: what a statement asks, never what about. One pass over the text, no grammar.
//! Never fails: what isn't SQL comes out as it is, an unterminated literal reaches to the end.
//!
//! Sources: PostgreSQL documentation, 4.1 "Lexical Structure"; MySQL Reference Manual, "Language Structure"; the sqlcommenter
//! specification (comments that carry a trace context).

use crate::protocol::ExplicitId;
use crate::protocol::text::bounded;
use std::borrow::Cow;

const TEXT_MAX: usize = 1024;
/// A trace context is 55 bytes long; longer ones are of versions to come.
const TRACEPARENT_MAX: usize = 128;

/// One query string, normalised.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// First keyword in upper case.
    pub(super) keyword: String,
    /// The text with `?` for literals, without comments, at most 1,024 bytes.
    pub(super) text: String,
    /// Statements in the string.
    pub(super) n_statements: usize,
    /// It has a COPY … FROM STDIN: data follow the query.
    pub(super) copies_in: bool,
    /// The W3C trace context that a comment carries, as sqlcommenter writes it: `/*traceparent='00-…-…-01'*/`.
    pub(super) traceparent: Option<String>,
}

impl Statement {
    /// What it carries, as an id of its message.
    pub(super) fn ids(&self) -> impl Iterator<Item = ExplicitId> {
        let id = |value: &String| ExplicitId {
            field: Cow::Borrowed("traceparent"),
            value: value.clone(),
        };
        self.traceparent.iter().map(id)
    }
}

/// Whose words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    /// Backslashes escape, double quotes are strings, backticks names, `#` begins a comment; a `/*! … */` is none.
    Mysql,
}

/// Reads a query string.
pub(super) fn statement(sql: &[u8], dialect: Dialect) -> Statement {
    let mut scanner =
        Scanner { sql, at: 0, text: Vec::new(), space: false, dialect, traceparent: None };
    let mut statement = Statement::default();
    let (mut first, mut copy) = (true, false);
    while let Some(token) = scanner.token() {
        match token {
            Token::End => (first, copy) = (true, false),
            Token::Word(word) => {
                statement.n_statements += usize::from(first);
                if statement.keyword.is_empty() {
                    statement.keyword = bounded(word, 64).to_ascii_uppercase();
                }
                copy |= first && word.eq_ignore_ascii_case(b"COPY");
                statement.copies_in |= copy && word.eq_ignore_ascii_case(b"STDIN");
                first = false;
            }
            Token::Other => {}
        }
    }
    statement.text = bounded(&scanner.text, TEXT_MAX);
    statement.traceparent = scanner.traceparent.map(|value| bounded(value, TRACEPARENT_MAX));
    statement
}

/// The value of `traceparent='…'` in a comment.
fn traceparent(comment: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"traceparent='";
    let at = comment.windows(KEY.len()).position(|window| window.eq_ignore_ascii_case(KEY))?;
    let value = &comment[at + KEY.len()..];
    let end = value.iter().position(|&b| b == b'\'')?;
    Some(&value[..end])
}

enum Token<'a> {
    Word(&'a [u8]),
    /// `;`
    End,
    Other,
}

struct Scanner<'a> {
    sql: &'a [u8],
    at: usize,
    text: Vec<u8>,
    /// White space or a comment came before the next token.
    space: bool,
    dialect: Dialect,
    /// Of the last comment that had one.
    traceparent: Option<&'a [u8]>,
}

impl<'a> Scanner<'a> {
    fn token(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let rest = &self.sql[self.at..];
        let is_mysql = self.dialect == Dialect::Mysql;
        let (length, literal, token) = match rest {
            [] => return None,
            [b';', ..] => (1, false, Token::End),
            [b'"' | b'\'', ..] if is_mysql => (string(rest, true), true, Token::Other),
            [b'`', ..] if is_mysql => (quoted(rest), false, Token::Other),
            [b'e' | b'E', b'\'', ..] => (1 + string(&rest[1..], true), true, Token::Other),
            [b'\'', ..] => (string(rest, false), true, Token::Other),
            [b'"', ..] => (quoted(rest), false, Token::Other),
            [b'$', b'0'..=b'9', ..] => {
                (1 + run(&rest[1..], |b| b.is_ascii_digit()), false, Token::Other)
            }
            [b'$', ..] => match dollar_quoted(rest) {
                Some(length) => (length, true, Token::Other),
                None => (1, false, Token::Other),
            },
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => (number(rest), true, Token::Other),
            [b, ..] if is_word(*b) => {
                let length = run(rest, |b| is_word(b) || b.is_ascii_digit() || b == b'$');
                (length, false, Token::Word(&rest[..length]))
            }
            _ => (1, false, Token::Other),
        };
        self.put(if literal { b"?" } else { &rest[..length] });
        self.at += length;
        Some(token)
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.sql[self.at..];
            let is_mysql = self.dialect == Dialect::Mysql;
            let length = match rest {
                [b'-', b'-', ..] => run(rest, |b| b != b'\n'),
                [b'#', ..] if is_mysql => run(rest, |b| b != b'\n'),
                // What is inside is meant, for servers of some version or for all.
                [b'/', b'*', b'!', version @ ..] if is_mysql => {
                    3 + run(version, |b| b.is_ascii_digit())
                }
                [b'*', b'/', ..] if is_mysql => 2,
                [b'/', b'*', ..] => {
                    let length = comment(rest);
                    self.traceparent = traceparent(&rest[..length]).or(self.traceparent);
                    length
                }
                _ => run(rest, |b| b.is_ascii_whitespace()),
            };
            if length == 0 {
                return;
            }
            self.space = true;
            self.at += length;
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.space && !self.text.is_empty() {
            self.text.push(b' ');
        }
        self.space = false;
        let room = TEXT_MAX.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&b| belongs(b)).count()
}

/// A string from its quote on; a doubled quote, or with escapes a backslash, doesn't end it.
fn string(bytes: &[u8], escapes: bool) -> usize {
    let (mut at, quote) = (1, bytes[0]);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\\', _, ..] if escapes => at += 2,
            [a, b, ..] if (*a, *b) == (quote, quote) => at += 2,
            [a, ..] if *a == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn quoted(bytes: &[u8]) -> usize {
    let inner = run(&bytes[1..], |b| b != bytes[0]);
    (inner + 2).min(bytes.len())
}

/// `$tag$ … $tag$`.
fn dollar_quoted(bytes: &[u8]) -> Option<usize> {
    let name = run(&bytes[1..], |b| is_word(b) || b.is_ascii_digit());
    let tag = bytes.get(..name + 2).filter(|tag| tag.ends_with(b"$"))?;
    let mut at = tag.len();
    // From dollar to dollar: a tag has none inside, so no byte is compared twice.
    loop {
        at += run(&bytes[at..], |b| b != b'$');
        if at >= bytes.len() {
            return Some(bytes.len());
        }
        if bytes[at..].starts_with(tag) {
            return Some(at + tag.len());
        }
        at += 1;
    }
}

fn number(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let sign = matches!(b, b'+' | b'-') && at > 0 && matches!(bytes[at - 1], b'e' | b'E');
        if !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_') || sign) {
            break;
        }
        at += 1;
    }
    at
}

/// Comments nest.
fn comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Statement};

    fn statement(sql: &[u8]) -> Statement {
        super::statement(sql, Dialect::Postgres)
    }

    fn check(sql: &str, keyword: &str, text: &str) {
        check_in(Dialect::Postgres, sql, keyword, text);
    }

    fn check_in(dialect: Dialect, sql: &str, keyword: &str, text: &str) {
        let statement = super::statement(sql.as_bytes(), dialect);
        assert_eq!((&*statement.keyword, &*statement.text), (keyword, text), "{sql}");
    }

    #[test]
    fn literals_become_question_marks() {
        check("select 'it''s', 1.5e-3, $1 from t2", "SELECT", "select ?, ?, $1 from t2");
        check(r"SELECT E'a\'b', 'c\'", "SELECT", "SELECT ?, ?");
        check("SELECT $$a$b$$, $x$ $$ $x$, a$1", "SELECT", "SELECT ?, ?, a$1");
        check("SELECT \"Odd 1\" FROM t WHERE a=-3", "SELECT", "SELECT \"Odd 1\" FROM t WHERE a=-?");
        check("SELECT 'open", "SELECT", "SELECT ?");
        check("SELECT x'ff', 0x1F, .5", "SELECT", "SELECT x?, ?, ?");
    }

    #[test]
    fn mysql_has_quotes_and_comments_of_its_own() {
        let check = |sql, keyword, text| check_in(Dialect::Mysql, sql, keyword, text);
        check(
            r#"select "it's", 'a\'b' from `odd 'name`"#,
            "SELECT",
            "select ?, ? from `odd 'name`",
        );
        check("# a comment\nDELETE FROM t # more\n", "DELETE", "DELETE FROM t");
        check("/*!40101 SET NAMES utf8 */", "SET", "SET NAMES utf8");
        check("/* x */ SELECT @@version, @a", "SELECT", "SELECT @@version, @a");
    }

    #[test]
    fn comments_are_skipped() {
        check(
            "/* a /* b */ c */ -- d\n  (WITH x AS (SELECT 1)\n\tSELECT 2)",
            "WITH",
            "(WITH x AS (SELECT ?) SELECT ?)",
        );
        check("/* open", "", "");
        check("", "", "");
    }

    #[test]
    fn a_comment_may_carry_a_trace_context() {
        let id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let check = |sql: &str, expected: Option<&str>| {
            let found = statement(sql.as_bytes());
            assert_eq!(found.traceparent.as_deref(), expected, "{sql}");
            assert_eq!(found.ids().count(), usize::from(expected.is_some()));
        };
        let comment = format!("/*action='%2Fitem',traceparent='{id}'*/");
        check(&format!("SELECT 1 {comment}"), Some(id));
        check(&format!("{comment} SELECT 1"), Some(id));
        check(&format!("SELECT '{}'", comment.replace('\'', "''")), None);
        check("SELECT 1 /*traceparent='00-4bf", None);
        check("SELECT 1 /* traceparent */", None);
    }

    #[test]
    fn statements_are_counted() {
        assert_eq!(statement(b"BEGIN; SELECT ';' ; COMMIT;").n_statements, 3);
        assert!(statement(b"copy t (a) from stdin").copies_in);
        assert!(!statement(b"copy t to stdout; select stdin").copies_in);
        assert!(statement("x".repeat(9_000).as_bytes()).text.len() == 1_024);
    }
}
