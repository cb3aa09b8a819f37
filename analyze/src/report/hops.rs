//! Latency per hop: for each edge between services and each stretch of its path, both directions, the share of the time
//! spent there and of the calls that could not see it. Never mixes what was not observed into a percentile.

mod gathered;
mod lines;

use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Ask, Options, Report};
use crate::analysis::Analysis;
use crate::quantity::{self, Distribution};
use gathered::{StretchKey, WAITING, sum};
use std::collections::BTreeSet;
use std::io::{self, Write};

pub(super) use gathered::{Edge, EdgeKey, Stretch, edges};
pub(super) use lines::{Percentiles, StretchLine, lines, percentiles};

/// Its entry in the table of reports.
pub(super) const HOPS: Report = Report {
    name: "hops",
    about: "Latency of every hop between services: percentiles, shares, what was not observed",
    asks: Some(&[Ask::Selection]),
    write,
};

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let edges = edges(analysis, options);
    if options.json {
        return lines::write(&edges, out);
    }
    let mut ink = Ink::new(out, options);
    if edges.is_empty() {
        return ink.line("no calls match");
    }
    let mut left_out_anywhere: BTreeSet<&str> = BTreeSet::new();
    for (i, (key, edge)) in edges.iter().enumerate() {
        if i > 0 {
            ink.line("")?;
        }
        let left_out = write_edge(&mut ink, key, edge)?;
        left_out_anywhere.extend(left_out);
    }
    ink.line("")?;
    if !left_out_anywhere.is_empty() {
        let names = left_out_anywhere.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!("left out where the line is too short for it: {names} (--json has all)");
        ink.wrapped("", "  ", &text)?;
    }
    ink.wrapped("", "  ", "→ request's way, ← response's way, ⇄ both together; through: between two interfaces of one namespace; waiting: the server for further calls (n: calls that waited); before: what these calls waited for before their first byte, in no share; share: of all time of this edge's calls; path: of all time of their traces, while these waited for it; lost: packets; unseen: share of its calls in which this stretch was not observed. Percentiles are nearest-rank and exact.")
}

/// Left to the JSON where the line is short, the first first.
const LEFT_OUT: &[&str] = &["p90", "max", "share", "path"];
/// Columns that the two ends of a stretch need to be told by.
const TELLS: usize = 34;
/// Where even those do not suffice, these go, so that at least so many columns are left.
const LEFT_OUT_LAST: &[&str] = &["n", "unseen"];
const TELLS_LEAST: usize = 16;

const COLUMNS: [(&str, Align); 12] = [
    ("part", Align::Left),
    ("stretch", Align::Flexible),
    ("", Align::Left),
    ("n", Align::Right),
    ("p50", Align::Right),
    ("p90", Align::Right),
    ("p99", Align::Right),
    ("max", Align::Right),
    ("share", Align::Right),
    ("path", Align::Right),
    ("lost", Align::Right),
    ("unseen", Align::Right),
];

fn write_edge(
    ink: &mut Ink<'_>,
    (client, server, protocol): &EdgeKey,
    edge: &Edge,
) -> io::Result<Vec<&'static str>> {
    let durations = Distribution::of(edge.durations.clone());
    let p = |permille| quantity::percentile(durations.percentile(permille));
    let open = match edge.n_open {
        0 => String::new(),
        n => format!(" · {} open", quantity::share(n as f64, edge.n_calls as f64)),
    };
    let head = format!(
        "{client} → {server} {protocol} · {} · p50 {} · p99 {}{open}",
        quantity::plural(edge.n_calls as u64, "call"),
        p(500),
        p(990)
    );
    ink.wrapped("", "  ", &head)?;
    if edge.stretches.is_empty() {
        ink.line("  no hop could be measured")?;
        return Ok(Vec::new());
    }
    let any_lost = edge.stretches.values().any(|stretch| stretch.n_lost > 0);
    let columns = COLUMNS.into_iter().filter(|(name, _)| any_lost || *name != "lost");
    let mut grid = Grid::new(&columns.collect::<Vec<_>>())
        .leaving_out(LEFT_OUT, TELLS)
        .leaving_out(LEFT_OUT_LAST, TELLS_LEAST);
    let rows = edge.rows();
    let largest =
        rows.iter().filter(|(_, s)| !s.is_before).map(|(_, s)| sum(&s.total)).fold(0.0, f64::max);
    for (key, stretch) in rows {
        let slow = sum(&stretch.total) == largest && key.0 != WAITING && !stretch.is_before;
        let tone = if slow { Tone::Slow } else { Tone::Plain };
        write_stretch(&mut grid, key, stretch, edge, (tone, any_lost));
    }
    grid.write(ink, "  ")?;
    Ok(grid.left_out(ink.width, "  "))
}

fn write_stretch(
    grid: &mut Grid,
    key: &StretchKey,
    stretch: &Stretch,
    edge: &Edge,
    (tone, any_lost): (Tone, bool),
) {
    let place = stretch.place(key);
    let one_way = [("→", &stretch.forward), ("←", &stretch.back)];
    let mut ways: Vec<_> = one_way.into_iter().filter(|(_, values)| !values.is_empty()).collect();
    if ways.is_empty() || stretch.both_ways && stretch.forward.len() < stretch.total.len() {
        ways.push((if stretch.both_ways { "⇄" } else { "" }, &stretch.total));
    }
    let inside = |text: String| if stretch.is_before { String::new() } else { text };
    for (i, (way, values)) in ways.into_iter().enumerate() {
        let d = Distribution::exact(values.iter().copied());
        let p = |permille| quantity::percentile(d.percentile(permille));
        let first = |text: String| if i == 0 { text } else { String::new() };
        let unseen = edge.n_calls.saturating_sub(stretch.n_told) as f64;
        let cells = [
            first(if stretch.through { "through" } else { short(key.0) }.to_owned()),
            first(place.clone()),
            way.to_owned(),
            quantity::count(d.len() as u64),
            p(500),
            p(900),
            p(990),
            quantity::percentile(d.max()),
            first(inside(quantity::share(sum(&stretch.total), edge.total_ns()))),
            first(on_path(stretch, edge)),
            first(if stretch.n_lost > 0 { quantity::count(stretch.n_lost) } else { String::new() }),
            first(inside(quantity::share(unseen, edge.n_calls as f64))),
        ];
        let cells = COLUMNS.into_iter().zip(cells);
        let cells = cells.filter(|((name, _), _)| any_lost || *name != "lost");
        grid.row(cells.map(|(_, cell)| (cell, tone)));
    }
}

fn on_path(stretch: &Stretch, edge: &Edge) -> String {
    match edge.path_share(stretch) {
        Some(share) if stretch.on_path_ns > 0 => quantity::share(share, 1.0),
        _ => String::new(),
    }
}

pub(super) fn short(part: &str) -> &str {
    match part {
        WAITING => "waiting",
        "gateway" => "forwarding",
        "gateway_in" => "forwarding in",
        "gateway_process" => "forwarding process",
        "gateway_out" => "forwarding out",
        "client_send_queue" => "send queue",
        "client_recv_queue" => "receive queue",
        "server_accept_queue" => "accept queue",
        "server_sched" => "waking up",
        "server_busy" => "busy",
        "server_kernel_rx" => "reading",
        "server_app" => "application",
        "server_send_queue" => "server send queue",
        "client_dns" => "before: look-up",
        "client_pool_wait" => "before: pool",
        "client_connect" => "before: connect",
        "client_tls" => "before: TLS",
        part => part.trim_end_matches("_transfer"),
    }
}
