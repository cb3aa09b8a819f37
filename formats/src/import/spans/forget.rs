//! Forgets which of its own requests a service was working on when it called another: so looks a service that doesn't pass context on, and so
//! links are measured. Never touches what crosses services.

use crate::span_kinds::kinds;
use crate::table::spans::{SpanKind, SpanRow};

/// So many internal spans lie at most between a request and a call.
const MOST_BETWEEN: usize = 10_000;

/// Drops the parent of every client (and producer) span whose nearest ancestor that is no internal span is a server (or consumer) span of
/// the same service. Gives how many were dropped.
pub fn forget_parents(rows: &mut [SpanRow]) -> u64 {
    let mut by_id: Vec<([u8; 16], u64, usize)> =
        rows.iter().enumerate().map(|(i, row)| (row.trace_id, row.span_id, i)).collect();
    by_id.sort_unstable();
    let kinds = kinds(rows);
    let forgotten: Vec<usize> = (0..rows.len())
        .filter(|&i| kinds[i].asks() && is_caused_here(rows, &kinds, i, &by_id))
        .collect();
    for &i in &forgotten {
        rows[i].parent_span_id = None;
    }
    forgotten.len() as u64
}

/// Whether a request that its own service was working on caused it.
fn is_caused_here(
    rows: &[SpanRow],
    kinds: &[SpanKind],
    of: usize,
    by_id: &[([u8; 16], u64, usize)],
) -> bool {
    let mut at = of;
    for _ in 0..MOST_BETWEEN {
        let (trace, Some(parent)) = (rows[at].trace_id, rows[at].parent_span_id) else {
            return false;
        };
        let from = by_id.partition_point(|(t, id, _)| (*t, *id) < (trace, parent));
        let mut named = by_id[from..].iter().take_while(|(t, id, _)| (*t, *id) == (trace, parent));
        // A client and a server may share an id: the parent is whoever is of this service.
        let Some((_, _, parent)) =
            named.find(|(_, _, i)| *i != at && rows[*i].service == rows[of].service)
        else {
            return false;
        };
        match kinds[*parent] {
            kind if kind.is_asked() => return true,
            SpanKind::Internal | SpanKind::Unspecified => at = *parent,
            // Calls within calls: the outer one is forgotten, the inner one stays in it.
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use SpanKind::{Client, Consumer, Internal, Producer, Server};

    /// Spans by id, parent, service and kind: which of them lose their parent.
    fn check(spans: &[(u64, u64, &str, SpanKind)], expected: &[u64]) {
        let mut rows: Vec<SpanRow> = spans
            .iter()
            .map(|(id, parent, service, kind)| SpanRow {
                span_id: *id,
                parent_span_id: (*parent > 0).then_some(*parent),
                service: (*service).to_string(),
                kind: *kind,
                ..SpanRow::default()
            })
            .collect();
        let n = forget_parents(&mut rows);
        let lost =
            rows.iter().zip(spans).filter(|(row, span)| row.parent_span_id.is_none() && span.1 > 0);
        let lost: Vec<u64> = lost.map(|(row, _)| row.span_id).collect();
        assert_eq!((lost.as_slice(), n), (expected, expected.len() as u64));
    }

    #[test]
    fn only_what_a_service_itself_would_have_to_know() {
        check(
            &[(1, 0, "a", Server), (2, 1, "a", Client), (3, 2, "b", Server), (4, 3, "b", Producer)],
            &[2, 4],
        );
        check(&[(1, 0, "a", Server), (2, 1, "a", Internal), (3, 2, "a", Client)], &[3]);
        check(&[(1, 0, "a", Consumer), (2, 1, "b", Client)], &[]);
        check(&[(1, 0, "a", Internal), (2, 1, "a", Client)], &[]);
        check(&[(1, 0, "a", Server), (2, 1, "a", Client), (3, 2, "a", Client)], &[2]);
    }

    #[test]
    fn shared_ids_and_circles() {
        check(
            &[(1, 0, "a", Server), (2, 1, "a", Client), (2, 1, "b", Server), (3, 2, "b", Client)],
            &[2, 3],
        );
        check(
            &[
                (1, 2, "a", Internal),
                (2, 1, "a", Internal),
                (3, 1, "a", Client),
                (4, 4, "a", Client),
            ],
            &[],
        );
    }
}
