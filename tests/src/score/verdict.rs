//! The verdict, held against what was made to go wrong. Never gives credit for a culprit that stands behind a wrong one; of faults that slow
//! nothing, a warning that names it counts wherever it stands, if nothing fails. A run without a fault is healthy but for requests that really
//! failed: the testbed's services refuse some by chance, and three times in a row.

use super::table::Row;
use crate::truth::{Request, Truth};
use afterpath::analysis::Analysis;
use afterpath::findings::{Culprit, Finding, Severity, verdict};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// What was blamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictScore {
    /// What should have been: the fault's culprit and kind; or whoever failed requests by chance; empty: nothing was wrong.
    pub truth: String,
    /// The verdict: the worst finding that is more than told; of a fault that slows nothing, where no finding fails, the warning that names it.
    pub blamed: String,
    /// The right service or hop; of a healthy run: nothing fails.
    pub is_right: bool,
    /// As what it was, too: the class of finding that this fault should give.
    pub is_named: bool,
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

/// What each fault is called by whom it is blamed on.
const CLASSES: &[(&str, &str)] = &[
    ("accept-backlog", "accept-queue-full"),
    ("bypass", "bypassed-point"),
    ("clock", "wrong-clock"),
    ("clock", "clock-step"),
    ("cpu", "throttled"),
    ("delay", "slow-hop"),
    ("dns-nxdomain", "dns-denied"),
    ("dns-slow", "slow-dns"),
    ("loss", "packets-lost"),
    ("mtu", "packets-too-large"),
    ("nagle", "delayed-acknowledgment"),
    ("pool-exhausted", "pool-wait"),
    ("refused", "connect-refused"),
    ("reset", "reset"),
    ("slow-query", "waited-for-one-thing"),
    ("stall", "stood-still"),
];

/// Of a recording with one fault, or with none.
pub(super) fn blame(analysis: &Analysis, truth: &Truth) -> VerdictScore {
    let failing = |finding: &&Finding| finding.severity == Severity::Fail;
    let n_fail = analysis.findings.iter().filter(failing).count();
    let n_warn = analysis.findings.iter().filter(|f| f.severity == Severity::Warn).count();
    let first = analysis.findings.first().filter(failing);
    let words = |finding: &Finding| format!("{} ({})", finding.culprit.words(), finding.class);
    let Some(fault) = truth.faults.first() else {
        let failed: BTreeSet<&str> = truth.requests.iter().filter_map(Request::failed_by).collect();
        let is_true = |finding: &Finding| {
            finding.class == "errors" && failed.iter().any(|culprit| is_culprit(finding, culprit))
        };
        let mut all = analysis.findings.iter().filter(failing);
        return VerdictScore {
            truth: failed.iter().copied().collect::<Vec<_>>().join(", "),
            blamed: first.map(words).unwrap_or_default(),
            is_right: all.all(is_true) && (first.is_some() || failed.is_empty()),
            is_named: false,
            n_fail,
            n_warn,
        };
    };
    let kind = fault.kind_of_fault();
    let named = match HARMLESS.contains(&&*kind) {
        true => first.or_else(|| {
            let mut all = analysis.findings.iter();
            all.find(|f| f.severity == Severity::Warn && is_culprit(f, &fault.culprit))
        }),
        false => verdict::overall(analysis),
    };
    VerdictScore {
        truth: format!("{} ({})", fault.culprit, fault.kind),
        blamed: named.map(words).unwrap_or_default(),
        is_right: named.is_some_and(|finding| is_culprit(finding, &fault.culprit)),
        is_named: named.is_some_and(|finding| CLASSES.contains(&(&*kind, &*finding.class))),
        n_fail,
        n_warn,
    }
}

/// `Verdicts: 15 of 15 faults blamed on the right service or hop, 14 as what they were; of 6 healthy runs 0 with a finding that fails and should not, 1 with a warning.`
pub(super) fn summary(rows: &[Row]) -> String {
    let ours = rows.iter().filter(|row| row.linker == super::OURS && row.ids == "masked");
    let (healthy, faulty): (Vec<&Row>, Vec<&Row>) = ours.partition(|row| row.run.fault.is_empty());
    let verdicts = |rows: &[&Row], is_so: fn(&VerdictScore) -> bool| {
        rows.iter().filter_map(|row| row.verdict.as_ref()).filter(|verdict| is_so(verdict)).count()
    };
    let right = verdicts(&faulty, |verdict| verdict.is_right);
    let named = verdicts(&faulty, |verdict| verdict.is_right && verdict.is_named);
    let failing = verdicts(&healthy, |verdict| !verdict.is_right);
    let warned = verdicts(&healthy, |verdict| verdict.n_warn > 0);
    let by_chance = verdicts(&healthy, |verdict| !verdict.truth.is_empty());
    format!(
        "Verdicts: {right} of {} faults blamed on the right service or hop, {named} of them as what they were; of {} healthy runs {failing} with a finding that fails and should not, {warned} with a warning; in {by_chance} of them services failed requests by chance.\n",
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

fn is_culprit(finding: &Finding, culprit: &str) -> bool {
    let bare = |place: &str| place.replace("ap-", "");
    match &finding.culprit {
        Culprit::Service { name, place } => {
            let home = HOMES.iter().find(|(service, ..)| *service == culprit);
            home.is_some_and(|(_, netns, program)| {
                // Without sockets, or where a service is gone, it has no name but its place's.
                let is_place = bare(name) == *netns || bare(name).starts_with(&format!("{netns}:"));
                bare(place) == *netns && (name.contains(program) || is_place)
            })
        }
        Culprit::Stretch { from, to, place } => {
            bare(place) == culprit || [from, to].iter().any(|point| bare(point) == culprit)
        }
        Culprit::Clock { host, .. } => bare(host) == culprit,
        Culprit::Recording { .. } => false,
    }
}
