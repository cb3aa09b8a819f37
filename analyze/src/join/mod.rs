//! The same request at several points → one call, its spans in path order. Pass 1 uses no time across domains; pass 2
//! (`forwarding`) pairs the two connections of a process that forwards the same bytes. Never links calls.

use crate::call::{Call, CallState, Endpoint, Flow, FlowIndex, OrderBasis, SpanAt};
use crate::issue::Issue;
use crate::pair::{Facts, Span};
use std::collections::BTreeMap;

mod connections;
mod forwarding;
mod homes;
mod order;

pub use connections::Seen;
pub use homes::{Homes, Place};

/// Calls of all connections, and where addresses live.
#[derive(Debug, Default)]
pub struct Joined {
    /// Calls without links, hops and traces, ordered by first time, then id.
    pub calls: Vec<Call>,
    /// Where endpoints live.
    pub homes: Homes,
}

/// One connection: its flows in path order, and its calls as span indices.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Flows in path order.
    pub(crate) path: Vec<order::Placed>,
    /// Joint calls, each a list of spans in path order.
    pub(crate) calls: Vec<Vec<u32>>,
}

/// Joins the spans of all points.
pub fn join(seen: &Seen<'_>) -> Joined {
    let mut homes = Homes::learn_points(seen);
    let spans_of = spans_by_flow(seen);
    let mut connections: Vec<Connection> = connections::connections(seen)
        .into_iter()
        .map(|flows| connection(&flows, &spans_of, seen, &homes))
        .collect();
    let path = |c: &Connection| c.path.iter().map(|p| p.flow).collect::<Vec<_>>();
    homes.learn_homes(&connections.iter().map(path).collect::<Vec<_>>(), seen);
    forwarding::merge(&mut connections, seen, &homes);
    let mut calls: Vec<Call> = connections
        .iter()
        .flat_map(|c| c.calls.iter().enumerate().map(move |(i, spans)| (c, i, spans)))
        .map(|(c, i, spans)| call(c, i, spans, seen, &homes))
        .collect();
    calls.sort_by_cached_key(|c| (c.times().first(), c.id));
    Joined { calls, homes }
}

fn spans_by_flow(seen: &Seen<'_>) -> Vec<Vec<u32>> {
    let mut by_flow = vec![Vec::new(); seen.flows.len()];
    for (i, span) in seen.spans.iter().enumerate() {
        by_flow[span.flow as usize].push(i as u32);
    }
    by_flow
}

fn connection(flows: &[u32], spans_of: &[Vec<u32>], seen: &Seen<'_>, homes: &Homes) -> Connection {
    let mut calls = joint_calls(flows, spans_of, seen);
    let path = order::path_order(flows, &calls, seen, homes);
    let place: BTreeMap<u32, usize> = path.iter().enumerate().map(|(i, p)| (p.flow, i)).collect();
    for call in &mut calls {
        call.sort_by_key(|&s| place[&seen.spans[s as usize].flow]);
    }
    Connection { path, calls }
}

/// What names a call inside its connection: the place of its request in the stream, else of its response; for datagrams
/// their id and content. The last number counts repetitions at one point.
type Name = (u8, u64, u64, u32);

fn joint_calls(flows: &[u32], spans_of: &[Vec<u32>], seen: &Seen<'_>) -> Vec<Vec<u32>> {
    let all = || flows.iter().flat_map(|&f| spans_of[f as usize].iter().copied());
    let span = |i: u32| &seen.spans[i as usize];
    let request_of: BTreeMap<u32, u32> =
        all().filter_map(|i| span(i).response_sequence.zip(span(i).request_sequence)).collect();
    let mut repeats: BTreeMap<(u32, (u8, u64, u64)), u32> = BTreeMap::new();
    let mut calls: BTreeMap<Name, Vec<u32>> = BTreeMap::new();
    for i in all() {
        let name = name(span(i), &request_of);
        let repeat = repeats.entry((span(i).flow, name)).or_default();
        calls.entry((name.0, name.1, name.2, *repeat)).or_default().push(i);
        *repeat += 1;
    }
    let mut calls: Vec<Vec<u32>> = calls.into_values().collect();
    calls.sort_by_key(|spans| spans.iter().map(|&i| (span(i).flow, i)).min());
    calls
}

fn name(span: &Span, request_of: &BTreeMap<u32, u32>) -> (u8, u64, u64) {
    let resolved = || request_of.get(&span.response_sequence?).copied();
    match (span.request_sequence.or_else(resolved), span.response_sequence) {
        (Some(request), _) => (0, u64::from(request), 0),
        (None, Some(response)) => (1, u64::from(response), 0),
        (None, None) => (2, span.correlation.unwrap_or(0), span.body_hash[0]),
    }
}

fn call(
    connection: &Connection,
    index: usize,
    spans: &[u32],
    seen: &Seen<'_>,
    homes: &Homes,
) -> Call {
    let span = |i: &u32| &seen.spans[*i as usize];
    let flow = |i: &u32| &seen.flows[span(i).flow as usize];
    let (first, last) = (&spans[0], &spans[spans.len() - 1]);
    let best = best_span(spans, seen);
    let Facts {
        request_type, resource, authority, version, status, outcome, ids, attributes, ..
    } = best.facts.as_ref().clone();
    let spans_at = spans_at(connection, spans, seen);
    Call {
        id: call_id(span(first), flow(first), seen),
        protocol: best.protocol.to_string(),
        request_type,
        resource,
        authority,
        version,
        status,
        outcome,
        state: joint_state(spans, seen),
        client: endpoint(flow(first), true, homes),
        server: endpoint(flow(last), false, homes),
        request_bytes: best.bytes[0],
        response_bytes: spans.iter().map(|i| span(i).bytes[1]).max().unwrap_or(0),
        connect_ns: flow(first).rtt_ns().filter(|_| index == 0),
        ids,
        attributes,
        link: None,
        hops: Vec::new(),
        self_ns: None,
        trace: 0,
        issues: issues(spans, &spans_at, seen),
        spans: spans_at,
    }
}

/// The span that knows most: a recognised protocol, a whole request and response, the most bytes.
fn best_span<'a>(spans: &[u32], seen: &Seen<'a>) -> &'a Span {
    let rank = |span: &Span| {
        (span.protocol != "opaque", state_rank(span.state), span.facts.issues.is_empty())
    };
    let spans = spans.iter().map(|&i| &seen.spans[i as usize]);
    spans.rev().max_by_key(|s| rank(s)).expect("a call has at least one span")
}

fn state_rank(state: CallState) -> u8 {
    match state {
        CallState::Complete => 3,
        CallState::OneWay => 2,
        CallState::Open => 1,
        CallState::ResponseOnly => 0,
    }
}

fn joint_state(spans: &[u32], seen: &Seen<'_>) -> CallState {
    let states = spans.iter().map(|&i| seen.spans[i as usize].state);
    states.max_by_key(|s| state_rank(*s)).unwrap_or(CallState::Open)
}

fn spans_at(connection: &Connection, spans: &[u32], seen: &Seen<'_>) -> Vec<SpanAt> {
    let basis = |flow: FlowIndex| {
        let placed = connection.path.iter().find(|p| p.flow == flow);
        placed.map_or(OrderBasis::Undecided, |p| p.basis)
    };
    let at = |&i: &u32| {
        let span = &seen.spans[i as usize];
        SpanAt {
            point: seen.flows[span.flow as usize].point,
            flow: span.flow,
            times: span.times,
            order_basis: if spans.len() == 1 { OrderBasis::Single } else { basis(span.flow) },
            retransmissions: span.retransmissions,
        }
    };
    spans.iter().map(at).collect()
}

fn issues(spans: &[u32], at: &[SpanAt], seen: &Seen<'_>) -> Vec<Issue> {
    let joint = joint_state(spans, seen);
    let mut issues: Vec<Issue> = spans
        .iter()
        .map(|&i| &seen.spans[i as usize])
        .filter(|span| span.state == joint)
        .flat_map(|span| span.facts.issues.iter().copied())
        .collect();
    if at.iter().any(|s| s.order_basis == OrderBasis::Undecided) {
        issues.push(Issue::OrderUndecided);
    }
    issues.sort();
    issues.dedup();
    issues
}

fn endpoint(flow: &Flow, client: bool, homes: &Homes) -> Endpoint {
    let socket = if client { flow.client } else { flow.server };
    let (host, netns) = homes.of(socket.ip(), flow).cloned().unwrap_or_default();
    Endpoint { host, netns, address: socket.ip(), port: socket.port() }
}

/// The first 64 bits of BLAKE3 over host, namespace, interface, both sockets, protocol, stream places and first time.
fn call_id(span: &Span, flow: &Flow, seen: &Seen<'_>) -> u64 {
    let point = &seen.points[flow.point as usize];
    let place = format!(
        "{}\0{}\0{}\0{}\0{}\0{}\0{:?}\0{:?}\0{:?}\0{:?}",
        point.host,
        point.netns,
        point.interface,
        flow.client,
        flow.server,
        span.protocol,
        span.request_sequence,
        span.response_sequence,
        span.correlation,
        span.times.first(),
    );
    let hash = blake3::hash(place.as_bytes());
    u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
