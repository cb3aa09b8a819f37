//! Which calls could have caused which: the parent's server is where the child's client is, and the child's time lies
//! inside the parent's, on one clock. Never ranks them.

use super::is_message;
use super::windows::{Asked, Served, Windows};
use crate::call::{Call, CallIndex, CallState, Endpoint, Process};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Parents kept per child; beyond, the latest started are kept.
const MAX_PARENTS: usize = 1024;

/// A child and its possible parents, in rising order.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    pub(super) child: CallIndex,
    pub(super) parents: Vec<CallIndex>,
}

/// Where a process is: its namespace where known, else its address; or which it is, on which host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Place(String, String),
    Address(IpAddr),
    Process(String, Process),
    /// As the first two, of those whose process is known: for others that don't know theirs.
    Known(Box<Spot>),
}

/// For every call that has any, its possible parents, children by their start.
pub(super) fn candidates(calls: &[Call], windows: &[Windows]) -> Vec<Candidates> {
    // By place and clock: a call may have been seen on several.
    let mut serving: BTreeMap<(Spot, u32), Vec<(Served, CallIndex)>> = BTreeMap::new();
    let mut asking: BTreeMap<(Spot, u32), Vec<(Asked, CallIndex)>> = BTreeMap::new();
    for (i, (call, seen)) in calls.iter().zip(windows).enumerate() {
        if can_cause(call) {
            for served in seen.served() {
                for spot in serving_spots(&call.server) {
                    let place = (spot, served.domain);
                    serving.entry(place).or_default().push((*served, i as CallIndex));
                }
            }
        }
        for asked in seen.asked() {
            for spot in asking_spots(&call.client) {
                let place = (spot, asked.domain);
                asking.entry(place).or_default().push((*asked, i as CallIndex));
            }
        }
    }
    let mut found: Vec<Candidates> = asking
        .into_iter()
        .filter_map(|(place, children)| Some((serving.remove(&place)?, children)))
        .flat_map(|(parents, children)| sweep(parents, children, calls, windows))
        .collect();
    found.sort_by_key(|c| (windows[c.child as usize].asked_from(), c.child));
    found.dedup_by(|next, before| {
        let same = next.child == before.child;
        if same {
            before.parents.append(&mut next.parents);
            before.parents.sort_unstable();
        }
        same
    });
    found
}

/// Handshakes and connects cause nothing; of what is sent one way, only what carries a message.
fn can_cause(call: &Call) -> bool {
    match call.state {
        CallState::OneWay => is_message(call),
        _ => !matches!(call.protocol.as_str(), "tls" | "tcp"),
    }
}

/// A known process is looked for as such, and as a place by those who don't know their process.
fn serving_spots(end: &Endpoint) -> Vec<Spot> {
    match &end.process {
        None => vec![spot(end)],
        Some(process) => {
            vec![Spot::Process(end.host.clone(), process.clone()), Spot::Known(Box::new(spot(end)))]
        }
    }
}

/// A known process asks for itself, and for places that don't know their process.
fn asking_spots(end: &Endpoint) -> Vec<Spot> {
    match &end.process {
        None => vec![spot(end), Spot::Known(Box::new(spot(end)))],
        Some(process) => vec![Spot::Process(end.host.clone(), process.clone()), spot(end)],
    }
}

fn spot(end: &Endpoint) -> Spot {
    if end.host.is_empty() {
        Spot::Address(end.address)
    } else {
        Spot::Place(end.host.clone(), end.netns.clone())
    }
}

/// Goes through parents and children of one spot and clock in time order, keeping the parents that are open.
fn sweep(
    mut parents: Vec<(Served, CallIndex)>,
    mut children: Vec<(Asked, CallIndex)>,
    calls: &[Call],
    windows: &[Windows],
) -> Vec<Candidates> {
    parents.sort_by_key(|(served, p)| (served.from, *p));
    children.sort_by_key(|(asked, c)| (asked.from, *c));
    let (mut next, mut open, mut found) = (0, Vec::<(Served, CallIndex)>::new(), Vec::new());
    for (asked, child) in children {
        while next < parents.len() && parents[next].0.from <= asked.from {
            open.push(parents[next]);
            next += 1;
        }
        open.retain(|(served, _)| served.to >= asked.from);
        // Where both were seen on several clocks, the pair counts on one.
        let is_here = |p: CallIndex| {
            let beside = windows[p as usize].beside(&windows[child as usize]);
            beside.is_some_and(|(served, _)| served.domain == asked.domain)
        };
        let mut possible: Vec<CallIndex> = open
            .iter()
            .filter(|(served, p)| served.contains(&asked) && !same_listener(*p, child, calls))
            .map(|(_, p)| *p)
            .filter(|p| is_here(*p))
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

/// A process does not cause a call to itself; neither is a call its own parent.
fn same_listener(parent: CallIndex, child: CallIndex, calls: &[Call]) -> bool {
    let (p, c) = (&calls[parent as usize].server, &calls[child as usize].server);
    parent == child || (p.address, p.port) == (c.address, c.port)
}
