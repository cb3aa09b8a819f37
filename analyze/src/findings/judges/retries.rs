//! Requests that are asked again and again because they fail: load that failure makes. Never judges repetitions that all succeed.

use crate::call::CallIndex;
use crate::findings::case::Case;
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::measure;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const RETRIES: Judge =
    Judge { name: "retries", about: "the same request again and again after failures", judge };

/// So many failures of one request for one parent are retries.
const TRIES: usize = 2;
/// So many parents that try again, and this share of all who ask there, are worth a warning.
const PARENTS: usize = 3;
const SHARE: f64 = 0.05;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut tries: BTreeMap<(u32, CallIndex, String), Vec<CallIndex>> = BTreeMap::new();
    for (index, call) in case.calls() {
        if let Some(link) = &call.link {
            let what = format!("{} {}", call.request_type, call.resource);
            tries.entry((case.service_of(index), link.parent, what)).or_default().push(index);
        }
    }
    let mut again: BTreeMap<u32, Vec<Vec<CallIndex>>> = BTreeMap::new();
    let mut n_parents: BTreeMap<u32, usize> = BTreeMap::new();
    for ((service, ..), calls) in tries {
        *n_parents.entry(service).or_default() += 1;
        let n_failed = calls.iter().filter(|&&call| case.call(call).failed()).count();
        if n_failed >= TRIES && calls.len() > n_failed.min(calls.len() - 1) {
            again.entry(service).or_default().push(calls);
        }
    }
    again
        .into_iter()
        .filter(|(service, tries)| {
            tries.len() >= PARENTS && tries.len() as f64 >= SHARE * n_parents[service] as f64
        })
        .map(|(service, tries)| one(case, service, &tries))
        .collect()
}

fn one(case: &Case<'_>, service: u32, tries: &[Vec<CallIndex>]) -> Finding {
    let n: usize = tries.iter().map(Vec::len).sum();
    let culprit = case.service(service);
    let sentence = format!(
        "{} was asked {} times for {}, again and again as it failed",
        culprit.words(),
        quantity::count(n as u64),
        quantity::plural(tries.len() as u64, "request")
    );
    let beyond = tries.iter().flat_map(|calls| &calls[1..]);
    let concerned = beyond.map(|&call| Concerned::slowed(call, case.duration_ns(call)));
    let mut finding =
        case.finding(Severity::Warn, "retry-storm", culprit, sentence, concerned.collect());
    finding.evidence.extend(
        tries.iter().max_by_key(|calls| calls.len()).map(|calls| {
            format!("{} {} times", measure::request(case.call(calls[0])), calls.len())
        }),
    );
    finding
}
