//! Connects that fail, or take as long as a lost packet costs: refused, never answered, answered late. Never judges what is said on a
//! connection.

use crate::call::{Call, CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::point::PointIndex;
use crate::quantity;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Its entry in the table of judges.
pub(super) const CONNECTS: Judge =
    Judge { name: "connects", about: "connects that fail or take long, and where", judge };

/// A handshake this slow waited for a second try (RFC 6298: 1 s), or for a host far overloaded.
const SLOW_NS: i64 = 150_000_000;
/// Who was refused tries the next address of the name this soon.
const ELSEWHERE_NS: i64 = 1_000_000_000;
/// Answers after it that are looked at.
const MOST_LOOKED_AT: usize = 1_000;
/// So many slow ones, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.01;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut failed: BTreeMap<(Culprit, String), Vec<CallIndex>> = BTreeMap::new();
    let mut slow: BTreeMap<Culprit, Vec<(CallIndex, i64)>> = BTreeMap::new();
    for (index, call) in case.calls() {
        if call.protocol == "tcp" {
            // One that was under way when the recording ended is none.
            if !call.failed() {
                continue;
            }
            let key = (case.unanswered_by(index), call.status.clone());
            failed.entry(key).or_default().push(index);
        } else if let Some(ns) = call.connect_ns.filter(|ns| *ns >= SLOW_NS) {
            slow.entry(case.server(index)).or_default().push((index, ns));
        }
    }
    let answered = if failed.is_empty() { Answered::new() } else { answered(case) };
    let failed = failed
        .into_iter()
        .map(|((culprit, status), calls)| failing(case, &answered, culprit, (&status, &calls)));
    failed.chain(slow.into_iter().map(|(culprit, calls)| late(case, culprit, &calls))).collect()
}

fn failing(
    case: &Case<'_>,
    answered: &Answered,
    culprit: Culprit,
    (status, calls): (&str, &[CallIndex]),
) -> Finding {
    // Whoever connected for nobody else was itself told, unless it got through at another address.
    let parent_failed = |index: &CallIndex| {
        case.parent_failed(*index).unwrap_or_else(|| !is_made_good(answered, case.call(*index)))
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

/// Who got an answer at which port, from when on, at which address: by the client's point and the port, in order of time.
type Answered = BTreeMap<(PointIndex, u16), Vec<(i64, IpAddr)>>;

fn answered(case: &Case<'_>) -> Answered {
    let mut answered = Answered::new();
    for (_, call) in case.calls() {
        let is_answered = call.state == CallState::Complete && call.protocol != "tcp";
        if let Some(first_ns) = call.times().first().filter(|_| is_answered) {
            let key = (call.spans[0].point, call.server.port);
            answered.entry(key).or_default().push((first_ns, call.server.address));
        }
    }
    answered.values_mut().for_each(|times| times.sort_unstable());
    answered
}

/// Whether the same end got an answer at the same port of another address soon after: names have several, of which one may be dead.
fn is_made_good(answered: &Answered, tried: &Call) -> bool {
    let Some(first_ns) = tried.times().first() else { return false };
    let Some(times) = answered.get(&(tried.spans[0].point, tried.server.port)) else {
        return false;
    };
    let from = times.partition_point(|(at, _)| *at < first_ns);
    let until_ns = first_ns.saturating_add(ELSEWHERE_NS);
    let mut soon = times[from..].iter().take(MOST_LOOKED_AT).take_while(|(at, _)| *at < until_ns);
    soon.any(|(_, address)| *address != tried.server.address)
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
