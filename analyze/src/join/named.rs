//! What one point could not name, by what another point of the same connection knew: entries of HPACK's table that were inserted before a
//! capture began. A name learnt with one request holds for all that share its placeholder at that point. Never guesses from times.

use super::Connection;
use crate::issue::Issue;
use crate::pair::Span;
use crate::protocol::http2::is_placeholder;
use std::collections::BTreeMap;

/// What a placeholder stands for: method, path, authority.
type Known = [String; 3];

/// Names all that can be named in a connection.
pub(super) fn name(connection: &mut Connection) {
    let is_unnamed = |span: &Span| is_placeholder(&span.facts.resource);
    if !connection.spans.iter().any(is_unnamed) {
        return;
    }
    let mut known: BTreeMap<(u32, String), Known> = BTreeMap::new();
    for call in &connection.calls {
        let spans = || call.iter().map(|&i| &connection.spans[i as usize]);
        let Some(named) = spans().find(|span| !is_unnamed(span) && !span.facts.resource.is_empty())
        else {
            continue;
        };
        for unnamed in spans().filter(|span| is_unnamed(span)) {
            let facts = &named.facts;
            let words = [&facts.request_type, &facts.resource, &facts.authority].map(Clone::clone);
            known.insert((unnamed.flow, unnamed.facts.resource.clone()), words);
        }
    }
    for span in connection.spans.iter_mut().filter(|span| is_unnamed(span)) {
        let place = (span.flow, span.facts.resource.clone());
        let Some([request_type, resource, authority]) = known.get(&place) else { continue };
        let facts = &mut span.facts;
        facts.resource.clone_from(resource);
        for (word, found) in
            [(&mut facts.request_type, request_type), (&mut facts.authority, authority)]
        {
            if word.is_empty() {
                word.clone_from(found);
            }
        }
        facts.issues.retain(|issue| *issue != Issue::MissedStart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallState, Times};
    use crate::pair::Facts;
    use crate::protocol::Side;

    fn span(flow: u32, resource: &str) -> Span {
        let is_unnamed = is_placeholder(resource);
        Span {
            flow,
            protocol: "http2",
            asked_by: Side::Client,
            times: Times::default(),
            state: CallState::Complete,
            request_sequence: None,
            response_sequence: None,
            head_hash: 0,
            body_hash: [0; 2],
            correlation: None,
            bytes: [0; 2],
            retransmissions: 0,
            missing_bytes: 0,
            facts: Box::new(Facts {
                resource: resource.to_string(),
                authority: if is_unnamed { String::new() } else { "shop".to_string() },
                issues: if is_unnamed { vec![Issue::MissedStart] } else { Vec::new() },
                ..Facts::default()
            }),
        }
    }

    #[test]
    fn a_name_holds_for_all_that_share_the_placeholder_at_that_point() {
        let spans = vec![
            span(0, "/cart"),
            span(1, "h2:path?#3"),
            span(1, "h2:path?#3"),
            span(1, "h2:path?#4"),
            span(2, "h2:path?#3"),
        ];
        let calls = vec![vec![0, 1], vec![2], vec![3], vec![4]];
        let mut connection = Connection { path: Vec::new(), spans, calls };
        name(&mut connection);
        let told: Vec<_> = connection
            .spans
            .iter()
            .map(|span| {
                let facts = &span.facts;
                (facts.resource.as_str(), facts.authority.as_str(), facts.issues.len())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("/cart", "shop", 0),
                ("/cart", "shop", 0),
                ("/cart", "shop", 0),
                ("h2:path?#4", "", 1),
                ("h2:path?#3", "", 1),
            ]
        );
    }
}
