//! Which calls could have caused which: the parent's server is where the child's client is, and the child's time lies
//! inside the parent's, on one clock. Never ranks them.

use crate::call::{Call, CallIndex, CallState, Flow, Point, SpanAt};
use crate::issue::Issue;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Parents kept per child; beyond, the latest started are kept.
const MAX_PARENTS: usize = 1024;

/// When a call keeps its server busy and when its client waits for it, each on the clock of the point that saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Clock at the server's end, and first request byte, last request byte, last response byte there.
    served_domain: u32,
    served_from: i64,
    pub(super) request_last: i64,
    served_to: i64,
    /// Clock at the client's end, and first and last byte there.
    asked_domain: u32,
    pub(super) asked_from: i64,
    pub(super) asked_to: i64,
}

impl Window {
    /// The windows of all calls. An open call lasts as long as its flow, but one whose response was only missed by the
    /// capture ends at the latest when the next request on its connection begins.
    pub(super) fn of_all(calls: &[Call], points: &[Point], flows: &[Flow]) -> Vec<Window> {
        let mut next_on: BTreeMap<u32, i64> = BTreeMap::new();
        let mut windows: Vec<Window> = Vec::with_capacity(calls.len());
        for call in calls.iter().rev() {
            let flow = call.spans[call.spans.len() - 1].flow;
            let missed = call.issues.contains(&Issue::ResponseMissing);
            let next = next_on.get(&flow).copied().filter(|_| missed);
            let window = Window::of(call, points, next.unwrap_or(flows[flow as usize].last_ns));
            next_on.insert(flow, window.served_from);
            windows.push(window);
        }
        windows.reverse();
        windows
    }

    /// Time that this call was served before `child` was asked and after it was answered.
    pub(super) fn slack_around(&self, child: &Window) -> i64 {
        (child.asked_from - self.request_last).abs() + (self.served_to - child.asked_to).abs()
    }

    fn of(call: &Call, points: &[Point], open_until: i64) -> Window {
        let domain = |point: u32| points[point as usize].domain;
        let first = nearest_whole(call.spans.iter(), domain).unwrap_or(&call.spans[0]);
        let last = nearest_whole(call.spans.iter().rev(), domain).unwrap_or(first);
        let served_from = last.times.first().unwrap_or(i64::MAX);
        let asked_from = first.times.first().unwrap_or(i64::MAX);
        let open = call.state == CallState::Open;
        Window {
            served_domain: domain(last.point),
            served_from,
            request_last: last.times.request_last.unwrap_or(served_from),
            served_to: if open { open_until } else { last.times.last().unwrap_or(i64::MIN) },
            asked_domain: domain(first.point),
            asked_from,
            asked_to: first.times.last().unwrap_or(asked_from),
        }
    }
}

/// The span nearest to an end, or, where that one missed some of the four times, the nearest that did not, on the same
/// clock: a wider window further away still contains the right children.
fn nearest_whole<'a>(
    mut from_end: impl Iterator<Item = &'a SpanAt> + Clone,
    domain: impl Fn(u32) -> u32,
) -> Option<&'a SpanAt> {
    let nearest = from_end.clone().next()?;
    let whole = |span: &&SpanAt| {
        domain(span.point) == domain(nearest.point)
            && span.times.duration_ns().is_some()
            && span.times.latency_ns().is_some()
    };
    from_end.find(whole).or(Some(nearest))
}

/// A child and its possible parents, in rising order.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    pub(super) child: CallIndex,
    pub(super) parents: Vec<CallIndex>,
}

/// Where a process is: its namespace where known, else its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Place(String, String),
    Address(IpAddr),
}

/// For every call that has any, its possible parents, children by their start.
pub(super) fn candidates(calls: &[Call], windows: &[Window]) -> Vec<Candidates> {
    let mut serving: BTreeMap<Spot, Vec<CallIndex>> = BTreeMap::new();
    let mut asking: BTreeMap<Spot, Vec<CallIndex>> = BTreeMap::new();
    for (i, call) in calls.iter().enumerate() {
        if can_cause(call) {
            serving.entry(spot(&call.server)).or_default().push(i as CallIndex);
        }
        asking.entry(spot(&call.client)).or_default().push(i as CallIndex);
    }
    let mut found: Vec<Candidates> = asking
        .into_iter()
        .filter_map(|(spot, children)| Some((serving.get(&spot)?, children)))
        .flat_map(|(parents, children)| sweep(parents, &children, calls, windows))
        .collect();
    found.sort_by_key(|c| (windows[c.child as usize].asked_from, c.child));
    found
}

/// Handshakes, connects and one-way messages cause nothing.
fn can_cause(call: &Call) -> bool {
    !matches!(call.protocol.as_str(), "tls" | "tcp") && call.state != CallState::OneWay
}

fn spot(end: &crate::call::Endpoint) -> Spot {
    if end.host.is_empty() {
        Spot::Address(end.address)
    } else {
        Spot::Place(end.host.clone(), end.netns.clone())
    }
}

/// Goes through parents and children of one spot in time order, keeping the parents that are open.
fn sweep(
    parents: &[CallIndex],
    children: &[CallIndex],
    calls: &[Call],
    windows: &[Window],
) -> Vec<Candidates> {
    let window = |i: CallIndex| &windows[i as usize];
    let mut parents: Vec<CallIndex> = parents.to_vec();
    parents.sort_by_key(|&p| (window(p).served_from, p));
    let mut children: Vec<CallIndex> = children.to_vec();
    children.sort_by_key(|&c| (window(c).asked_from, c));
    let (mut next, mut open, mut found) = (0, Vec::new(), Vec::new());
    for child in children {
        let asked = window(child);
        while next < parents.len() && window(parents[next]).served_from <= asked.asked_from {
            open.push(parents[next]);
            next += 1;
        }
        open.retain(|&p| window(p).served_to >= asked.asked_from);
        let mut possible: Vec<CallIndex> = open
            .iter()
            .copied()
            .filter(|&p| contains(window(p), asked) && !same_listener(p, child, calls))
            .collect();
        if possible.len() > MAX_PARENTS {
            possible.drain(..possible.len() - MAX_PARENTS);
        }
        possible.sort_unstable();
        if !possible.is_empty() {
            found.push(Candidates { child, parents: possible });
        }
    }
    found
}

fn contains(parent: &Window, child: &Window) -> bool {
    parent.served_domain == child.asked_domain && parent.served_to >= child.asked_to
}

/// A process does not cause a call to itself; neither is a call its own parent.
fn same_listener(parent: CallIndex, child: CallIndex, calls: &[Call]) -> bool {
    let (p, c) = (&calls[parent as usize].server, &calls[child as usize].server);
    parent == child || (p.address, p.port) == (c.address, c.port)
}
