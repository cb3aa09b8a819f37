//! Synthetic results for the tests of reports: a shop behind a gateway, a sidecar and a NAT, with two stores. Never used
//! outside tests.

mod judged;
mod recorded;

use crate::issue::Issue;
use crate::protocol::Outcome;
use crate::{analysis::Analysis, call::*, flow::*, loss::Loss, point::*};
pub(crate) use judged::judged;
pub(crate) use recorded::recorded;
use std::net::{IpAddr, SocketAddr};

const START: i64 = 1_795_342_443_123_456_000;
const US: i64 = 1_000;
const MS: i64 = 1_000_000;

/// One host, one clock: a slow request whose time went at the NAT, a refused connection, an open request.
pub(crate) fn shop() -> Analysis {
    build(false)
}

/// The same from two hosts whose clocks are 40 ms apart: stock and the stores stand on the second.
pub(crate) fn two_clocks() -> Analysis {
    build(true)
}

struct Builder {
    analysis: Analysis,
    two_clocks: bool,
}

/// One end: namespace, address, port.
type End = (&'static str, [u8; 4], u16);

struct Plan<'a> {
    protocol: &'a str,
    request: (&'a str, &'a str),
    status: &'a str,
    client: End,
    server: End,
    at: i64,
    /// Points with forward and return time from the one before.
    path: &'a [(&'static str, i64, i64)],
    server_ns: i64,
    own_ns: i64,
    link: Option<Link>,
}

fn build(two_clocks: bool) -> Analysis {
    let mut b = Builder { analysis: Analysis::default(), two_clocks };
    b.analysis.domains = vec!["box".into()];
    if two_clocks {
        b.analysis.domains.push("store-box".into());
    }
    b.checkout();
    b.refused();
    b.open();
    b.analysis.n_packets = 1_234;
    b.analysis.losses = vec![
        Loss { place: "box".into(), cause: "snap-length".into(), count: 12 },
        Loss { place: "dissect".into(), cause: "unknown-ethertype".into(), count: 3 },
    ];
    judged(b.analysis)
}

impl Builder {
    fn checkout(&mut self) {
        let traceparent = "traceparent 4bf92f3577b34da6a3ce929d0e0e4736";
        self.call(Plan {
            protocol: "http1",
            request: ("GET", "/checkout?id=17"),
            status: "200",
            client: ("client", [10, 0, 0, 2], 40312),
            server: ("gateway", [10, 0, 0, 10], 80),
            at: 0,
            path: &[
                ("client/eth0", 0, 0),
                ("hv/p-client", 12 * US, 9 * US),
                ("gateway/eth0", 8 * US, 7 * US),
            ],
            server_ns: 236_400 * US,
            own_ns: 700 * US,
            link: None,
        });
        self.call(Plan {
            protocol: "http1",
            request: ("GET", "/checkout?id=17"),
            status: "200",
            client: ("gateway", [10, 0, 0, 10], 51000),
            server: ("shop", [10, 0, 1, 5], 15001),
            at: 300 * US,
            path: &[
                ("gateway/eth0", 0, 0),
                ("hv/p-gateway", 9 * US, 8 * US),
                ("hv/p-shop", 3 * US, 4 * US),
                ("shop/eth0", 7 * US, 9 * US),
            ],
            server_ns: 235_600 * US,
            own_ns: 400 * US,
            link: link(0, LinkKind::Relay, 1.0, 1, &[traceparent, "contained, 1 candidate"]),
        });
        self.call(Plan {
            protocol: "http1",
            request: ("GET", "/checkout?id=17"),
            status: "200",
            client: ("shop", [127, 0, 0, 1], 52000),
            server: ("shop", [127, 0, 0, 1], 8080),
            at: 550 * US,
            path: &[("shop/lo", 0, 0)],
            server_ns: 235_150 * US,
            own_ns: 21_400 * US,
            link: link(1, LinkKind::Relay, 1.0, 1, &[traceparent]),
        });
        self.call(Plan {
            protocol: "http1",
            request: ("GET", "/stock/9"),
            status: "200",
            client: ("shop", [10, 0, 1, 5], 53000),
            server: ("stock", [10, 0, 2, 7], 9000),
            at: 8 * MS,
            path: &[
                ("shop/eth0", 0, 0),
                ("hv/p-shop", 6 * US, 5 * US),
                ("hv/p-nat", 4 * US, 3 * US),
                ("nat/in", 7 * US, 6 * US),
                ("nat/out", 200_030 * US, 21 * US),
                ("hv/p-stock", 11 * US, 12 * US),
                ("stock/eth0", 9 * US, 8 * US),
            ],
            server_ns: 9_800 * US,
            own_ns: 3_100 * US,
            link: link(2, LinkKind::Work, 0.98, 2, &[traceparent, "same connection pool"]),
        });
        let nat = self.analysis.calls.len() - 1;
        for span in &mut self.analysis.calls[nat].spans[4..] {
            self.analysis.flows[span.flow as usize].client = ([10, 0, 2, 1], 61000).into();
        }
        self.analysis.calls[nat].spans[3].retransmissions = 1;
        self.analysis.flows[self.analysis.calls[nat].spans[3].flow as usize].counters[0]
            .retransmissions = 1;
        let in_stock = if self.two_clocks { -40 * MS } else { 0 };
        self.call(Plan {
            protocol: "redis",
            request: ("HGETALL", "stock:9"),
            status: "",
            client: ("stock", [10, 0, 2, 7], 54000),
            server: ("redis", [10, 0, 2, 20], 6379),
            at: 209 * MS + in_stock,
            path: &[("stock/eth0", 0, 0), ("redis/eth0", 11 * US, 12 * US)],
            server_ns: 380 * US,
            own_ns: 380 * US,
            link: link(3, LinkKind::Work, 1.0, 1, &["contained, 1 candidate"]),
        });
        self.call(Plan {
            protocol: "postgres",
            request: ("SELECT", "SELECT name, price FROM article WHERE id = $1"),
            status: "",
            client: ("stock", [10, 0, 2, 7], 55000),
            server: ("postgres", [10, 0, 2, 21], 5432),
            at: 211 * MS + in_stock,
            path: &[("stock/eth0", 0, 0), ("postgres/eth0", 10 * US, 11 * US)],
            server_ns: 6_250 * US,
            own_ns: 6_250 * US,
            link: link(3, LinkKind::Work, 1.0, 1, &["contained, 1 candidate"]),
        });
        self.call(Plan {
            protocol: "redis",
            request: ("SET", "cart:17\x1b[31m"),
            status: "OK",
            client: ("shop", [10, 0, 1, 5], 56000),
            server: ("redis", [10, 0, 2, 20], 6379),
            at: 222 * MS,
            path: &[
                ("shop/eth0", 0, 0),
                ("hv/p-shop", 6 * US, 6 * US),
                ("redis/eth0", 9 * US, 9 * US),
            ],
            server_ns: 3_900 * US,
            own_ns: 3_900 * US,
            link: link(2, LinkKind::Work, 1.0 / 3.0, 3, &["contained, 3 candidates"]),
        });
        let set = self.analysis.calls.len() - 1;
        self.analysis.calls[set].spans[1].order_basis = OrderBasis::Undecided;
        self.analysis.calls[set].issues = vec![Issue::OrderUndecided];
        self.analysis.calls[0].ids = vec![(
            "traceparent".into(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        )];
        self.analysis.calls[0].attributes = vec![("user-agent".into(), "curl/8.5".into())];
        self.analysis.calls[0].connect_ns = Some(31 * US);
        let (part, known) = (Part::ClientConnect, Known::Measured);
        let from_ns = START - 40 * US;
        let connect = Before { part, from_ns, ns: 31 * US, known, call: None };
        let (part, known) = (Part::ClientPoolWait, Known::Estimated);
        let from_ns = START + 2 * MS;
        let wait = Before { part, from_ns, ns: MS, known, call: None };
        self.analysis.calls[0].before = vec![connect];
        self.analysis.calls[set].before = vec![wait];
        self.analysis.traces.push(Trace {
            id: self.analysis.calls[0].id,
            root: 0,
            calls: (0..=6).collect(),
        });
    }

    fn refused(&mut self) {
        let index = self.call(Plan {
            protocol: "tcp",
            request: ("connect", ""),
            status: "refused",
            client: ("client", [10, 0, 0, 2], 40400),
            server: ("gateway", [10, 0, 0, 10], 8443),
            at: 400 * MS,
            path: &[("client/eth0", 0, 0), ("gateway/eth0", 20 * US, 19 * US)],
            server_ns: 30 * US,
            own_ns: 30 * US,
            link: None,
        });
        self.analysis.calls[index].outcome = Some(Outcome::ServerError);
        self.root(index);
        let flow = self.analysis.calls[index].spans[0].flow as usize;
        self.analysis.flows[flow].close = Close::ServerReset;
        self.analysis.flows[flow].counters[1].resets = 1;
    }

    fn open(&mut self) {
        let index = self.call(Plan {
            protocol: "http1",
            request: ("GET", "/slow"),
            status: "",
            client: ("client", [10, 0, 0, 2], 40500),
            server: ("gateway", [10, 0, 0, 10], 80),
            at: 450 * MS,
            path: &[("client/eth0", 0, 0), ("gateway/eth0", 20 * US, 19 * US)],
            server_ns: 0,
            own_ns: 0,
            link: None,
        });
        let call = &mut self.analysis.calls[index];
        call.state = CallState::Open;
        call.outcome = None;
        call.issues = vec![Issue::OpenAtEnd];
        call.hops.clear();
        call.self_ns = None;
        for span in &mut call.spans {
            (span.times.response_first, span.times.response_last) = (None, None);
            self.analysis.flows[span.flow as usize].last_ns = START + 900 * MS;
        }
        self.root(index);
    }

    fn root(&mut self, index: usize) {
        let trace = self.analysis.traces.len() as u32;
        self.analysis.calls[index].trace = trace;
        let id = self.analysis.calls[index].id;
        self.analysis.traces.push(Trace { id, root: index as u32, calls: vec![index as u32] });
    }

    fn call(&mut self, plan: Plan<'_>) -> usize {
        let index = self.analysis.calls.len();
        let (spans, hops) = self.path(&plan);
        let call = Call {
            id: 0x3f9c_21aa_04b7_d100 + 0x1111 * index as u64,
            protocol: plan.protocol.into(),
            request_type: plan.request.0.into(),
            resource: plan.request.1.into(),
            route: plan.request.1.split('?').next().unwrap_or_default().into(),
            authority: if plan.protocol == "http1" { "shop.example".into() } else { String::new() },
            version: if plan.protocol == "http1" { "1.1".into() } else { String::new() },
            status: plan.status.into(),
            outcome: Some(Outcome::Ok),
            state: CallState::Complete,
            client: self.endpoint(plan.client),
            server: self.endpoint(plan.server),
            spans,
            request_bytes: 412,
            response_bytes: 2_310,
            connect_ns: None,
            ids: Vec::new(),
            attributes: Vec::new(),
            tracer: None,
            link: plan.link,
            no_parent: None,
            hops,
            self_ns: Some(plan.own_ns),
            before: Vec::new(),
            critical: None,
            trace: 0,
            issues: Vec::new(),
        };
        self.analysis.calls.push(call);
        index
    }

    fn path(&mut self, plan: &Plan<'_>) -> (Vec<SpanAt>, Vec<Hop>) {
        let first = START + plan.at;
        let outward: i64 = plan.path.iter().map(|p| p.1 + p.2).sum();
        let (mut sent, mut back) = (first + 2 * US, first + 2 * US + outward + plan.server_ns);
        let (mut spans, mut hops) =
            (Vec::new(), vec![part(Part::RequestTransfer, 0, 0, (None, None), 2 * US)]);
        for (i, &(label, forward, back_ns)) in plan.path.iter().enumerate() {
            (sent, back) = (sent + forward, back - back_ns);
            let point = self.point(label);
            let domain = self.analysis.points[point as usize].domain;
            let skew = if domain == 1 && !self.late(plan) { -40 * MS } else { 0 };
            let times = Times {
                request_first: Some(sent - 2 * US + skew),
                request_last: Some(sent + skew),
                response_first: Some(back + skew),
                response_last: Some(back + 3 * US + skew),
            };
            let flow = self.flow(point, plan, &times);
            let order_basis = if i == 0 { OrderBasis::Single } else { OrderBasis::Time };
            spans.push(SpanAt::sound(point, flow, times, order_basis));
            if i > 0 {
                let before = self.analysis.points[spans[i - 1].point as usize].domain;
                let one_way =
                    if before == domain { (Some(forward), Some(back_ns)) } else { (None, None) };
                let kind = if label == "nat/out" { Part::Gateway } else { Part::Wire };
                hops.push(part(kind, i - 1, i, one_way, forward + back_ns));
            }
        }
        let last = plan.path.len() - 1;
        hops.push(part(Part::Server, last, last, (None, None), plan.server_ns));
        hops.push(part(Part::ResponseTransfer, 0, 0, (None, None), 3 * US));
        (spans, hops)
    }

    /// Whether a call starts, and its plan's times are, on the second clock.
    fn late(&self, plan: &Plan<'_>) -> bool {
        self.two_clocks && plan.client.0 == "stock"
    }

    fn point(&mut self, label: &str) -> u32 {
        let (netns, interface) = label.split_once('/').unwrap();
        let second = self.two_clocks && ["stock", "redis", "postgres"].contains(&netns);
        let point = Point {
            host: if second { "store-box" } else { "box" }.into(),
            netns: netns.into(),
            interface: interface.into(),
            process: None,
            domain: u32::from(second),
        };
        let known = self.analysis.points.iter().position(|p| *p == point);
        known.unwrap_or_else(|| {
            self.analysis.points.push(point);
            self.analysis.points.len() - 1
        }) as u32
    }

    fn flow(&mut self, point: u32, plan: &Plan<'_>, times: &Times) -> u32 {
        self.analysis.flows.push(Flow {
            point,
            ip_protocol: 6,
            protocol: plan.protocol.into(),
            client: SocketAddr::new(IpAddr::from(plan.client.1), plan.client.2),
            server: SocketAddr::new(IpAddr::from(plan.server.1), plan.server.2),
            first_ns: times.first().unwrap(),
            last_ns: times.last().unwrap(),
            handshake_ns: [None; 3],
            counters: [DirectionCounters { packets: 3, payload_bytes: 412, ..Default::default() };
                2],
            pace: Default::default(),
            close: Close::Open,
            issues: Vec::new(),
        });
        self.analysis.flows.len() as u32 - 1
    }

    fn endpoint(&self, (netns, address, port): End) -> Endpoint {
        let second = self.two_clocks && ["stock", "redis", "postgres"].contains(&netns);
        let host = if second { "store-box" } else { "box" };
        let (host, netns) = (host.into(), netns.into());
        Endpoint { host, netns, address: address.into(), port, process: None }
    }
}

fn part(
    part: Part,
    from: usize,
    to: usize,
    one_way: (Option<i64>, Option<i64>),
    total_ns: i64,
) -> Hop {
    let bound_ns = one_way.0.map(|_| 0);
    let (from, to) = (from as u16, to as u16);
    Hop { part, from, to, forward_ns: one_way.0, return_ns: one_way.1, total_ns, bound_ns }
}

fn link(
    parent: u32,
    kind: LinkKind,
    confidence: f64,
    candidates: u32,
    evidence: &[&str],
) -> Option<Link> {
    let evidence = evidence.iter().map(|e| (*e).to_owned()).collect();
    Some(Link { parent, kind, confidence, candidates, evidence })
}
