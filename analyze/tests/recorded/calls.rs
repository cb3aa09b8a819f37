//! Calls from sockets and packets.

use crate::world::{Process, QUEUE, STACK, WIRE, World};
use afterpath::call::{Analysis, Call, Part};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

fn two(world: &mut World) -> [Process; 2] {
    [world.process(10, "curl", "cli", 1), world.process(20, "api", "srv", 2)]
}

/// One request, read 30 µs after it came, answered 100 µs later.
fn one_request() -> World {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.say(&mut c, 0, GET, 2_000, 30);
    world.say(&mut c, 1, OK, 2_000 + QUEUE + WIRE + STACK + 130, 0);
    world
}

/// The labels of the points of the only call's path, and its parts in microseconds.
fn check(analysis: &Analysis, points: &[&str], parts: &[(Part, i64)]) {
    let calls: Vec<&Call> = analysis.calls.iter().filter(|c| c.protocol == "http1").collect();
    assert_eq!(calls.len(), 1, "{:#?}", analysis.calls);
    let call = calls[0];
    let found: Vec<String> =
        call.spans.iter().map(|s| analysis.points[s.point as usize].label()).collect();
    assert_eq!(found, points);
    let found: Vec<_> = call.hops.iter().map(|hop| (hop.part, hop.total_ns / 1000)).collect();
    assert_eq!(found, parts);
    let sum: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
    assert_eq!(Some(sum), call.times().duration_ns());
}

#[test]
fn sockets_and_packets_of_one_request() {
    let analysis = one_request().analyze();
    check(
        &analysis,
        &["cli/curl[10]", "cli/eth0", "srv/eth0", "srv/api[20]"],
        &[
            (Part::RequestTransfer, 0),
            (Part::ClientSendQueue, QUEUE),
            (Part::Wire, 2 * WIRE),
            (Part::ServerSched, 0),
            (Part::ServerBusy, STACK + 29),
            (Part::ServerKernelRx, 1),
            (Part::ServerApp, 100),
            (Part::ServerSendQueue, QUEUE),
            (Part::ClientRecvQueue, STACK),
            (Part::ResponseTransfer, 0),
        ],
    );
    assert!(analysis.losses.is_empty(), "{:?}", analysis.losses);
}

#[test]
fn sockets_only() {
    let mut world = one_request();
    world.rows.frames.clear();
    let way = QUEUE + WIRE + STACK;
    check(
        &world.analyze(),
        &["cli/curl[10]", "srv/api[20]"],
        &[
            (Part::RequestTransfer, 0),
            (Part::Wire, 2 * way + 30),
            (Part::ServerApp, 100),
            (Part::ResponseTransfer, 0),
        ],
    );
}

#[test]
fn packets_only() {
    let mut world = one_request();
    world.rows.events.clear();
    check(
        &world.analyze(),
        &["cli/eth0", "srv/eth0"],
        &[
            (Part::RequestTransfer, 0),
            (Part::Wire, 2 * WIRE),
            (Part::Server, STACK + 130 + QUEUE),
            (Part::ResponseTransfer, 0),
        ],
    );
}
