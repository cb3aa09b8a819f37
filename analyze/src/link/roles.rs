//! What calls are to one another before anything is assigned: who serves them, whom they ask, what they were asked by, and who passes
//! requests on unchanged. Never chooses a parent.

use super::delays::Edge;
use super::windows::{Asked, Served, Windows};
use super::{delivers, ids, same_request};
use crate::call::{Call, CallIndex, CallState, FlowIndex};
use std::collections::BTreeMap;

/// Share of an endpoint's requests that were passed on unchanged for it to count as a proxy.
const PROXY_SHARE: f64 = 0.9;

/// A server's address and port in its place: one listening process.
type Listener<'a> = (&'a str, &'a str, std::net::IpAddr, u16);

/// Calls, when they were served and asked, and their ends by number.
pub(super) struct Roles<'a> {
    pub(super) calls: &'a [Call],
    windows: &'a [Windows],
    /// Per call the number of its listener, and of what is asked of it.
    ends: Vec<Edge>,
    n_listeners: usize,
}

impl<'a> Roles<'a> {
    pub(super) fn of(calls: &'a [Call], windows: &'a [Windows]) -> Roles<'a> {
        let mut listeners: BTreeMap<Listener<'a>, u32> = BTreeMap::new();
        let mut asked: BTreeMap<(Listener<'a>, &str), u32> = BTreeMap::new();
        let mut ends = Vec::with_capacity(calls.len());
        for call in calls {
            let server = &call.server;
            let listener =
                (server.host.as_str(), server.netns.as_str(), server.address, server.port);
            let next = listeners.len() as u32;
            let number = *listeners.entry(listener).or_insert(next);
            let next = asked.len() as u32;
            let asked = *asked.entry((listener, call.protocol.as_str())).or_insert(next);
            ends.push((number, asked));
        }
        Roles { calls, windows, ends, n_listeners: listeners.len() }
    }

    /// Who serves the parent, and what the child asks of whom.
    pub(super) fn edge(&self, parent: CallIndex, child: CallIndex) -> Edge {
        (self.ends[parent as usize].0, self.ends[child as usize].1)
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

    /// The flow and the instant of the write that a call began with: commands of one pipeline share them.
    pub(super) fn write_of(&self, call: CallIndex) -> (FlowIndex, i64) {
        (self.calls[call as usize].spans[0].flow, self.windows[call as usize].asked_from())
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
