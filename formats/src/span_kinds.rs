//! What spans are to their services where their tracer doesn't say (`span.kind` is younger than tracing): told by who names whom. Only
//! of traces in which no span says so, since elsewhere silence means internal. Never looks at times or names.

use crate::table::spans::{SpanKind, SpanRow};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of each row: as it says, else what follows from its neighbours. A span whose parent is of another service, or nowhere, is
/// the server of a request; one that is the parent of another service's span is the client; any other is internal.
pub fn kinds(rows: &[SpanRow]) -> Vec<SpanKind> {
    let says = |row: &&SpanRow| row.kind.asks() || row.kind.is_asked();
    let spoken: BTreeSet<[u8; 16]> = rows.iter().filter(says).map(|row| row.trace_id).collect();
    let silent =
        |row: &SpanRow| row.kind == SpanKind::Unspecified && !spoken.contains(&row.trace_id);
    let mut services: BTreeMap<([u8; 16], u64), BTreeSet<&str>> = BTreeMap::new();
    let mut callers: BTreeSet<([u8; 16], u64)> = BTreeSet::new();
    for row in rows.iter().filter(|row| silent(row)) {
        services.entry((row.trace_id, row.span_id)).or_default().insert(&row.service);
    }
    let is_entered = |row: &SpanRow| {
        let parent = row.parent_span_id.and_then(|id| services.get(&(row.trace_id, id)));
        parent.is_none_or(|services| !services.contains(row.service.as_str()))
    };
    for row in rows.iter().filter(|row| silent(row) && is_entered(row)) {
        // Both sides may share the id.
        let asked_by = row.parent_span_id.into_iter().chain([row.span_id]);
        callers.extend(asked_by.map(|id| (row.trace_id, id)));
    }
    let kind = |row: &SpanRow| match silent(row) {
        false => row.kind,
        true if is_entered(row) => SpanKind::Server,
        true if callers.contains(&(row.trace_id, row.span_id)) => SpanKind::Client,
        true => SpanKind::Internal,
    };
    rows.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use SpanKind::{Client, Internal, Server, Unspecified};

    /// Spans by id, parent, service and what they say: what they are.
    fn check(spans: &[(u64, u64, &str, SpanKind)], expected: &[SpanKind]) {
        let row = |(id, parent, service, kind): &(u64, u64, &str, SpanKind)| SpanRow {
            span_id: *id,
            parent_span_id: (*parent > 0).then_some(*parent),
            service: (*service).to_string(),
            kind: *kind,
            ..SpanRow::default()
        };
        let rows: Vec<SpanRow> = spans.iter().map(row).collect();
        assert_eq!(kinds(&rows), expected);
    }

    #[test]
    fn told_by_who_names_whom() {
        let none = Unspecified;
        check(
            &[(1, 0, "a", none), (2, 1, "a", none), (3, 2, "b", none), (4, 3, "b", none)],
            &[Server, Client, Server, Internal],
        );
        // No span of the client's side.
        check(&[(1, 0, "a", none), (2, 1, "b", none)], &[Server, Server]);
        check(&[(1, 9, "a", none)], &[Server]);
        // One id for both sides.
        check(
            &[(1, 0, "a", none), (2, 1, "a", none), (2, 1, "b", none)],
            &[Server, Client, Server],
        );
    }

    #[test]
    fn what_is_said_is_kept_and_silence_beside_it_is_internal() {
        check(&[(1, 0, "a", Server), (2, 1, "a", Unspecified)], &[Server, Unspecified]);
        check(&[(1, 1, "a", Unspecified)], &[Internal]);
    }
}
