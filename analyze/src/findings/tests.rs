//! Each judge with a case in which it fires and one in which it must not: a shop's orders, all sound, and what is done to them.
//! Long: a world of orders, and two cases for every judge.

use super::counters::{Counters, LISTEN_OVERFLOWS, THROTTLED_US};
use super::*;
use crate::align::{ClockPair, Quality};
use crate::analysis::Analysis;
use crate::call::{
    Before, Call, CallIndex, CallState, Hop, Known, Link, LinkKind, OrderBasis, Part, SpanAt,
    Times, Trace,
};
use crate::flow::{Close, DirectionCounters, Flow, Latency};
use crate::issue::Issue;
use crate::loss::{Fate, Loss, LossDoubt, LostPacket};
use crate::point::{Endpoint, Point, Process};
use crate::protocol::{Outcome, Side};
use crate::report::sample::judged;

const MS: i64 = 1_000_000;
/// Orders, one every 50 ms; each asks the store once.
const N: usize = 30;

/// Client → web → store; at interfaces, and the web's process. Orders take 12 ms, of which the store 8.
fn orders() -> Analysis {
    let mut analysis = Analysis { domains: vec!["box".to_string()], ..Analysis::default() };
    let process = |name: &str, pid: u32| {
        Some(Process { name: name.to_string(), pid, since_ns: 0, container: None, pod: None })
    };
    for (netns, interface, process) in [
        ("client", "eth0", None),
        ("web", "eth0", None),
        ("web", "", process("webd", 7)),
        ("store", "eth0", None),
    ] {
        let (netns, interface) = (netns.to_string(), interface.to_string());
        analysis.points.push(Point {
            host: "box".to_string(),
            netns,
            interface,
            process,
            domain: 0,
        });
    }
    for i in 0..N as i64 {
        let at = i * 50 * MS;
        let order = call(&mut analysis, &Plan { protocol: "http1", at, ns: 12 * MS, parent: None });
        let parent = Some(order);
        call(&mut analysis, &Plan { protocol: "postgres", at: at + 2 * MS, ns: 8 * MS, parent });
    }
    analysis
}

struct Plan {
    protocol: &'static str,
    at: i64,
    ns: i64,
    parent: Option<CallIndex>,
}

/// A call of a client to the web, or of the web to its store, as the plan says.
fn call(analysis: &mut Analysis, plan: &Plan) -> CallIndex {
    let index = analysis.calls.len() as CallIndex;
    let (ends, path) = match plan.parent {
        None => ([("client", 1), ("web", 2)], vec![0, 1, 2]),
        Some(_) => ([("web", 2), ("store", 3)], vec![2, 1, 3]),
    };
    let end = |(netns, n): (&str, u8), port: u16| Endpoint {
        host: "box".to_string(),
        netns: netns.to_string(),
        address: [10, 0, 0, n].into(),
        port,
        process: (netns == "web").then(|| analysis.points[2].process.clone()).flatten(),
    };
    let (client, server) = (end(ends[0], 40_000 + index as u16), end(ends[1], 80));
    let mut spans = Vec::new();
    for (i, point) in (0..).zip(path) {
        let [first, last] = [plan.at + i * 1_000, plan.at + plan.ns - i * 1_000];
        let times = Times {
            request_first: Some(first),
            request_last: Some(first),
            response_first: Some(last),
            response_last: Some(last),
        };
        let flow = analysis.flows.len() as u32;
        analysis.flows.push(flow_of(point, (&client, &server), plan.protocol, [first, last]));
        let order_basis = OrderBasis::Address;
        spans.push(SpanAt::sound(point, flow, times, order_basis));
    }
    let hop = |part: Part, from: u16, to: u16, total_ns: i64| Hop {
        part,
        from,
        to,
        forward_ns: part.is_leg().then_some(total_ns / 2),
        return_ns: part.is_leg().then_some(total_ns / 2),
        total_ns,
        bound_ns: Some(0),
    };
    let work_ns = plan.ns - 4_000;
    let hops = vec![
        hop(Part::RequestTransfer, 0, 0, 0),
        hop(Part::Wire, 0, 1, 2_000),
        hop(Part::ServerBusy, 1, 2, 2_000),
        hop(Part::Server, 2, 2, work_ns),
        hop(Part::ResponseTransfer, 0, 0, 0),
    ];
    let trace =
        plan.parent.map_or(analysis.traces.len() as u32, |p| analysis.calls[p as usize].trace);
    let link = plan.parent.map(|parent| Link {
        parent,
        kind: LinkKind::Work,
        confidence: 1.0,
        candidates: 1,
        evidence: Vec::new(),
    });
    analysis.calls.push(Call {
        id: u64::from(index) + 1,
        protocol: plan.protocol.to_string(),
        request_type: "GET".to_string(),
        resource: "/order".to_string(),
        route: "/order".to_string(),
        authority: String::new(),
        version: String::new(),
        status: "200".to_string(),
        outcome: Some(Outcome::Ok),
        state: CallState::Complete,
        client,
        server,
        spans,
        request_bytes: 100,
        response_bytes: 100,
        connect_ns: None,
        ids: Vec::new(),
        attributes: Vec::new(),
        tracer: None,
        link,
        no_parent: None,
        before: Vec::new(),
        hops,
        self_ns: Some(work_ns),
        critical: None,
        trace,
        issues: Vec::new(),
    });
    match plan.parent {
        Some(_) => analysis.traces[trace as usize].calls.push(index),
        None => analysis.traces.push(Trace {
            id: u64::from(index) + 1,
            root: index,
            calls: vec![index],
        }),
    }
    index
}

fn flow_of(point: u32, ends: (&Endpoint, &Endpoint), protocol: &str, times: [i64; 2]) -> Flow {
    let socket = |end: &Endpoint| std::net::SocketAddr::new(end.address, end.port);
    Flow {
        point,
        ip_protocol: 6,
        protocol: protocol.to_string(),
        client: socket(ends.0),
        server: socket(ends.1),
        first_ns: times[0],
        last_ns: times[1],
        handshake_ns: [None; 3],
        counters: [DirectionCounters { packets: 3, ..DirectionCounters::default() }; 2],
        pace: Default::default(),
        close: Close::Open,
        issues: Vec::new(),
    }
}

/// A call took so much longer, in one of its parts: so did whoever waited for it.
fn longer(analysis: &mut Analysis, call: CallIndex, part: Part, ns: i64) {
    let mut at = Some(call);
    let mut part = Some(part);
    while let Some(index) = at {
        let call = &mut analysis.calls[index as usize];
        let wanted = part.take().unwrap_or(Part::Server);
        for hop in call.hops.iter_mut().filter(|hop| hop.part == wanted) {
            hop.total_ns += ns;
            hop.forward_ns = hop.forward_ns.map(|forward| forward + ns);
        }
        for (i, span) in call.spans.iter_mut().enumerate() {
            // What lies before a point is not seen there.
            let is_behind = match wanted {
                Part::Wire => i < 2,
                Part::ResponseTransfer => false,
                _ => true,
            };
            let times = &mut span.times;
            // It was read later.
            if matches!(wanted, Part::ServerBusy | Part::ServerAcceptQueue) && i == 2 {
                times.request_first = times.request_first.map(|at| at + ns);
                times.request_last = times.request_last.map(|at| at + ns);
            }
            times.response_last = times.response_last.map(|at| at + ns);
            if is_behind || wanted == Part::Wire {
                times.response_first = times.response_first.map(|at| at + ns);
            }
            analysis.flows[span.flow as usize].last_ns += ns;
        }
        at = call.link.as_ref().map(|link| link.parent);
    }
}

fn fails(analysis: &mut Analysis, call: CallIndex, status: &str) {
    let mut at = Some(call);
    while let Some(index) = at {
        let call = &mut analysis.calls[index as usize];
        (call.outcome, call.status) = (Some(Outcome::ServerError), status.to_string());
        at = call.link.as_ref().map(|link| link.parent);
    }
}

/// What a judge says of the orders after something was done to them: severity and class of each of its findings.
fn said(judge: &str, change: impl Fn(&mut Analysis, &mut Counters)) -> Vec<(Severity, String)> {
    let (mut analysis, mut counters) = (orders(), Counters::default());
    change(&mut analysis, &mut counters);
    let analysis = judged(analysis);
    let found = findings(&analysis, &counters).into_iter().filter(|finding| finding.judge == judge);
    found.map(|finding| (finding.severity, finding.class)).collect()
}

/// It fires so for the change; and never above [`Severity::Pass`] for sound orders.
fn check(judge: &str, expected: (Severity, &str), change: impl Fn(&mut Analysis, &mut Counters)) {
    assert_eq!(said(judge, change), [(expected.0, expected.1.to_string())], "{judge}");
    let sound = said(judge, |_, _| ());
    assert!(sound.iter().all(|(severity, _)| *severity == Severity::Pass), "{judge}: {sound:?}");
}

/// It says nothing for the change.
fn check_silent(judge: &str, change: impl Fn(&mut Analysis, &mut Counters)) {
    assert_eq!(said(judge, change), [], "{judge}");
}

/// The store's calls, so many.
fn stores(n: usize) -> impl Iterator<Item = CallIndex> {
    (0..n as CallIndex).map(|i| 2 * i + 1)
}

/// The orders, so many.
fn orders_of(n: usize) -> impl Iterator<Item = CallIndex> {
    (0..n as CallIndex).map(|i| 2 * i)
}

#[test]
fn errors_where_they_begin() {
    check("error-origin", (Severity::Fail, "errors"), |a, _| fails(a, 3, "500"));
    check("error-origin", (Severity::Warn, "errors"), |a, _| {
        // Whoever asked got an answer all the same.
        a.calls[3].outcome = Some(Outcome::ServerError);
    });
    check("error-origin", (Severity::Pass, "errors"), |a, _| {
        a.calls[3].outcome = Some(Outcome::ClientError);
    });
    // The recording ended before it was answered: that is nobody's error.
    check_silent("error-origin", |a, _| {
        let store = &mut a.calls[3];
        (store.state, store.outcome) = (CallState::Open, None);
        store.issues.push(Issue::InFlight);
    });
}

#[test]
fn connects() {
    let attempt = |a: &mut Analysis, status: &str| {
        let plan = Plan { protocol: "tcp", at: 3 * MS, ns: MS, parent: Some(0) };
        let index = call(a, &plan);
        fails(a, index, status);
    };
    check("connects", (Severity::Fail, "connect-refused"), |a, _| attempt(a, "refused"));
    // Of nobody's request, and made good at the name's other address.
    check("connects", (Severity::Warn, "connect-refused"), |a, _| {
        let plan = Plan { protocol: "tcp", at: 3 * MS, ns: MS, parent: None };
        let index = call(a, &plan);
        fails(a, index, "refused");
        a.calls[index as usize].server.address = [10, 9, 9, 9].into();
    });
    check("connects", (Severity::Warn, "slow-connect"), |a, _| {
        a.calls[1].connect_ns = Some(200 * MS)
    });
    check_silent("connects", |a, _| a.calls[1].connect_ns = Some(2 * MS));
}

#[test]
fn resets() {
    let reset = |a: &mut Analysis, points: usize| {
        let call = &mut a.calls[0];
        call.state = CallState::Open;
        call.spans.truncate(2);
        for span in &mut call.spans {
            (span.times.response_first, span.times.response_last) = (None, None);
        }
        for span in &call.spans[..points] {
            a.flows[span.flow as usize].close = Close::ServerReset;
        }
    };
    check("resets", (Severity::Fail, "reset"), |a, _| reset(a, 1));
    check("resets", (Severity::Fail, "reset"), |a, _| reset(a, 2));
    check_silent("resets", |a, _| reset(a, 0));
    // An idle connection that ends so slows and breaks nothing.
    check_silent("resets", |a, _| a.flows[0].close = Close::ServerReset);
}

#[test]
fn names() {
    let look_up = |a: &mut Analysis, ns: i64| {
        let index = call(a, &Plan { protocol: "dns", at: 2 * MS, ns: 100_000, parent: Some(0) });
        longer(a, index, Part::Server, ns);
        index
    };
    check("dns", (Severity::Fail, "slow-dns"), |a, _| {
        look_up(a, 300 * MS);
    });
    check("dns", (Severity::Fail, "dns-denied"), |a, _| {
        let index = look_up(a, 0);
        fails(a, index, "NXDOMAIN");
    });
    check_silent("dns", |a, _| {
        let index = look_up(a, 0);
        a.calls[index as usize].outcome = Some(Outcome::ClientError);
        look_up(a, 0);
    });
}

fn lost(flow: u32, fate: Fate) -> LostPacket {
    LostPacket {
        first: flow,
        from: flow,
        to: None,
        sender: Side::Client,
        at_ns: 0,
        at_first_ns: 0,
        repaired_ns: Some(204 * MS),
        sequence: 7,
        length: 100,
        fate,
        doubt: None,
        reason: String::new(),
        slowed: vec![(1, 204 * MS)],
    }
}

#[test]
fn lost_packets() {
    check("lost-packets", (Severity::Fail, "packets-lost"), |a, _| {
        longer(a, 1, Part::Server, 204 * MS);
        a.lost_packets = vec![lost(4, Fate::Dropped)];
    });
    check("lost-packets", (Severity::Fail, "packets-too-large"), |a, _| {
        a.lost_packets = vec![LostPacket { repaired_ns: None, ..lost(4, Fate::Dropped) }; 3];
        fails(a, 1, "");
    });
    for fate in [Fate::Bypassed, Fate::Spurious, Fate::Unknown] {
        check_silent("lost-packets", |a, _| a.lost_packets = vec![lost(4, fate)]);
    }
}

#[test]
fn retransmission_stalls() {
    let stalled = |a: &mut Analysis, doubt: LossDoubt, ns: i64| {
        for call in stores(4) {
            longer(a, call, Part::Server, ns);
            let flow = a.calls[call as usize].spans[0].flow;
            a.lost_packets.push(LostPacket {
                doubt: Some(doubt),
                repaired_ns: Some(ns),
                slowed: vec![(call, ns)],
                ..lost(flow, Fate::Unknown)
            });
        }
    };
    check("retransmission-stall", (Severity::Fail, "sent-again"), |a, _| {
        // By the first point of each: the web's process.
        stalled(a, LossDoubt::BehindLastPoint, 204 * MS)
    });
    check_silent("retransmission-stall", |a, _| stalled(a, LossDoubt::BehindLastPoint, 2 * MS));
    check_silent("retransmission-stall", |a, _| stalled(a, LossDoubt::Acknowledged, 204 * MS));
}

#[test]
fn tls_handshakes() {
    let shake = |a: &mut Analysis, order: CallIndex, ns: i64| {
        let at = a.calls[order as usize].times().first().expect("it has times") + MS;
        let index = call(a, &Plan { protocol: "tls", at, ns: MS, parent: Some(order) });
        longer(a, index, Part::Server, ns);
        index
    };
    check("tls", (Severity::Fail, "slow-tls"), |a, _| {
        orders_of(4).for_each(|order| {
            shake(a, order, 300 * MS);
        });
    });
    check("tls", (Severity::Warn, "slow-tls"), |a, _| {
        shake(a, 0, 300 * MS);
    });
    check("tls", (Severity::Fail, "tls-failed"), |a, _| {
        let index = shake(a, 0, 0);
        fails(a, index, "certificate_expired");
    });
    check_silent("tls", |a, _| {
        shake(a, 0, 5 * MS);
        // A long way takes its time.
        let far = shake(a, 2, 300 * MS);
        a.calls[far as usize].connect_ns = Some(100 * MS);
    });
}

#[test]
fn queues_in_relays() {
    let kept = |a: &mut Analysis, kind: LinkKind, ns: i64| {
        for call in stores(12).skip(2) {
            let link = a.calls[call as usize].link.as_mut().expect("it has a parent");
            link.kind = kind;
            for span in &mut a.calls[call as usize].spans {
                let times = &mut span.times;
                for at in [&mut times.request_first, &mut times.request_last] {
                    *at = at.map(|at| at + ns);
                }
                for at in [&mut times.response_first, &mut times.response_last] {
                    *at = at.map(|at| at + ns);
                }
            }
            longer(a, call - 1, Part::Server, ns);
        }
        for call in stores(2) {
            a.calls[call as usize].link.as_mut().expect("it has a parent").kind = kind;
        }
    };
    check("proxy-queue", (Severity::Fail, "queued-in-proxy"), |a, _| {
        kept(a, LinkKind::Relay, 180 * MS)
    });
    // A service may take its time before it asks others.
    check_silent("proxy-queue", |a, _| kept(a, LinkKind::Work, 180 * MS));
    // One after another is no queue.
    check_silent("proxy-queue", |a, _| kept(a, LinkKind::Relay, 30 * MS));
}

#[test]
fn slow_stretches() {
    check("slow-stretch", (Severity::Fail, "slow-hop"), |a, _| {
        orders_of(N).for_each(|call| longer(a, call, Part::Wire, 5 * MS));
    });
    // As long back, and always: distance.
    check_silent("slow-stretch", |a, _| {
        for call in orders_of(N) {
            longer(a, call, Part::Wire, 10 * MS);
            let hop = a.calls[call as usize].hops.iter_mut().find(|hop| hop.part == Part::Wire);
            let hop = hop.expect("there is one");
            (hop.forward_ns, hop.return_ns) = (Some(5 * MS), Some(5 * MS));
        }
    });
}

#[test]
fn processes_that_do_not_run() {
    // Whatever came in 200 ms is read at their end.
    let stopped = |a: &mut Analysis| {
        for first in [2, 12] {
            for (i, order) in (0..).zip((2 * first..).step_by(2).take(3)) {
                longer(a, order, Part::ServerBusy, (200 - 50 * i) * MS);
            }
        }
    };
    check("not-running", (Severity::Fail, "stood-still"), |a, _| stopped(a));
    check("not-running", (Severity::Fail, "throttled"), |a, counters| {
        stopped(a);
        counters.add("box", THROTTLED_US, "/web", 900_000);
        counters.add_cgroup("box", 7, "/web");
    });
    check("not-running", (Severity::Fail, "overloaded"), |a, _| {
        (0..N as CallIndex).for_each(|i| longer(a, 2 * i, Part::ServerBusy, 60 * MS));
    });
    // Too short to say that it did nothing else.
    check("not-running", (Severity::Warn, "busy"), |a, _| {
        for call in [0, 8, 20, 30, 40] {
            longer(a, call, Part::ServerBusy, 30 * MS);
        }
    });
    check_silent("not-running", |a, _| longer(a, 0, Part::ServerBusy, 5 * MS));
    // The clock was set about then: that it lay there at all is not sure.
    check_silent("not-running", |a, _| {
        stopped(a);
        a.calls.iter_mut().flat_map(|c| &mut c.hops).for_each(|h| h.bound_ns = Some(300 * MS));
    });
    // It lay there since its packet was lost on the way to the socket.
    check_silent("not-running", |a, _| {
        longer(a, 0, Part::ServerBusy, 200 * MS);
        let flow = a.calls[0].spans[1].flow;
        a.lost_packets =
            vec![LostPacket { slowed: vec![(0, 200 * MS)], ..lost(flow, Fate::Dropped) }];
    });
}

#[test]
fn answered_together() {
    let held = |a: &mut Analysis, until: i64, calls: std::ops::Range<usize>| {
        for call in stores(N).skip(calls.start).take(calls.len()) {
            let end = a.calls[call as usize].times().response_last.expect("it is complete");
            longer(a, call, Part::Server, until - end);
        }
    };
    check("answered-together", (Severity::Fail, "stood-still"), |a, _| {
        held(a, 300 * MS, 0..6);
        held(a, 800 * MS, 10..16);
    });
    check_silent("answered-together", |a, _| {
        stores(N).for_each(|call| longer(a, call, Part::Server, 90 * MS))
    });
}

#[test]
fn accept_queues() {
    let accept = |a: &mut Analysis, ns: i64| {
        for order in [0, 2, 4, 6] {
            a.calls[order].hops[2].part = Part::ServerAcceptQueue;
            longer(a, order as CallIndex, Part::ServerAcceptQueue, ns);
        }
    };
    check("accept-queue", (Severity::Fail, "accept-queue-full"), |a, counters| {
        accept(a, 300 * MS);
        counters.add("box", LISTEN_OVERFLOWS, "web", 12);
    });
    check("accept-queue", (Severity::Fail, "late-accept"), |a, _| accept(a, 300 * MS));
    // Where the kernel was asked and counted none, it did accept, late.
    check("accept-queue", (Severity::Warn, "late-accept"), |a, counters| {
        accept(a, 300 * MS);
        counters.add("box", THROTTLED_US, "/other", 0);
    });
    check_silent("accept-queue", |a, _| accept(a, MS));
}

#[test]
fn pools() {
    let wait = |a: &mut Analysis, ns: i64| {
        for call in stores(N) {
            let from_ns = a.calls[call as usize].times().first().unwrap_or(0) - ns;
            let (part, known) = (Part::ClientPoolWait, Known::Estimated);
            a.calls[call as usize].before = vec![Before { part, from_ns, ns, known, call: None }];
            let parent = call - 1;
            longer(a, parent, Part::Server, ns);
        }
    };
    check("pool-wait", (Severity::Fail, "pool-wait"), |a, _| wait(a, 50 * MS));
    check("pool-wait", (Severity::Warn, "pool-wait"), |a, _| wait(a, 2 * MS));
    check_silent("pool-wait", |a, _| wait(a, 1_000));
    // Whoever answers was slow now and then, and so held the connections that the others waited for.
    let held = |a: &mut Analysis, nth: usize| {
        for store in stores(N).step_by(nth) {
            longer(a, store, Part::Server, 600 * MS);
        }
        wait(a, 20 * MS);
    };
    check("pool-wait", (Severity::Pass, "pool-wait"), |a, _| held(a, 10));
    // It always is: then there are too few connections.
    check("pool-wait", (Severity::Warn, "pool-wait"), |a, _| held(a, 3));
}

#[test]
fn small_writes() {
    let held = |a: &mut Analysis, times: u64| {
        for order in (0..20).step_by(2) {
            longer(a, order, Part::ResponseTransfer, 40 * MS);
            let flow = a.calls[order as usize].spans[1].flow as usize;
            a.flows[flow].pace[1].held_back =
                Latency { count: times, sum_ns: 40 * MS, max_ns: 40 * MS };
        }
    };
    check("held-back", (Severity::Fail, "delayed-acknowledgment"), |a, _| held(a, 1));
    // Slow for other reasons: its writer was not held back.
    check_silent("held-back", |a, _| held(a, 0));
}

#[test]
fn full_receivers() {
    let stopped = |a: &mut Analysis, n: u64| {
        for order in (0..10).step_by(2) {
            longer(a, order, Part::ResponseTransfer, 40 * MS);
            let flow = a.calls[order as usize].spans[1].flow as usize;
            a.flows[flow].counters[0].zero_windows = n;
        }
    };
    check("zero-window", (Severity::Fail, "receiver-full"), |a, _| stopped(a, 2));
    check_silent("zero-window", |a, _| stopped(a, 0));
}

#[test]
fn own_work_is_told() {
    let told = said("self-time", |_, _| ());
    assert!(
        told.iter().all(|(severity, class)| (*severity, &**class) == (Severity::Pass, "own-work"))
    );
    assert_eq!(told.len(), 2, "the store, and the web");
    assert_eq!(
        said("self-time", |a, _| stores(N).for_each(|call| longer(a, call, Part::Server, 90 * MS)))
            .len(),
        1
    );
}

#[test]
fn unusual_work_is_warned_of() {
    let slow_work = (Severity::Warn, "slow-work".to_string());
    let slowed = |n: usize| {
        said("self-time", |a, _| {
            stores(n).for_each(|store| {
                longer(a, store, Part::Server, 200 * MS);
                longer(a, store - 1, Part::Server, 200 * MS);
            });
        })
    };
    assert!(slowed(6).contains(&slow_work));
    assert!(!slowed(4).contains(&slow_work), "too few");
    assert!(!slowed(N).contains(&slow_work), "that is what it always takes");
}

#[test]
fn retries_and_many_calls() {
    let again = |a: &mut Analysis, parents: u32, n: i64, failed: bool| {
        for parent in (0..2 * parents).step_by(2) {
            let at = a.calls[parent as usize].spans[0].times.first().expect("it has times");
            for i in 1..=n {
                let plan = Plan {
                    protocol: "http1",
                    at: at + 10 * MS + i * 10_000,
                    ns: 9_000,
                    parent: Some(parent),
                };
                let index = call(a, &plan) as usize;
                if failed {
                    a.calls[index].outcome = Some(Outcome::ServerError);
                }
            }
        }
    };
    check("retries", (Severity::Warn, "retry-storm"), |a, _| again(a, 4, 4, true));
    check_silent("retries", |a, _| again(a, 4, 4, false));
    check("many-calls", (Severity::Warn, "many-calls"), |a, _| again(a, 4, 12, false));
    check_silent("many-calls", |a, _| again(a, 4, 4, false));
}

#[test]
fn bypassed_points() {
    // The request, or the response, of so many orders went by a point unseen.
    let unseen = |a: &mut Analysis, at: usize, way: usize, n: usize| {
        for order in orders_of(n) {
            let times = &mut a.calls[order as usize].spans[at].times;
            match way {
                0 => (times.request_first, times.request_last) = (None, None),
                _ => (times.response_first, times.response_last) = (None, None),
            }
        }
    };
    check("bypassed", (Severity::Warn, "bypassed-point"), |a, _| unseen(a, 1, 0, N));
    check("bypassed", (Severity::Warn, "bypassed-point"), |a, _| unseen(a, 1, 1, N));
    // A few that it missed are no rule, nor is less than half.
    check_silent("bypassed", |a, _| unseen(a, 1, 0, N / 2 - 1));
    check_silent("bypassed", |a, _| {
        a.calls.truncate(8);
        a.traces.truncate(4);
        unseen(a, 1, 0, 4);
    });
    // Nothing passed on both sides of the first point: its capture is of one direction, which the recording's own judge tells.
    check_silent("bypassed", |a, _| unseen(a, 0, 0, N));
    // Where it is not known which point comes first, none lies between.
    check_silent("bypassed", |a, _| {
        unseen(a, 1, 0, N);
        for call in &mut a.calls {
            call.spans[1].order_basis = OrderBasis::Undecided;
        }
    });
}

#[test]
fn clocks() {
    let pair = |ahead_ns: i64, bound_ns: i64, steps: u32| ClockPair {
        domains: [0, 0],
        ahead_ns: Some(ahead_ns),
        bound_ns: Some(bound_ns),
        worst_bound_ns: Some(bound_ns),
        drift_ppb: None,
        matches: [9, 9],
        left_out: 0,
        steps,
        quality: Quality::Accurate,
    };
    check("clocks", (Severity::Warn, "wrong-clock"), |a, _| {
        a.clocks.pairs = vec![pair(-40 * MS, MS, 0)]
    });
    check("clocks", (Severity::Warn, "clock-step"), |a, _| a.clocks.pairs = vec![pair(0, MS, 1)]);
    check_silent("clocks", |a, _| a.clocks.pairs = vec![pair(40 * MS, 60 * MS, 0)]);
}

#[test]
fn losses_of_the_recording() {
    let loss =
        |cause: &str| vec![Loss { place: "box".to_string(), cause: cause.to_string(), count: 3 }];
    check("recording", (Severity::Warn, "events-lost"), |a, _| a.losses = loss("ring-full"));
    check_silent("recording", |a, _| a.losses = loss("not-ip"));
}

#[test]
fn no_judge_is_without_a_case() {
    let this = include_str!("tests.rs");
    for judge in JUDGES {
        // What it says of own work, it says of all orders: its cases ask for more than one class at once.
        let cases = match judge.name {
            name @ "self-time" => [format!("said(\"{name}\""), format!("said(\"{name}\"")],
            name => [format!("check(\"{name}\""), format!("check_silent(\"{name}\"")],
        };
        for case in cases {
            assert!(this.contains(&case), "{}: no {case}…", judge.name);
        }
        assert!(!judge.about.is_empty());
    }
}

#[test]
fn what_a_finding_cost_is_what_lies_on_the_path() {
    let mut analysis = orders();
    longer(&mut analysis, 1, Part::Server, 200 * MS);
    let analysis = judged(analysis);
    let counters = Counters::default();
    let case = Case::new(&analysis, &counters);
    let concerned = vec![Concerned { call: 1, cost_ns: 500 * MS, failed: false }];
    let culprit = case.server(1);
    let mut finding = case.finding(Severity::Warn, "x", culprit, String::new(), concerned);
    case.weigh(&mut finding);
    assert_eq!(finding.cost_ns, 208 * MS, "no more than the call took");
    let what_if = finding.what_if.expect("it cost something");
    assert_eq!((what_if.p99_ns, what_if.without_ns), (212 * MS, 12 * MS));
}
