//! Which call caused which, inside one process. What is certain comes first and narrows the possible parents: containment, planted
//! ids, what a proxy passes on unchanged. What is left is weighed: what threads did, as far as that is reliable here, and how long
//! after what a service usually asks, both learnt from the recording. A link's confidence is its share of all that was possible.
//! Never looks at times of two clocks.

use crate::call::{Call, CallIndex, Flow, Link, LinkKind, Point};
use crate::dissect::sockets::log::Sockets;

mod assignment;
pub mod baseline;
mod candidates;
mod content;
mod counts;
mod delays;
mod ids;
mod patience;
mod references;
mod reliability;
mod roles;
mod threads;
mod timeline;
mod windows;

use assignment::{Assignment, Beliefs, Settled, Usual};
use content::Words;
use reliability::Reliability;
use roles::Roles;
use windows::Windows;

/// What may be used for linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Leave planted ids out, to measure the rest.
    pub ignore_ids: bool,
    /// Leave out what threads tell.
    pub ignore_threads: bool,
    /// Leave out how long after what a service usually asks.
    pub ignore_delays: bool,
    /// Leave out words that reappear.
    pub ignore_content: bool,
}

impl Evidence {
    /// All but planted ids.
    pub const WITHOUT_IDS: Evidence = Evidence {
        ignore_ids: true,
        ignore_threads: false,
        ignore_delays: false,
        ignore_content: false,
    };
}

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

/// The first round assigns by what is certain and by threads, and teaches the delays; the next ones use and correct them.
const ROUNDS: usize = 3;

/// Gives every call its parent, where one is possible. `calls` are sorted by first time.
pub fn link(calls: &mut [Call], known: &Known<'_>, evidence: &Evidence) {
    let windows = Windows::of_all(calls, known.points, known.flows);
    let mut candidates = candidates::candidates(calls, &windows);
    references::narrow(&mut candidates, known.references);
    if candidates.is_empty() {
        return references::settle(calls, known.references);
    }
    let entries = match evidence.ignore_threads || known.sockets.logs.is_empty() {
        true => Vec::new(),
        false => timeline::timeline(calls, known.points, known.sockets),
    };
    let roles = Roles::of(calls, &windows);
    let words = Words::of(calls);
    let mut usual = Usual::default();
    let mut given: Option<Vec<Option<CallIndex>>> = None;
    let mut settled = Vec::new();
    for _ in 0..ROUNDS {
        let causes = threads::causes(calls, &entries, known.sockets, given.as_deref());
        let reliability = Reliability::learn(&candidates, &causes);
        let beliefs =
            Beliefs { causes: &causes, reliability: &reliability, words: &words, usual: &usual };
        let mut assignment = Assignment::new(&roles, &beliefs, evidence);
        settled = assignment.assign(&candidates);
        let learnt = assignment.usual(&settled);
        given = Some(assignment.given(&settled));
        usual = learnt;
    }
    for Settled { child, link, .. } in settled {
        calls[child as usize].link = Some(link);
    }
    references::settle(calls, known.references);
}

/// In whatever version: proxies translate between them.
fn speaks_http(call: &Call) -> bool {
    ["http1", "http2", "http", "grpc"].contains(&call.protocol.as_str())
}

/// Whether one may be the other, passed on.
fn same_request(p: &Call, c: &Call) -> bool {
    let is_same = p.protocol == c.protocol || (speaks_http(p) && speaks_http(c));
    // Operations of tracers are called alike without being so (`HTTP GET`); paths and methods are not.
    let says = c.tracer.is_none() || c.resource.contains('/');
    is_same && says && p.request_type == c.request_type && p.resource == c.resource
}

/// Whether a call gives a broker something to hand on, or is what the broker hands on.
fn is_message(call: &Call) -> bool {
    is_publication(call) || is_delivery(call)
}

fn is_publication(call: &Call) -> bool {
    let (protocol, request_type) = (call.protocol.as_str(), call.request_type.as_str());
    matches!((protocol, request_type), ("nats", "PUB") | ("redis", "PUBLISH" | "SPUBLISH"))
}

fn is_delivery(call: &Call) -> bool {
    let (protocol, request_type) = (call.protocol.as_str(), call.request_type.as_str());
    matches!(
        (protocol, request_type),
        ("nats", "MSG") | ("redis", "MESSAGE" | "SMESSAGE" | "PMESSAGE")
    )
}

/// Whether a broker may have delivered in one what was published in the other.
fn delivers(p: &Call, c: &Call) -> bool {
    is_publication(p) && is_delivery(c) && p.protocol == c.protocol && p.resource == c.resource
}
