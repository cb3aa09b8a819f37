//! Which call caused which, inside one process. What is certain comes first and narrows the possible parents: containment, planted
//! ids, what a proxy passes on unchanged. What is left is weighed: what threads did, as far as that is reliable here, and how long
//! after what a service usually asks, both learnt from the recording. A link's confidence is its share of all that was possible.
//! Never looks at times of two clocks.

use crate::call::{Call, CallIndex, Link, LinkKind, NoParent};
use crate::dissect::sockets::log::Sockets;
use crate::flow::Flow;
use crate::loss::Loss;
use crate::point::Point;

mod assignment;
mod background;
pub mod baseline;
mod candidates;
pub mod evidence;
mod ids;
mod improvement;
mod narrowing;
mod outcome;
mod pair;
mod pools;
mod queues;
mod references;
mod reliability;
mod roles;
mod threads;
mod unit;
mod usual;
mod weighing;
mod windows;

use assignment::{Assignment, Beliefs};
use background::Background;
use candidates::Possible;
pub use evidence::Evidence;
use evidence::Kind;
use outcome::{Outcome, Settled};
use reliability::Reliability;
use roles::Roles;
use threads::Threads;
use usual::{Learnt, Words};
use windows::Windows;

/// What calls were reconstructed from.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Observation points.
    pub points: &'a [Point],
    /// Flows.
    pub flows: &'a [Flow],
    /// What processes did on their sockets.
    pub sockets: &'a Sockets,
    /// Per call the parent that a tracer names; may be shorter than the calls are many.
    pub references: &'a [Option<CallIndex>],
}

/// The first round assigns by what is certain and by threads, and teaches what is usual; the next ones use and correct that, until …
const ROUNDS: usize = 6;
/// … fewer than one link in so many changes.
const SETTLED: usize = 1_000;

/// Gives every call its parent, where one is possible. `calls` are sorted by first time. Says of how many links not everything was
/// weighed.
pub fn link(calls: &mut [Call], known: &Known<'_>, evidence: &Evidence) -> Option<Loss> {
    let windows = Windows::of_all(calls, known.points, known.flows);
    let mut possible = candidates::candidates(calls, &windows);
    references::narrow(&mut possible.children, known.references);
    let Possible { children: candidates, .. } = &possible;
    if candidates.is_empty() {
        references::settle(calls, known.references);
        return None;
    }
    let has_threads = evidence.uses(Kind::Threads) && !known.sockets.logs.is_empty();
    let mut threads =
        has_threads.then(|| Threads::of(calls, known.points, known.sockets, candidates));
    let roles = Roles::of(calls, &windows);
    let words = Words::of(calls);
    let background = Background::learn(&possible, |call| roles.kind(call, call).1);
    let mut usual = Learnt::nothing(*evidence);
    let mut given: Option<Vec<Option<CallIndex>>> = None;
    let mut outcome = Outcome::default();
    for round in 1..=ROUNDS {
        let tell = |threads: &Threads<'_>| threads.told(given.as_deref(), *evidence);
        let told = threads.as_ref().map(tell).unwrap_or_default();
        let reliability = Reliability::learn(candidates, &told);
        let beliefs = Beliefs {
            causes: &told.causes,
            jobs: &told.jobs,
            reliability: &reliability,
            words: &words,
            usual: &usual,
            background: &background,
        };
        let mut assignment = Assignment::new(&roles, &beliefs, *evidence);
        assignment.assign(candidates);
        assignment.improve();
        outcome = assignment.outcome();
        let now = assignment.given(&outcome);
        if round == ROUNDS || given.as_ref().is_some_and(|before| is_settled(before, &now)) {
            assignment.explain(&mut outcome);
            break;
        }
        given = Some(now);
        usual = assignment.learn(&outcome);
        threads.iter_mut().for_each(|threads| threads.learn(&told));
    }
    for Settled { child, link, .. } in outcome.settled {
        calls[child as usize].link = Some(link);
    }
    for (child, why) in outcome.no_parent {
        calls[child as usize].no_parent = Some(Box::new(why));
    }
    references::settle(calls, known.references);
    (outcome.n_left_open > 0).then(|| Loss {
        place: "links".to_string(),
        cause: "links-not-weighed-to-the-end".to_string(),
        count: outcome.n_left_open,
    })
}

/// Whether (nearly) no link is another than before.
fn is_settled(before: &[Option<CallIndex>], given: &[Option<CallIndex>]) -> bool {
    let n_changed = before.iter().zip(given).filter(|(before, given)| before != given).count();
    n_changed * SETTLED < given.iter().flatten().count()
}

/// In whatever version: proxies translate between them.
fn speaks_http(call: &Call) -> bool {
    ["http1", "http2", "http", "grpc"].contains(&call.protocol.as_str())
}

/// Whether one may be the other, passed on. What can't be read tells nothing of that.
fn same_request(p: &Call, c: &Call) -> bool {
    if [p, c].iter().any(|call| call.protocol == "opaque") {
        return false;
    }
    let is_same = p.protocol == c.protocol || (speaks_http(p) && speaks_http(c));
    // Operations of tracers are called alike without being so (`HTTP GET`); paths and methods are not.
    let says = c.tracer.is_none() || c.resource.contains('/');
    is_same && says && p.request_type == c.request_type && p.resource == c.resource
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    #[test]
    fn the_same_request_is_one_that_says_the_same_and_can_be_read() {
        let call = |protocol: &str, resource: &str| Call {
            protocol: protocol.to_string(),
            resource: resource.to_string(),
            request_type: "GET".to_string(),
            ..shop().calls[0].clone()
        };
        let check = |one: (&str, &str), other: (&str, &str), expected: bool| {
            assert_eq!(same_request(&call(one.0, one.1), &call(other.0, other.1)), expected);
        };
        check(("http1", "/a"), ("http1", "/a"), true);
        check(("http1", "/a"), ("http2", "/a"), true);
        check(("http1", "/a"), ("http1", "/b"), false);
        check(("http1", "/a"), ("redis", "/a"), false);
        check(("opaque", ""), ("opaque", ""), false);
    }
}
