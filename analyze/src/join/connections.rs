//! Join, pass 1: flows seen at several points → connections. Sequence numbers survive bridges, tunnels, NAT and L4 load
//! balancing; tuples don't. Never compares times across clock domains.

use crate::dissect::FlowFacts;
use crate::flow::Flow;
use crate::pair::Span;
use crate::point::Point;

/// Two sightings of one transmission on one clock lie closer than this.
const SAME_TRANSMISSION_NS: i64 = 2_000_000_000;

/// A process may read long after the segment came, and write long before it may leave.
const PROCESS_PATIENCE_NS: i64 = 300_000_000_000;

/// Something that identifies a connection wherever it is seen: (kind and value, flow, when).
struct Anchor {
    key: u128,
    flow: u32,
    time_ns: i64,
}

/// The points and flows of all partitions together.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Observation points.
    pub points: &'a [Point],
    /// Flows.
    pub flows: &'a [Flow],
    /// One per flow.
    pub facts: &'a [FlowFacts],
}

/// Groups flows into connections: a list of flow indices each, both in rising order.
pub(super) fn connections(seen: &Seen<'_>, spans: &[Span]) -> Vec<Vec<u32>> {
    let mut anchors: Vec<Anchor> = Vec::new();
    let is_half = |flow: &Flow| flow.counters.iter().any(|side| side.packets == 0);
    let any_half = seen.flows.iter().any(is_half);
    let any_process = seen.facts.iter().any(|facts| facts.at_process.is_some());
    for (i, (flow, facts)) in seen.flows.iter().zip(seen.facts).enumerate() {
        anchors.extend(handshake_anchor(i as u32, flow, facts));
        anchors.extend(half_anchor(i as u32, flow, facts).filter(|_| any_half));
        anchors.extend(attempt_anchor(i as u32, flow, facts).filter(|_| any_process));
    }
    for span in spans {
        anchors.extend(span_anchor(span, &seen.facts[span.flow as usize]));
    }
    anchors.sort_unstable_by_key(|a| (a.key, a.flow, a.time_ns));
    let mut sets = Sets::new(seen.flows.len());
    for same_key in anchors.chunk_by(|a, b| a.key == b.key) {
        unite(same_key, seen, &mut sets);
    }
    sets.groups()
}

fn handshake_anchor(flow: u32, seen: &Flow, facts: &FlowFacts) -> Option<Anchor> {
    // A point that sees the answering direction only knows what it answers.
    let answered = facts.answers.filter(|_| facts.initial_sequence[1].is_some());
    let client = facts.initial_sequence[0].or(answered.map(|number| number.wrapping_sub(1)))?;
    let time_ns = seen.handshake_ns[0].unwrap_or(seen.first_ns);
    let (kind, server) = match facts.initial_sequence[1] {
        Some(server) => (1, server),
        None => (2, u32::from(seen.server.port())),
    };
    Some(Anchor { key: key(kind, client, server, 0), flow, time_ns })
}

/// A point that sees the asking direction only knows neither the server's number nor an answer; what others know of the same SYN names both.
fn half_anchor(flow: u32, seen: &Flow, facts: &FlowFacts) -> Option<Anchor> {
    let client = facts.initial_sequence[0]?;
    facts.initial_sequence[1].filter(|_| seen.ip_protocol == 6)?;
    let time_ns = seen.handshake_ns[0].unwrap_or(seen.first_ns);
    Some(Anchor { key: key(2, client, u32::from(seen.server.port()), 0), flow, time_ns })
}

/// A connect that got no answer has no numbers that a process knows: its addresses must do.
fn attempt_anchor(flow: u32, seen: &Flow, facts: &FlowFacts) -> Option<Anchor> {
    let time_ns = seen.handshake_ns[0].filter(|_| facts.initial_sequence[1].is_none())?;
    let number = |socket: std::net::SocketAddr| {
        let mut hash = blake3::Hasher::new();
        hash.update(socket.to_string().as_bytes());
        u32::from_le_bytes(hash.finalize().as_bytes()[..4].try_into().expect("a hash has 32 bytes"))
    };
    Some(Anchor { key: key(7, number(seen.client), number(seen.server), 0), flow, time_ns })
}

fn span_anchor(span: &Span, facts: &FlowFacts) -> Option<Anchor> {
    let time_ns = span.times.first()?;
    let key = match (span.request_sequence, span.response_sequence, span.correlation) {
        (Some(request), Some(response), _) => key(3, request, response, 0),
        // Half a span anchors only where no handshake was seen: 32 bits and the content must do.
        _ if facts.initial_sequence[0].is_some() => return None,
        (Some(request), None, _) if span.body_hash[0] != 0 => key(4, request, 0, span.body_hash[0]),
        (None, Some(response), _) if span.body_hash[1] != 0 => {
            key(5, response, 0, span.body_hash[1])
        }
        (None, None, id) if span.head_hash != 0 => {
            key(6, id.unwrap_or(0) as u32, 0, span.body_hash[0] ^ span.body_hash[1].rotate_left(1))
        }
        _ => return None,
    };
    Some(Anchor { key, flow: span.flow, time_ns })
}

/// 3 bits of kind, two numbers, 61 bits of content hash.
fn key(kind: u128, first: u32, second: u32, content: u64) -> u128 {
    kind << 125 | u128::from(content >> 3) << 64 | u128::from(first) << 32 | u128::from(second)
}

/// Unites the flows that bear one key. Where a point bears it more than once (numbers that repeat, a hairpin NAT, a
/// repeated datagram), only what time or tuple tells apart is united.
fn unite(same_key: &[Anchor], seen: &Seen<'_>, sets: &mut Sets) {
    let point_of = |a: &Anchor| seen.flows[a.flow as usize].point;
    let mut points: Vec<u32> = same_key.iter().map(point_of).collect();
    points.sort_unstable();
    let repeats = points.windows(2).any(|w| w[0] == w[1]);
    for (i, a) in same_key.iter().enumerate() {
        let later = &same_key[i + 1..];
        let limit = if repeats { 64 } else { later.len() };
        for b in later.iter().take(limit) {
            if a.flow != b.flow && compatible(a, b, repeats, seen) {
                sets.unite(a.flow, b.flow);
                if !repeats {
                    break; // the next one is reached from `b`
                }
            }
        }
    }
}

fn compatible(a: &Anchor, b: &Anchor, repeats: bool, seen: &Seen<'_>) -> bool {
    let (x, y) = (&seen.flows[a.flow as usize], &seen.flows[b.flow as usize]);
    let domain = |flow: &Flow| seen.points[flow.point as usize].domain;
    let one_clock = domain(x) == domain(y);
    if x.ip_protocol != y.ip_protocol {
        return false;
    }
    let process = |flow: u32| seen.facts[flow as usize].at_process;
    let patience_ns = match (process(a.flow), process(b.flow)) {
        (None, None) => SAME_TRANSMISSION_NS,
        _ => PROCESS_PATIENCE_NS,
    };
    if one_clock && a.time_ns.abs_diff(b.time_ns) > patience_ns as u64 {
        return false;
    }
    if !repeats {
        return true;
    }
    let same_tuple = x.client == y.client && x.server == y.server;
    let ttl = |flow: u32| seen.facts[flow as usize].ttl[0];
    match (x.point == y.point, same_tuple) {
        // A process that talks with itself has both sockets.
        (true, true) => process(a.flow) != process(b.flow),
        (true, false) => one_clock && ttl(a.flow) != ttl(b.flow) && x.ip_protocol == 6,
        (false, same_tuple) => same_tuple,
    }
}

/// Disjoint sets with path halving.
struct Sets {
    parent: Vec<u32>,
}

impl Sets {
    fn new(n: usize) -> Self {
        Sets { parent: (0..n as u32).collect() }
    }

    fn find(&mut self, mut x: u32) -> u32 {
        while self.parent[x as usize] != x {
            self.parent[x as usize] = self.parent[self.parent[x as usize] as usize];
            x = self.parent[x as usize];
        }
        x
    }

    /// The smaller index becomes the representative, so that the result doesn't depend on the order of unions.
    fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    fn groups(mut self) -> Vec<Vec<u32>> {
        let n = self.parent.len() as u32;
        let mut by_root: Vec<(u32, u32)> = (0..n).map(|x| (self.find(x), x)).collect();
        by_root.sort_unstable();
        by_root.chunk_by(|a, b| a.0 == b.0).map(|c| c.iter().map(|x| x.1).collect()).collect()
    }
}
