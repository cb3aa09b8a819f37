//! Small writes that were held back until the one before was acknowledged, which the receiver delays (Nagle's algorithm against delayed
//! acknowledgments): 40 ms or more for nothing. The writer can mend it: TCP_NODELAY, or one write instead of two. Never judges full
//! segments: those wait for other reasons.

use crate::call::{Call, CallIndex, Part, SpanAt};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const HELD_BACK: Judge = Judge {
    name: "held-back",
    about: "small writes held back until a delayed acknowledgment came",
    judge,
};

/// What was held back at all was held back this long.
const LONG_NS: i64 = 30_000_000;
/// So many, and this share of all traces' time or that of all calls there, are a failure.
const LEAST: usize = 5;
const MUCH: f64 = 0.01;
const MOST: f64 = 0.3;

#[derive(Default)]
struct Held {
    calls: Vec<(CallIndex, i64)>,
    n_of: usize,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let calls = || case.calls().filter_map(|(index, call)| Some((index, call, held(case, call)?)));
    // Naming the writers of all messages costs more than looking at their flows.
    if !calls().any(|(.., ns)| ns.iter().any(Option::is_some)) {
        return Vec::new();
    }
    let mut writers: BTreeMap<Culprit, Held> = BTreeMap::new();
    for (index, call, [asked, answered]) in calls() {
        for (writer, ns) in [(case.server(index), answered), (case.client(call), asked)] {
            let held = writers.entry(writer).or_default();
            held.n_of += 1;
            held.calls.extend(ns.map(|ns| (index, ns)));
        }
    }
    writers.into_iter().filter_map(|(culprit, held)| one(case, culprit, &held)).collect()
}

/// How long a call's request and its answer took to pass if they were held back; `None`: its packets were not recorded.
fn held(case: &Case<'_>, call: &Call) -> Option<[Option<i64>; 2]> {
    if call.tracer.is_some() {
        return None;
    }
    let is_interface = |span: &&SpanAt| case.analysis.points[span.point as usize].process.is_none();
    let mut interfaces = call.spans.iter().filter(is_interface);
    let first = interfaces.next()?;
    let last = interfaces.next_back().unwrap_or(first);
    let is_held = |span: &SpanAt, side: usize| {
        case.analysis.flows[span.flow as usize].pace[side].held_back.count > 0
    };
    let transfer = |part: Part| call.hop(part).map(|hop| hop.total_ns).filter(|ns| *ns >= LONG_NS);
    Some([
        transfer(Part::RequestTransfer).filter(|_| is_held(first, 0)),
        transfer(Part::ResponseTransfer).filter(|_| is_held(last, 1)),
    ])
}

fn one(case: &Case<'_>, culprit: Culprit, held: &Held) -> Option<Finding> {
    let longest_ns = held.calls.iter().map(|(_, ns)| *ns).max()?;
    let each = held.calls.iter();
    let concerned: Vec<Concerned> = each.map(|&(call, ns)| Concerned::slowed(call, ns)).collect();
    let n = held.calls.len();
    let is_most = n as f64 >= MOST * held.n_of as f64;
    let severity = Severity::of(n >= LEAST && (is_most || case.share(&concerned) >= MUCH));
    let sentence = format!(
        "{} writes in small pieces, and each waits until the one before is acknowledged: {} took up to {} longer (Nagle's algorithm: set TCP_NODELAY, or write once)",
        culprit.words(),
        quantity::plural(n as u64, "message"),
        quantity::duration(longest_ns)
    );
    let mut finding =
        case.finding(severity, "delayed-acknowledgment", culprit, sentence, concerned);
    finding.evidence.push(format!(
        "a small segment, its acknowledgment {} or more later, and at once the next segment: {} of {}",
        quantity::duration(LONG_NS),
        quantity::count(n as u64),
        quantity::plural(held.n_of as u64, "message")
    ));
    Some(finding)
}
