//! Where errors begin: the deepest call that failed, none that it caused having failed. Errors that whoever asked is to blame for, and
//! those that nobody was told of, weigh less. Never judges connects, look-ups, handshakes, resets and what was lost: those have judges of
//! their own.

use super::{lost, resets};
use crate::call::{CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::measure;
use crate::protocol::Outcome;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const ERRORS: Judge = Judge {
    name: "error-origin",
    about: "the deepest calls that failed: where errors begin",
    judge,
};

/// Requests shown as evidence.
const SHOWN: usize = 3;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut by_cause: BTreeMap<(Culprit, String), Vec<CallIndex>> = BTreeMap::new();
    let lost = lost::unrepaired(case);
    for (index, call) in case.calls() {
        let is_own = matches!(call.protocol.as_str(), "tcp" | "dns" | "tls");
        let caused = case.children[index as usize].iter().any(|&child| case.call(child).failed());
        if is_own
            || caused
            || !call.failed()
            || lost.contains(&index)
            || resets::by(case, index).is_some()
        {
            continue;
        }
        let status = match call.state {
            CallState::Open => "no answer".to_string(),
            _ => measure::status(call),
        };
        let culprit = match call.state {
            CallState::Open => case.unanswered_by(index),
            _ => case.server(index),
        };
        by_cause.entry((culprit, status)).or_default().push(index);
    }
    by_cause
        .into_iter()
        .map(|((culprit, status), calls)| one(case, culprit, &status, &calls))
        .collect()
}

fn one(case: &Case<'_>, culprit: Culprit, status: &str, calls: &[CallIndex]) -> Finding {
    let told: Vec<bool> = calls.iter().map(|&index| case.reached_root(index)).collect();
    let n_told = told.iter().filter(|told| **told).count();
    let is_askers =
        calls.iter().all(|&index| case.call(index).outcome == Some(Outcome::ClientError));
    let severity = match (n_told, is_askers) {
        (0, true) => Severity::Pass,
        (0, false) | (_, true) => Severity::Warn,
        _ => Severity::Fail,
    };
    let n = quantity::plural(calls.len() as u64, "call");
    let what = match (&culprit, status) {
        (Culprit::Stretch { .. }, _) => format!("{n} got no answer from {}", culprit.words()),
        (_, "no answer") => format!("{} did not answer {n}", culprit.words()),
        _ => format!("{} failed {n} ({status})", culprit.words()),
    };
    let sentence = format!(
        "{what}{}",
        match n_told {
            0 => "; their traces succeeded all the same".to_string(),
            1 => "; 1 made its whole trace fail".to_string(),
            n => format!("; {} made their whole traces fail", quantity::count(n as u64)),
        }
    );
    let class = if status == "no answer" { "no-answer" } else { "errors" };
    let concerned =
        calls.iter().zip(&told).map(|(&call, &failed)| Concerned { call, cost_ns: 0, failed });
    let mut finding = case.finding(severity, class, culprit, sentence, concerned.collect());
    let requests = calls.iter().take(SHOWN).map(|&index| measure::request(case.call(index)));
    finding.evidence.extend(requests.map(|request| format!("{request}: {status}")));
    finding
}
