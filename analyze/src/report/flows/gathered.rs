//! Flows by the services that speak and the point that saw them. Names come from the calls spoken on a flow, else from those on others
//! to the same socket at the same point; what is left keeps its addresses. Never takes a flow that has no calls for one of a filter.

use super::Times;
use crate::analysis::Analysis;
use crate::call::Call;
use crate::flow::{Close, Flow, FlowIndex};
use crate::names::Names;
use crate::point::PointIndex;
use crate::report::Options;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// IP protocol number (IANA).
const TCP: u8 = 6;

/// Who speaks: client, server, protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) protocol: String,
}

/// What one point saw of an edge.
#[derive(Default)]
pub(super) struct AtPoint {
    /// Where it stood in a path, at its earliest: the order of rows.
    pub(super) position: usize,
    pub(super) flows: Vec<FlowIndex>,
    pub(super) rtt_client: Times,
    pub(super) rtt_server: Times,
    pub(super) srt: Times,
    pub(super) art: Times,
    pub(super) cit: Times,
    /// From client and from server, as all pairs here.
    pub(super) retransmissions: [u64; 2],
    pub(super) syn_retransmissions: [u64; 2],
    pub(super) out_of_order: [u64; 2],
    pub(super) zero_windows: [u64; 2],
    pub(super) resets: [u64; 2],
    /// ACKs that this side delayed.
    pub(super) delayed_acks: [u64; 2],
    /// Small segments of this side that waited for an ACK.
    pub(super) held_back: [u64; 2],
    pub(super) closes: BTreeMap<Close, u64>,
}

/// All chosen flows.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) edges: BTreeMap<Edge, BTreeMap<PointIndex, AtPoint>>,
    /// Names of the points.
    pub(super) labels: Vec<String>,
    /// Flows of UDP, which have none of this.
    pub(super) n_udp: u64,
}

impl Gathered {
    pub(super) fn of(analysis: &Analysis, options: &Options) -> Gathered {
        let book = Book::of(analysis, options);
        let labels = analysis.points.iter().map(crate::point::Point::label).collect();
        let mut gathered = Gathered { labels, ..Gathered::default() };
        for (index, flow) in (0..).zip(&analysis.flows) {
            let Some(edge) = book.edge(index, flow) else { continue };
            if flow.ip_protocol != TCP {
                gathered.n_udp += u64::from(flow.ip_protocol == 17);
                continue;
            }
            let points = gathered.edges.entry(edge).or_default();
            let new = || AtPoint { position: usize::MAX, ..AtPoint::default() };
            let place = book.known.get(&index).map_or(usize::MAX, |known| known.position);
            points.entry(flow.point).or_insert_with(new).add(index, flow, place);
        }
        gathered
    }
}

impl AtPoint {
    fn add(&mut self, index: FlowIndex, flow: &Flow, position: usize) {
        self.position = self.position.min(position);
        self.flows.push(index);
        self.rtt_client.add_one(flow.rtt_client_ns());
        self.rtt_server.add_one(flow.rtt_server_ns());
        self.srt.add(flow.srt());
        self.art.add(flow.art());
        self.cit.add(flow.cit());
        for (side, counters) in flow.counters.iter().enumerate() {
            self.retransmissions[side] += counters.retransmissions;
            self.syn_retransmissions[side] += counters.syn_retransmissions;
            self.out_of_order[side] += counters.out_of_order;
            self.zero_windows[side] += counters.zero_windows;
            self.resets[side] += counters.resets;
            self.delayed_acks[side] += flow.pace[1 - side].delayed_acks;
            self.held_back[side] += flow.pace[side].held_back.count;
        }
        *self.closes.entry(flow.close).or_default() += 1;
    }
}

/// What calls say of a flow.
struct Known {
    client: String,
    server: String,
    position: usize,
}

/// What calls say of flows.
struct Book {
    known: BTreeMap<FlowIndex, Known>,
    /// By point: who answers at a socket, who asks from an address; empty for two of them.
    servers: BTreeMap<(PointIndex, SocketAddr), String>,
    clients: BTreeMap<(PointIndex, IpAddr), String>,
    /// Only flows that chosen calls were spoken on.
    is_selective: bool,
}

impl Book {
    fn of(analysis: &Analysis, options: &Options) -> Book {
        let names = Names::of(analysis);
        let is_selective = options.failed || !options.filter.is_empty();
        let (known, servers, clients) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut book = Book { known, servers, clients, is_selective };
        for call in &analysis.calls {
            let is_out = options.failed && !call.failed();
            if !is_out && options.filter.matches(analysis, &names, call) {
                book.learn(analysis, &names, call);
            }
        }
        book
    }

    fn learn(&mut self, analysis: &Analysis, names: &Names, call: &Call) {
        let is_new = |span: &crate::call::SpanAt| !self.known.contains_key(&span.flow);
        if !call.spans.iter().any(is_new) {
            return;
        }
        let (client, server) = (names.caller(analysis, call), names.server(&call.server));
        for (position, span) in call.spans.iter().enumerate() {
            let Some(flow) = analysis.flows.get(span.flow as usize) else { continue };
            let own = Known { client: client.clone(), server: server.clone(), position };
            self.known.entry(span.flow).or_insert(own);
            agree(self.servers.entry((flow.point, flow.server)).or_insert(server.clone()), &server);
            let place = (flow.point, flow.client.ip());
            agree(self.clients.entry(place).or_insert(client.clone()), &client);
        }
    }

    fn edge(&self, index: FlowIndex, flow: &Flow) -> Option<Edge> {
        let known = self.known.get(&index);
        if self.is_selective && known.is_none() {
            return None;
        }
        let server = self.servers.get(&(flow.point, flow.server)).filter(|name| !name.is_empty());
        let client =
            self.clients.get(&(flow.point, flow.client.ip())).filter(|name| !name.is_empty());
        let server = known.map(|known| &known.server).or(server).cloned();
        let client = known.map(|known| &known.client).or(client).cloned();
        Some(Edge {
            client: client.unwrap_or_else(|| flow.client.ip().to_string()),
            server: server.unwrap_or_else(|| flow.server.to_string()),
            protocol: flow.protocol.clone(),
        })
    }
}

/// A name that is not the same for all is none.
fn agree(known: &mut String, name: &str) {
    if known != name {
        known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Filter, Zone, sample};

    /// How many flows at how many pairs of edge and point.
    fn check(options: &Options, expected: impl Fn(&Analysis) -> usize) {
        let analysis = sample::shop();
        let gathered = Gathered::of(&analysis, options);
        let points = gathered.edges.values().flat_map(BTreeMap::values);
        let mut found: Vec<FlowIndex> = points.flat_map(|at| at.flows.clone()).collect();
        let n = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!((found.len(), n), (expected(&analysis), expected(&analysis)), "each once");
    }

    #[test]
    fn every_flow_counts_once_and_chosen_calls_choose() {
        check(&Options::default(), |analysis| analysis.flows.len());
        let failed = Options { failed: true, ..Options::default() };
        let spans = |call: &Call| call.spans.iter().map(|span| span.flow).collect::<Vec<_>>();
        check(&failed, |analysis| {
            let failed = analysis.calls.iter().filter(|call| call.failed());
            let flows: std::collections::BTreeSet<_> = failed.flat_map(spans).collect();
            flows.len()
        });
        let filter = Filter::parse("protocol = none-of-these", Zone::UTC).expect("a condition");
        check(&Options { filter, ..Options::default() }, |_| 0);
    }

    #[test]
    fn a_flow_without_calls_is_named_by_others_to_the_same_socket() {
        let mut analysis = sample::shop();
        let mut silent = analysis.flows[0].clone();
        silent.client.set_port(1);
        analysis.flows.push(silent);
        let gathered = Gathered::of(&analysis, &Options::default());
        let own = analysis.flows.len() as FlowIndex - 1;
        let of = |flow: FlowIndex| {
            let has = |points: &BTreeMap<PointIndex, AtPoint>| {
                points.values().any(|at| at.flows.contains(&flow))
            };
            gathered.edges.iter().find(|(_, points)| has(points)).map(|(edge, _)| edge.clone())
        };
        assert_eq!(of(own), of(0));
    }
}
