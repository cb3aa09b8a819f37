//! What came of an analysis: calls by protocol, traces, links, and everything that was lost or stayed ambiguous, by its
//! cause. Never a figure without the doubts that belong to it.

use super::explain::write_loss_lines;
use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Options, Report, instant, json};
use crate::analysis::Analysis;
use crate::call::{OrderBasis, Part};
use crate::measure;
use crate::quantity;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const SUMMARY: Report = Report {
    name: "analyze",
    about: "Reconstructs everything and says what was found, and what was lost or ambiguous",
    asks: Some(&[]),
    write,
};

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let protocols = protocols(analysis);
    let doubts = Doubts::of(analysis);
    if options.json {
        json::line(out, &line(analysis, &protocols, &doubts))?;
        return write_loss_lines(analysis, out);
    }
    let mut ink = Ink::new(out, options);
    write_head(&mut ink, analysis, options)?;
    if !protocols.is_empty() {
        ink.line("")?;
        write_protocols(&mut ink, &protocols)?;
    }
    ink.line("")?;
    write_doubts(&mut ink, analysis, &doubts)
}

#[derive(Default, Serialize)]
struct Protocol {
    n_calls: u64,
    n_failed: u64,
    n_open: u64,
    n_linked: u64,
    n_ambiguous: u64,
}

fn protocols(analysis: &Analysis) -> BTreeMap<&str, Protocol> {
    let mut protocols: BTreeMap<&str, Protocol> = BTreeMap::new();
    for call in &analysis.calls {
        let p = protocols.entry(&call.protocol).or_default();
        let open = call.is_open();
        p.n_calls += 1;
        p.n_open += u64::from(open);
        p.n_failed += u64::from(call.failed() && !open);
        p.n_linked += u64::from(call.link.is_some());
        p.n_ambiguous += u64::from(call.link.as_ref().is_some_and(|l| l.candidates > 1));
    }
    protocols
}

/// What stayed doubtful, counted by its cause.
#[derive(Default, Serialize)]
pub(super) struct Doubts {
    n_ambiguous_links: u64,
    n_undecided_order: u64,
    n_one_way_unknown: u64,
    n_unattributed_hops: u64,
    issues: BTreeMap<&'static str, u64>,
}

impl Doubts {
    pub(super) fn of(analysis: &Analysis) -> Self {
        let mut doubts = Doubts::default();
        for call in &analysis.calls {
            doubts.n_ambiguous_links +=
                u64::from(call.link.as_ref().is_some_and(|l| l.candidates > 1));
            let undecided = call.spans.iter().any(|s| s.order_basis == OrderBasis::Undecided);
            doubts.n_undecided_order += u64::from(undecided);
            for hop in &call.hops {
                let leg = hop.part.is_leg();
                doubts.n_one_way_unknown += u64::from(leg && hop.bound_ns.is_none());
                doubts.n_unattributed_hops +=
                    u64::from(hop.part == Part::Unattributed && hop.total_ns != 0);
            }
            for issue in &call.issues {
                *doubts.issues.entry(issue.name()).or_default() += 1;
            }
        }
        for issue in analysis.flows.iter().flat_map(|f| &f.issues) {
            *doubts.issues.entry(issue.name()).or_default() += 1;
        }
        doubts
    }
}

fn write_head(ink: &mut Ink<'_>, analysis: &Analysis, options: &Options) -> io::Result<()> {
    ink.wrapped("", "", &counts(analysis).join(" · "))?;
    let Some((first, _)) = measure::recording(analysis) else { return Ok(()) };
    let over = quantity::duration(measure::recorded_ns(analysis));
    ink.line(&format!("recorded from {} for {over}", instant::iso(first, options.zone)))
}

/// `27 traces`, `354 calls` …
pub(super) fn counts(analysis: &Analysis) -> Vec<String> {
    let mut counts = vec![
        quantity::plural(analysis.traces.len() as u64, "trace"),
        quantity::plural(analysis.calls.len() as u64, "call"),
        quantity::plural(analysis.flows.len() as u64, "flow"),
        quantity::plural(analysis.points.len() as u64, "point"),
        quantity::plural(analysis.domains.len() as u64, "clock"),
        quantity::plural(analysis.n_packets, "packet"),
    ];
    if analysis.n_socket_events > 0 {
        counts.push(quantity::plural(analysis.n_socket_events, "socket event"));
    }
    if analysis.n_tracer_spans > 0 {
        counts.push(quantity::plural(analysis.n_tracer_spans, "tracer span"));
    }
    counts
}

fn write_protocols(ink: &mut Ink<'_>, protocols: &BTreeMap<&str, Protocol>) -> io::Result<()> {
    let names = ["calls", "failed", "open", "linked to a parent", "of these ambiguous"];
    let mut columns = vec![("protocol", Align::Left)];
    columns.extend(names.map(|n| (n, Align::Right)));
    let mut grid = Grid::new(&columns);
    for (name, p) in protocols {
        let red = |n: u64| (quantity::count(n), if n > 0 { Tone::Failed } else { Tone::Plain });
        grid.row([
            ((*name).to_owned(), Tone::Plain),
            (quantity::count(p.n_calls), Tone::Plain),
            red(p.n_failed),
            red(p.n_open),
            (quantity::share(p.n_linked as f64, p.n_calls as f64), Tone::Plain),
            (quantity::share(p.n_ambiguous as f64, p.n_linked as f64), Tone::Plain),
        ]);
    }
    grid.write(ink, "  ")
}

fn write_doubts(ink: &mut Ink<'_>, analysis: &Analysis, doubts: &Doubts) -> io::Result<()> {
    let rows = lost_or_doubtful(analysis, doubts);
    if rows.is_empty() {
        return ink.line("nothing was lost, nothing stayed ambiguous");
    }
    ink.line("lost, unused or doubtful")?;
    let mut grid =
        Grid::new(&[("count", Align::Right), ("cause", Align::Left), ("where", Align::Flexible)]);
    for (n, cause, place) in rows {
        grid.plain([quantity::count(n), cause, place]);
    }
    grid.write(ink, "  ")
}

/// All that was lost, could not be used or stayed doubtful: how often, its cause, where.
pub(super) fn lost_or_doubtful(analysis: &Analysis, doubts: &Doubts) -> Vec<(u64, String, String)> {
    let mut rows: Vec<(u64, String, String)> = vec![
        (
            doubts.n_ambiguous_links,
            "ambiguous-link".into(),
            "calls with more than one possible parent".into(),
        ),
        (
            doubts.n_undecided_order,
            "order-undecided".into(),
            "calls with points in undecided order".into(),
        ),
        (
            doubts.n_one_way_unknown,
            "one-way-unknown".into(),
            "hops between clocks, only both ways together".into(),
        ),
        (
            doubts.n_unattributed_hops,
            "unattributed".into(),
            "stretches no pair of points covers".into(),
        ),
    ];
    let issues = doubts.issues.iter().filter(|(name, _)| **name != "order-undecided");
    rows.extend(issues.map(|(name, n)| (*n, (*name).to_owned(), "calls and flows".into())));
    rows.extend(other_traffic(analysis));
    let lost = analysis.losses.iter().filter(|loss| !loss.is_other_traffic());
    rows.extend(lost.map(|l| (l.count, l.cause.clone(), l.place.clone())));
    rows.retain(|(n, ..)| *n > 0);
    rows
}

/// Traffic of other kinds, each kind in one row.
fn other_traffic(analysis: &Analysis) -> Vec<(u64, String, String)> {
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for loss in analysis.losses.iter().filter(|loss| loss.is_other_traffic()) {
        let (count, points) = kinds.entry(&loss.cause).or_default();
        (*count, *points) = (*count + loss.count, *points + 1);
    }
    let row = |(cause, (count, points)): (&str, (u64, u64))| {
        let place = format!("other traffic, at {}", quantity::plural(points, "point"));
        (count, cause.to_owned(), place)
    };
    kinds.into_iter().map(row).collect()
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    n_traces: usize,
    n_calls: usize,
    n_flows: usize,
    n_points: usize,
    clock_domains: &'a [String],
    n_packets: u64,
    #[serde(skip_serializing_if = "is_none")]
    n_socket_events: u64,
    #[serde(skip_serializing_if = "is_none")]
    n_tracer_spans: u64,
    recorded_ns: i64,
    protocols: &'a BTreeMap<&'a str, Protocol>,
    doubts: &'a Doubts,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

fn line<'a>(
    analysis: &'a Analysis,
    protocols: &'a BTreeMap<&str, Protocol>,
    doubts: &'a Doubts,
) -> Line<'a> {
    Line {
        schema: "afterpath.summary/1",
        n_traces: analysis.traces.len(),
        n_calls: analysis.calls.len(),
        n_flows: analysis.flows.len(),
        n_points: analysis.points.len(),
        clock_domains: &analysis.domains,
        n_packets: analysis.n_packets,
        n_socket_events: analysis.n_socket_events,
        n_tracer_spans: analysis.n_tracer_spans,
        recorded_ns: measure::recorded_ns(analysis),
        protocols,
        doubts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(cause: &str, expected: bool) {
        let mut out = Vec::new();
        write(&sample::two_clocks(), &Options::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().contains(cause), expected, "{cause}");
    }

    #[test]
    fn every_doubt_that_is_there_is_named() {
        for cause in
            ["ambiguous-link", "order-undecided", "one-way-unknown", "open-at-end", "snap-length"]
        {
            check(cause, true);
        }
        check("malformed", false);
    }
}
