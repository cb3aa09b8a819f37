//! TLS handshakes that fail or take long. A failed one is the server's: whoever asked does not accept what it shows, or it refuses what
//! it is offered. Never judges what was said inside a session, nor a handshake that is slow since its way is.

use crate::call::{CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::measure;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const TLS: Judge =
    Judge { name: "tls", about: "TLS handshakes that fail or take long", judge };

/// A handshake in one network, a full one on a slow processor too, takes less …
const SLOW_NS: i64 = 100_000_000;
/// … or no more than so many round trips.
const ROUND_TRIPS: i64 = 5;
/// So many slow ones, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.01;
/// Server names that are shown.
const SHOWN: usize = 3;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut failed: BTreeMap<(Culprit, String), Vec<CallIndex>> = BTreeMap::new();
    let mut slow: BTreeMap<Culprit, Vec<(CallIndex, i64)>> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.protocol == "tls") {
        let ns = case.duration_ns(index);
        let way_ns = call.connect_ns.unwrap_or(0).saturating_mul(ROUND_TRIPS);
        match call.state {
            CallState::Open if call.failed() => {
                let key = (case.unanswered_by(index), "no answer".to_string());
                failed.entry(key).or_default().push(index);
            }
            _ if call.failed() => {
                let key = (case.server(index), measure::status(call));
                failed.entry(key).or_default().push(index);
            }
            CallState::Complete if ns >= SLOW_NS.max(way_ns) => {
                slow.entry(case.server(index)).or_default().push((index, ns));
            }
            _ => {}
        }
    }
    let failed =
        failed.into_iter().map(|((culprit, how), calls)| broken(case, culprit, &how, &calls));
    failed.chain(slow.into_iter().map(|(culprit, calls)| late(case, culprit, &calls))).collect()
}

fn broken(case: &Case<'_>, culprit: Culprit, how: &str, calls: &[CallIndex]) -> Finding {
    // Whoever opened a session for nobody else was itself told.
    let failed = |call: CallIndex| case.parent_failed(call).unwrap_or(true);
    let n_failed = calls.iter().filter(|&&call| failed(call)).count();
    let sentence = format!(
        "{} with {} failed ({how}); {} failed for it",
        quantity::plural(calls.len() as u64, "TLS handshake"),
        culprit.words(),
        quantity::plural(n_failed as u64, "request")
    );
    let concerned = calls.iter().map(|&call| Concerned {
        call,
        cost_ns: case.duration_ns(call),
        failed: failed(call),
    });
    let severity = Severity::of(n_failed > 0);
    let mut finding = case.finding(severity, "tls-failed", culprit, sentence, concerned.collect());
    finding.evidence = asked(case, calls);
    finding
}

fn late(case: &Case<'_>, culprit: Culprit, calls: &[(CallIndex, i64)]) -> Finding {
    let longest_ns = calls.iter().map(|(_, ns)| *ns).max().unwrap_or(0);
    let each = calls.iter();
    let concerned: Vec<Concerned> = each.map(|&(call, ns)| Concerned::slowed(call, ns)).collect();
    let severity = Severity::of(calls.len() >= LEAST && case.share(&concerned) >= MUCH);
    let sentence = format!(
        "{} with {} took up to {}",
        quantity::plural(calls.len() as u64, "TLS handshake"),
        culprit.words(),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "slow-tls", culprit, sentence, concerned);
    finding.evidence = asked(case, &calls.iter().map(|(call, _)| *call).collect::<Vec<_>>());
    let ways_ns = calls.iter().filter_map(|(call, _)| case.call(*call).connect_ns);
    if let Some(way_ns) = ways_ns.max() {
        let way = quantity::duration(way_ns);
        finding.evidence.push(format!("their connections were opened in {way} or less"));
    }
    finding
}

/// What was asked for, and how it ended.
fn asked(case: &Case<'_>, calls: &[CallIndex]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for &index in calls {
        let call = case.call(index);
        let line = format!("{}: {}", measure::request(call), measure::status(call));
        if shown.len() < SHOWN && !shown.contains(&line) {
            shown.push(line);
        }
    }
    shown
}
