//! The verdict, held against what was made to go wrong. Never gives credit for a culprit that stands behind a wrong one; of faults that slow
//! nothing, a warning that names it counts wherever it stands, if nothing fails.

use super::table::Row;
use crate::truth::{Fault, Truth};
use afterpath::analysis::Analysis;
use afterpath::findings::{Culprit, Finding, Severity, verdict};
use serde::Serialize;
use std::fmt;

/// What was blamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictScore {
    /// What should have been: the fault's culprit and kind; empty: nothing was wrong.
    pub truth: String,
    /// The verdict: the worst finding that is more than told; of a fault that slows nothing, where no finding fails, the warning that names it.
    pub blamed: String,
    /// The right service or hop; of a healthy run: nothing fails.
    pub is_right: bool,
    /// Findings that fail.
    pub n_fail: usize,
    /// Findings that warn.
    pub n_warn: usize,
}

impl fmt::Display for VerdictScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerdictScore { blamed, is_right, .. } = self;
        write!(
            f,
            "{}: {}",
            if *is_right { "right" } else { "wrong" },
            if blamed.is_empty() { "nothing" } else { blamed }
        )
    }
}

/// Faults that slow nothing and break nothing: no finding fails for them, a warning names them.
const HARMLESS: [&str; 2] = ["clock", "bypass"];

/// Of a recording with one fault, or with none.
pub(super) fn blame(analysis: &Analysis, truth: &Truth) -> VerdictScore {
    let failing = |finding: &&Finding| finding.severity == Severity::Fail;
    let n_fail = analysis.findings.iter().filter(failing).count();
    let n_warn = analysis.findings.iter().filter(|f| f.severity == Severity::Warn).count();
    let first = analysis.findings.first().filter(failing);
    let words = |finding: &Finding| format!("{} ({})", finding.culprit.words(), finding.class);
    let Some(fault) = truth.faults.first() else {
        return VerdictScore {
            truth: String::new(),
            blamed: first.map(words).unwrap_or_default(),
            is_right: first.is_none(),
            n_fail,
            n_warn,
        };
    };
    let named = match HARMLESS.contains(&&*fault.kind_of_fault()) {
        true => first.or_else(|| {
            let mut all = analysis.findings.iter();
            all.find(|f| f.severity == Severity::Warn && is_culprit(f, fault))
        }),
        false => verdict::overall(analysis),
    };
    VerdictScore {
        truth: format!("{} ({})", fault.culprit, fault.kind),
        blamed: named.map(words).unwrap_or_default(),
        is_right: named.is_some_and(|finding| is_culprit(finding, fault)),
        n_fail,
        n_warn,
    }
}

/// `Verdicts: 15 of 15 faults blamed on the right service or hop; of 6 healthy runs 0 with a finding that fails, 1 with a warning.`
pub(super) fn summary(rows: &[Row]) -> String {
    let ours = rows.iter().filter(|row| row.linker == super::OURS && row.ids == "masked");
    let verdicts: Vec<&VerdictScore> = ours.filter_map(|row| row.verdict.as_ref()).collect();
    let (healthy, faulty): (Vec<&VerdictScore>, Vec<&VerdictScore>) =
        verdicts.into_iter().partition(|verdict| verdict.truth.is_empty());
    let right = faulty.iter().filter(|verdict| verdict.is_right).count();
    let failing = healthy.iter().filter(|verdict| !verdict.is_right).count();
    let warned = healthy.iter().filter(|verdict| verdict.n_warn > 0).count();
    format!(
        "Verdicts: {right} of {} faults blamed on the right service or hop; of {} healthy runs {failing} with a finding that fails, {warned} with a warning.\n",
        faulty.len(),
        healthy.len()
    )
}

/// Where the testbed's services run, and as what.
const HOMES: &[(&str, &str, &str)] = &[
    ("A", "podA", "node"),
    ("B", "podB", "python3"),
    ("C", "podC", "service-c"),
    ("D", "podD", "service_d"),
    ("E", "podE", "java"),
    ("F", "podF", "python3"),
    ("G", "podG", "python3"),
    ("postgres", "stores", "postgres"),
    ("redis", "stores", "redis-server"),
    ("dns", "dns", "dnsmasq"),
];

fn is_culprit(finding: &Finding, fault: &Fault) -> bool {
    let bare = |place: &str| place.replace("ap-", "");
    match &finding.culprit {
        Culprit::Service { name, place } => {
            let home = HOMES.iter().find(|(service, ..)| *service == fault.culprit);
            home.is_some_and(|(_, netns, program)| {
                // Without sockets, or where a service is gone, it has no name but its place's.
                let is_place = bare(name) == *netns || bare(name).starts_with(&format!("{netns}:"));
                bare(place) == *netns && (name.contains(program) || is_place)
            })
        }
        Culprit::Stretch { from, to, place } => {
            bare(place) == fault.culprit
                || [from, to].iter().any(|point| bare(point) == fault.culprit)
        }
        Culprit::Clock { host, .. } => bare(host) == fault.culprit,
        Culprit::Recording { .. } => false,
    }
}
