//! What calls are to one another before anything is assigned: who serves them, whom they ask, what they were asked by, and who passes
//! requests on unchanged. Never chooses a parent.

use super::queues::{Queues, delivers};
use super::threads::Job;
use super::windows::{Asked, Served, Windows};
use super::{ids, pools, same_request};
use crate::call::{Call, CallIndex, CallState};
use crate::flow::FlowIndex;
use std::collections::BTreeMap;

/// Share of an endpoint's requests that were passed on unchanged for it to count as a proxy.
const PROXY_SHARE: f64 = 0.9;

/// A service and whom it asks, by number.
pub(super) type Edge = (u32, u32);
/// The kind of a request, and that of a call that is made for it, by number.
pub(super) type CallKind = (u32, u32);

/// A server's address and port in its place: one listening process.
type Listener<'a> = (&'a str, &'a str, std::net::IpAddr, u16);

/// Calls, when they were served and asked, and their ends by number.
pub(super) struct Roles<'a> {
    pub(super) calls: &'a [Call],
    windows: &'a [Windows],
    /// Per call the number of its listener, and of what is asked of it.
    ends: Vec<Edge>,
    n_listeners: usize,
    n_kinds: usize,
    /// Per call the number of its kind: what is asked of whom, without what differs from call to call.
    kinds: Vec<u32>,
    /// Per call the first of the transaction that it is part of.
    transactions: Vec<Option<CallIndex>>,
    /// Per call, if it got a connection that had just become free while no other was, how many there were.
    pub(super) contended: Vec<Option<usize>>,
    /// Which subscribers get everything.
    pub(super) queues: Queues<'a>,
}

/// Calls that certainly have one parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Together {
    /// Commands of one write: its flow and instant.
    Write(FlowIndex, i64),
    /// Statements of one transaction: the call that began it.
    Transaction(CallIndex),
    /// What a worker did until it gave something back.
    Job(Job),
}

impl<'a> Roles<'a> {
    pub(super) fn of(calls: &'a [Call], windows: &'a [Windows]) -> Roles<'a> {
        let mut listeners: BTreeMap<Listener<'a>, u32> = BTreeMap::new();
        let mut asked: BTreeMap<(Listener<'a>, &str), u32> = BTreeMap::new();
        let mut kind_numbers: BTreeMap<(u32, &str, &str), u32> = BTreeMap::new();
        let (mut ends, mut kinds) =
            (Vec::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
        for call in calls {
            let server = &call.server;
            let listener =
                (server.host.as_str(), server.netns.as_str(), server.address, server.port);
            let next = listeners.len() as u32;
            let number = *listeners.entry(listener).or_insert(next);
            let next = asked.len() as u32;
            let asked = *asked.entry((listener, call.protocol.as_str())).or_insert(next);
            ends.push((number, asked));
            let next = kind_numbers.len() as u32;
            let kind = (asked, call.request_type.as_str(), unnumbered(call));
            kinds.push(*kind_numbers.entry(kind).or_insert(next));
        }
        let transactions = transactions(calls);
        let (n_listeners, n_kinds) = (listeners.len(), kind_numbers.len());
        let queues = Queues::of(calls);
        let contended = pools::contended(calls, windows, |call| ends[call as usize].1);
        Roles { calls, windows, ends, n_listeners, n_kinds, kinds, transactions, contended, queues }
    }

    /// Who serves the parent, and what the child asks of whom.
    pub(super) fn edge(&self, parent: CallIndex, child: CallIndex) -> Edge {
        (self.ends[parent as usize].0, self.ends[child as usize].1)
    }

    /// Of which kinds a parent and a child are.
    pub(super) fn kind(&self, parent: CallIndex, child: CallIndex) -> CallKind {
        (self.kinds[parent as usize], self.kinds[child as usize])
    }

    /// When a call was asked, on the clock nearest to its client.
    pub(super) fn asked_from(&self, call: CallIndex) -> i64 {
        self.windows[call as usize].asked_from()
    }

    /// How many kinds of calls there are.
    pub(super) fn n_kinds(&self) -> usize {
        self.n_kinds
    }

    /// When a call was served, on the clock nearest to its server.
    pub(super) fn served(&self, call: CallIndex) -> &Served {
        self.windows[call as usize].served_there()
    }

    pub(super) fn same_request(&self, parent: CallIndex, child: CallIndex) -> bool {
        same_request(&self.calls[parent as usize], &self.calls[child as usize])
    }

    pub(super) fn delivers(&self, parent: CallIndex, child: CallIndex) -> bool {
        delivers(&self.calls[parent as usize], &self.calls[child as usize])
    }

    /// A candidate pair on its common clock.
    pub(super) fn beside(&self, parent: CallIndex, child: CallIndex) -> (&Served, &Asked) {
        let (parent, child) = (&self.windows[parent as usize], &self.windows[child as usize]);
        parent.beside(child).expect("candidates were seen on a common clock")
    }

    /// What a call is part of.
    pub(super) fn together(&self, call: CallIndex) -> Together {
        let write = Together::Write(
            self.calls[call as usize].spans[0].flow,
            self.windows[call as usize].asked_from(),
        );
        self.transactions[call as usize].map_or(write, Together::Transaction)
    }

    /// The id that both bear, in words.
    pub(super) fn shared_id(&self, parent: CallIndex, child: CallIndex) -> Option<String> {
        let own = ids::trace_ids(&self.calls[child as usize].ids);
        ids::shared(&own, &self.calls[parent as usize].ids)
    }

    /// Per listener whether it passes (nearly) everything on, as far as `has_passed_on` tells.
    pub(super) fn proxies(&self, has_passed_on: impl Fn(CallIndex) -> bool) -> Vec<bool> {
        let mut counts = vec![(0_u64, 0_u64); self.n_listeners];
        for (i, call) in (0..).zip(self.calls) {
            if matches!(call.state, CallState::Complete) {
                let count = &mut counts[self.ends[i as usize].0 as usize];
                count.0 += 1;
                count.1 += u64::from(has_passed_on(i));
            }
        }
        let passes = |(all, on): (u64, u64)| all > 0 && on as f64 >= PROXY_SHARE * all as f64;
        counts.into_iter().map(passes).collect()
    }

    /// Whether a call's listener is one of `proxies`.
    pub(super) fn is_proxied(&self, call: CallIndex, proxies: &[bool]) -> bool {
        proxies[self.ends[call as usize].0 as usize]
    }
}

/// What is asked, up to its first digit where no route is known.
fn unnumbered(call: &Call) -> &str {
    match call.route.as_str() {
        "" => {
            call.resource.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default()
        }
        route => route,
    }
}

/// Whoever begins a transaction on a connection has it to itself until the end; its calls are in order of time.
fn transactions(calls: &[Call]) -> Vec<Option<CallIndex>> {
    let mut begun: BTreeMap<FlowIndex, CallIndex> = BTreeMap::new();
    let mut found = vec![None; calls.len()];
    for (i, call) in (0..).zip(calls) {
        let flow = call.spans[0].flow;
        match call.request_type.as_str() {
            "BEGIN" | "START TRANSACTION" | "START" | "MULTI" => {
                begun.insert(flow, i);
                found[i as usize] = Some(i);
            }
            "COMMIT" | "ROLLBACK" | "END" | "ABORT" | "EXEC" | "DISCARD" => {
                found[i as usize] = begun.remove(&flow);
            }
            _ => found[i as usize] = begun.get(&flow).copied(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    /// Calls by their request type and connection: the first of the transaction that each is part of.
    fn check(calls: &[(&str, FlowIndex)], expected: &[Option<CallIndex>]) {
        let any = shop().calls[0].clone();
        let call = |(request_type, flow): &(&str, FlowIndex)| {
            let mut call = any.clone();
            call.request_type = (*request_type).to_string();
            call.spans[0].flow = *flow;
            call
        };
        let calls: Vec<Call> = calls.iter().map(call).collect();
        assert_eq!(transactions(&calls), expected);
    }

    #[test]
    fn a_transaction_lasts_from_its_begin_to_its_end_on_its_connection() {
        check(
            &[
                ("SELECT", 1),
                ("BEGIN", 1),
                ("INSERT", 1),
                ("SELECT", 2),
                ("COMMIT", 1),
                ("SELECT", 1),
            ],
            &[None, Some(1), Some(1), None, Some(1), None],
        );
        check(
            &[("COMMIT", 1), ("MULTI", 1), ("BEGIN", 2), ("EXEC", 1)],
            &[None, Some(1), Some(2), Some(1)],
        );
    }
}
