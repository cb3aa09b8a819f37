//! Latency of every hop between services, by time: percentiles with the share that was not observed, and how often what latency was seen
//! when. Never mixes what was not observed into a percentile.

use super::View;
use crate::call::CallIndex;
use crate::report::Options;
use crate::report::hops::{StretchLine, edges, lines};
use serde::Serialize;
use std::collections::BTreeMap;

/// Steps of time that the recording is shown in.
const COLUMNS: i64 = 60;
/// Rows to each doubling of latency.
const ROWS: f64 = 2.0;

/// All hops.
#[derive(Serialize)]
pub(super) struct Hops {
    /// Length of a column, nanoseconds.
    column_ns: i64,
    n_columns: i64,
    rows_each_doubling: f64,
    /// Stretches of one edge stand together, in the order of its path.
    stretches: Vec<Stretch>,
}

/// One stretch of an edge's path: the line that `hops --json` gives of it …
#[derive(Serialize)]
struct Stretch {
    line: serde_json::Value,
    /// … and column, row (each part of a doubling above a nanosecond), how many calls.
    heat: Vec<(i64, i64, u32)>,
}

/// Of all calls.
pub(super) fn of(view: &View<'_>) -> Hops {
    let begun: Vec<i64> = view.analysis.calls.iter().map(|call| view.at_ns(call)).collect();
    let first = begun.iter().copied().min().unwrap_or(0);
    let last = begun.iter().copied().max().unwrap_or(0);
    let column_ns = (last.saturating_sub(first) / COLUMNS).saturating_add(1);
    let column = |call: CallIndex| {
        let at = begun.get(call as usize).copied().unwrap_or(first);
        (at.saturating_sub(first) / column_ns).clamp(0, COLUMNS - 1)
    };
    let edges = edges(view.analysis, &Options::default());
    let mut stretches = Vec::new();
    for (line, stretch) in edges.iter().flat_map(|(key, edge)| lines(key, edge)) {
        let mut heat: BTreeMap<(i64, i64), u32> = BTreeMap::new();
        for (call, ns) in stretch.calls.iter().zip(&stretch.total) {
            *heat.entry((column(*call), row(*ns))).or_default() += 1;
        }
        let heat = heat.into_iter().map(|((column, row), n)| (column, row, n)).collect();
        stretches.push(Stretch { line: plain(&line), heat });
    }
    Hops { column_ns, n_columns: COLUMNS, rows_each_doubling: ROWS, stretches }
}

fn plain(line: &StretchLine<'_>) -> serde_json::Value {
    serde_json::to_value(line).unwrap_or_default()
}

fn row(ns: i64) -> i64 {
    (libm::log2(ns.max(1) as f64) * ROWS) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubling_is_two_rows() {
        let rows = [-5, 0, 1, 2, 3, 1_024, i64::MAX].map(row);
        assert_eq!(rows, [0, 0, 0, 2, 3, 20, 126]);
    }
}
