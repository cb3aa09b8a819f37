//! What a request waited for before its first byte left: the handshake of its connection, and a connection that was free. Times before a
//! call's duration, never part of it. Says nothing where it isn't known.

use super::asked;
use crate::call::{Before, Call, CallIndex, CallState, FlowIndex, Part, Point};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A connection whose last reply was read so lately was not lying idle.
const FREED_NS: i64 = 1_000_000;
/// Less is no wait but the program's own steps.
const LEAST_NS: i64 = 200_000;

/// The connections of one asking process or place to one server.
#[derive(Default)]
struct Pool {
    /// Per connection: until when it is taken, and since when without a break.
    taken: BTreeMap<FlowIndex, (i64, i64)>,
}

/// Per call what lay before it, in the order of [`Part`].
pub fn before(calls: &[Call], children: &[Vec<CallIndex>], points: &[Point]) -> Vec<Vec<Before>> {
    let mut found: Vec<Vec<Before>> = vec![Vec::new(); calls.len()];
    for (call, before) in calls.iter().zip(&mut found) {
        let connect = call.connect_ns.map(|ns| Before { part: Part::ClientConnect, ns });
        before.extend(connect);
    }
    let mut order: Vec<(i64, CallIndex)> =
        (0..).zip(calls).filter_map(|(i, call)| Some((call.times().first()?, i))).collect();
    order.sort_unstable();
    let mut pools: BTreeMap<(u32, IpAddr, u16), Pool> = BTreeMap::new();
    for (from_ns, index) in order {
        let call = &calls[index as usize];
        // Several are open on one connection, or none is waited for.
        let is_shared = matches!(call.protocol.as_str(), "http2" | "grpc" | "dns" | "tls" | "tcp");
        if is_shared || call.state == CallState::OneWay || call.tracer.is_some() {
            continue;
        }
        let first = &call.spans[0];
        let key = (first.point, call.server.address, call.server.port);
        let pool = pools.entry(key).or_default();
        if let Some(busy_ns) = pool.busy_since(first.flow, from_ns)
            && let Some(ready_ns) = ready(calls, children, points, index, from_ns)
        {
            let ns = from_ns.saturating_sub(busy_ns.max(ready_ns));
            if ns >= LEAST_NS {
                found[index as usize].push(Before { part: Part::ClientPoolWait, ns });
            }
        }
        pool.take(first.flow, from_ns, call.times().last().unwrap_or(from_ns));
    }
    found
}

impl Pool {
    /// Since when all were taken, if this one had only just been given back.
    fn busy_since(&self, flow: FlowIndex, at_ns: i64) -> Option<i64> {
        let is_idle = |until: i64| at_ns.saturating_sub(until) > FREED_NS;
        let own = self.taken.get(&flow)?;
        let is_free = is_idle(own.0) || own.0 > at_ns;
        if is_free || self.taken.values().any(|(until, _)| is_idle(*until)) {
            return None;
        }
        self.taken.values().map(|(_, since)| *since).max()
    }

    fn take(&mut self, flow: FlowIndex, from_ns: i64, until_ns: i64) {
        let taken = self.taken.entry(flow).or_insert((from_ns, from_ns));
        if from_ns.saturating_sub(taken.0) > FREED_NS {
            taken.1 = from_ns;
        }
        taken.0 = taken.0.max(until_ns);
    }
}

/// When whoever makes a call could have made it: once it was asked itself, and had the answers that it waited for.
fn ready(
    calls: &[Call],
    children: &[Vec<CallIndex>],
    points: &[Point],
    index: CallIndex,
    from_ns: i64,
) -> Option<i64> {
    let parent = calls[index as usize].link.as_ref()?.parent;
    let domain = |point: u32| points[point as usize].domain;
    let own = &calls[index as usize].spans[0];
    let asked_at = calls[parent as usize].spans.last()?;
    if domain(asked_at.point) != domain(own.point) {
        return None;
    }
    let asked_ns = asked(&calls[parent as usize])?;
    let siblings = children[parent as usize].iter().filter(|sibling| **sibling != index);
    let ended = siblings.filter_map(|&sibling| {
        let span = &calls[sibling as usize].spans[0];
        let end_ns = span.times.response_last.filter(|end_ns| *end_ns <= from_ns)?;
        (domain(span.point) == domain(own.point)).then_some(end_ns)
    });
    Some(ended.fold(asked_ns, i64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Calls as (connection, from, to) in milliseconds: since when all were taken when the last one was made.
    fn check(calls: &[(FlowIndex, i64, i64)], expected: Option<i64>) {
        let mut pool = Pool::default();
        let (last, before) = calls.split_last().expect("one is asked about");
        before.iter().for_each(|&(flow, from, to)| pool.take(flow, from * MS, to * MS));
        assert_eq!(pool.busy_since(last.0, last.1 * MS), expected.map(|at| at * MS));
    }

    #[test]
    fn who_gets_a_connection_at_once_when_it_is_given_back_waited() {
        check(&[(1, 0, 10), (1, 10, 15)], Some(0));
        check(&[(1, 0, 10), (2, 4, 20), (1, 10, 15)], Some(4));
        check(&[(1, 0, 10), (1, 10, 20), (1, 20, 30)], Some(0));
    }

    #[test]
    fn a_new_or_idle_connection_is_no_wait() {
        check(&[(1, 0, 10), (2, 10, 15)], None);
        check(&[(1, 0, 10), (1, 14, 15)], None);
        check(&[(1, 0, 10), (2, 0, 5), (1, 10, 15)], None);
        check(&[(1, 0, 10), (1, 14, 20), (1, 20, 30)], Some(14));
    }
}
