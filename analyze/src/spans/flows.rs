//! Made-up connections: tracers tell of none, and calls of one connection are taken to follow one another. So calls between the same two are
//! spread over as many connections as are open at once. Never says more than who talked to whom, and when.

use crate::call::Call;
use crate::flow::{Close, DirectionCounters, Flow, FlowIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// An address and a port.
type End = (IpAddr, u16);

/// Connections by when they are free.
type Free = BTreeSet<(i64, FlowIndex)>;

/// The connections so far.
#[derive(Default)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    n_before: usize,
    /// Of each point, between two.
    free: BTreeMap<(u32, [End; 2]), Free>,
    /// The other end's view of a connection.
    beside: BTreeMap<(FlowIndex, u32), FlowIndex>,
}

impl Flows {
    pub(super) fn new(n_before: usize) -> Flows {
        Flows { n_before, ..Flows::default() }
    }

    /// A connection at `point` on which nothing else happens in this time. Calls come in order of their start.
    pub(super) fn own(
        &mut self,
        point: u32,
        ends: [End; 2],
        protocol: &str,
        start: i64,
        end: i64,
    ) -> FlowIndex {
        let lanes = self.free.entry((point, ends)).or_default();
        let idle = lanes.first().copied().filter(|(free, _)| *free < start);
        let flow = match idle {
            Some(lane) => {
                lanes.remove(&lane);
                lane.1
            }
            None => {
                let [(client, _), (server, port)] = ends;
                let client = SocketAddr::new(client, lanes.len() as u16);
                let server = SocketAddr::new(server, port);
                self.flows.push(flow(point, client, server, protocol, start));
                self.flows.len() as FlowIndex - 1
            }
        };
        lanes.insert((end, flow));
        self.extend(flow, start, end)
    }

    /// The same connection as another point sees it.
    pub(super) fn beside(&mut self, of: FlowIndex, point: u32, start: i64, end: i64) -> FlowIndex {
        let flow = *self.beside.entry((of, point)).or_insert_with(|| {
            let Flow { client, server, protocol, .. } = &self.flows[of as usize];
            self.flows.push(flow(point, *client, *server, protocol, start));
            self.flows.len() as FlowIndex - 1
        });
        self.extend(flow, start, end)
    }

    fn extend(&mut self, index: FlowIndex, start: i64, end: i64) -> FlowIndex {
        let flow = &mut self.flows[index as usize];
        (flow.first_ns, flow.last_ns) = (flow.first_ns.min(start), flow.last_ns.max(end));
        index
    }

    /// All in order, their numbers in `calls` counted from those that were there before.
    pub(super) fn finish(self, calls: &mut [Call]) -> Vec<Flow> {
        let mut order: Vec<usize> = (0..self.flows.len()).collect();
        let key = |flow: &Flow| (flow.point, flow.client, flow.server, flow.first_ns);
        order.sort_by_key(|&i| (key(&self.flows[i]), i));
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, from)| place[*from] = (self.n_before + to) as u32);
        for span in calls.iter_mut().flat_map(|call| &mut call.spans) {
            span.flow = place[span.flow as usize];
        }
        let mut flows: Vec<Option<Flow>> = self.flows.into_iter().map(Some).collect();
        order.into_iter().filter_map(|i| flows[i].take()).collect()
    }
}

fn flow(point: u32, client: SocketAddr, server: SocketAddr, protocol: &str, at_ns: i64) -> Flow {
    Flow {
        point,
        ip_protocol: 0,
        protocol: protocol.to_string(),
        client,
        server,
        first_ns: at_ns,
        last_ns: at_ns,
        handshake_ns: [None; 3],
        counters: [DirectionCounters::default(); 2],
        pace: Default::default(),
        close: Close::Open,
        issues: Vec::new(),
    }
}
