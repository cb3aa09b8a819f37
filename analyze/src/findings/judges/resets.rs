//! Connections that were reset while a request was open: by whom, as far as the points tell. A reset that one point saw and the next one
//! towards its sender did not was made between them. Never judges resets of idle connections.

use crate::call::{CallIndex, CallState};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::flow::Close;
use crate::measure;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const RESETS: Judge = Judge {
    name: "resets",
    about: "connections reset under an open request, and who did it",
    judge,
};

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(Culprit, String), Vec<CallIndex>> = BTreeMap::new();
    for (index, _) in case.calls() {
        if let Some(by) = by(case, index) {
            found.entry(by).or_default().push(index);
        }
    }
    found.into_iter().map(|((culprit, how), calls)| one(case, culprit, &how, &calls)).collect()
}

/// Who reset the connection of a request that got no answer, and what shows it. The client that gives up is no failure of another's.
pub(super) fn by(case: &Case<'_>, index: CallIndex) -> Option<(Culprit, String)> {
    let call = case.call(index);
    if call.state != CallState::Open || call.protocol == "tcp" {
        return None;
    }
    let flows = &case.analysis.flows;
    let was_reset = |flow: u32| flows[flow as usize].close == Close::ServerReset;
    let spans: Vec<_> = call
        .spans
        .iter()
        .filter(|span| case.analysis.points[span.point as usize].process.is_none())
        .collect();
    let last_seen = spans.iter().rposition(|span| was_reset(span.flow))?;
    let label = |at: usize| case.analysis.points[spans[at].point as usize].label();
    if last_seen + 1 == spans.len() {
        let how =
            format!("the reset passed {}, the last point that saw the request", label(last_seen));
        return Some((case.unanswered_by(index), how));
    }
    let [here, next] =
        [last_seen, last_seen + 1].map(|at| &case.analysis.points[spans[at].point as usize]);
    let place = if here.is_beside(next) { here.place() } else { "" };
    let culprit = Culprit::Stretch {
        from: label(last_seen),
        to: label(last_seen + 1),
        place: place.to_string(),
    };
    let how = format!(
        "the reset was seen at {} and not at {}, where it would have come from",
        label(last_seen),
        label(last_seen + 1)
    );
    Some((culprit, how))
}

fn one(case: &Case<'_>, culprit: Culprit, how: &str, calls: &[CallIndex]) -> Finding {
    let n_told = calls.iter().filter(|&&index| case.reached_root(index)).count();
    let severity = Severity::of(n_told > 0);
    let sentence = format!(
        "{} reset {} under an open request",
        culprit.words(),
        quantity::plural(calls.len() as u64, "connection")
    );
    let concerned = calls.iter().map(|&call| Concerned { call, cost_ns: 0, failed: true });
    let mut finding = case.finding(severity, "reset", culprit, sentence, concerned.collect());
    finding.evidence.push(how.to_string());
    let first = calls.first().map(|&index| measure::request(case.call(index)));
    finding.evidence.extend(first.map(|request| format!("{request}: no answer")));
    finding
}
