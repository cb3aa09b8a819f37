//! The whole way on one screen: bundles → dissect, pair → join (beside it: spans) → align → link → assemble → hops → critical → findings. The only file with
//! threads in it: partitions are worked on in parallel, results are merged in partition order.

use crate::align::{Clocks, ntp};
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, Trace};
use crate::dissect::partitions::{Partition, damage, dissect, halves, partitions};
use crate::dissect::redirected::{self, Torn};
use crate::dissect::sockets::log::Sockets;
use crate::dissect::sockets::{self, Recorded};
use crate::dissect::{Dissected, Dissector, FlowFacts, Given, Whole};
use crate::finding::Finding;
use crate::findings::counters::Counters;
use crate::findings::{Case, JUDGES};
use crate::flow::Flow;
use crate::join::{self, Connection, Homes, Seen};
use crate::link::Evidence;
use crate::link::baseline::Baseline;
use crate::loss::{Loss, LostPacket};
use crate::lost::{self, Doubts, Path, Segment, Wanted, Witnesses};
use crate::pair::Span;
use crate::point::Point;
use crate::protocol::IdFields;
use crate::spans::{self, Told};
use crate::{assemble, critical, findings, hops, link, routes};
use afterpath_formats::bundle::{Bundles, PacketFile};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What the analysis depends on beside the bundles.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What may be used for linking.
    pub evidence: Evidence,
    /// Link by this rule of others instead, to compare.
    pub baseline: Option<&'static dyn Baseline>,
    /// Fields that name requests.
    pub id_fields: IdFields,
}

/// Reconstructs everything. Damage is counted in the losses, never an error.
pub fn analyze(bundles: &Bundles, config: &Config) -> Analysis {
    let mut points = points(bundles);
    let mut whole = Whole::default();
    let hosts = recorded(bundles, &mut points);
    let (clear, unused) = sockets::clear(&hosts, &config.id_fields);
    let given = Given { clear, id_fields: config.id_fields.clone() };
    whole.unused(unused, &points);
    let mut cut: Vec<Cut<'_>> = Vec::new();
    for files in bundles.packet_files.chunk_by(|a, b| a.host() == b.host()) {
        let parts = partitions(files, &mut whole.losses);
        let each = |part| dissect(files, part, &given);
        let (dissected, checked) = rayon::join(
            || parts.par_iter().map(each).collect::<Vec<_>>(),
            || files.par_iter().map(PacketFile::check_hash).collect::<Vec<_>>(),
        );
        for (file, checked) in files.iter().zip(checked) {
            whole.losses.extend(checked.err().map(|error| damage(file, &error, file.n_rows())));
        }
        let sum = |n: fn(&Dissected) -> usize| dissected.iter().map(|(d, _)| n(d)).sum();
        whole.spans.reserve_exact(sum(|d| d.spans.len()));
        whole.flows.reserve_exact(sum(|d| d.flows.len()));
        let first = whole.flows.len();
        dissected.into_iter().for_each(|(d, losses)| whole.add(d, losses, &points));
        mend(&mut whole, first, (files, &parts), &given, &points);
        cut.push((files, parts));
    }
    for host in &hosts {
        let parts = host.partitions().into_par_iter();
        let dissected: Vec<_> = parts.map(|part| sockets::dissect(host, part, &given)).collect();
        dissected.into_iter().for_each(|d| whole.add(d, Vec::new(), &points));
        whole.add_host(host);
    }
    drop(hosts);
    whole.sort_flows();
    let Whole { mut flows, facts, spans, n_packets, n_socket_events, sockets, mut losses } = whole;
    let mut ntp_errors_ns = ntp::errors(bundles);
    let (mut calls, paths) = join(&mut points, &flows, &facts, spans, (&ntp_errors_ns, &sockets));
    losses.extend(join::untiled(&calls, &points));
    join::in_flight(&mut calls, &flows, &points);
    let mut domains: Vec<String> = bundles.domains.iter().map(|d| d.name.clone()).collect();
    let told = spans::told(bundles, points.len(), domains.len(), flows.len());
    let n_tracer_spans = told.n_spans;
    points.extend(told.points.iter().cloned());
    domains.extend(told.domains.iter().cloned());
    flows.extend(told.flows.iter().cloned());
    losses.extend(told.losses.iter().cloned());
    let references = beside(&mut calls, told);
    let seen = Seen { points: &points, flows: &flows, facts: &facts };
    let (doubts, witnesses) = (Doubts::of(bundles), Witnesses::read(bundles));
    let lost_packets = find_lost(&cut, paths, (&doubts, &witnesses), &seen, &calls, &mut losses);
    drop(cut);
    ntp_errors_ns.resize(domains.len(), None);
    let clocks = Clocks::of(&calls, &flows, &points, ntp_errors_ns, &sockets);
    losses.extend(routes::learn(&mut calls));
    let known =
        link::Known { points: &points, flows: &flows, sockets: &sockets, references: &references };
    match config.baseline {
        None => losses.extend(link::link(&mut calls, &known, &config.evidence)),
        Some(other) => link::baseline::link(&mut calls, &known, config.evidence, other),
    }
    let traces = assemble::assemble(&mut calls);
    let children = hops::children(&calls);
    measure(&mut calls, &children, (&flows, &points, &clocks), &sockets);
    find_paths(&mut calls, &children, &traces, (&flows, &points, &clocks));
    losses.extend(recorded_losses(bundles));
    let losses = sum_up(losses);
    let mut analysis = Analysis {
        points,
        domains,
        clocks,
        flows,
        lost_packets,
        calls,
        traces,
        n_packets,
        n_socket_events,
        n_tracer_spans,
        losses,
        findings: Vec::new(),
        missing: Vec::new(),
    };
    let counters = Counters::read(bundles);
    analysis.findings = judge(&analysis, &counters);
    analysis.missing = findings::missing(&analysis, &counters);
    analysis
}

/// What recorders told of each host besides packets; their processes become points.
fn recorded(bundles: &Bundles, points: &mut Vec<Point>) -> Vec<Recorded> {
    let mut hosts = Vec::new();
    for host in 0..bundles.hosts.len() as u32 {
        if let Some(recorded) = Recorded::read(bundles, host, points.len() as u32) {
            points.extend(recorded.points.iter().cloned());
            hosts.push(recorded);
        }
    }
    hosts
}

/// Puts whole connections in the place of those that redirections tore, among the flows from `first` on.
fn mend(
    whole: &mut Whole,
    first: usize,
    (files, parts): (&[PacketFile], &[Partition]),
    given: &Given,
    points: &[Point],
) {
    let torn = Torn::find(&whole.flows[first..], &whole.facts[first..]);
    if !torn.is_empty() {
        let each = parts.par_iter().flat_map(|part| halves(files, part, &torn));
        let dissected = redirected::dissect(each.collect(), Dissector::knowing(given));
        whole.replace(first, &torn, dissected, points);
    }
}

/// Pass 1 and pass 2; connections are independent but for where endpoints live and what is forwarded.
/// Also gives the paths of connections that sent something twice.
fn join(
    points: &mut [Point],
    flows: &[Flow],
    facts: &[FlowFacts],
    spans: Vec<Span>,
    (ntp_errors_ns, sockets): (&[Option<i64>], &Sockets),
) -> (Vec<Call>, Vec<Path>) {
    let seen = &Seen { points, flows, facts };
    let mut homes = Homes::learn_points(seen);
    let groups = join::group(seen, spans);
    let names = join::namespaces(groups.iter().map(|(flows, _)| &flows[..]), seen, &homes);
    join::rename(points, &names);
    homes.rename(points);
    let seen = &Seen { points, flows, facts };
    let mut connections: Vec<Connection> = groups
        .into_par_iter()
        .map(|(flows, spans)| join::connect(&flows, spans, seen, &homes))
        .collect();
    join::settle(&mut connections, seen, &mut homes);
    join::settle_far(&mut connections, seen, &homes, |connections| {
        // One clock needs no relation.
        let is_one = points.windows(2).all(|pair| pair[0].domain == pair[1].domain);
        let joints = if is_one { Vec::new() } else { join::joints(connections, seen) };
        let spans = joints.iter().map(|(spans, is_turned)| (&spans[..], *is_turned));
        Clocks::of_spans(spans, flows, points, ntp_errors_ns.to_vec(), sockets)
    });
    let paths = connections.iter().flat_map(|c| join::paths(c, seen, &homes));
    let paths = paths.filter(|path| path.is_suspect(flows)).collect();
    let calls: Vec<Vec<Call>> =
        connections.into_par_iter().map(|c| join::calls(c, seen, &homes)).collect();
    (in_time_order(calls).0, paths)
}

/// Adds the calls that tracers tell of. Gives per call the one that its tracer says caused it.
fn beside(calls: &mut Vec<Call>, told: Told) -> Vec<Option<CallIndex>> {
    if told.calls.is_empty() {
        return Vec::new();
    }
    let n_before = calls.len();
    let (all, place_of) = in_time_order(vec![std::mem::take(calls), told.calls]);
    *calls = all;
    let mut references = vec![None; calls.len()];
    for (child, parent) in told.parents.iter().enumerate() {
        let place = |i: usize| place_of[n_before + i];
        references[place(child)] = parent.map(|parent| place(parent) as CallIndex);
    }
    references
}

/// Calls ordered by first time, then connection and stream (a pipeline's requests pass in one packet). Their places are
/// sorted, then each call, which is large, is moved to its own. Also gives where each went.
fn in_time_order(by_connection: Vec<Vec<Call>>) -> (Vec<Call>, Vec<usize>) {
    let mut calls: Vec<Call> = Vec::with_capacity(by_connection.iter().map(Vec::len).sum());
    by_connection.into_iter().for_each(|some| calls.extend(some));
    let mut order: Vec<(Option<i64>, usize)> =
        calls.iter().enumerate().map(|(i, c)| (c.times().first(), i)).collect();
    order.par_sort_unstable();
    let mut place_of = vec![0; calls.len()];
    order.iter().enumerate().for_each(|(place, (_, i))| place_of[*i] = place);
    let went_to = place_of.clone();
    for i in 0..calls.len() {
        while place_of[i] != i {
            let place = place_of[i];
            calls.swap(i, place);
            place_of.swap(i, place);
        }
    }
    (calls, went_to)
}

/// A host's packet files, and where they were cut.
type Cut<'a> = (&'a [PacketFile], Vec<Partition>);

/// Which packets were lost where, and whom that slowed.
fn find_lost(
    cut: &[Cut<'_>],
    paths: Vec<Path>,
    (doubts, witnesses): (&Doubts, &Witnesses),
    seen: &Seen<'_>,
    calls: &[Call],
    losses: &mut Vec<Loss>,
) -> Vec<LostPacket> {
    let Seen { flows, facts, points } = *seen;
    let (paths, n_left_out) = lost::chosen(paths, flows);
    let wanted = Wanted::of(paths.iter().flat_map(|path| path.flows.iter().copied()), flows);
    let parts: Vec<(&[PacketFile], &Partition)> =
        cut.iter().flat_map(|(files, parts)| parts.iter().map(|part| (*files, part))).collect();
    let mut segments: Vec<Segment> = if wanted.is_empty() {
        Vec::new()
    } else {
        let each = parts.par_iter().map(|(files, part)| lost::segments(files, part, &wanted));
        each.collect::<Vec<_>>().into_iter().flatten().collect()
    };
    segments.par_sort_by_key(|segment| (segment.flow, segment.at_ns));
    let alive = &lost::alive(flows, points);
    let given = &lost::Given { flows, facts, points, alive, doubts, witnesses };
    let of = |flow: u32| {
        let from = segments.partition_point(|segment| segment.flow < flow);
        let to = segments.partition_point(|segment| segment.flow <= flow);
        segments[from..to].iter().copied()
    };
    let each = paths.par_iter().map(|path| {
        let segments: Vec<Segment> = path.flows.iter().flat_map(|&flow| of(flow)).collect();
        lost::lost(given, path, &segments)
    });
    let each: Vec<lost::Found> = each.collect();
    let n_left_out = each.iter().map(|one| one.n_left_out).fold(n_left_out, u64::saturating_add);
    let mut found: Vec<LostPacket> = each.into_iter().flat_map(|one| one.packets).collect();
    if n_left_out > 0 {
        let cause = "lost-packets-not-looked-for".to_string();
        losses.push(Loss { place: "lost".to_string(), cause, count: n_left_out });
    }
    let untold = witnesses.untold(given, &found);
    found.extend(untold);
    found.sort_by_key(|packet| (packet.first, packet.at_first_ns, packet.from, packet.sequence));
    lost::slow(&mut found, &paths, calls, given);
    found
}

/// Every call's parts, self time, and what lay before it.
fn measure(
    calls: &mut [Call],
    children: &[Vec<CallIndex>],
    (flows, points, clocks): (&[Flow], &[Point], &Clocks),
    sockets: &Sockets,
) {
    let measured: Vec<_> = (0..calls.len())
        .into_par_iter()
        .map(|i| {
            let own = hops::self_ns(&calls[i], &children[i], calls, points);
            (hops::parts(&calls[i], points, clocks, sockets), own)
        })
        .collect();
    let before = hops::before(&hops::before::Given { calls, children, points, flows, sockets });
    for ((call, (parts, own)), before) in calls.iter_mut().zip(measured).zip(before) {
        call.hops = parts;
        call.self_ns = own;
        call.before = before;
    }
}

/// Which calls each trace waited for.
fn find_paths(
    calls: &mut [Call],
    children: &[Vec<CallIndex>],
    traces: &[Trace],
    (flows, points, clocks): (&[Flow], &[Point], &Clocks),
) {
    let given = critical::Given { calls, children, flows, points, clocks };
    let found: Vec<_> = traces.par_iter().map(|trace| critical::critical(&given, trace)).collect();
    for (call, critical) in found.into_iter().flatten() {
        calls[call as usize].critical = Some(critical);
    }
}

/// What judges find; none looks at another.
fn judge(analysis: &Analysis, counters: &Counters) -> Vec<Finding> {
    let case = Case::new(analysis, counters);
    let found: Vec<_> = JUDGES.par_iter().map(|judge| findings::asked(judge, &case)).collect();
    findings::ranked(&case, found.into_iter().flatten().collect())
}

fn points(bundles: &Bundles) -> Vec<Point> {
    let point = |interface: &afterpath_formats::bundle::Interface| Point {
        host: bundles.hosts[interface.host as usize].name.clone(),
        netns: interface.netns.clone().unwrap_or_default(),
        interface: interface.name.clone(),
        process: None,
        domain: interface.domain.0,
    };
    bundles.interfaces.iter().map(point).collect()
}

/// What the recording itself says it lost.
fn recorded_losses(bundles: &Bundles) -> Vec<Loss> {
    let loss = |loss: &afterpath_formats::bundle::Loss| Loss {
        place: bundles.hosts[loss.host as usize].name.clone(),
        cause: loss.row.cause.clone(),
        count: loss.row.count.max(0) as u64,
    };
    bundles.losses.iter().map(loss).collect()
}

fn sum_up(losses: Vec<Loss>) -> Vec<Loss> {
    let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
    for Loss { place, cause, count } in losses {
        let sum = sums.entry((place, cause)).or_default();
        *sum = sum.saturating_add(count);
    }
    sums.into_iter().map(|((place, cause), count)| Loss { place, cause, count }).collect()
}
