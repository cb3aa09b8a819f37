//! Join, pass 2: the two connections of a process that forwards the same bytes (an L4 proxy) carry one sequence of calls. Pairs whole
//! connections by one offset per direction that all their calls keep, inside one another in time, or by the PROXY header that names the
//! other; never single equal messages. Where both sides of the process were recorded on one clock ([`merge`]) that is enough; where they
//! were not ([`merge_far`]) the clocks allow only what their corridor does, and content that others carry, too, counts for little.

use super::connections::Seen;
use super::{Connection, Homes, Place};
use crate::align::Clocks;
use crate::call::OrderBasis;
use crate::flow::Flow;
use candidates::{Onward, forwarded};
use leg::{Ends, Leg, ends, leg};
use std::collections::{BTreeMap, BTreeSet};
use way::Way;

mod candidates;
mod leg;
mod way;

/// Merges each connection that a process on one clock forwarded into the one it was forwarded from.
pub(super) fn merge(connections: &mut Vec<Connection>, seen: &Seen<'_>, homes: &Homes) {
    let ends: Vec<Option<Ends<'_>>> =
        connections.iter().map(|connection| ends(connection, seen, homes)).collect();
    let entered: BTreeSet<&Place> = ends.iter().flatten().filter_map(|e| e.client).collect();
    let left: BTreeSet<&Place> = ends.iter().flatten().filter_map(|e| e.server).collect();
    let passed = |place: Option<&Place>| {
        place.is_some_and(|place| entered.contains(place) && left.contains(place))
    };
    let candidates = ends.iter().enumerate().filter_map(|(i, ends)| {
        let ends = ends.as_ref().filter(|e| passed(e.client) || passed(e.server))?;
        Some(leg(i, &connections[i], ends, seen))
    });
    let legs: Vec<Leg> = candidates.collect();
    join(connections, &legs, forwarded(&legs, &Way::Here));
}

/// Whether there may be forwarding processes of which not both sides were recorded on one clock.
pub(super) fn may_be_far(connections: &[Connection], seen: &Seen<'_>, homes: &Homes) -> bool {
    let mut unknown = [false; 2];
    for ends in connections.iter().filter_map(|connection| ends(connection, seen, homes)) {
        unknown[0] |= ends.server.is_none();
        unknown[1] |= ends.client.is_none();
    }
    let domain = |flow: &Flow| seen.points[flow.point as usize].domain;
    let first = seen.flows.first().map(domain);
    unknown != [false; 2] || seen.flows.iter().any(|flow| Some(domain(flow)) != first)
}

/// The same where not both sides of the process were recorded on one clock. Gives how many it merged.
pub(super) fn merge_far(
    connections: &mut Vec<Connection>,
    seen: &Seen<'_>,
    homes: &Homes,
    clocks: &Clocks,
) -> usize {
    let ends = connections.iter().map(|connection| ends(connection, seen, homes));
    let legs: Vec<Leg> = ends
        .enumerate()
        .filter_map(|(i, ends)| Some(leg(i, &connections[i], ends.as_ref()?, seen)))
        .collect();
    let onward = forwarded(&legs, &Way::Far(clocks));
    let n = onward.len();
    join(connections, &legs, onward);
    n
}

/// From the last leg backwards, so that a chain of proxies becomes one call.
fn join(connections: &mut Vec<Connection>, legs: &[Leg], onward: Vec<Onward>) {
    for Onward { before, next, calls } in onward {
        let (before, next) = (legs[before].index, legs[next].index);
        let tail = std::mem::take(&mut connections[next]);
        append(&mut connections[before], tail, &calls);
    }
    connections.retain(|c| !c.path.is_empty());
}

/// Puts a leg's points behind those of the leg before it; calls that only the later leg carried stay calls.
fn append(before: &mut Connection, mut next: Connection, matched: &[(usize, usize)]) {
    if let Some(first) = next.path.first_mut() {
        first.basis = OrderBasis::Forwarding;
    }
    let offset = before.spans.len() as u32;
    before.path.extend(next.path);
    before.spans.extend(next.spans);
    let mut onto: BTreeMap<usize, usize> = matched.iter().map(|&(i, k)| (k, i)).collect();
    for (k, tail) in next.calls.into_iter().enumerate() {
        let tail = tail.into_iter().map(|i| i + offset);
        match onto.remove(&k) {
            Some(i) => before.calls[i].extend(tail),
            None => before.calls.push(tail.collect()),
        }
    }
}

#[cfg(test)]
mod tests;
