//! Calls from sockets and packets.

use crate::world::{Process, QUEUE, STACK, WIRE, World, at, event, moved};
use afterpath::analysis::Analysis;
use afterpath::call::{Call, Part};
use afterpath::flow::Close;
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND};

const PATH: [&str; 4] = ["cli/curl[10]", "cli/eth0", "srv/eth0", "srv/api[20]"];

pub(crate) const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

pub(crate) fn two(world: &mut World) -> [Process; 2] {
    [world.process(10, "curl", "cli", 1), world.process(20, "api", "srv", 2)]
}

/// One request, read 30 µs after it came, answered 100 µs later.
pub(crate) fn one_request() -> World {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.say(&mut c, 0, GET, 2_000, 30);
    world.say(&mut c, 1, OK, 2_000 + QUEUE + WIRE + STACK + 130, 0);
    world
}

/// The labels of the points of the only call's path, and its parts in microseconds.
pub(crate) fn check(analysis: &Analysis, points: &[&str], parts: &[(Part, i64)]) {
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
        &PATH,
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

#[test]
fn a_request_in_two_reads_and_a_peek_before() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.write(&mut c, 0, GET, 2_000);
    let mut peek = moved(&c, 1, INBOUND, GET, [2_040, 2_041]);
    peek.row.sequence_after = peek.row.sequence_before;
    (peek.row.flags, peek.row.mark) = (Some(2), Some("peek"));
    world.rows.events.push(peek);
    world.read(&mut c, 1, &GET[..10], [2_050, 2_051]);
    world.read(&mut c, 1, &GET[10..], [2_060, 2_062]);
    world.say(&mut c, 1, OK, 2_162, 0);
    let way = QUEUE + WIRE;
    check(
        &world.analyze(),
        &PATH,
        &[
            (Part::RequestTransfer, 0),
            (Part::ClientSendQueue, QUEUE),
            (Part::Wire, 2 * WIRE),
            (Part::ServerSched, 0),
            (Part::ServerBusy, 60 - way),
            (Part::ServerKernelRx, 2),
            (Part::ServerApp, 100),
            (Part::ServerSendQueue, QUEUE),
            (Part::ClientRecvQueue, STACK),
            (Part::ResponseTransfer, 0),
        ],
    );
}

#[test]
fn a_thread_parked_in_epoll_was_scheduled_late() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    let mut wait = event(&c, 1, "epoll_wait", [1_500, 2_070]);
    (wait.row.kind, wait.row.socket_id, wait.row.result) = ("epoll", None, Some(1));
    world.rows.events.push(wait);
    world.write(&mut c, 0, GET, 2_000);
    world.read(&mut c, 1, GET, [2_080, 2_081]);
    world.say(&mut c, 1, OK, 2_162, 0);
    let analysis = world.analyze();
    let of = |part: Part| {
        let hop = analysis.calls[0].hops.iter().find(|hop| hop.part == part).unwrap();
        hop.total_ns / 1000
    };
    assert_eq!(of(Part::ServerSched), 70 - QUEUE - WIRE);
    assert_eq!([of(Part::ServerBusy), of(Part::ServerKernelRx)], [10, 1]);
}

#[test]
fn what_waits_for_accept_is_the_accept_queue() {
    let mut world = one_request();
    // The server accepts only after the request came.
    let accept = world.rows.events.iter_mut().find(|e| e.row.call == "accept").unwrap();
    accept.row.exit_ns = Some(2_030_000);
    for socket in world.rows.sockets.iter_mut().filter(|socket| socket.pid == 20) {
        socket.valid_from_ns = 2_030_000;
    }
    let analysis = world.analyze();
    let hop = analysis.calls[0].hops.iter().find(|hop| hop.part == Part::ServerAcceptQueue);
    assert_eq!(hop.map(|hop| hop.total_ns / 1000), Some(30 - QUEUE - WIRE));
}

#[test]
fn two_threads_on_one_socket_and_an_end_with_data() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.write(&mut c, 0, GET, 2_000);
    // The second reader returns first.
    let mut first = moved(&c, 1, INBOUND, &GET[..10], [2_050, 2_065]);
    first.row.tid = 21;
    c.read[1] = c.read[1].wrapping_add(10);
    let second = moved(&c, 1, INBOUND, &GET[10..], [2_052, 2_060]);
    world.rows.events.extend([first, second]);
    world.write(&mut c, 1, OK, 2_162);
    // Response and end in one read.
    let mut last = moved(&c, 0, INBOUND, OK, [2_200, 2_210]);
    last.row.mark = Some("fin");
    last.row.sequence_after = last.row.sequence_after.map(|n| n.wrapping_add(1));
    world.rows.events.push(last);
    let analysis = world.analyze();
    let call = analysis.calls.iter().find(|c| c.protocol == "http1").unwrap();
    assert_eq!((call.spans.len(), &*call.status), (4, "200"));
    let server = call.spans[3].times;
    assert_eq!([server.request_first, server.request_last], [2_065, 2_065].map(at));
    let flow = &analysis.flows[call.spans[0].flow as usize];
    assert_eq!((flow.close, flow.counters[0].retransmissions), (Close::ServerFin, 0));
}

#[test]
fn interleaved_writers_are_counted_and_still_one_stream() {
    let mut world = one_request();
    let write = world.rows.events.iter_mut().find(|e| e.row.direction == Some(OUTBOUND)).unwrap();
    write.row.mark = Some("interleaved");
    write.row.sequence_after = write.row.sequence_after.map(|n| n.wrapping_add(99));
    let analysis = world.analyze();
    assert_eq!(analysis.calls[0].spans.len(), 4);
    let losses: Vec<_> = analysis.losses.iter().map(|l| (&*l.place, &*l.cause, l.count)).collect();
    assert_eq!(losses, [("cli/curl[10]", "interleaved", 1)]);
}

#[test]
fn bytes_beyond_those_kept_are_a_gap() {
    let mut world = one_request();
    for event in &mut world.rows.events {
        if let Some(bytes) = &mut event.bytes {
            bytes.truncate(30);
        }
    }
    let analysis = world.analyze();
    let call = &analysis.calls[0];
    assert_eq!((analysis.calls.len(), call.spans.len(), &*call.status), (1, 4, "200"));
    assert_eq!(call.response_bytes, OK.len() as u64);
}
