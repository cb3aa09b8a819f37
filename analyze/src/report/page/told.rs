//! What is told in words and tables: the verdict, the findings, what was looked for in vain, the clocks, all that was lost or stayed
//! doubtful. The same words as in a terminal.

use super::View;
use crate::findings::{Culprit, Finding, Related, Severity, related, verdict};
use crate::report::clocks;
use crate::report::findings::{cost, goes_with, not_found, worst};
use crate::report::summary::{Doubts, counts, lost_or_doubtful};
use serde::Serialize;

/// All of it.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    counts: Vec<String>,
    severity: Severity,
    /// Whose it was; absent: nothing wrong was found.
    culprit: Option<String>,
    n_failed: usize,
    n_slow: usize,
    /// Slow or failed ones that nothing explains.
    n_unexplained: usize,
    findings: Vec<ToldFinding<'a>>,
    not_found: Vec<&'static str>,
    not_known: &'a [String],
    clocks: Vec<clocks::Line<'a>>,
    lost: Vec<(u64, String, String)>,
}

/// A finding.
#[derive(Serialize)]
struct ToldFinding<'a> {
    severity: Severity,
    class: &'a str,
    culprit: String,
    /// The services and points that it names, for whoever marks them.
    concerns: Vec<&'a str>,
    sentence: &'a str,
    evidence: &'a [String],
    cost: Vec<String>,
    /// Findings about the same traces: their numbers, and that in words.
    related: Vec<(usize, String)>,
    /// The trace that shows it best: its place in the list, where the page holds it.
    worst: Option<usize>,
}

/// Of the whole analysis.
pub(super) fn of<'a>(view: &View<'a>) -> Told<'a> {
    let analysis = view.analysis;
    let count = |is: fn(&verdict::TraceVerdict) -> bool| {
        view.verdicts.iter().filter(|verdict| is(verdict)).count()
    };
    let overall = verdict::overall(analysis);
    Told {
        counts: counts(analysis),
        severity: overall.map_or(Severity::Pass, |finding| finding.severity),
        culprit: overall.map(|finding| finding.culprit.words()),
        n_failed: count(|verdict| verdict.failed),
        n_slow: count(|verdict| verdict.slow),
        n_unexplained: count(|verdict| verdict.finding.is_none()),
        findings: analysis
            .findings
            .iter()
            .zip(related(analysis, &analysis.findings))
            .map(|(finding, related)| told(view, finding, &related))
            .collect(),
        not_found: not_found(analysis),
        not_known: &analysis.missing,
        clocks: analysis.clocks.pairs.iter().map(|pair| clocks::line(analysis, pair)).collect(),
        lost: lost_or_doubtful(analysis, &Doubts::of(analysis)),
    }
}

fn told<'a>(view: &View<'a>, finding: &'a Finding, related: &[Related]) -> ToldFinding<'a> {
    let number = worst(view.analysis, finding);
    ToldFinding {
        severity: finding.severity,
        class: &finding.class,
        culprit: finding.culprit.words(),
        concerns: match &finding.culprit {
            Culprit::Service { name, .. } => vec![name],
            Culprit::Stretch { from, to, place } => vec![from, to, place],
            Culprit::Clock { .. } | Culprit::Recording { .. } => Vec::new(),
        },
        sentence: &finding.sentence,
        evidence: &finding.evidence,
        cost: cost(finding),
        related: related.iter().map(|r| (r.finding, goes_with(view.analysis, r))).collect(),
        worst: number.and_then(|number| view.held.binary_search(&number).ok()),
    }
}
