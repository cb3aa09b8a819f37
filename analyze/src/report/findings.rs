//! What went wrong and whose it was: the verdict, every finding with its evidence and its cost, what was looked for in vain, and what the
//! recording can't tell. Never a blame without what shows it.

use super::ink::Ink;
use super::{Ask, Options, Report, json};
use crate::analysis::Analysis;
use crate::findings::verdict::{self, Side, TraceVerdict};
use crate::findings::{self, Finding, JUDGES, Related, Severity};
use crate::names::Names;
use crate::quantity;
use serde::Serialize;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const FINDINGS: Report = Report {
    name: "findings",
    about: "What went wrong, whose it was, what it cost, and what can't be told",
    asks: Some(&[Ask::Service]),
    write,
};

/// Version of the JSON lines.
const SCHEMA: &str = "afterpath.findings/1";
const VERDICT_SCHEMA: &str = "afterpath.verdict/1";
const TRACE_SCHEMA: &str = "afterpath.trace-verdict/1";

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View {
        analysis,
        names: Names::of(analysis),
        options,
        traces: verdict::of_traces(analysis),
        related: findings::related(analysis, &analysis.findings),
    };
    if options.json { view.write_json(out) } else { view.write(&mut Ink::new(out, options)) }
}

struct View<'a> {
    analysis: &'a Analysis,
    names: Names,
    options: &'a Options,
    traces: Vec<TraceVerdict>,
    related: Vec<Vec<Related>>,
}

impl View<'_> {
    fn write(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        self.write_verdict(ink)?;
        for (finding, related) in self.analysis.findings.iter().zip(&self.related) {
            ink.line("")?;
            self.write_finding(ink, finding, related)?;
        }
        ink.line("")?;
        self.write_rest(ink)
    }

    fn n(&self, is: fn(&TraceVerdict) -> bool) -> u64 {
        self.traces.iter().filter(|trace| is(trace)).count() as u64
    }

    fn write_verdict(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let of = quantity::plural(self.analysis.traces.len() as u64, "trace");
        let (severity, text) = match verdict::overall(self.analysis) {
            _ if self.analysis.calls.is_empty() => (None, "nothing was reconstructed".to_string()),
            None => (None, "nothing wrong was found".to_string()),
            Some(finding) => (Some(finding.severity), finding.culprit.words()),
        };
        let severity = severity.map_or(String::new(), |severity| painted(ink, severity));
        ink.wrapped(&format!("verdict: {severity}"), "  ", &text)?;
        let (failed, slow) = (self.n(|t| t.failed), self.n(|t| t.slow));
        let blind = self.n(|t| t.finding.is_none());
        let mut line =
            format!("{of} · {} failed · {} slow", quantity::count(failed), quantity::count(slow));
        if blind > 0 {
            line += &format!(" · of these {} for no reason that was found", quantity::count(blind));
        }
        ink.wrapped("  ", "  ", &line)
    }

    fn side(&self, finding: &Finding) -> Option<Side> {
        let service = self.options.for_service.as_deref()?;
        Some(verdict::side(self.analysis, &self.names, service, finding))
    }

    fn write_finding(
        &self,
        ink: &mut Ink<'_>,
        finding: &Finding,
        related: &[Related],
    ) -> io::Result<()> {
        let mut terms = vec![finding.class.clone(), finding.culprit.words()];
        terms.extend(self.side(finding).map(|side| side.name().to_string()));
        ink.wrapped(&painted(ink, finding.severity), "  ", &terms.join(" · "))?;
        ink.wrapped("  ", "  ", &finding.sentence)?;
        for evidence in &finding.evidence {
            ink.wrapped("  - ", "    ", evidence)?;
        }
        let cost = cost(finding);
        if !cost.is_empty() {
            ink.wrapped("  = ", "    ", &cost.join(" · "))?;
        }
        for related in related {
            ink.wrapped("  & ", "    ", &goes_with(self.analysis, related))?;
        }
        match self.worst(finding) {
            Some(id) if finding.severity > Severity::Pass => {
                ink.wrapped("  > ", "    ", &format!("afterpath trace {id}"))
            }
            _ => Ok(()),
        }
    }

    fn worst(&self, finding: &Finding) -> Option<String> {
        let trace = self.analysis.traces.get(worst(self.analysis, finding)? as usize)?;
        Some(format!("{:016x}", trace.id))
    }

    fn write_rest(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let fine = not_found(self.analysis).join(", ");
        ink.wrapped("", "  ", &format!("looked for and not found: {fine}"))?;
        for line in &self.analysis.missing {
            ink.wrapped("", "  ", &format!("not known: {line}"))?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let blamed = verdict::overall(self.analysis);
        json::line(
            out,
            &VerdictLine {
                schema: VERDICT_SCHEMA,
                severity: blamed.map_or(Severity::Pass, |finding| finding.severity),
                culprit: blamed.map(|finding| finding.culprit.words()),
                class: blamed.map(|finding| &*finding.class),
                n_traces: self.analysis.traces.len(),
                n_failed: self.n(|trace| trace.failed),
                n_slow: self.n(|trace| trace.slow),
                n_unexplained: self.n(|trace| trace.finding.is_none()),
                not_known: &self.analysis.missing,
            },
        )?;
        for (finding, related) in self.analysis.findings.iter().zip(&self.related) {
            json::line(out, &self.line(finding, related))?;
        }
        self.traces.iter().try_for_each(|trace| json::line(out, &self.trace_line(trace)))
    }

    fn line<'a>(&'a self, finding: &'a Finding, related: &[Related]) -> Line<'a> {
        let related = related.iter().map(|related| {
            let other = &self.analysis.findings[related.finding];
            RelatedLine {
                class: &other.class,
                culprit: &other.culprit,
                n_shared_traces: related.n_both,
            }
        });
        Line {
            related: related.collect(),
            schema: SCHEMA,
            judge: &finding.judge,
            severity: finding.severity,
            class: &finding.class,
            culprit: &finding.culprit,
            side: self.side(finding).map(Side::name),
            sentence: &finding.sentence,
            evidence: &finding.evidence,
            n_calls: finding.concerned.len(),
            n_traces: finding.n_traces,
            n_failed: finding.n_failed,
            cost_ns: finding.cost_ns,
            p99_ns: finding.what_if.map(|what_if| what_if.p99_ns),
            p99_without_ns: finding.what_if.map(|what_if| what_if.without_ns),
            worst_trace: self.worst(finding),
        }
    }

    fn trace_line(&self, verdict: &TraceVerdict) -> TraceVerdictLine<'_> {
        let finding = verdict.finding.map(|i| &self.analysis.findings[i]);
        TraceVerdictLine {
            schema: TRACE_SCHEMA,
            trace: format!("{:016x}", self.analysis.traces[verdict.trace as usize].id),
            failed: verdict.failed,
            slow: verdict.slow,
            culprit: finding.map(|finding| finding.culprit.words()),
            class: finding.map(|finding| &*finding.class),
            cost_ns: verdict.cost_ns,
        }
    }
}

/// What stands before a finding: how bad it is, in the colour of that.
fn painted(ink: &Ink<'_>, severity: Severity) -> String {
    let name = severity.name();
    let name = match severity {
        Severity::Fail => ink.failed(name),
        Severity::Warn => ink.slow(name),
        Severity::Pass => name.to_string(),
    };
    format!("{name} · ")
}

/// The trace that it cost most, or that failed for it: its number.
pub(super) fn worst(analysis: &Analysis, finding: &Finding) -> Option<u32> {
    let worst = finding.concerned.iter().max_by_key(|c| (c.failed, c.cost_ns))?;
    Some(analysis.calls.get(worst.call as usize)?.trace)
}

/// The judges that found nothing to warn of.
pub(super) fn not_found(analysis: &Analysis) -> Vec<&'static str> {
    let is_fine = |judge: &str| {
        !analysis.findings.iter().any(|f| f.judge == judge && f.severity > Severity::Pass)
    };
    JUDGES.iter().map(|j| j.name).filter(|name| is_fine(name)).collect()
}

/// `34 traces longer by 7.20 s in all · 3 failed · p99 1.76 s, without it 1.21 s`.
pub(super) fn cost(finding: &Finding) -> Vec<String> {
    let mut terms = Vec::new();
    if finding.cost_ns > 0 {
        let n = quantity::plural(finding.n_traces, "trace");
        terms.push(format!("{n}, {} of their time", quantity::duration(finding.cost_ns)));
    }
    if finding.n_failed > 0 {
        terms.push(format!(
            "{} failed in part or in whole",
            quantity::plural(finding.n_failed, "trace")
        ));
    }
    if let Some(what_if) = finding.what_if.filter(|what_if| what_if.without_ns < what_if.p99_ns) {
        let [was, would] = [what_if.p99_ns, what_if.without_ns].map(quantity::duration);
        terms.push(format!("p99 {was}, without it {would}"));
    }
    terms
}

/// `62 of these 81 traces are also those of slow-work · postgres in ap-stores`.
pub(super) fn goes_with(analysis: &Analysis, related: &Related) -> String {
    let other = &analysis.findings[related.finding];
    let n = |n: usize| quantity::count(n as u64);
    format!(
        "{} of its {} traces are also those of {} · {}",
        n(related.n_both),
        n(related.n_own),
        other.class,
        other.culprit.words()
    )
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    schema: &'static str,
    severity: Severity,
    culprit: Option<String>,
    class: Option<&'a str>,
    n_traces: usize,
    n_failed: u64,
    n_slow: u64,
    /// Slow or failed traces that no finding explains.
    n_unexplained: u64,
    not_known: &'a [String],
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    judge: &'a str,
    severity: Severity,
    class: &'a str,
    culprit: &'a crate::findings::Culprit,
    /// As the service sees it that was asked for: own, upstream, downstream, elsewhere.
    side: Option<&'static str>,
    sentence: &'a str,
    evidence: &'a [String],
    n_calls: usize,
    n_traces: u64,
    n_failed: u64,
    cost_ns: i64,
    p99_ns: Option<i64>,
    p99_without_ns: Option<i64>,
    worst_trace: Option<String>,
    /// Others that are about the same traces.
    related: Vec<RelatedLine<'a>>,
}

#[derive(Serialize)]
struct RelatedLine<'a> {
    class: &'a str,
    culprit: &'a crate::findings::Culprit,
    n_shared_traces: usize,
}

#[derive(Serialize)]
struct TraceVerdictLine<'a> {
    schema: &'static str,
    trace: String,
    failed: bool,
    slow: bool,
    culprit: Option<String>,
    class: Option<&'a str>,
    cost_ns: i64,
}
