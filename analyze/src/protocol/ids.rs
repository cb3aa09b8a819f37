//! Fields in which tracers and proxies plant identifiers, whatever protocol carries them, and those that a user adds. Never judges a
//! value.

use super::message::ExplicitId;
use super::text;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes that a name of a user's own field has at most.
pub const LONGEST_NAME: usize = 64;
/// Fields of their own that a user may add.
pub const MOST_OWN: usize = 32;
/// Bytes of a value that are kept.
const MAX_VALUE: usize = 512;

/// Names in lower case.
const BUILT_IN: &[&str] = &[
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "uber-trace-id",
    "sw8",
    "sw6",
    "x-request-id",
    "x-correlation-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-trace-id",
    "x-datadog-trace-id",
    "x-client-trace-id",
    "ot-tracer-traceid",
    "eagleeye-traceid",
    "grpc-trace-bin",
    "request-id",
];

/// Fields that messages are described by: what they say is no identifier.
pub(super) const DESCRIBING: &[&str] = &[
    "content-length",
    "content-type",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-timeout",
    "host",
    "user-agent",
];

/// The fields that name requests: the built-in ones, then a user's own. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdFields {
    /// In lower case and in order, none of them built in; `None`: there are none.
    own: Option<Arc<[String]>>,
}

impl IdFields {
    /// No field but the built-in ones.
    pub const BUILT_IN: IdFields = IdFields { own: None };

    /// The built-in fields and these, whose case and order mean nothing. The error says which name can't be one, and why.
    pub fn with(names: &[String]) -> Result<IdFields, String> {
        names.iter().try_for_each(|name| check(name))?;
        let mut own: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        own.retain(|name| !BUILT_IN.contains(&name.as_str()));
        own.sort_unstable();
        own.dedup();
        if own.len() > MOST_OWN {
            return Err(format!("{} fields for ids, at most {MOST_OWN} are looked for", own.len()));
        }
        Ok(IdFields { own: (!own.is_empty()).then(|| own.into()) })
    }

    /// Whether a user added any.
    pub(super) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// Their names in lower case, each at its place.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        BUILT_IN.iter().copied().chain(self.own().iter().map(String::as_str))
    }

    /// The place of the field of this name, in whatever case.
    pub(super) fn place(&self, name: &[u8]) -> Option<u8> {
        let place = self.names().position(|field| field.as_bytes().eq_ignore_ascii_case(name))?;
        u8::try_from(place).ok()
    }

    /// What the field at a place says.
    pub(super) fn id(&self, place: u8, value: &[u8]) -> Option<ExplicitId> {
        let place = usize::from(place);
        let field = match BUILT_IN.get(place) {
            Some(name) => Cow::Borrowed(*name),
            None => Cow::Owned(self.own().get(place - BUILT_IN.len())?.clone()),
        };
        Some(ExplicitId { field, value: text::bounded(value, MAX_VALUE) })
    }

    fn own(&self) -> &[String] {
        self.own.as_deref().unwrap_or(&[])
    }
}

/// Whether a name can be that of a field (RFC 9110, 5.6.2: a token) which says nothing else.
fn check(name: &str) -> Result<(), String> {
    let is_sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte)) {
        return Err(format!("`{}` can't be the name of a field", name.escape_debug()));
    }
    if name.len() > LONGEST_NAME {
        return Err(format!("`{name}` is longer than {LONGEST_NAME} bytes"));
    }
    if DESCRIBING.iter().any(|field| field.eq_ignore_ascii_case(name)) {
        return Err(format!("`{name}` tells what a message is, it names no request"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The user's own fields, or what is wrong with them.
    fn check(names: &[&str], expected: Result<&[&str], &str>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        match (IdFields::with(&names), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.own(), expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, expected) => panic!("{names:?}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn names_are_tokens_whose_case_and_order_mean_nothing() {
        check(&[], Ok(&[]));
        check(&["X-Order", "basket_id", "x-order"], Ok(&["basket_id", "x-order"]));
        check(&["Traceparent", "X-Request-ID"], Ok(&[]));
        for wrong in ["", "x order", "x:", ":path", "x-ördér", "x\n", "x,y", "\"x\""] {
            check(&["x-order", wrong], Err("can't be the name of a field"));
        }
        check(&["Host"], Err("`Host` tells what a message is"));
        let (longest, longer) = ("x".repeat(LONGEST_NAME), "x".repeat(LONGEST_NAME + 1));
        check(&[&longest], Ok(&[&longest]));
        check(&[&longer], Err("longer than 64 bytes"));
        let many: Vec<String> = (10..=10 + MOST_OWN).map(|n| format!("x-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many[1..], Ok(&many[1..]));
        check(&many, Err("33 fields"));
    }

    #[test]
    fn a_field_is_found_at_its_place() {
        let fields = IdFields::with(&["X-Order".to_owned()]).unwrap();
        for (place, name) in (0..).zip(fields.names()) {
            assert_eq!(fields.place(name.to_ascii_uppercase().as_bytes()), Some(place));
            assert_eq!(fields.id(place, b"1").unwrap().field, name);
        }
        assert_eq!(fields.id(BUILT_IN.len() as u8 + 1, b"1"), None);
        assert_eq!(IdFields::BUILT_IN.place(b"x-order"), None);
    }
}
