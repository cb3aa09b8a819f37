//! Which calls could have caused which: the parent's server is where the child's client is, and the child's time lies
//! inside the parent's, on one clock; where nothing contains it and its process is known, it outlived its cause. Never ranks them.

use super::queues::is_message;
use super::windows::{Asked, Served, Windows};
use crate::call::{Call, CallIndex, CallState};
use crate::issue::Issue;
use crate::point::{Endpoint, Process};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Parents kept per child; beyond, the latest started are kept.
const MAX_PARENTS: usize = 1024;

/// A child and its possible parents, in rising order.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    pub(super) child: CallIndex,
    pub(super) parents: Vec<CallIndex>,
    /// How many requests were being served there when it was asked, these included.
    pub(super) n_open: usize,
    /// It was answered later than all of them: nobody waited for it.
    pub(super) outlives: bool,
    /// Where it was asked.
    pub(super) place: PlaceIndex,
}

/// Index of a place where requests were served and calls made.
pub(super) type PlaceIndex = u32;

/// What one place did while it served nobody, and what was missed of what it served.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// How long at least one request was being served.
    pub(super) busy_ns: i64,
    /// How long none was, between the first and the last.
    pub(super) idle_ns: i64,
    /// Calls that began then.
    pub(super) alone: Vec<CallIndex>,
    /// Requests served, by the second of its clock.
    pub(super) seen: BTreeMap<i64, Seen>,
}

/// Requests of one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Of which anything was seen.
    pub(super) any: u64,
    /// Of which only the request or only the answer was.
    pub(super) half: u64,
}

/// Children with their possible parents, and the places where they were asked.
#[derive(Debug, Default)]
pub(super) struct Possible {
    /// By their start.
    pub(super) children: Vec<Candidates>,
    pub(super) places: Vec<Place>,
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
pub(super) fn candidates(calls: &[Call], windows: &[Windows]) -> Possible {
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
    let mut possible = Possible::default();
    for (place, children) in asking {
        if let Some(parents) = serving.remove(&place) {
            let index = possible.places.len() as PlaceIndex;
            // Where processes aren't known, anybody in the same place may have asked.
            let may_outlive = matches!(place.0, Spot::Process(..));
            let (found, place) = sweep(index, may_outlive, parents, children, calls, windows);
            possible.children.extend(found);
            possible.places.push(place);
        }
    }
    let found = &mut possible.children;
    // What contains a child at one place is nearer than what it outlives at another.
    found.sort_by_key(|c| (windows[c.child as usize].asked_from(), c.child, c.outlives));
    found.dedup_by(|next, before| {
        let same = next.child == before.child;
        if same && next.outlives == before.outlives {
            before.parents.append(&mut next.parents);
            before.parents.sort_unstable();
            before.n_open = before.n_open.max(before.parents.len());
        }
        same
    });
    possible
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
    place: PlaceIndex,
    may_outlive: bool,
    mut parents: Vec<(Served, CallIndex)>,
    mut children: Vec<(Asked, CallIndex)>,
    calls: &[Call],
    windows: &[Windows],
) -> (Vec<Candidates>, Place) {
    parents.sort_by_key(|(served, p)| (served.from, *p));
    children.sort_by_key(|(asked, c)| (asked.from, *c));
    let (mut here, last_ns) = Place::of(&parents);
    parents.iter().for_each(|(served, p)| here.saw(served.from, &calls[*p as usize]));
    let (mut next, mut open, mut found) = (0, Vec::<(Served, CallIndex)>::new(), Vec::new());
    for (asked, child) in children {
        while next < parents.len() && parents[next].0.from <= asked.from {
            open.push(parents[next]);
            next += 1;
        }
        open.retain(|(served, _)| served.to >= asked.from);
        if open.is_empty() && next > 0 && asked.from < last_ns {
            here.alone.push(child);
        }
        // Where both were seen on several clocks, the pair counts on one.
        let is_here = |p: CallIndex| {
            let beside = windows[p as usize].beside(&windows[child as usize]);
            beside.is_some_and(|(served, _)| served.domain == asked.domain)
        };
        let possible = |is_enough: fn(&Served, &Asked) -> bool| -> Vec<CallIndex> {
            open.iter()
                .filter(|(served, p)| is_enough(served, &asked) && !same_listener(*p, child, calls))
                .map(|(_, p)| *p)
                .filter(|p| is_here(*p))
                .collect()
        };
        let mut parents = possible(Served::contains);
        let outlives = parents.is_empty() && may_outlive;
        if outlives {
            parents = possible(Served::begins);
        }
        if parents.len() > MAX_PARENTS {
            parents.drain(..parents.len() - MAX_PARENTS);
        }
        parents.sort_unstable();
        if !parents.is_empty() {
            found.push(Candidates { child, parents, n_open: open.len(), outlives, place });
        }
    }
    (found, here)
}

impl Place {
    /// How long it served somebody, and nobody, by `parents` in the order of their start; and when it stopped.
    fn of(parents: &[(Served, CallIndex)]) -> (Place, i64) {
        let (mut place, mut until) = (Place::default(), i64::MIN);
        for (served, _) in parents {
            if until != i64::MIN {
                let idle_ns = served.from.saturating_sub(until).max(0);
                place.idle_ns = place.idle_ns.saturating_add(idle_ns);
            }
            place.busy_ns = place
                .busy_ns
                .saturating_add(served.to.saturating_sub(served.from.max(until)).max(0));
            until = until.max(served.to);
        }
        (place, until)
    }

    fn saw(&mut self, at_ns: i64, call: &Call) {
        let is_half = match call.state {
            CallState::ResponseOnly => true,
            CallState::Open => call.issues.contains(&Issue::ResponseMissing),
            _ => false,
        };
        let seen = self.seen.entry(second(at_ns)).or_default();
        seen.any += 1;
        seen.half += u64::from(is_half);
    }
}

/// The second of an instant.
pub(super) fn second(at_ns: i64) -> i64 {
    at_ns.div_euclid(1_000_000_000)
}

/// A process does not cause a call to itself; neither is a call its own parent.
fn same_listener(parent: CallIndex, child: CallIndex, calls: &[Call]) -> bool {
    let (p, c) = (&calls[parent as usize].server, &calls[child as usize].server);
    parent == child || (p.address, p.port) == (c.address, c.port)
}
