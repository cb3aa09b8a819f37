//! Imported spans of tracers → calls. A client span and the server span that names it as its parent (or shares its id, as Zipkin's do) are one
//! call with two points; alone, each is a call seen at its own end. Internal spans make no calls, but lead from a call to the request that
//! caused it. Each instance of a service is an observation point with a clock of its own, since nobody knows that clocks agree. Calls of
//! spans and of packets stand side by side: nothing joins the two.

mod describe;
mod flows;
mod points;
mod tree;

use crate::call::{Call, CallState, OrderBasis, SpanAt, Times, Tracer};
use crate::fingerprint::fingerprint;
use crate::flow::Flow;
use crate::loss::Loss;
use crate::point::{Endpoint, Point};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::spans::{self, SpanKind, SpanRow};
use describe::Facts;
use flows::Flows;
use points::Points;
use std::collections::BTreeMap;
use tree::{Cause, Tree};

/// What losses of this stage say as their place.
const PLACE: &str = "tracers' spans";

/// What imported spans tell.
#[derive(Debug, Default)]
pub struct Told {
    /// Instances of services.
    pub points: Vec<Point>,
    /// Names of their clocks.
    pub domains: Vec<String>,
    /// Made-up connections, in the order of [`crate::analysis::Analysis::flows`].
    pub flows: Vec<Flow>,
    /// Calls, in no order.
    pub calls: Vec<Call>,
    /// Per call, the index of the one that its tracer says caused it.
    pub parents: Vec<Option<usize>>,
    /// How many spans there were.
    pub n_spans: u64,
    /// What could not be used.
    pub losses: Vec<Loss>,
}

/// Calls of all spans in `bundles`; points, clocks and flows are numbered from those that are there already.
pub fn told(bundles: &Bundles, n_points: usize, n_domains: usize, n_flows: usize) -> Told {
    let (mut rows, mut losses) = (Vec::new(), BTreeMap::new());
    for host in 0..bundles.hosts.len() as u32 {
        for batch in bundles.batches(host, &spans::TABLE) {
            match batch {
                Ok(batch) => rows.extend(spans::rows(&batch)),
                Err(error) => *losses.entry(damage(&error)).or_default() += 1,
            }
        }
    }
    let n_spans = rows.len() as u64;
    if rows.is_empty() && losses.is_empty() {
        return Told::default();
    }
    let tree = Tree::of(rows, &mut losses);
    let points = Points::of(&tree.rows, n_points, n_domains);
    let mut making = Making { tree: &tree, points: &points, flows: Flows::new(n_flows) };
    let mut order = tree.calls();
    order.sort_by_key(|(client, server)| {
        let first = client.or(*server).map(|row| tree.rows[row].start_ns);
        (first, *client, *server)
    });
    let calls: Vec<Call> =
        order.iter().map(|(client, server)| making.call(*client, *server)).collect();
    let parents = parents(&tree, &order, &mut losses);
    let mut calls = calls;
    let flows = making.flows.finish(&mut calls);
    let Points { points, domains, .. } = points;
    let loss = |(cause, count)| Loss { place: PLACE.to_string(), cause, count };
    let losses = losses.into_iter().map(loss).collect();
    Told { points, domains, flows, calls, parents, n_spans, losses }
}

/// Per call the one that caused it, by its spans' references.
fn parents(
    tree: &Tree,
    calls: &[(Option<usize>, Option<usize>)],
    losses: &mut BTreeMap<String, u64>,
) -> Vec<Option<usize>> {
    let mut call_of: Vec<Option<usize>> = vec![None; tree.rows.len()];
    for (i, (client, server)) in calls.iter().enumerate() {
        [client, server].into_iter().flatten().for_each(|row| call_of[*row] = Some(i));
    }
    let mut parent = |(client, server): &(Option<usize>, Option<usize>)| {
        let cause = tree.cause((*client).or(*server)?);
        match cause {
            Cause::Row(row) => call_of[row],
            Cause::None => None,
            Cause::Missing => {
                *losses.entry("parent-missing".to_string()).or_default() += 1;
                None
            }
            Cause::Internal => {
                *losses.entry("internal-root".to_string()).or_default() += 1;
                None
            }
        }
    };
    calls.iter().map(&mut parent).collect()
}

fn damage(error: &afterpath_formats::Error) -> String {
    format!("{}{}", crate::loss::DAMAGED, error.kind.name())
}

/// Makes calls of spans.
struct Making<'a> {
    tree: &'a Tree,
    points: &'a Points,
    flows: Flows,
}

impl Making<'_> {
    fn call(&mut self, client: Option<usize>, server: Option<usize>) -> Call {
        let rows = [client, server].map(|row| row.map(|row| &self.tree.rows[row]));
        let facts = Facts::of(rows[0], rows[1]);
        let first = rows[0].or(rows[1]).expect("a call has at least one span");
        let is_message = first.kind == SpanKind::Producer;
        let client_end = match client {
            Some(row) => self.points.end(self.points.of_row[row]),
            None => self.caller(server, &facts),
        };
        let server_end = match server {
            Some(row) => self.points.end(self.points.of_row[row]),
            None => self.points.peer(&facts.peer),
        };
        let spans = self.spans([client, server], &client_end, &server_end, &facts, is_message);
        Call {
            id: id(first),
            protocol: facts.protocol,
            request_type: facts.request_type,
            resource: facts.resource,
            route: String::new(),
            authority: facts.authority,
            version: facts.version,
            status: facts.status,
            outcome: facts.outcome,
            state: if is_message { CallState::OneWay } else { CallState::Complete },
            client: client_end,
            server: server_end,
            spans,
            request_bytes: 0,
            response_bytes: 0,
            connect_ns: None,
            ids: vec![("trace_id".to_string(), tracer(first, rows).trace())],
            attributes: facts.attributes,
            tracer: Some(Box::new(tracer(first, rows))),
            link: None,
            no_parent: None,
            hops: Vec::new(),
            self_ns: None,
            before: Vec::new(),
            critical: None,
            trace: 0,
            issues: Vec::new(),
        }
    }

    /// Who asked a server whose client left no span: whoever its parent belongs to, or what its attributes say.
    fn caller(&self, server: Option<usize>, facts: &Facts) -> Endpoint {
        let parent = server.and_then(|row| self.tree.parent(row));
        match parent {
            Some(row) if self.tree.rows[row].kind != SpanKind::Producer => {
                self.points.end(self.points.of_row[row])
            }
            _ => self.points.caller(&facts.caller, facts.is_message.then_some(&facts.peer)),
        }
    }

    fn spans(
        &mut self,
        rows: [Option<usize>; 2],
        client: &Endpoint,
        server: &Endpoint,
        facts: &Facts,
        is_message: bool,
    ) -> Vec<SpanAt> {
        let ends = [(client.address, client.port), (server.address, server.port)];
        let n = rows.iter().flatten().count();
        let mut before = None;
        let mut spans = Vec::with_capacity(n);
        for row in rows.into_iter().flatten() {
            let (start, end) = (self.tree.rows[row].start_ns, self.tree.rows[row].end_ns);
            let point = self.points.of_row[row];
            let flow = match before {
                None => self.flows.own(point, ends, &facts.protocol, start, end),
                Some(flow) => self.flows.beside(flow, point, start, end),
            };
            before = Some(flow);
            let answered = (!is_message).then_some(end);
            let times = Times {
                request_first: Some(start),
                request_last: Some(start),
                response_first: answered,
                response_last: answered,
            };
            let order_basis = if n == 1 { OrderBasis::Single } else { OrderBasis::Process };
            spans.push(SpanAt::sound(point, flow, times, order_basis));
        }
        spans
    }
}

fn tracer(first: &SpanRow, rows: [Option<&SpanRow>; 2]) -> Tracer {
    let [client_span_id, server_span_id] = rows.map(|row| row.map(|row| row.span_id));
    Tracer { trace_id: first.trace_id, client_span_id, server_span_id }
}

/// The same in every bundle that holds the span.
fn id(row: &SpanRow) -> u64 {
    let mut bytes = row.trace_id.to_vec();
    bytes.extend(row.span_id.to_be_bytes());
    bytes.push(row.kind as u8);
    bytes.extend(row.service.as_bytes());
    fingerprint(&bytes)
}

#[cfg(test)]
mod tests;
