//! Calls → edges between services, and what each stretch of their paths took. Never mixes what lay before a call into its time.

use crate::analysis::Analysis;
use crate::call::{Before, Call, CallIndex, Hop, Part};
use crate::critical;
use crate::flow::FlowIndex;
use crate::loss::Fate;
use crate::measure::{self, Seen};
use crate::names::Names;
use crate::point::{Point, PointIndex};
use crate::quantity;
use crate::report::Options;
use std::collections::{BTreeMap, BTreeSet};

/// The name of the time in which a server waits for further calls.
pub(super) const WAITING: &str = "waiting_for_calls";

/// Client service, server service, protocol.
pub(in crate::report) type EdgeKey = (String, String, String);
/// What a stretch is, from which point, to which; processes of one program in one place are one.
pub(super) type StretchKey = (&'static str, String, String);

/// The calls of one service to another.
#[derive(Default)]
pub(in crate::report) struct Edge {
    pub(in crate::report) n_calls: usize,
    pub(super) n_open: usize,
    pub(super) n_without_hops: usize,
    pub(super) durations: Vec<Seen>,
    /// How long the traces took that its calls belong to.
    traces: BTreeMap<u32, i64>,
    pub(super) stretches: BTreeMap<StretchKey, Stretch>,
}

/// One stretch of their path.
#[derive(Default)]
pub(in crate::report) struct Stretch {
    /// Where it first stood in a path: the order of rows.
    position: usize,
    pub(super) forward: Vec<i64>,
    pub(super) back: Vec<i64>,
    pub(in crate::report) total: Vec<i64>,
    /// Of each of these, the call that it is of.
    pub(in crate::report) calls: Vec<CallIndex>,
    /// Calls that tell of it: `total` leaves out those that never waited.
    pub(super) n_told: usize,
    pub(super) ends: [End; 2],
    /// Between two interfaces of one namespace.
    pub(super) through: bool,
    /// Between two points.
    pub(super) both_ways: bool,
    /// Nanoseconds of it on the paths that made traces as long as they were.
    pub(super) on_path_ns: i64,
    /// Packets lost between its two points.
    pub(super) n_lost: u64,
    /// It lies before the calls: no share of their time.
    pub(super) is_before: bool,
}

impl Stretch {
    pub(super) fn place(&self, (_, from, to): &StretchKey) -> String {
        let [from, to] = [self.ends[0].words(from), self.ends[1].words(to)];
        if from == to { from } else { format!("{from} → {to}") }
    }
}

/// The points that one end of a stretch stands for: several where a program has several processes.
#[derive(Default)]
pub(super) struct End {
    pub(super) points: BTreeSet<PointIndex>,
    /// What the last one is called.
    label: String,
}

impl End {
    fn add(&mut self, analysis: &Analysis, point: Option<PointIndex>) {
        let Some(point) = point.filter(|point| self.points.insert(*point)) else { return };
        self.label = analysis.points.get(point as usize).map(Point::label).unwrap_or_default();
    }

    /// `ap-podA/node[14307]`, `ap-stores/postgres[×12]`.
    fn words(&self, role: &str) -> String {
        match self.points.len() {
            0 => role.to_owned(),
            1 => self.label.clone(),
            n => format!("{role}[×{}]", quantity::count(n as u64)),
        }
    }
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
pub(in crate::report) fn edges(analysis: &Analysis, options: &Options) -> BTreeMap<EdgeKey, Edge> {
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

/// An end of a stretch: the point's name for whoever looks at all calls, and the point.
fn end(analysis: &Analysis, call: &Call, at: u16) -> (String, Option<PointIndex>) {
    let span = call.spans.get(usize::from(at));
    let point = span.and_then(|span| analysis.points.get(span.point as usize));
    (point.map_or_else(|| "?".to_owned(), Point::role), span.map(|span| span.point))
}

/// What lay before a call, at its first point.
fn add_before(
    analysis: &Analysis,
    (index, call): (CallIndex, &Call),
    edge: &mut Edge,
    before: &Before,
) {
    let (role, point) = end(analysis, call, 0);
    let stretch = edge.stretches.entry((before.part.name(), role.clone(), role)).or_default();
    stretch.ends.iter_mut().for_each(|end| end.add(analysis, point));
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
    let through = measure::passes_through(analysis, call, hop).is_some();
    let [(from, from_point), (to, to_point)] = match hop.part {
        Part::Unattributed => Default::default(),
        _ => [hop.from, hop.to].map(|at| end(analysis, call, at)),
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
        s.ends[0].add(analysis, from_point);
        s.ends[1].add(analysis, to_point);
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
    pub(super) fn rows(&self) -> Vec<(&StretchKey, &Stretch)> {
        let mut rows: Vec<_> = self.stretches.iter().filter(|(_, s)| !s.total.is_empty()).collect();
        rows.sort_by_key(|(key, s)| (!s.is_before, s.position, *key));
        rows
    }

    /// Of the time of the traces that its calls belong to, while these waited for it.
    pub(super) fn path_share(&self, stretch: &Stretch) -> Option<f64> {
        self.share_of_traces(stretch.on_path_ns as f64)
    }

    /// Of the time of the traces that its calls belong to; more than 1 where much of it went on at once.
    pub(super) fn share_of_traces(&self, ns: f64) -> Option<f64> {
        let whole: f64 = self.traces.values().map(|&ns| ns as f64).sum();
        (whole > 0.0).then(|| ns / whole)
    }

    pub(super) fn total_ns(&self) -> f64 {
        let inside = self.stretches.values().filter(|stretch| !stretch.is_before);
        inside.flat_map(|s| &s.total).map(|&ns| ns as f64).sum()
    }
}

pub(super) fn sum(values: &[i64]) -> f64 {
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
