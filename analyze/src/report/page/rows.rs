//! The list of traces, and which of them a page holds.

use super::View;
use crate::analysis::Analysis;
use crate::call::Trace;
use crate::findings::verdict::TraceVerdict;
use crate::measure;
use crate::report::{calls, findings};
use serde::Serialize;
use std::collections::BTreeSet;

/// So many traces are one part of the data: what opening one of them reads.
pub(super) const BLOCK: usize = 64;

/// One trace in the list.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    id: String,
    at_ns: i64,
    ns: i64,
    /// Its end was not seen.
    at_least: bool,
    request: String,
    route: &'a str,
    protocol: &'a str,
    status: String,
    n_failed: usize,
    /// Longer than usual for what it asks.
    slow: bool,
    client: String,
    service: String,
    n_calls: usize,
    /// What it is blamed on: number of a finding.
    finding: Option<usize>,
    /// Where most of its time went, and how much.
    place: String,
    place_ns: i64,
    /// The least sure link.
    least_sure: Option<f64>,
}

/// Those that a page holds before others: what failed or was slow, and what shows each finding best.
pub(super) fn first(analysis: &Analysis, verdicts: &[TraceVerdict]) -> BTreeSet<u32> {
    let shown = analysis.findings.iter().filter_map(|finding| findings::worst(analysis, finding));
    verdicts.iter().map(|verdict| verdict.trace).chain(shown).collect()
}

/// Which traces a page holds, in order: all, or these first and of the others as many as there is room for, evenly.
pub(super) fn held(analysis: &Analysis, first: &BTreeSet<u32>, most: usize) -> Vec<u32> {
    let n = analysis.traces.len() as u32;
    if n as usize <= most {
        return (0..n).collect();
    }
    let mut held: Vec<u32> = first.iter().copied().take(most).collect();
    let others: Vec<u32> = (0..n).filter(|trace| !first.contains(trace)).collect();
    let room = most - held.len();
    held.extend((0..room).map(|nth| others[nth * others.len() / room]));
    held.sort_unstable();
    held
}

/// A row of each.
pub(super) fn of<'a>(view: &View<'a>) -> Vec<Row<'a>> {
    let rows = view.held.iter().filter_map(|number| row(view, *number, view.trace(*number)?));
    rows.collect()
}

fn row<'a>(view: &View<'a>, number: u32, trace: &Trace) -> Option<Row<'a>> {
    let analysis = view.analysis;
    let root = measure::root(analysis, trace)?;
    let duration = measure::duration(analysis, root);
    let verdict = view.verdicts.binary_search_by_key(&number, |verdict| verdict.trace);
    let verdict = verdict.ok().map(|at| &view.verdicts[at]);
    let slowest = measure::slowest_part(analysis, trace);
    let place = slowest.and_then(|slowest| {
        let call = analysis.calls.get(slowest.call as usize)?;
        Some(measure::part_place(analysis, call, slowest.hop, &view.names.server(&call.server)))
    });
    let links = trace.calls.iter().filter_map(|call| analysis.calls.get(*call as usize));
    let sure = links.filter_map(|call| call.link.as_ref()).map(|link| link.confidence);
    Some(Row {
        id: calls::id(trace.id),
        at_ns: view.at_ns(root),
        ns: duration.ns,
        at_least: duration.at_least,
        request: measure::request(root),
        route: &root.route,
        protocol: &root.protocol,
        status: measure::status(root),
        n_failed: measure::n_failed(analysis, trace),
        slow: verdict.is_some_and(|verdict| verdict.slow),
        client: view.names.client(analysis, root),
        service: view.names.server(&root.server),
        n_calls: trace.calls.len(),
        finding: verdict.and_then(|verdict| verdict.finding),
        place: place.unwrap_or_default(),
        place_ns: slowest.map_or(0, |slowest| slowest.ns),
        least_sure: sure.min_by(f64::total_cmp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n: usize, first: &[u32], most: usize, expected: &[u32]) {
        let trace = Trace { id: 0, root: 0, calls: Vec::new() };
        let analysis = Analysis { traces: vec![trace; n], ..Analysis::default() };
        assert_eq!(held(&analysis, &first.iter().copied().collect(), most), expected);
    }

    #[test]
    fn the_bad_ones_and_of_the_others_evenly() {
        check(3, &[1], 5, &[0, 1, 2]);
        check(10, &[7, 3], 4, &[0, 3, 5, 7]);
        check(10, &[1, 2, 3, 4], 2, &[1, 2]);
        check(4, &[], 0, &[]);
    }
}
