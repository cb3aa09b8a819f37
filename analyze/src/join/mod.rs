//! The same request at several points → one call, its spans in path order. Pass 1 uses no time across domains; pass 2
//! (`forwarding`) pairs the two connections of a process that forwards the same bytes. Never links calls.

use crate::align::Clocks;
use crate::call::{Call, CallState, OrderBasis, SpanAt};
use crate::flow::{Flow, FlowIndex};
use crate::issue::Issue;
use crate::lost::Path;
use crate::pair::{Facts, Span};
use crate::point::Endpoint;
use crate::protocol::Side;
use std::collections::BTreeMap;

/// IP protocol number (IANA).
const TCP: u8 = 6;
/// Times that forwarded connections are looked for again with what is known of the clocks then.
const FAR_ROUNDS: usize = 2;

mod connections;
mod forwarding;
mod homes;
mod in_flight;
mod named;
mod namespaces;
mod order;
mod shifted;
mod untiled;

pub use connections::Seen;
pub use homes::{Homes, Place};
pub use in_flight::in_flight;
pub use namespaces::{namespaces, rename};
pub use untiled::untiled;

/// One connection: its flows in path order, its spans, and its calls as indices into them.
#[derive(Debug, Default)]
pub struct Connection {
    path: Vec<order::Placed>,
    spans: Vec<Span>,
    /// Joint calls, each a list of spans in path order.
    calls: Vec<Vec<u32>>,
}

/// The flows of each connection and the spans seen in them: pass 1. Independent connections from here on.
pub fn group(seen: &Seen<'_>, spans: Vec<Span>) -> Vec<(Vec<u32>, Vec<Span>)> {
    let mut groups = connections::connections(seen, &spans);
    let shifts = shifted::merge(&mut groups, seen, &spans);
    let mut group_of = vec![0u32; seen.flows.len()];
    for (i, flows) in groups.iter().enumerate() {
        flows.iter().for_each(|&flow| group_of[flow as usize] = i as u32);
    }
    let mut spans_of: Vec<Vec<Span>> = groups.iter().map(|_| Vec::new()).collect();
    for mut span in spans {
        let [mut asked, mut answered] = shifts[span.flow as usize];
        if span.asked_by == Side::Server {
            (asked, answered) = (answered, asked);
        }
        span.request_sequence = span.request_sequence.map(|s| s.wrapping_sub(asked));
        span.response_sequence = span.response_sequence.map(|s| s.wrapping_sub(answered));
        spans_of[group_of[span.flow as usize] as usize].push(span);
    }
    groups.into_iter().zip(spans_of).collect()
}

/// Orders one connection's points and finds its joint calls.
pub fn connect(flows: &[u32], mut spans: Vec<Span>, seen: &Seen<'_>, homes: &Homes) -> Connection {
    spans.sort_by_key(|s| (s.flow, s.times.first()));
    let mut calls = joint_calls(&spans);
    let path = order::path_order(flows, &spans, &calls, seen, homes);
    let place: BTreeMap<u32, usize> = path.iter().enumerate().map(|(i, p)| (p.flow, i)).collect();
    for call in &mut calls {
        call.sort_by_key(|&i| place[&spans[i as usize].flow]);
    }
    Connection { path, spans, calls }
}

/// Learns where endpoints live from the ends of all paths, then merges forwarded connections: pass 2.
pub fn settle(connections: &mut Vec<Connection>, seen: &Seen<'_>, homes: &mut Homes) {
    let path = |c: &Connection| c.path.iter().map(|p| p.flow).collect::<Vec<_>>();
    homes.learn_homes(&connections.iter().map(path).collect::<Vec<_>>(), seen);
    forwarding::merge(connections, seen, homes);
}

/// The same where not both sides of the forwarding process were recorded on one clock: within what is known of the clocks.
pub fn settle_far(
    connections: &mut Vec<Connection>,
    seen: &Seen<'_>,
    homes: &Homes,
    clocks: impl Fn(&[Connection]) -> Clocks,
) {
    for _ in 0..FAR_ROUNDS {
        // What was merged may relate clocks that nothing else does.
        let is_none = !forwarding::may_be_far(connections, seen, homes)
            || forwarding::merge_far(connections, seen, homes, &clocks(connections)) == 0;
        if is_none {
            return;
        }
    }
}

/// The spans of each call in path order, and whether its connection's server asked.
pub fn joints(connections: &[Connection], seen: &Seen<'_>) -> Vec<(Vec<SpanAt>, bool)> {
    let of_one = |connection: &Connection| {
        let each = connection.calls.iter().map(|spans| {
            let mut at = spans_at(connection, spans, seen);
            let is_turned = connection.spans[spans[0] as usize].asked_by == Side::Server;
            if is_turned {
                at.reverse();
            }
            (at, is_turned)
        });
        each.collect::<Vec<_>>()
    };
    connections.iter().flat_map(of_one).collect()
}

/// Its flows at interfaces, one path per TCP connection: a forwarding process ends one and begins another.
pub fn paths(connection: &Connection, seen: &Seen<'_>, homes: &Homes) -> Vec<Path> {
    let is_other = |_: &order::Placed, next: &order::Placed| next.basis != OrderBasis::Forwarding;
    let legs = connection.path.chunk_by(is_other).map(|leg| {
        let is_at_interface = |placed: &&order::Placed| {
            let flow = &seen.flows[placed.flow as usize];
            seen.facts[placed.flow as usize].at_process.is_none() && flow.ip_protocol == TCP
        };
        let flows: Vec<FlowIndex> = leg.iter().filter(is_at_interface).map(|p| p.flow).collect();
        // Of two whose order is not known neither has a place.
        let undecided = leg.windows(2).filter(|pair| pair[1].basis == OrderBasis::Undecided);
        let unsure = undecided.flatten().map(|placed| placed.flow).collect();
        let others = leg.iter().filter(|placed| !is_at_interface(placed));
        let sockets = others.map(|placed| placed.flow).collect();
        let is_home = |flow: Option<&FlowIndex>, side: usize| {
            let Some(&flow) = flow else { return false };
            let point = &seen.points[seen.flows[flow as usize].point as usize];
            let place = homes.of_end(flow, side, seen);
            place.is_some_and(|(host, netns)| (host, netns) == (&point.host, &point.netns))
        };
        let is_whole = [is_home(flows.first(), 0), is_home(flows.last(), 1)];
        Path { flows, unsure, sockets, is_whole }
    });
    legs.filter(|path| !path.flows.is_empty()).collect()
}

/// The calls of one connection, without links, hops and traces.
pub fn calls(mut connection: Connection, seen: &Seen<'_>, homes: &Homes) -> Vec<Call> {
    named::name(&mut connection);
    let mut calls = std::mem::take(&mut connection.calls);
    for spans in &mut calls {
        // The path leads from whoever asked.
        if connection.spans[spans[0] as usize].asked_by == Side::Server {
            spans.reverse();
        }
    }
    let each = calls.iter().enumerate();
    each.map(|(i, spans)| call(&mut connection, i, spans, seen, homes)).collect()
}

/// What names a call inside its connection: the place of its request in the stream, else of its response; for datagrams
/// their id and content. The last number counts repetitions at one point.
type Name = (u8, u64, u64, u32);

fn joint_calls(spans: &[Span]) -> Vec<Vec<u32>> {
    let request_of: Requests = spans
        .iter()
        .filter(|span| span.times.request_first.is_some())
        .filter_map(|span| Some(((span.asked_by, span.response_sequence?), span.request_sequence?)))
        .collect();
    let mut repeats: BTreeMap<(u32, (u8, u64, u64)), u32> = BTreeMap::new();
    let mut calls: BTreeMap<Name, Vec<u32>> = BTreeMap::new();
    for (i, span) in spans.iter().enumerate() {
        let name = name(span, &request_of);
        let repeat = repeats.entry((span.flow, name)).or_default();
        calls.entry((name.0, name.1, name.2, *repeat)).or_default().push(i as u32);
        *repeat += 1;
    }
    let mut calls: Vec<Vec<u32>> = calls.into_values().collect();
    calls.sort_by_key(|call| call.iter().min().copied());
    calls
}

/// By who asked, the number of the request that a response's number answers.
type Requests = BTreeMap<(Side, u32), u32>;

fn name(span: &Span, request_of: &Requests) -> (u8, u64, u64) {
    let resolved = || request_of.get(&(span.asked_by, span.response_sequence?)).copied();
    // The numbers of the two directions have nothing to do with one another.
    let turned = 4 * span.asked_by as u8;
    match (span.request_sequence.or_else(resolved), span.response_sequence) {
        // A connect that came to nothing: one a connection.
        _ if span.protocol == "tcp" => (3, 0, 0),
        (Some(request), _) => (turned, u64::from(request), 0),
        (None, Some(response)) => (turned + 1, u64::from(response), 0),
        (None, None) => (turned + 2, span.correlation.unwrap_or(0), span.body_hash[0]),
    }
}

fn call(
    connection: &mut Connection,
    index: usize,
    spans: &[u32],
    seen: &Seen<'_>,
    homes: &Homes,
) -> Call {
    let asked_by = connection.spans[spans[0] as usize].asked_by;
    let spans_at = spans_at(connection, spans, seen);
    let issues = issues(spans, &spans_at, connection);
    let state = joint_state(spans, connection);
    let response_bytes = spans.iter().map(|&i| connection.spans[i as usize].bytes[1]).max();
    let first = &connection.spans[spans[0] as usize];
    let head = &seen.flows[first.flow as usize];
    let connect_ns = connect_ns(&spans_at, seen);
    let id = call_id(first, head, seen);
    let flow_of = |i: &u32| connection.spans[*i as usize].flow;
    let client = endpoint(spans.iter().map(flow_of), asked_by, seen, homes);
    let server = endpoint(spans.iter().rev().map(flow_of), asked_by.other(), seen, homes);
    let best = best_span(spans, connection);
    let best = &mut connection.spans[best];
    let facts = std::mem::take(best.facts.as_mut());
    let Facts {
        request_type, resource, authority, version, status, outcome, ids, attributes, ..
    } = facts;
    Call {
        id,
        protocol: best.protocol.to_string(),
        request_type,
        resource,
        route: String::new(),
        authority,
        version,
        status,
        outcome,
        state,
        client,
        server,
        request_bytes: best.bytes[0],
        response_bytes: response_bytes.unwrap_or(0),
        connect_ns: connect_ns.filter(|_| index == 0 && asked_by == Side::Client),
        ids,
        attributes,
        tracer: None,
        link: None,
        no_parent: None,
        hops: Vec::new(),
        self_ns: None,
        before: Vec::new(),
        critical: None,
        trace: 0,
        issues,
        spans: spans_at,
    }
}

/// The span that knows most: a recognised protocol, a whole request and response, no doubts, most facts; of equals the first.
fn best_span(spans: &[u32], connection: &Connection) -> usize {
    let rank = |&i: &u32| {
        let span = &connection.spans[i as usize];
        let n_facts = span.facts.attributes.len();
        (span.protocol != "opaque", state_rank(span.state), span.facts.issues.is_empty(), n_facts)
    };
    let best = spans.iter().rev().max_by_key(|i| rank(i)).expect("a call has at least one span");
    *best as usize
}

fn state_rank(state: CallState) -> u8 {
    match state {
        CallState::Complete => 3,
        CallState::OneWay => 2,
        CallState::Open => 1,
        CallState::ResponseOnly => 0,
    }
}

fn joint_state(spans: &[u32], connection: &Connection) -> CallState {
    let states = spans.iter().map(|&i| connection.spans[i as usize].state);
    states.max_by_key(|s| state_rank(*s)).unwrap_or(CallState::Open)
}

fn spans_at(connection: &Connection, spans: &[u32], seen: &Seen<'_>) -> Vec<SpanAt> {
    let basis = |flow: FlowIndex| {
        let placed = connection.path.iter().find(|p| p.flow == flow);
        placed.map_or(OrderBasis::Undecided, |p| p.basis)
    };
    let at = |&i: &u32| {
        let span = &connection.spans[i as usize];
        SpanAt {
            point: seen.flows[span.flow as usize].point,
            flow: span.flow,
            times: span.times,
            order_basis: if spans.len() == 1 { OrderBasis::Single } else { basis(span.flow) },
            retransmissions: span.retransmissions,
            missing_bytes: span.missing_bytes,
        }
    };
    spans.iter().map(at).collect()
}

fn issues(spans: &[u32], at: &[SpanAt], connection: &Connection) -> Vec<Issue> {
    let joint = joint_state(spans, connection);
    let mut issues: Vec<Issue> = spans
        .iter()
        .map(|&i| &connection.spans[i as usize])
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

/// One end of a call, by the flows from there on. A socket that is bound to any address names none.
fn endpoint(
    mut flows: impl Iterator<Item = FlowIndex> + Clone,
    side: Side,
    seen: &Seen<'_>,
    homes: &Homes,
) -> Endpoint {
    let socket = |flow: FlowIndex| {
        let flow = &seen.flows[flow as usize];
        if side == Side::Client { flow.client } else { flow.server }
    };
    let named = flows.clone().map(socket).find(|socket| !socket.ip().is_unspecified());
    let nearest = flows.next().expect("a call has at least one span");
    let socket = named.unwrap_or(socket(nearest));
    let (host, netns) = homes.of_end(nearest, side as usize, seen).cloned().unwrap_or_default();
    let here = seen.facts[nearest as usize].at_process == Some(side);
    let process = &seen.points[seen.flows[nearest as usize].point as usize].process;
    let process = process.clone().filter(|_| here);
    Endpoint { host, netns, address: socket.ip(), port: socket.port(), process }
}

/// The handshake's time at the first point; a process that did not wait for its connect doesn't know.
fn connect_ns(spans: &[SpanAt], seen: &Seen<'_>) -> Option<i64> {
    let is_process = |span: &&SpanAt| seen.facts[span.flow as usize].at_process.is_some();
    let known = |span: &SpanAt| match (is_process(&span), &seen.flows[span.flow as usize]) {
        (true, flow) => flow.rtt_server_ns(),
        (false, flow) => flow.rtt_ns(),
    };
    let first = spans.iter().position(|span| !is_process(&span)).unwrap_or(0);
    spans[..=first].iter().find_map(known)
}

/// The first 64 bits of BLAKE3 over host, namespace, interface, both sockets, protocol, stream places and first time.
fn call_id(span: &Span, flow: &Flow, seen: &Seen<'_>) -> u64 {
    let point = &seen.points[flow.point as usize];
    let mut place: Vec<u8> = Vec::with_capacity(160);
    for name in [&*point.host, &*point.netns, &*point.interface, span.protocol] {
        place.extend_from_slice(name.as_bytes());
        place.push(0);
    }
    if let Some(process) = &point.process {
        place.extend_from_slice(process.label().as_bytes());
        place.extend(process.since_ns.to_be_bytes());
    }
    for socket in [flow.client, flow.server] {
        match socket.ip() {
            std::net::IpAddr::V4(v4) => place.extend(v4.octets()),
            std::net::IpAddr::V6(v6) => place.extend(v6.octets()),
        }
        place.extend(socket.port().to_be_bytes());
    }
    let numbers = [
        span.request_sequence.map(i64::from),
        span.response_sequence.map(i64::from),
        span.correlation.map(|id| id as i64),
        span.times.first(),
    ];
    for number in numbers {
        place.push(u8::from(number.is_some()));
        place.extend(number.unwrap_or(0).to_be_bytes());
    }
    let hash = blake3::hash(&place);
    u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
