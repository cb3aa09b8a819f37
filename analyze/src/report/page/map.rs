//! Services and who calls whom, with what a call between two of them passes: gateways, bridges, hosts. Never merges two services.

use super::View;
use crate::call::{Call, LinkKind, Part};
use crate::measure;
use crate::point::Point;
use crate::quantity::Distribution;
use crate::report::Options;
use crate::report::hops::{Percentiles, percentiles};
use crate::report::services::{Tally, Whole, tallies};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whose a part of a call's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Wires, queues of kernels, transfers.
    Network,
    /// Inside whoever passes the same bytes on.
    Forwarding,
    /// The server and all that it asks.
    Server,
    /// Before the call began.
    Before,
}

impl Kind {
    /// As the page calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Network => "network",
            Kind::Forwarding => "forwarding",
            Kind::Server => "server",
            Kind::Before => "before",
        }
    }
}

/// Whose it is.
pub(super) fn kind(part: Part) -> Kind {
    use Part::{ClientConnect, ClientDns, ClientPoolWait, ClientTls};
    match part {
        ClientConnect | ClientDns | ClientPoolWait | ClientTls => Kind::Before,
        Part::Gateway | Part::GatewayIn | Part::GatewayProcess | Part::GatewayOut => {
            Kind::Forwarding
        }
        Part::Server | Part::ServerApp | Part::ServerSched | Part::ServerBusy => Kind::Server,
        Part::ServerAcceptQueue | Part::ServerKernelRx => Kind::Server,
        _ => Kind::Network,
    }
}

/// All of it.
#[derive(Serialize)]
pub(super) struct Map {
    services: Vec<Service>,
    edges: Vec<Edge>,
}

#[derive(Serialize)]
struct Service {
    name: String,
    /// `client`: only asks; `proxy`: passes requests on; `store`: only answers, in a store's protocol; `broker`; `service`.
    role: &'static str,
    protocols: Vec<String>,
    n: u64,
    n_failed: u64,
    n_open: u64,
    per_second: Option<f64>,
    duration: Option<Percentiles>,
    /// Own work that traces waited for, of all traces' time.
    own_share: f64,
}

#[derive(Serialize)]
struct Edge {
    from: String,
    to: String,
    protocol: String,
    n: u64,
    n_failed: u64,
    n_open: u64,
    duration: Option<Percentiles>,
    /// Sums over its calls: network, forwarding, the server's own, waiting for what the server asked.
    split_ns: [i64; 4],
    /// What most of its calls pass, in order.
    way: Vec<Passed>,
    /// Of its calls, so many pass exactly that.
    n_way: u64,
}

/// Something between two services.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Passed {
    name: String,
    /// `gateway`: passes bytes on in a process, or under other addresses; `bridge`: from one interface to another.
    kind: &'static str,
}

/// Protocols of stores: who answers in one of them and asks nobody is one.
const STORES: &[&str] = &["mysql", "postgres", "redis"];

#[derive(Default)]
struct Between {
    split_ns: [i64; 4],
    ways: BTreeMap<Vec<Passed>, u64>,
}

/// What one service was seen to do.
#[derive(Default)]
struct Seen {
    protocols: BTreeSet<String>,
    n_served: u64,
    n_asked: u64,
    n_relayed: u64,
    n_delivered: u64,
}

/// Of all calls.
pub(super) fn of(view: &View<'_>) -> Map {
    let analysis = view.analysis;
    let (services, edges) = tallies(analysis, &Options::default());
    let whole = Whole::of(analysis);
    let mut between: BTreeMap<Vec<String>, Between> = BTreeMap::new();
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for call in &analysis.calls {
        let client = view.names.caller(analysis, call);
        let server = view.names.server(&call.server);
        let served = seen.entry(server.clone()).or_default();
        served.n_served += 1;
        served.protocols.insert(call.protocol.clone());
        let asks = seen.entry(client.clone()).or_default();
        let link = call.link.as_ref().map(|link| link.kind);
        asks.n_asked += 1;
        asks.n_relayed += u64::from(link == Some(LinkKind::Relay));
        asks.n_delivered += u64::from(link == Some(LinkKind::Queue));
        let edge = between.entry(vec![client, server, call.protocol.clone()]).or_default();
        split(view, call, &mut edge.split_ns);
        *edge.ways.entry(way(view, call)).or_default() += 1;
    }
    let services = seen.into_iter().map(|(name, seen)| service(name, seen, &services, &whole));
    let edges = edges.iter().filter_map(|(key, tally)| edge(key, tally, between.remove(key)?));
    Map { services: services.collect(), edges: edges.collect() }
}

fn split(view: &View<'_>, call: &Call, sums: &mut [i64; 4]) {
    for hop in &call.hops {
        let own_ns = measure::own_time(call, hop.part, hop.total_ns);
        let is_through = measure::passes_through(view.analysis, call, hop).is_some();
        let at = match kind(hop.part) {
            _ if is_through => 1,
            Kind::Network | Kind::Before => 0,
            Kind::Forwarding => 1,
            Kind::Server => 2,
        };
        sums[at] = sums[at].saturating_add(own_ns);
        sums[3] = sums[3].saturating_add(hop.total_ns.saturating_sub(own_ns));
    }
}

fn service(
    name: String,
    seen: Seen,
    tallies: &BTreeMap<Vec<String>, Tally>,
    whole: &Whole,
) -> Service {
    let own = tallies.iter().filter(|(key, _)| key[0] == name).map(|(_, tally)| tally);
    let (mut n_failed, mut n_open, mut own_ns, mut durations) = (0, 0, 0_i64, Vec::new());
    for tally in own {
        n_failed += tally.n_failed;
        n_open += tally.n_open;
        own_ns = own_ns.saturating_add(tally.own_ns);
        durations.extend_from_slice(&tally.durations);
    }
    let is_store = seen.protocols.iter().any(|protocol| STORES.contains(&&**protocol));
    let role = match seen {
        Seen { n_served: 0, .. } => "client",
        Seen { n_delivered, n_asked, .. } if n_delivered * 2 > n_asked => "broker",
        Seen { n_relayed, n_asked, .. } if n_relayed * 2 > n_asked => "proxy",
        Seen { n_asked: 0, .. } if is_store => "store",
        _ => "service",
    };
    let recorded_ns = whole.recorded_ns;
    Service {
        role,
        protocols: seen.protocols.into_iter().collect(),
        n: seen.n_served,
        n_failed,
        n_open,
        per_second: (recorded_ns > 0).then(|| seen.n_served as f64 * 1e9 / recorded_ns as f64),
        duration: percentiles(&Distribution::of(durations)),
        own_share: own_ns as f64 / whole.traces_ns.max(1) as f64,
        name,
    }
}

fn edge(key: &[String], tally: &Tally, between: Between) -> Option<Edge> {
    let [from, to, protocol] = key else { return None };
    let usual = between.ways.into_iter().max_by_key(|(way, n)| (*n, std::cmp::Reverse(way.len())));
    let (way, n_way) = usual.unwrap_or_default();
    Some(Edge {
        from: from.clone(),
        to: to.clone(),
        protocol: protocol.clone(),
        n: tally.n,
        n_failed: tally.n_failed,
        n_open: tally.n_open,
        duration: percentiles(&Distribution::of(tally.durations.clone())),
        split_ns: between.split_ns,
        way,
        n_way,
    })
}

/// What a call passes between the place that it comes from and the one that it goes to.
fn way(view: &View<'_>, call: &Call) -> Vec<Passed> {
    let point = |at: usize| {
        call.spans.get(at).and_then(|span| view.analysis.points.get(span.point as usize))
    };
    let place = |point: &Point| (point.host.clone(), point.netns.clone());
    let ends = [&call.client, &call.server].map(|end| (end.host.clone(), end.netns.clone()));
    let mut way: Vec<Passed> = Vec::new();
    for at in 0..call.spans.len() {
        let Some(here) = point(at).filter(|here| !ends.contains(&place(here))) else { continue };
        let flow = |at: usize| {
            call.spans.get(at).and_then(|span| view.analysis.flows.get(span.flow as usize))
        };
        let is_entered = at > 0 && point(at - 1).is_some_and(|before| place(before) == place(here));
        let is_other = |a: usize, b: usize| match (flow(a), flow(b)) {
            (Some(a), Some(b)) => (a.client, a.server) != (b.client, b.server),
            _ => false,
        };
        let is_gateway = here.process.is_some() || (is_entered && is_other(at - 1, at));
        let name = here.place().to_string();
        match way.last_mut().filter(|last| last.name == name) {
            Some(last) if is_gateway => last.kind = "gateway",
            Some(_) => {}
            None => way.push(Passed { name, kind: if is_gateway { "gateway" } else { "bridge" } }),
        }
    }
    way
}
