//! Look-ups of names that take long, get no answer, or are denied while whoever asked failed for it. A denied name that another look-up
//! of the same request made good (search domains) is none. Never judges other protocols.

use crate::call::{CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::measure;
use crate::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const DNS: Judge =
    Judge { name: "dns", about: "look-ups that are slow, unanswered or denied", judge };

/// A resolver in reach answers sooner.
const SLOW_NS: i64 = 50_000_000;
/// This share of all traces' time is a failure.
const MUCH: f64 = 0.01;

#[derive(Default)]
struct Server {
    slow: Vec<(CallIndex, i64)>,
    unanswered: Vec<CallIndex>,
    denied: Vec<CallIndex>,
    n: usize,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut servers: BTreeMap<u32, Server> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.protocol == "dns") {
        let server = servers.entry(case.service_of(index)).or_default();
        server.n += 1;
        let ns = case.duration_ns(index);
        match call.state {
            CallState::Open if call.failed() => server.unanswered.push(index),
            _ if call.failed() => server.denied.push(index),
            _ => {}
        }
        if call.state == CallState::Complete && ns >= SLOW_NS {
            server.slow.push((index, ns));
        }
    }
    servers.into_iter().flat_map(|(service, server)| one(case, service, &server)).collect()
}

fn one(case: &Case<'_>, service: u32, server: &Server) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(slow(case, service, server));
    let name = case.service(service).words();
    let failures = [
        (&server.unanswered, "dns-no-answer", "did not answer"),
        (&server.denied, "dns-denied", "knew no answer to"),
    ];
    for (calls, class, what) in failures {
        let calls: Vec<CallIndex> =
            calls.iter().copied().filter(|&call| !made_good(case, call)).collect();
        if calls.is_empty() {
            continue;
        }
        let failed = |index: CallIndex| case.parent_failed(index).unwrap_or(false);
        let n_failed = calls.iter().filter(|&&call| failed(call)).count();
        let severity = Severity::of(n_failed > 0);
        let sentence = format!(
            "{name} {what} {}; {} failed for it",
            quantity::plural(calls.len() as u64, "look-up"),
            quantity::plural(n_failed as u64, "request")
        );
        let concerned = calls.iter().map(|&call| Concerned {
            call,
            cost_ns: case.duration_ns(call),
            failed: failed(call),
        });
        let mut finding =
            case.finding(severity, class, case.service(service), sentence, concerned.collect());
        let asked: BTreeSet<String> = calls
            .iter()
            .map(|&index| {
                let call = case.call(index);
                format!("{}: {}", measure::request(call), measure::status(call))
            })
            .collect();
        finding.evidence.extend(asked.into_iter().take(3));
        found.push(finding);
    }
    found
}

/// Whether another look-up for the same request was answered.
fn made_good(case: &Case<'_>, index: CallIndex) -> bool {
    let Some(link) = &case.call(index).link else { return false };
    case.children[link.parent as usize].iter().any(|&other| {
        let call = case.call(other);
        call.protocol == "dns" && call.state == CallState::Complete && !call.failed()
    })
}

fn slow(case: &Case<'_>, service: u32, server: &Server) -> Option<Finding> {
    let longest_ns = server.slow.iter().map(|(_, ns)| *ns).max()?;
    let slow = server.slow.iter();
    let concerned: Vec<Concerned> = slow.map(|&(call, ns)| Concerned::slowed(call, ns)).collect();
    let severity = Severity::of(case.share(&concerned) >= MUCH);
    let sentence = format!(
        "{} took up to {} for {} of {}",
        case.service(service).words(),
        quantity::duration(longest_ns),
        quantity::count(server.slow.len() as u64),
        quantity::plural(server.n as u64, "look-up")
    );
    let mut finding =
        case.finding(severity, "slow-dns", case.service(service), sentence, concerned);
    finding.evidence.extend(server.slow.first().map(|&(index, ns)| {
        format!("{} took {}", measure::request(case.call(index)), quantity::duration(ns))
    }));
    Some(finding)
}
