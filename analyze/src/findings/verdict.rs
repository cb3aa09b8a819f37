//! Findings → whose it was: over all, per slow or failed trace, and as one service sees it. Never blames without a finding.

use super::case::median;
use super::{Culprit, Finding, Severity};
use crate::analysis::Analysis;
use crate::measure;
use crate::names::Names;
use crate::point::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// A trace is slow if it took more than so many times what is usual where it begins …
const SLOW: i64 = 3;
/// … among at least so many.
const LEAST: usize = 10;
/// What made a trace slow took at least this part of its time.
const CAUSE: i64 = 10;

/// Why a trace was slow, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceVerdict {
    /// Index into the traces.
    pub trace: u32,
    /// It failed: its root did.
    pub failed: bool,
    /// It took much longer than is usual.
    pub slow: bool,
    /// What is to blame: index into the findings. `None`: nothing was found that cost it anything.
    pub finding: Option<usize>,
    /// What that cost it, nanoseconds on its path.
    pub cost_ns: i64,
}

/// Verdicts of all slow and failed traces, in order. What made a trace fail goes before what made it slow, and that before what is only told;
/// what took less than a tenth of its time is not why it was slow.
pub fn of_traces(analysis: &Analysis) -> Vec<TraceVerdict> {
    let is_cause = |cost_ns: i64, trace_ns: i64| cost_ns > 0 && cost_ns >= trace_ns / CAUSE;
    blamed(analysis, &slow(analysis), &analysis.findings, is_cause)
}

/// The same by these findings, these traces slow, and what a cause must have cost of how long a trace took.
pub(super) fn blamed(
    analysis: &Analysis,
    slow: &BTreeMap<u32, i64>,
    findings: &[Finding],
    is_cause: impl Fn(i64, i64) -> bool,
) -> Vec<TraceVerdict> {
    let mut blamed: BTreeMap<u32, Vec<(usize, i64, bool)>> = BTreeMap::new();
    for (i, finding) in findings.iter().enumerate() {
        let mut here: BTreeMap<u32, (i64, bool)> = BTreeMap::new();
        for concerned in &finding.concerned {
            let sum = here.entry(analysis.calls[concerned.call as usize].trace).or_default();
            *sum = (sum.0.saturating_add(concerned.cost_ns), sum.1 | concerned.failed);
        }
        for (trace, (cost_ns, failed)) in here {
            blamed.entry(trace).or_default().push((i, cost_ns, failed));
        }
    }
    let each = (0..).zip(&analysis.traces);
    each.filter_map(|(number, trace)| {
        let root = measure::root(analysis, trace)?;
        let failed = root.failed();
        let trace_ns = measure::duration(analysis, root).ns;
        let slow = slow.contains_key(&number);
        let may_be = blamed
            .get(&number)
            .into_iter()
            .flatten()
            .filter(|(_, cost_ns, broke)| (failed && *broke) || is_cause(*cost_ns, trace_ns));
        let worst = may_be.max_by_key(|(i, cost_ns, broke)| {
            let is_told_only = findings[*i].severity == Severity::Pass;
            (failed && *broke, !is_told_only && *cost_ns > 0, *cost_ns, std::cmp::Reverse(*i))
        });
        (failed || slow).then(|| TraceVerdict {
            trace: number,
            failed,
            slow,
            finding: worst.map(|(i, ..)| *i),
            cost_ns: worst.map_or(0, |(_, cost_ns, _)| *cost_ns),
        })
    })
    .collect()
}

/// Slow traces with how long they took, nanoseconds: much longer than is usual where they begin.
pub(super) fn slow(analysis: &Analysis) -> BTreeMap<u32, i64> {
    type Entry<'a> = (&'a str, &'a str, &'a str);
    let mut entries: BTreeMap<Entry<'_>, Vec<(u32, i64)>> = BTreeMap::new();
    for (number, trace) in (0..).zip(&analysis.traces) {
        if let Some(root) = measure::root(analysis, trace) {
            let entry = (&*root.server.host, &*root.server.netns, &*root.protocol);
            let ns = measure::duration(analysis, root).ns;
            entries.entry(entry).or_default().push((number, ns));
        }
    }
    let mut slow = BTreeMap::new();
    for traces in entries.into_values().filter(|traces| traces.len() >= LEAST) {
        let usual_ns = median(&mut traces.iter().map(|(_, ns)| *ns).collect::<Vec<_>>());
        slow.extend(traces.into_iter().filter(|(_, ns)| ns / SLOW > usual_ns));
    }
    slow
}

/// What is to blame over all: the worst finding, if any is more than told.
pub fn overall(analysis: &Analysis) -> Option<&Finding> {
    analysis.findings.first().filter(|finding| finding.severity > Severity::Pass)
}

/// Where something lies, as one service sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The service itself.
    Own,
    /// Whoever asks it, or the way from there.
    Upstream,
    /// What it asks, or the way there.
    Downstream,
    /// Neither: no request of it is concerned.
    Elsewhere,
}

impl Side {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Side::Own => "own",
            Side::Upstream => "upstream",
            Side::Downstream => "downstream",
            Side::Elsewhere => "elsewhere",
        }
    }
}

/// Whether a person may mean the service at this end: by its name, with its port or without, or by the namespace, host, pod or
/// process that it is.
pub fn is_called(names: &Names, end: &Endpoint, wanted: &str) -> bool {
    let name = names.server(end);
    let bare = name.rsplit_once(':').map_or(&*name, |(bare, _)| bare);
    let of_process = end.process.as_ref().is_some_and(|process| {
        let pod = process
            .pod
            .as_deref()
            .is_some_and(|pod| pod == wanted || pod.ends_with(&format!("/{wanted}")));
        process.name == wanted || pod
    });
    [&*name, bare, &end.netns, &end.host].contains(&wanted) || of_process
}

/// Where the culprit of a finding lies, as a service sees it: by the calls that the finding is about.
pub fn side(analysis: &Analysis, names: &Names, service: &str, finding: &Finding) -> Side {
    let is_own = |end: &Endpoint| is_called(names, end, service);
    if let Culprit::Service { name, .. } = &finding.culprit {
        let mut ends = analysis.calls.iter().map(|call| &call.server);
        if ends.any(|end| is_own(end) && names.server(end) == *name) {
            return Side::Own;
        }
    }
    let serves: Vec<bool> = analysis.calls.iter().map(|call| is_own(&call.server)).collect();
    let mut below = vec![false; analysis.calls.len()];
    let mut own_traces: BTreeSet<u32> = BTreeSet::new();
    for trace in &analysis.traces {
        // Depth first: parents before children.
        for &index in &trace.calls {
            let call = &analysis.calls[index as usize];
            let parent = call.link.as_ref().map(|link| link.parent as usize);
            below[index as usize] = parent.is_some_and(|parent| serves[parent] || below[parent]);
            if serves[index as usize] {
                own_traces.insert(call.trace);
            }
        }
    }
    let mut sides: BTreeMap<Side, usize> = BTreeMap::new();
    for concerned in &finding.concerned {
        let side = match below[concerned.call as usize] {
            true => Side::Downstream,
            false if own_traces.contains(&analysis.calls[concerned.call as usize].trace) => {
                Side::Upstream
            }
            false => Side::Elsewhere,
        };
        *sides.entry(side).or_default() += 1;
    }
    sides.into_iter().max_by_key(|(_, n)| *n).map_or(Side::Elsewhere, |(side, _)| side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Concerned, Finding};
    use crate::report::sample;

    /// What the service sees of a finding about the store's call of an order (the shop's fifth call).
    fn check(service: &str, expected: Side) {
        let analysis = sample::shop();
        let names = Names::of(&analysis);
        let finding = Finding {
            culprit: Culprit::Service { name: "redis".to_string(), place: String::new() },
            concerned: vec![Concerned { call: 4, cost_ns: 1, failed: false }],
            ..analysis.findings[0].clone()
        };
        assert_eq!(side(&analysis, &names, service, &finding), expected, "{service}");
    }

    #[test]
    fn up_and_down_are_as_one_service_sees_it() {
        check("redis", Side::Own);
        check("stock", Side::Downstream);
        check("gateway", Side::Downstream);
        check("postgres", Side::Upstream);
        check("nobody", Side::Elsewhere);
    }

    #[test]
    fn failed_traces_are_blamed_on_what_failed_them() {
        let analysis = sample::shop();
        let verdicts = of_traces(&analysis);
        let failed: Vec<_> = verdicts.iter().filter(|verdict| verdict.failed).collect();
        assert_eq!(failed.len(), 2);
        assert!(failed.iter().all(|verdict| verdict.finding.is_some()));
        assert_eq!(overall(&analysis).map(|finding| finding.severity), Some(Severity::Fail));
    }
}
