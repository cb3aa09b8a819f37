//! Receivers that tell their peer to stop sending: their program does not read. Never judges a window that is merely small.

use crate::call::{CallIndex, Part};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const ZERO_WINDOW: Judge =
    Judge { name: "zero-window", about: "receivers that stop their senders", judge };

/// A transfer that was stopped takes at least this long.
const LONG_NS: i64 = 10_000_000;
/// So many, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.02;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut readers: BTreeMap<Culprit, Vec<(CallIndex, i64, u64)>> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.tracer.is_none()) {
        let n_zero = |side: usize| {
            let counters = call.spans.iter().map(|s| case.analysis.flows[s.flow as usize].counters);
            counters.map(|counters| counters[side].zero_windows).max().unwrap_or(0)
        };
        let transfer =
            |part: Part| call.hop(part).map(|hop| hop.total_ns).filter(|ns| *ns >= LONG_NS);
        let mut note = |part: Part, side: usize, culprit: &dyn Fn() -> Culprit| {
            let Some(ns) = transfer(part) else { return };
            let n = n_zero(side);
            if n > 0 {
                readers.entry(culprit()).or_default().push((index, ns, n));
            }
        };
        note(Part::ResponseTransfer, 0, &|| case.client(call));
        note(Part::RequestTransfer, 1, &|| case.server(index));
    }
    readers.into_iter().filter_map(|(culprit, calls)| one(case, culprit, &calls)).collect()
}

fn one(case: &Case<'_>, culprit: Culprit, calls: &[(CallIndex, i64, u64)]) -> Option<Finding> {
    let longest_ns = calls.iter().map(|(_, ns, _)| *ns).max()?;
    let n_zero = calls.iter().map(|(.., n)| *n).max()?;
    let concerned: Vec<Concerned> =
        calls.iter().map(|&(call, ns, _)| Concerned::slowed(call, ns)).collect();
    let severity = Severity::of(calls.len() >= LEAST && case.share(&concerned) >= MUCH);
    let sentence = format!(
        "{} did not read as fast as it was sent to: {} took up to {} to pass",
        culprit.words(),
        quantity::plural(calls.len() as u64, "message"),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "receiver-full", culprit, sentence, concerned);
    let n = quantity::plural(n_zero, "zero window");
    finding.evidence.push(format!("{n} advertised on one connection, at most"));
    Some(finding)
}
