//! Small writes that were held back until the one before was acknowledged, which the receiver delays (Nagle's algorithm against delayed
//! acknowledgments): 40 ms or more for nothing. The writer can mend it: TCP_NODELAY, or one write instead of two. Never judges full
//! segments: those wait for other reasons.

use crate::call::{CallIndex, Part, SpanAt};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::report::quantity;
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
    let mut writers: BTreeMap<Culprit, Held> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.tracer.is_none()) {
        let interfaces = call
            .spans
            .iter()
            .filter(|span| case.analysis.points[span.point as usize].process.is_none());
        let spans: Vec<&SpanAt> = interfaces.collect();
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { continue };
        let is_held = |span: &SpanAt, side: usize| {
            case.analysis.flows[span.flow as usize].pace[side].held_back.count > 0
        };
        let transfer =
            |part: Part| call.hop(part).map(|hop| hop.total_ns).filter(|ns| *ns >= LONG_NS);
        let answered = transfer(Part::ResponseTransfer).filter(|_| is_held(last, 1));
        let asked = transfer(Part::RequestTransfer).filter(|_| is_held(first, 0));
        for (writer, ns) in [(case.server(index), answered), (case.client(call), asked)] {
            let held = writers.entry(writer).or_default();
            held.n_of += 1;
            held.calls.extend(ns.map(|ns| (index, ns)));
        }
    }
    writers.into_iter().filter_map(|(culprit, held)| one(case, culprit, &held)).collect()
}

fn one(case: &Case<'_>, culprit: Culprit, held: &Held) -> Option<Finding> {
    let longest_ns = held.calls.iter().map(|(_, ns)| *ns).max()?;
    let each = held.calls.iter();
    let concerned: Vec<Concerned> = each.map(|&(call, ns)| Concerned::slowed(call, ns)).collect();
    let n = held.calls.len();
    let is_most = n as f64 >= MOST * held.n_of as f64;
    let severity = Severity::of(n >= LEAST && (is_most || case.share(&concerned) >= MUCH));
    let sentence = format!(
        "{} writes in small pieces that wait for acknowledgments: {} took up to {} longer (Nagle's algorithm; set TCP_NODELAY or write once)",
        culprit.words(),
        quantity::plural(n as u64, "message"),
        quantity::duration(longest_ns)
    );
    let mut finding =
        case.finding(severity, "delayed-acknowledgment", culprit, sentence, concerned);
    finding.evidence.push(format!(
        "a small segment, {} or more until its acknowledgment, and the next one at once behind that: {} of {}",
        quantity::duration(LONG_NS),
        quantity::count(n as u64),
        quantity::plural(held.n_of as u64, "message")
    ));
    Some(finding)
}
