//! Calls that had to wait for a connection: all of their process's connections to the server were taken, and the moment one was given
//! back the call went out on it. Inferred: nobody sees a request wait. Never says that more connections would help.

use super::Given;
use crate::call::{Before, Call, CallIndex, CallState, Known, Part};
use crate::flow::{Close, Flow, FlowIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A connection whose last reply was read so lately was not lying idle.
const FREED_NS: i64 = 1_000_000;
/// Less is no wait but the program's own steps: as long as a connection counts as given back just now.
const LEAST_NS: i64 = FREED_NS;
/// So many of the calls made before for the same request are looked at.
const MOST_SIBLINGS: usize = 64;

/// The connections of one asking process or place to one server.
#[derive(Default)]
struct Pool {
    /// Per connection: until when it is taken, and since when without a break.
    taken: BTreeMap<FlowIndex, (i64, i64)>,
    /// The same, in the order of either time.
    by_end: BTreeSet<(i64, FlowIndex)>,
    by_begin: BTreeSet<(i64, FlowIndex)>,
}

/// Adds the waits of all calls.
pub(super) fn waits(given: &Given<'_>, found: &mut [Vec<Before>]) {
    let begun = |(index, call): (CallIndex, &Call)| Some((call.times().first()?, index));
    let mut order: Vec<(i64, CallIndex)> = (0..).zip(given.calls).filter_map(begun).collect();
    order.sort_unstable();
    let mut pools: BTreeMap<(u32, IpAddr, u16), Pool> = BTreeMap::new();
    for (at_ns, index) in order {
        let call = &given.calls[index as usize];
        if !takes_connection(call) {
            continue;
        }
        let first = &call.spans[0];
        let key = (first.point, call.server.address, call.server.port);
        let pool = pools.entry(key).or_default();
        if let Some(ready_ns) = ready(given, index, at_ns)
            && let Some(busy_ns) = pool.busy_since(first.flow, at_ns, given.flows)
        {
            let from_ns = busy_ns.max(ready_ns);
            let ns = at_ns.saturating_sub(from_ns);
            let (part, known) = (Part::ClientPoolWait, Known::Estimated);
            let wait = Before { part, from_ns, ns, known, call: None };
            found[index as usize].extend((ns >= LEAST_NS).then_some(wait));
        }
        pool.take(first.flow, at_ns, call.times().last().unwrap_or(at_ns));
    }
}

/// Whether nothing else can be asked on its connection meanwhile.
fn takes_connection(call: &Call) -> bool {
    let is_shared = matches!(call.protocol.as_str(), "http2" | "grpc" | "dns" | "tls" | "tcp");
    !is_shared && call.state != CallState::OneWay && call.tracer.is_none()
}

impl Pool {
    /// Since when all were taken, if this one had only just been given back.
    fn busy_since(&mut self, flow: FlowIndex, at_ns: i64, flows: &[Flow]) -> Option<i64> {
        let is_idle = |until: i64| at_ns.saturating_sub(until) > FREED_NS;
        let own = self.taken.get(&flow)?;
        if is_idle(own.0) || own.0 > at_ns {
            return None;
        }
        while let Some(&(until, longest)) = self.by_end.first().filter(|first| is_idle(first.0)) {
            let other = flows.get(longest as usize)?;
            if other.close == Close::Open || other.last_ns > at_ns {
                return None;
            }
            // It was not idle, it was closed.
            self.by_end.remove(&(until, longest));
            let (_, since) = self.taken.remove(&longest)?;
            self.by_begin.remove(&(since, longest));
        }
        self.by_begin.last().map(|(since, _)| *since)
    }

    fn take(&mut self, flow: FlowIndex, from_ns: i64, until_ns: i64) {
        let (until, since) = self.taken.get(&flow).copied().unwrap_or((from_ns, from_ns));
        self.by_end.remove(&(until, flow));
        self.by_begin.remove(&(since, flow));
        let since = if from_ns.saturating_sub(until) > FREED_NS { from_ns } else { since };
        let until = until.max(until_ns);
        self.taken.insert(flow, (until, since));
        self.by_end.insert((until, flow));
        self.by_begin.insert((since, flow));
    }
}

/// When whoever made a call could have made it: once it was asked itself, and had the answers that it had waited for.
fn ready(given: &Given<'_>, index: CallIndex, at_ns: i64) -> Option<i64> {
    let call = &given.calls[index as usize];
    let asked_ns = given.parent_asked(call)?;
    let siblings = &given.children[call.link.as_ref()?.parent as usize];
    let domain = given.domain(call.spans[0].point);
    let earlier = &siblings[..siblings.partition_point(|sibling| *sibling < index)];
    let ended = earlier.iter().rev().take(MOST_SIBLINGS).filter_map(|&sibling| {
        let span = &given.calls[sibling as usize].spans[0];
        let end_ns = span.times.response_last.filter(|end_ns| *end_ns <= at_ns)?;
        (given.domain(span.point) == domain).then_some(end_ns)
    });
    Some(ended.fold(asked_ns, i64::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    const MS: i64 = 1_000_000;

    /// Calls as (connection, from, to) in milliseconds: since when all were taken when the last one was made. Connection 9 is closed at 5.
    fn check(calls: &[(FlowIndex, i64, i64)], expected: Option<i64>) {
        let mut flows = vec![shop().flows[0].clone(); 10];
        (flows[9].close, flows[9].last_ns) = (Close::ClientFin, 5 * MS);
        let mut pool = Pool::default();
        let (last, before) = calls.split_last().expect("one is asked about");
        before.iter().for_each(|&(flow, from, to)| pool.take(flow, from * MS, to * MS));
        let found = pool.busy_since(last.0, last.1 * MS, &flows);
        assert_eq!(found, expected.map(|at| at * MS));
    }

    #[test]
    fn who_gets_a_connection_at_once_when_it_is_given_back_waited() {
        check(&[(1, 0, 10), (1, 10, 15)], Some(0));
        check(&[(1, 0, 10), (2, 4, 20), (1, 10, 15)], Some(4));
        check(&[(1, 0, 10), (1, 10, 20), (1, 20, 30)], Some(0));
        check(&[(1, 0, 10), (9, 1, 4), (1, 10, 20)], Some(0));
    }

    #[test]
    fn a_new_or_idle_connection_is_no_wait() {
        check(&[(1, 0, 10), (2, 10, 15)], None);
        check(&[(1, 0, 10), (1, 14, 15)], None);
        check(&[(1, 0, 10), (2, 0, 5), (1, 10, 15)], None);
        check(&[(1, 0, 10), (1, 14, 20), (1, 20, 30)], Some(14));
    }
}
