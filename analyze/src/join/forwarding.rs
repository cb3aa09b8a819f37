//! Join, pass 2, inside one clock domain: the two connections of a process that forwards the same bytes (an L4 proxy)
//! carry one sequence of calls. Pairs whole connections by their contents in order, never single equal messages.

use super::connections::Seen;
use super::order::Placed;
use super::{Connection, Homes, Place};
use crate::call::{Flow, OrderBasis};
use std::collections::BTreeMap;

/// Connections tried against one another for one content; more are ambiguous anyway.
const MAX_CANDIDATES: usize = 64;

/// A connection's content and when it lived.
struct Story {
    index: usize,
    contents: Vec<[u64; 2]>,
    domain: u32,
    first_ns: i64,
    last_ns: i64,
    /// Where its client end and its server end live.
    client: Option<Place>,
    server: Option<Place>,
}

/// Merges each forwarded connection into the one it was forwarded from.
pub(super) fn merge(connections: &mut Vec<Connection>, seen: &Seen<'_>, homes: &Homes) {
    let stories: Vec<Story> =
        (0..connections.len()).filter_map(|i| story(i, &connections[i], seen, homes)).collect();
    let mut by_content: BTreeMap<[u64; 2], Vec<usize>> = BTreeMap::new();
    for (i, story) in stories.iter().enumerate() {
        by_content.entry(story.contents[0]).or_default().push(i);
    }
    let mut onward: Vec<(usize, usize)> = Vec::new();
    for same in by_content.values() {
        onward.extend(forwarded(same, &stories));
    }
    // From the last leg backwards, so that a chain of proxies becomes one call.
    onward.sort_by_key(|&(_, next)| std::cmp::Reverse((stories[next].first_ns, next)));
    for (before, next) in onward {
        let (before, next) = (stories[before].index, stories[next].index);
        let tail = std::mem::take(&mut connections[next]);
        append(&mut connections[before], tail);
    }
    connections.retain(|c| !c.path.is_empty());
}

fn story(index: usize, connection: &Connection, seen: &Seen<'_>, homes: &Homes) -> Option<Story> {
    let (first, last) = (connection.path.first()?, connection.path.last()?);
    let flow = |placed: &Placed| -> &Flow { &seen.flows[placed.flow as usize] };
    let (head, tail) = (flow(first), flow(last));
    if head.ip_protocol != 6 {
        return None;
    }
    let content = |spans: &Vec<u32>| {
        let spans = spans.iter().map(|&i| connection.spans[i as usize].body_hash);
        spans.fold([0, 0], |a, b| [a[0].max(b[0]), a[1].max(b[1])])
    };
    let contents: Vec<[u64; 2]> = connection.calls.iter().map(content).collect();
    if contents.is_empty() || contents.iter().any(|c| c[0] == 0 || c[1] == 0) {
        return None;
    }
    Some(Story {
        index,
        contents,
        domain: seen.points[head.point as usize].domain,
        first_ns: head.first_ns,
        last_ns: head.last_ns,
        client: homes.of(head.client.ip(), head).cloned(),
        server: homes.of(tail.server.ip(), tail).cloned(),
    })
}

/// Pairs (earlier leg, later leg) among connections whose first contents agree: the later begins while the earlier lives,
/// in the place where the earlier ends, and all contents agree; only where the partner is the only one possible.
fn forwarded(same: &[usize], stories: &[Story]) -> Vec<(usize, usize)> {
    if same.len() > MAX_CANDIDATES {
        return Vec::new();
    }
    let possible = |a: &Story, b: &Story| {
        a.index != b.index
            && a.domain == b.domain
            && a.server.is_some()
            && a.server == b.client
            && a.first_ns <= b.first_ns
            && b.first_ns <= a.last_ns
            && a.contents == b.contents
    };
    let partner = |b: usize| {
        let mut found = same.iter().copied().filter(|&a| possible(&stories[a], &stories[b]));
        found.next().filter(|_| found.next().is_none())
    };
    let pairs: Vec<(usize, usize)> =
        same.iter().filter_map(|&b| partner(b).map(|a| (a, b))).collect();
    let unique = |a: usize| pairs.iter().filter(|p| p.0 == a).count() == 1;
    pairs.iter().copied().filter(|&(a, _)| unique(a)).collect()
}

fn append(before: &mut Connection, mut next: Connection) {
    if let Some(first) = next.path.first_mut() {
        first.basis = OrderBasis::Forwarding;
    }
    let offset = before.spans.len() as u32;
    before.path.extend(next.path);
    before.spans.extend(next.spans);
    for (call, tail) in before.calls.iter_mut().zip(next.calls) {
        call.extend(tail.into_iter().map(|i| i + offset));
    }
}
