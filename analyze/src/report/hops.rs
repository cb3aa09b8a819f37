//! Latency per hop: for each edge between services and each stretch of its path, both directions, the share of the time
//! spent there and of the calls that could not see it. Never mixes what was not observed into a percentile.

mod lines;

use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Ask, Options, Report};
use crate::analysis::Analysis;
use crate::call::{Before, Call, CallIndex, Hop, Part};
use crate::critical;
use crate::flow::FlowIndex;
use crate::loss::Fate;
use crate::measure::{self, Seen};
use crate::names::Names;
use crate::quantity::{self, Distribution};
use std::collections::BTreeMap;
use std::io::{self, Write};

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
    for (i, (key, edge)) in edges.iter().enumerate() {
        if i > 0 {
            ink.line("")?;
        }
        write_edge(&mut ink, key, edge)?;
    }
    ink.line("")?;
    ink.wrapped("", "  ", "→ request's way, ← response's way, ⇄ both together; through: between two interfaces of one namespace; waiting: the server for further calls (n: calls that waited); before: what these calls waited for before their first byte, in no share; share: of all time of this edge's calls; path: of all time of their traces, while these waited for it; lost: packets; unseen: share of its calls in which this stretch was not observed. Percentiles are nearest-rank and exact.")
}

/// The name of the time in which a server waits for further calls.
const WAITING: &str = "waiting_for_calls";

/// Client service, server service, protocol.
pub(super) type EdgeKey = (String, String, String);
/// What a stretch is, from which point, to which.
type StretchKey = (&'static str, String, String);

/// The calls of one service to another.
#[derive(Default)]
pub(super) struct Edge {
    pub(super) n_calls: usize,
    n_open: usize,
    n_without_hops: usize,
    durations: Vec<Seen>,
    /// How long the traces took that its calls belong to.
    traces: BTreeMap<u32, i64>,
    stretches: BTreeMap<StretchKey, Stretch>,
}

/// One stretch of their path.
#[derive(Default)]
pub(super) struct Stretch {
    /// Where it first stood in a path: the order of rows.
    position: usize,
    forward: Vec<i64>,
    back: Vec<i64>,
    pub(super) total: Vec<i64>,
    /// Of each of these, the call that it is of.
    pub(super) calls: Vec<CallIndex>,
    /// Calls that tell of it: `total` leaves out those that never waited.
    n_told: usize,
    /// Between two interfaces of one namespace.
    through: bool,
    /// Between two points.
    both_ways: bool,
    /// Nanoseconds of it on the paths that made traces as long as they were.
    on_path_ns: i64,
    /// Packets lost between its two points.
    n_lost: u64,
    /// It lies before the calls: no share of their time.
    is_before: bool,
}

/// Per flow and next point: packets that were lost between; per flow and itself: behind it, inside its host.
fn lost(analysis: &Analysis) -> BTreeMap<(FlowIndex, FlowIndex), u64> {
    let mut lost: BTreeMap<(FlowIndex, FlowIndex), u64> = BTreeMap::new();
    for packet in analysis.lost_packets.iter().filter(|packet| packet.fate == Fate::Dropped) {
        let to = packet.to.unwrap_or(packet.from);
        *lost.entry((packet.from.min(to), packet.from.max(to))).or_default() += 1;
    }
    lost
}

/// All of them, by who asks whom in what.
pub(super) fn edges(analysis: &Analysis, options: &Options) -> BTreeMap<EdgeKey, Edge> {
    let names = Names::of(analysis);
    let mut lost = lost(analysis);
    let mut edges: BTreeMap<EdgeKey, Edge> = BTreeMap::new();
    for (index, call) in (0..).zip(&analysis.calls) {
        if (options.failed && !call.failed()) || !options.filter.matches(analysis, &names, call) {
            continue;
        }
        let key = (names.caller(analysis, call), names.server(&call.server), call.protocol.clone());
        let edge = edges.entry(key).or_default();
        edge.n_calls += 1;
        edge.n_open += usize::from(call.is_open());
        edge.n_without_hops += usize::from(call.hops.is_empty());
        edge.durations.push(measure::duration(analysis, call));
        let trace = analysis.traces.get(call.trace as usize);
        let root = trace.and_then(|trace| measure::root(analysis, trace));
        edge.traces.insert(call.trace, root.map_or(0, |root| measure::duration(analysis, root).ns));
        call.before.iter().for_each(|before| add_before(analysis, (index, call), edge, before));
        for (i, hop) in call.hops.iter().enumerate() {
            let flow = |at: u16| call.spans.get(usize::from(at)).map_or(0, |span| span.flow);
            let (from, to) = (flow(hop.from), flow(hop.to));
            // Each is counted at the first call that shows its stretch.
            let mut take = |a: FlowIndex, b| lost.remove(&(a.min(b), a.max(b))).unwrap_or(0);
            let between = if from == to { 0 } else { take(from, to) };
            let behind = if is_inside(hop.part) { take(from, from) + take(to, to) } else { 0 };
            let n_lost = between + behind;
            add(analysis, (index, call), edge, (i, n_lost), hop);
        }
    }
    edges
}

/// Whether it begins or ends at the innermost interface of an end, and leads into its host.
fn is_inside(part: Part) -> bool {
    use Part::{ClientRecvQueue, Gateway, GatewayIn, Server, ServerKernelRx};
    matches!(part, ClientRecvQueue | Gateway | GatewayIn | Server | ServerKernelRx)
}

/// What lay before a call, at its first point.
fn add_before(
    analysis: &Analysis,
    (index, call): (CallIndex, &Call),
    edge: &mut Edge,
    before: &Before,
) {
    let label = measure::point_label(analysis, call, 0);
    let stretch = edge.stretches.entry((before.part.name(), label.clone(), label)).or_default();
    stretch.is_before = true;
    stretch.n_told += 1;
    stretch.total.push(before.ns);
    stretch.calls.push(index);
}

/// The server part is two stretches: its own time, and the time it waited for further calls.
fn add(
    analysis: &Analysis,
    (index, call): (CallIndex, &Call),
    edge: &mut Edge,
    (position, n_lost): (usize, u64),
    hop: &Hop,
) {
    let own_ns = measure::own_time(call, hop.part, hop.total_ns);
    let label = |i: u16| measure::point_label(analysis, call, i as usize);
    let through = measure::passes_through(analysis, call, hop).is_some();
    let (from, to) = if hop.part == Part::Unattributed {
        (String::new(), String::new())
    } else {
        (label(hop.from), label(hop.to))
    };
    let on_path_ns = critical::of_hop(call, hop).max(0);
    let mut put = |name: &'static str,
                   position: usize,
                   forward: Option<i64>,
                   back: Option<i64>,
                   total: Option<i64>| {
        let key = (name, from.clone(), to.clone());
        let new = || Stretch { position, ..Stretch::default() };
        let s = edge.stretches.entry(key).or_insert_with(new);
        s.position = s.position.min(position);
        s.n_told += 1;
        s.through |= through;
        s.both_ways |= hop.part.is_leg();
        s.n_lost += if name == WAITING { 0 } else { n_lost };
        let here_ns = if name == WAITING { 0 } else { on_path_ns };
        s.on_path_ns = s.on_path_ns.saturating_add(here_ns);
        s.forward.extend(forward);
        s.back.extend(back);
        s.total.extend(total);
        s.calls.extend(total.map(|_| index));
    };
    put(hop.part.name(), 2 * position, hop.forward_ns, hop.return_ns, Some(own_ns));
    if hop.part.is_work() {
        let waited = Some(hop.total_ns - own_ns).filter(|ns| *ns > 0);
        put(WAITING, 2 * position + 1, None, None, waited);
    }
}

impl Edge {
    fn rows(&self) -> Vec<(&StretchKey, &Stretch)> {
        let mut rows: Vec<_> = self.stretches.iter().filter(|(_, s)| !s.total.is_empty()).collect();
        rows.sort_by_key(|(key, s)| (!s.is_before, s.position, *key));
        rows
    }

    /// Of the time of the traces that its calls belong to, while these waited for it.
    fn path_share(&self, stretch: &Stretch) -> Option<f64> {
        self.share_of_traces(stretch.on_path_ns as f64)
    }

    /// Of the time of the traces that its calls belong to; more than 1 where much of it went on at once.
    fn share_of_traces(&self, ns: f64) -> Option<f64> {
        let whole: f64 = self.traces.values().map(|&ns| ns as f64).sum();
        (whole > 0.0).then(|| ns / whole)
    }

    fn total_ns(&self) -> f64 {
        let inside = self.stretches.values().filter(|stretch| !stretch.is_before);
        inside.flat_map(|s| &s.total).map(|&ns| ns as f64).sum()
    }
}

/// Left to the JSON where the line is short.
const LEFT_OUT: &[&str] = &["p90", "max", "share", "path"];
/// Columns that the two ends of a stretch need to be told by.
const TELLS: usize = 34;

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
) -> io::Result<()> {
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
        return ink.line("  no hop could be measured");
    }
    let any_lost = edge.stretches.values().any(|stretch| stretch.n_lost > 0);
    let columns = COLUMNS.into_iter().filter(|(name, _)| any_lost || *name != "lost");
    let mut grid = Grid::new(&columns.collect::<Vec<_>>()).leaving_out(LEFT_OUT, TELLS);
    let rows = edge.rows();
    let largest =
        rows.iter().filter(|(_, s)| !s.is_before).map(|(_, s)| sum(&s.total)).fold(0.0, f64::max);
    for (key, stretch) in rows {
        let slow = sum(&stretch.total) == largest && key.0 != WAITING && !stretch.is_before;
        let tone = if slow { Tone::Slow } else { Tone::Plain };
        write_stretch(&mut grid, key, stretch, edge, (tone, any_lost));
    }
    grid.write(ink, "  ")
}

fn write_stretch(
    grid: &mut Grid,
    key: &StretchKey,
    stretch: &Stretch,
    edge: &Edge,
    (tone, any_lost): (Tone, bool),
) {
    let place = if key.1 == key.2 { key.1.clone() } else { format!("{} → {}", key.1, key.2) };
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

fn short(part: &str) -> &str {
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

fn sum(values: &[i64]) -> f64 {
    values.iter().map(|&ns| ns as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallState;
    use crate::report::sample;

    fn check(analysis: &Analysis) {
        let edges = edges(analysis, &Options::default());
        for (key, edge) in &edges {
            // What the rows add up to is what the calls took: nothing counted twice, nothing left out.
            let closed: i64 = analysis
                .calls
                .iter()
                .filter(|c| c.state == CallState::Complete && c.protocol == key.2)
                .filter(|c| Names::of(analysis).server(&c.server) == key.1)
                .filter(|c| Names::of(analysis).client(analysis, c) == key.0)
                .filter_map(|c| c.times().duration_ns())
                .sum();
            assert_eq!(edge.total_ns() as i64, closed, "{key:?}");
        }
    }

    #[test]
    fn stretches_sum_to_the_calls() {
        check(&sample::shop());
        check(&sample::two_clocks());
        check(&sample::recorded());
    }
}
