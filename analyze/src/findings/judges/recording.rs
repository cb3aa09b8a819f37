//! What the recording itself lost: what is said of that time may be wrong. Never counts what was left out on purpose, nor traffic of
//! other kinds.

use crate::findings::case::Case;
use crate::findings::{Culprit, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const RECORDING: Judge =
    Judge { name: "recording", about: "events and packets that the recording lost", judge };

/// Causes by which something that happened is missing here.
const MISSING: &[&str] = &[
    "ring-full",
    "missed-run",
    "table-full",
    "long-batch",
    "not-written",
    "unreadable-record",
    "cut-segment",
    "interface-drops",
    "truncated-capture",
    "malformed-capture",
    "skipped-bytes",
    "late-drain",
    "broker-ended",
    "namespace-not-entered",
];

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for loss in &case.analysis.losses {
        if loss.count > 0 && (loss.is_damage() || MISSING.contains(&loss.cause.as_str())) {
            places.entry(&loss.place).or_default().push((&loss.cause, loss.count));
        }
    }
    places.into_iter().map(|(place, causes)| one(case, place, &causes)).collect()
}

fn one(case: &Case<'_>, place: &str, causes: &[(&str, u64)]) -> Finding {
    let culprit = Culprit::Recording { place: place.to_string() };
    let sentence = format!(
        "{} is not whole: {} of what happened is missing, so something may be missing here, too",
        culprit.words(),
        quantity::count(causes.iter().map(|(_, n)| *n).fold(0, u64::saturating_add))
    );
    let mut finding = case.finding(Severity::Warn, "events-lost", culprit, sentence, Vec::new());
    finding
        .evidence
        .extend(causes.iter().map(|(cause, n)| format!("{cause}: {}", quantity::count(*n))));
    finding
}
