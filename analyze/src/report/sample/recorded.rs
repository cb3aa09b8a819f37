//! The shop as a recorder would have seen it: with processes, and a call that begins and ends at their sockets. Never used
//! outside tests.

use super::{US, build, judged, part};
use crate::analysis::Analysis;
use crate::call::*;
use crate::point::*;

/// The shop with a recorder on its host: processes are known, and the first call begins and ends at their sockets.
pub(crate) fn recorded() -> Analysis {
    let mut analysis = build(false);
    analysis.n_socket_events = 24;
    for call in &mut analysis.calls {
        for end in [&mut call.client, &mut call.server] {
            end.process = match &*end.netns {
                "gateway" => Some(process("python3", 20, None)),
                "shop" => Some(process("python3", 30, None)),
                "stock" => Some(process("python3", 40, Some("shop/stock-7f"))),
                "client" => Some(process("curl", 10, None)),
                _ => None,
            };
        }
    }
    at_processes(&mut analysis);
    if let Some(open) = analysis.calls.iter_mut().find(|call| call.state == CallState::Open) {
        open.no_parent = Some(Box::new(NoParent {
            confidence: 0.93,
            candidates: 2,
            evidence: vec!["14 such calls while nothing was being served".into()],
        }));
    }
    judged(analysis)
}

fn process(name: &str, pid: u32, pod: Option<&str>) -> Process {
    let container = pod.map(|_| "4f5e6d7c8b9a".to_owned());
    Process { name: name.into(), pid, since_ns: 0, container, pod: pod.map(str::to_owned) }
}

/// Puts a socket before and behind the path of the first call.
fn at_processes(analysis: &mut Analysis) {
    let ends = [analysis.calls[0].client.clone(), analysis.calls[0].server.clone()];
    let [first, last] = ends.map(|end| {
        let (host, netns, process) = (end.host, end.netns, end.process);
        analysis.points.push(Point { host, netns, interface: String::new(), process, domain: 0 });
        analysis.points.len() as u32 - 1
    });
    let call = &mut analysis.calls[0];
    let span = |of: &SpanAt, point: u32, sent: i64, back: i64| {
        let t = of.times;
        let by = |at: Option<i64>, ns: i64| at.map(|at| at + ns);
        let times = Times {
            request_first: by(t.request_first, sent),
            request_last: by(t.request_last, sent),
            response_first: by(t.response_first, back),
            response_last: by(t.response_last, back),
        };
        SpanAt { point, times, order_basis: OrderBasis::Process, ..of.clone() }
    };
    let client = span(&call.spans[0], first, -4 * US, 9 * US);
    let server = span(&call.spans[call.spans.len() - 1], last, 31 * US, -6 * US);
    call.spans.insert(0, client);
    call.spans.push(server);
    let at = call.spans.len() - 1;
    for hop in call.hops.iter_mut().filter(|hop| hop.part.is_leg()) {
        (hop.from, hop.to) = (hop.from + 1, hop.to + 1);
    }
    let one_way = |kind, from, to, forward: bool, ns| {
        let ways = if forward { (Some(ns), None) } else { (None, Some(ns)) };
        Hop { bound_ns: Some(40), ..part(kind, from, to, ways, ns) }
    };
    let server = call.hops.iter().position(|hop| hop.part == Part::Server).expect("it has one");
    let app_ns = call.hops[server].total_ns - 37 * US;
    call.self_ns = call.self_ns.map(|own| own - 37 * US);
    call.hops.splice(
        server..=server,
        [
            one_way(Part::ServerSched, at - 1, at, true, 28 * US),
            one_way(Part::ServerBusy, at - 1, at, true, 0),
            one_way(Part::ServerKernelRx, at - 1, at, true, 3 * US),
            part(Part::ServerApp, at, at, (None, None), app_ns),
            one_way(Part::ServerSendQueue, at - 1, at, false, 6 * US),
        ],
    );
    call.hops.insert(1, one_way(Part::ClientSendQueue, 0, 1, true, 4 * US));
    call.hops.insert(call.hops.len() - 1, one_way(Part::ClientRecvQueue, 0, 1, false, 9 * US));
}
