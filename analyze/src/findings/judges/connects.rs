//! Connects that fail, or take as long as a lost packet costs: refused, never answered, answered late. Never judges what is said on a
//! connection.

use crate::call::{CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::report::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const CONNECTS: Judge =
    Judge { name: "connects", about: "connects that fail or take long, and where", judge };

/// A handshake this slow waited for a second try (RFC 6298: 1 s), or for a host far overloaded.
const SLOW_NS: i64 = 150_000_000;
/// Who was refused tries the next address of the name this soon.
const ELSEWHERE_NS: i64 = 1_000_000_000;
/// So many slow ones, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.01;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut failed: BTreeMap<(Culprit, String), Vec<CallIndex>> = BTreeMap::new();
    let mut slow: BTreeMap<Culprit, Vec<(CallIndex, i64)>> = BTreeMap::new();
    for (index, call) in case.calls() {
        if call.protocol == "tcp" && !call.failed() {
            continue;
        }
        if call.protocol == "tcp" {
            let key = (case.unanswered_by(index), call.status.clone());
            failed.entry(key).or_default().push(index);
        } else if let Some(ns) = call.connect_ns.filter(|ns| *ns >= SLOW_NS) {
            slow.entry(case.server(index)).or_default().push((index, ns));
        }
    }
    let failed = failed
        .into_iter()
        .map(|((culprit, status), calls)| failing(case, culprit, &status, &calls));
    failed.chain(slow.into_iter().map(|(culprit, calls)| late(case, culprit, &calls))).collect()
}

fn failing(case: &Case<'_>, culprit: Culprit, status: &str, calls: &[CallIndex]) -> Finding {
    // Whoever connected for nobody else was itself told, unless it got through at another address.
    let parent_failed = |index: &CallIndex| {
        case.parent_failed(*index).unwrap_or_else(|| !is_made_good(case, *index))
    };
    let n_failed = calls.iter().filter(|call| parent_failed(call)).count();
    let severity = Severity::of(n_failed > 0);
    let n = quantity::plural(calls.len() as u64, "connect");
    let name = culprit.words();
    let sentence = match status {
        "refused" => format!("{name} refused {n}: nothing listens there"),
        "reset" => format!("{n} to {name} were reset"),
        _ => format!("{name} did not answer {n}"),
    };
    let cost = |index: CallIndex| case.duration_ns(index);
    let concerned = calls.iter().map(|&call| Concerned {
        call,
        cost_ns: cost(call),
        failed: parent_failed(&call),
    });
    let mut finding = case.finding(
        severity,
        &format!("connect-{status}"),
        culprit,
        sentence,
        concerned.collect(),
    );
    let ends: std::collections::BTreeSet<String> = calls
        .iter()
        .map(|&index| {
            let end = &case.call(index).server;
            std::net::SocketAddr::new(end.address, end.port).to_string()
        })
        .collect();
    finding.evidence.extend(ends.into_iter().take(3).map(|end| format!("{status} at {end}")));
    finding
}

/// Whether the same end got an answer at the same port of another address soon after: names have several, of which one may be dead.
fn is_made_good(case: &Case<'_>, index: CallIndex) -> bool {
    let tried = case.call(index);
    let Some(first_ns) = tried.times().first() else { return false };
    case.calls().any(|(_, call)| {
        let soon = first_ns..first_ns.saturating_add(ELSEWHERE_NS);
        call.server.port == tried.server.port
            && call.server.address != tried.server.address
            && call.client.place() == tried.client.place()
            && call.spans[0].point == tried.spans[0].point
            && call.state == CallState::Complete
            && call.protocol != "tcp"
            && call.times().first().is_some_and(|at| soon.contains(&at))
    })
}

fn late(case: &Case<'_>, culprit: Culprit, calls: &[(CallIndex, i64)]) -> Finding {
    let longest_ns = calls.iter().map(|(_, ns)| *ns).max().unwrap_or(0);
    let flows = &case.analysis.flows;
    let again: u64 = calls
        .iter()
        .filter_map(|(index, _)| case.call(*index).spans.first())
        .map(|span| flows[span.flow as usize].counters[0].syn_retransmissions)
        .sum();
    // The time lies before the call, in whoever made it.
    let each = calls.iter();
    let concerned: Vec<Concerned> =
        each.map(|&(index, ns)| Concerned::slowed(case.asker(index), ns)).collect();
    let severity = Severity::of(calls.len() >= LEAST && case.share(&concerned) >= MUCH);
    let sentence = format!(
        "{} to {} took up to {}",
        quantity::plural(calls.len() as u64, "connect"),
        culprit.words(),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "slow-connect", culprit, sentence, concerned);
    if again > 0 {
        let again = quantity::plural(again, "SYN");
        finding.evidence.push(format!("{again} had to be sent again at the clients' first point"));
    }
    finding
}
