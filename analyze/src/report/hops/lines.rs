//! Hops as JSON Lines, a line per edge and stretch. Never rounds, never leaves out what is unknown.

use super::gathered::{Edge, EdgeKey, Stretch, sum};
use crate::quantity::Distribution;
use crate::report::json;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A stretch of the calls of one service to another.
#[derive(Serialize)]
pub(in crate::report) struct StretchLine<'a> {
    schema: &'static str,
    client_service: &'a str,
    server_service: &'a str,
    protocol: &'a str,
    part: &'a str,
    /// Processes of one program in one place are one: so many points are behind each of the two names.
    from: &'a str,
    to: &'a str,
    n_points: [usize; 2],
    /// Between two interfaces of one namespace.
    through: bool,
    n_calls: usize,
    n_open: usize,
    n_without_hops: usize,
    n_observed: usize,
    /// `null` of what lies before the calls: who did not wait is not unobserved.
    not_observed_share: Option<f64>,
    time_share: Option<f64>,
    /// Of the time of the traces that the calls belong to.
    trace_time_share: Option<f64>,
    /// Of the time of the traces of its calls, while they waited for it.
    path_share: Option<f64>,
    on_path_ns: i64,
    n_lost: u64,
    forward: Option<Percentiles>,
    #[serde(rename = "return")]
    back: Option<Percentiles>,
    total: Option<Percentiles>,
}

/// Nearest-rank percentiles of one column of values.
#[derive(Debug, Serialize)]
pub(in crate::report) struct Percentiles {
    n: usize,
    p50_ns: i64,
    p90_ns: i64,
    p99_ns: i64,
    max_ns: i64,
    /// The names of those above that are only lower bounds.
    lower_bounds: Vec<&'static str>,
}

/// Of a distribution, `None` of nothing.
pub(in crate::report) fn percentiles(d: &Distribution) -> Option<Percentiles> {
    let all = [
        ("p50", d.percentile(500)?),
        ("p90", d.percentile(900)?),
        ("p99", d.percentile(990)?),
        ("max", d.max()?),
    ];
    Some(Percentiles {
        n: d.len(),
        p50_ns: all[0].1.ns,
        p90_ns: all[1].1.ns,
        p99_ns: all[2].1.ns,
        max_ns: all[3].1.ns,
        lower_bounds: all.iter().filter(|(_, v)| v.at_least).map(|(name, _)| *name).collect(),
    })
}

pub(super) fn write(edges: &BTreeMap<EdgeKey, Edge>, out: &mut dyn Write) -> io::Result<()> {
    let mut all = edges.iter().flat_map(|(key, edge)| lines(key, edge));
    all.try_for_each(|(line, _)| json::line(out, &line))
}

/// An edge's stretches in the order of its path, each with what it was told from.
pub(in crate::report) fn lines<'a>(
    (client, server, protocol): &'a EdgeKey,
    edge: &'a Edge,
) -> Vec<(StretchLine<'a>, &'a Stretch)> {
    let of = |values: &[i64]| percentiles(&Distribution::exact(values.iter().copied()));
    let whole = edge.total_ns();
    let line = |((part, from, to), stretch): (&'a (&'static str, String, String), &'a Stretch)| {
        let missing = edge.n_calls.saturating_sub(stretch.n_told) as f64;
        let line = StretchLine {
            schema: "afterpath.hops/1",
            client_service: client,
            server_service: server,
            protocol,
            part,
            from,
            to,
            n_points: [0, 1].map(|end: usize| stretch.ends[end].points.len()),
            through: stretch.through,
            n_calls: edge.n_calls,
            n_open: edge.n_open,
            n_without_hops: edge.n_without_hops,
            n_observed: stretch.total.len(),
            not_observed_share: (!stretch.is_before).then(|| missing / edge.n_calls.max(1) as f64),
            time_share: (whole > 0.0 && !stretch.is_before).then(|| sum(&stretch.total) / whole),
            trace_time_share: edge.share_of_traces(sum(&stretch.total)),
            path_share: edge.path_share(stretch),
            on_path_ns: stretch.on_path_ns,
            n_lost: stretch.n_lost,
            forward: of(&stretch.forward),
            back: of(&stretch.back),
            total: of(&stretch.total),
        };
        (line, stretch)
    };
    edge.rows().into_iter().map(line).collect()
}
