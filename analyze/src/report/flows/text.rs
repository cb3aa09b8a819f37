//! Flows as text: per edge a table of times, a row per point in path order, and under it what went wrong at each. Never a line for what
//! did not happen.

use super::Times;
use super::gathered::{AtPoint, Edge, Gathered};
use crate::flow::Close;
use crate::point::PointIndex;
use crate::quantity::{self, Distribution};
use crate::report::Options;
use crate::report::grid::{Align, Grid};
use crate::report::ink::Ink;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// In narrower lines each time has one figure.
const WIDE: usize = 100;

/// Heads of the times, in their order.
const TIMES: [&str; 5] = ["rtt client", "rtt server", "srt", "art", "cit"];

pub(super) fn write(gathered: &Gathered, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut ink = Ink::new(out, options);
    if gathered.edges.is_empty() {
        return ink.line("no TCP connections match");
    }
    for (i, (edge, points)) in gathered.edges.iter().enumerate() {
        if i > 0 {
            ink.line("")?;
        }
        write_edge(&mut ink, gathered, edge, points)?;
    }
    ink.line("")?;
    if gathered.n_udp > 0 {
        let n = quantity::plural(gathered.n_udp, "flow");
        ink.line(&format!("{n} of UDP: nothing of this can be told of them"))?;
    }
    ink.wrapped("", "  ", "→ from the client, ← from the server. rtt client: handshake's ACK − SYN-ACK; rtt server: SYN-ACK − SYN, at a process its connect; srt: the client's data until the server's stack acknowledged it; art: request's last packet until the response's first; cit: response's last packet, or the handshake, until the client's next. Each: p50 of the connections' means, and the longest of all; nothing that was sent again is measured, nor a delayed ACK.")
}

fn write_edge(
    ink: &mut Ink<'_>,
    gathered: &Gathered,
    edge: &Edge,
    points: &BTreeMap<PointIndex, AtPoint>,
) -> io::Result<()> {
    let label = |point: PointIndex| gathered.labels.get(point as usize).map_or("?", String::as_str);
    let mut rows: Vec<(&str, &AtPoint)> = points.iter().map(|(p, at)| (label(*p), at)).collect();
    rows.sort_by_key(|(label, at)| (at.position, *label));
    let n = rows.iter().map(|(_, at)| at.flows.len()).max().unwrap_or(0);
    let Edge { client, server, protocol } = edge;
    let n = quantity::plural(n as u64, "connection");
    ink.wrapped("", "  ", &format!("{client} → {server} {protocol} · {n}"))?;
    write_times(ink, &rows)?;
    write_alike(ink, &rows, |at| events(at).join(" · "))?;
    write_alike(ink, &rows, closes)
}

/// A line for what is alike at neighbouring points: most of it was so before the first of them.
fn write_alike(
    ink: &mut Ink<'_>,
    rows: &[(&str, &AtPoint)],
    of: impl Fn(&AtPoint) -> String,
) -> io::Result<()> {
    for alike in rows.chunk_by(|a, b| of(a.1) == of(b.1)) {
        let [(first, at), ..] = alike else { continue };
        let text = of(at);
        let place = match alike {
            _ if alike.len() == rows.len() => "at all points".to_owned(),
            [_] => (*first).to_owned(),
            [.., (last, _)] => format!("{first} to {last}"),
            [] => continue,
        };
        if !text.is_empty() {
            ink.wrapped("  ", "    ", &format!("{place}: {text}"))?;
        }
    }
    Ok(())
}

fn write_times(ink: &mut Ink<'_>, rows: &[(&str, &AtPoint)]) -> io::Result<()> {
    let is_wide = ink.width >= WIDE;
    let mut columns = vec![("point", Align::Flexible), ("flows", Align::Right)];
    for name in TIMES {
        columns.push((name, Align::Right));
        columns.extend(is_wide.then_some(("max", Align::Right)));
    }
    let mut grid = Grid::new(&columns);
    for (label, at) in rows {
        let times = [&at.rtt_client, &at.rtt_server, &at.srt, &at.art, &at.cit];
        let cells = times.into_iter().flat_map(|times| {
            let longest = (times.all.count > 0).then_some(times.all.max_ns);
            let longest = is_wide.then(|| quantity::known(longest));
            std::iter::once(middle(times)).chain(longest)
        });
        let head = [(*label).to_owned(), quantity::count(at.flows.len() as u64)];
        grid.plain(head.into_iter().chain(cells));
    }
    grid.write(ink, "  ")
}

fn middle(times: &Times) -> String {
    let means = Distribution::exact(times.means.iter().copied());
    quantity::percentile(means.percentile(500))
}

/// What went otherwise than it should.
fn events(at: &AtPoint) -> Vec<String> {
    let kinds = [
        ("sent again", at.retransmissions),
        ("SYN sent again", [at.syn_retransmissions[0], 0]),
        ("SYN-ACK sent again", [0, at.syn_retransmissions[1]]),
        ("out of order", at.out_of_order),
        ("window closed", at.zero_windows),
        ("delayed ACKs", at.delayed_acks),
        ("held back", at.held_back),
        ("resets", at.resets),
    ];
    let told = kinds.into_iter().filter(|(_, n)| *n != [0, 0]);
    told.map(|(name, n)| format!("{name}{}", both(n))).collect()
}

fn both(n: [u64; 2]) -> String {
    let one = |(arrow, n): (&str, u64)| format!(" {arrow} {}", quantity::count(n));
    ["→", "←"].into_iter().zip(n).filter(|(_, n)| *n > 0).map(one).collect()
}

/// `closed by client 10, reset by server 1`.
fn closes(at: &AtPoint) -> String {
    let one = |(close, n): (&Close, &u64)| format!("{} {}", words(*close), quantity::count(*n));
    at.closes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn words(close: Close) -> &'static str {
    match close {
        Close::Open => "open",
        Close::ClientFin => "closed by client",
        Close::ServerFin => "closed by server",
        Close::ClientReset => "reset by client",
        Close::ServerReset => "reset by server",
        Close::Refused => "refused",
        Close::Unanswered => "unanswered",
        Close::ClientSilent => "client silent",
        Close::ServerSilent => "server silent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// What stands in the report of the shop, one of whose flows was changed.
    fn check(change: fn(&mut crate::flow::Flow), expected: &str) {
        let mut analysis = sample::shop();
        change(&mut analysis.flows[0]);
        let mut out = Vec::new();
        let gathered = Gathered::of(&analysis, &Options::default());
        write(&gathered, &Options::default(), &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains(expected), "{expected}: {text}");
    }

    #[test]
    fn what_went_wrong_is_told_by_side() {
        check(|flow| flow.counters[0].retransmissions = 3, "sent again → 3");
        check(|flow| flow.counters[1].syn_retransmissions = 2, "SYN-ACK sent again ← 2");
        check(|flow| flow.counters[1].zero_windows = 1, "window closed ← 1");
        check(|flow| flow.pace[0].delayed_acks = 4, "delayed ACKs ← 4");
        check(|flow| flow.close = Close::ServerSilent, "server silent 1");
    }

    #[test]
    fn times_are_of_the_flows_means_and_the_longest() {
        check(|flow| flow.handshake_ns = [Some(0), Some(2_000), Some(7_000)], "5.00 µs");
        check(
            |flow| [1_000, 5_000].into_iter().for_each(|ns| flow.pace[1].turn.add(ns)),
            "3.00 µs  5.00 µs",
        );
    }
}
