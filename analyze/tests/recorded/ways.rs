//! Other ways than one TCP connection between two namespaces: loopback, unix sockets, datagrams, a proxy in between; and what
//! one side misses or what a clock does meanwhile.

use crate::calls::{GET, OK, check, one_request, two};
use crate::world::{OFFSET_NS, QUEUE, STACK, WIRE, World, at, moved};
use afterpath::call::Part;
use afterpath_formats::table::clock::ClockRow;
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND};
use afterpath_formats::table::sockets::Role;

#[test]
fn a_process_that_talks_over_a_unix_socket() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.say(&mut c, 0, GET, 2_000, 30);
    world.say(&mut c, 1, OK, 2_200, 0);
    world.rows.frames.clear();
    for event in &mut world.rows.events {
        event.row.kind = "unix";
        (event.row.sequence_before, event.row.sequence_after) = (None, None);
        event.row.mark = event.row.direction.map(|_| "no-sequence");
    }
    let ids = c.sockets;
    for socket in &mut world.rows.sockets {
        (socket.local, socket.remote, socket.protocol) = (None, None, 0);
        socket.path = Some("/run/x".into());
        socket.peer_socket_id = (socket.socket_id == ids[0]).then_some(ids[1]);
    }
    let analysis = world.analyze();
    check(
        &analysis,
        // Nothing names their namespaces.
        &["net:[4026532001]/curl[10]", "net:[4026532002]/api[20]"],
        &[
            (Part::RequestTransfer, 0),
            (Part::Wire, 2 * (QUEUE + WIRE + STACK) + 30),
            (Part::ServerApp, 200 - QUEUE - WIRE - STACK - 30),
            (Part::ResponseTransfer, 0),
        ],
    );
    assert!(analysis.losses.is_empty(), "{:?}", analysis.losses);
    assert!(analysis.flows.iter().all(|flow| flow.ip_protocol == 0));
}

#[test]
fn two_processes_over_loopback() {
    let mut world = World::default();
    let mut ends = [world.process(10, "curl", "one", 1), world.process(20, "api", "one", 1)];
    ends.iter_mut().for_each(|end| end.address = [127, 0, 0, 1]);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.say(&mut c, 0, GET, 2_000, 30);
    world.say(&mut c, 1, OK, 2_200, 0);
    let analysis = world.analyze();
    let call = analysis.calls.iter().find(|c| c.protocol == "http1").unwrap();
    let found: Vec<String> =
        call.spans.iter().map(|s| analysis.points[s.point as usize].label()).collect();
    assert_eq!(found, ["one/curl[10]", "one/eth0", "one/api[20]"]);
    assert_eq!(call.server.netns, "one");
}

#[test]
fn a_process_that_forwards_the_same_bytes_is_inside_the_call() {
    let mut world = World::default();
    let ends = two(&mut world);
    let proxy = world.process(15, "socat", "mid", 5);
    let mut before = world.connect([ends[0], proxy], [40_000, 80], 1_000);
    let mut next = world.connect([proxy, ends[1]], [50_000, 80], 1_200);
    for i in 0..3 {
        let at = 2_000 + 1_000 * i;
        world.say(&mut before, 0, GET, at, 0);
        world.say(&mut next, 0, GET, at + 100, 0);
        world.say(&mut next, 1, OK, at + 300, 0);
        world.say(&mut before, 1, OK, at + 400, 0);
    }
    let analysis = world.analyze();
    assert_eq!(analysis.calls.len(), 3, "{:#?}", analysis.calls);
    let call = &analysis.calls[1];
    let found: Vec<String> =
        call.spans.iter().map(|s| analysis.points[s.point as usize].label()).collect();
    let path = [
        "cli/curl[10]",
        "cli/eth0",
        "mid/eth0",
        "mid/socat[15]",
        "mid/socat[15]",
        "mid/eth0",
        "srv/eth0",
        "srv/api[20]",
    ];
    assert_eq!(found, path);
    let parts: Vec<_> = call
        .hops
        .iter()
        .filter(|hop| hop.part.is_leg())
        .map(|hop| (hop.part, hop.total_ns / 1000))
        .collect();
    let way = QUEUE + WIRE + STACK;
    let expected = [
        (Part::Wire, 2 * WIRE),
        (Part::GatewayIn, STACK + QUEUE),
        (Part::GatewayProcess, 100 - way + 100 - way),
        (Part::GatewayOut, QUEUE + STACK),
        (Part::Wire, 2 * WIRE),
    ];
    assert_eq!(parts, expected);
    let sum: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
    assert_eq!(Some(sum), call.times().duration_ns());
}

#[test]
fn a_name_looked_up_over_udp() {
    let mut world = World::default();
    let ends = two(&mut world);
    let c = world.connect(ends, [40_000, 53], 1_000);
    world.rows.frames.clear();
    world.rows.events.clear();
    let ask = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    let mut answer = ask.to_vec();
    (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
    answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01");
    for (end, direction, bytes, at) in [
        (0, OUTBOUND, &ask[..], 2_000),
        (1, INBOUND, &ask[..], 2_040),
        (1, OUTBOUND, &answer[..], 2_100),
        (0, INBOUND, &answer[..], 2_140),
    ] {
        let mut event = moved(&c, end, direction, bytes, [at, at]);
        event.row.kind = "udp";
        (event.row.sequence_before, event.row.sequence_after) = (None, None);
        // The server's socket is bound to any address.
        event.row.peer = (end == 1).then(|| "10.0.0.1:40000".parse().unwrap());
        world.rows.events.push(event);
    }
    for socket in &mut world.rows.sockets {
        (socket.datagram, socket.protocol, socket.role) = (true, 17, Role::Unknown);
        if socket.pid == 20 {
            (socket.local, socket.remote) = (Some("0.0.0.0:53".parse().unwrap()), None);
        }
    }
    let analysis = world.analyze();
    let [call] = &analysis.calls[..] else { panic!("{:#?}", analysis.calls) };
    assert_eq!((&*call.protocol, call.spans.len()), ("dns", 2));
    assert_eq!(call.server.address.to_string(), "10.0.0.2");
    assert_eq!(call.server.process.as_ref().map(|p| p.pid), Some(20));
}

#[test]
fn a_connect_that_is_refused_is_one_call() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    world.rows.frames.clear();
    world.rows.events.retain(|event| event.row.call == "connect");
    world.rows.events[0].row.result = Some(-111);
    world.rows.sockets.retain(|socket| socket.pid == 10);
    c.next = [77, 0];
    world.segment(&mut c, 0, 2, b"", 1_000 + QUEUE);
    world.segment(&mut c, 1, 4 | 16, b"", 1_000 + 2 * QUEUE + WIRE);
    let analysis = world.analyze();
    let [call] = &analysis.calls[..] else { panic!("{:#?}", analysis.calls) };
    assert_eq!((&*call.protocol, &*call.status, call.spans.len()), ("tcp", "refused", 3));
    assert_eq!(call.client.process.as_ref().map(|p| p.pid), Some(10));
}

#[test]
fn packets_and_sockets_that_miss_a_call_are_counted() {
    let mut world = World::default();
    let ends = two(&mut world);
    let mut c = world.connect(ends, [40_000, 80], 1_000);
    for i in 0..3 {
        if i == 1 {
            world.rows.frames.iter_mut().for_each(|frame| frame.0.push('!'));
        }
        world.say(&mut c, 0, GET, 2_000 + 500 * i, 30);
        world.say(&mut c, 1, OK, 2_200 + 500 * i, 0);
    }
    // Those of the second request are lost.
    world.rows.frames.retain(|f| f.0.ends_with('!') || f.1 > OFFSET_NS + 2_990_000);
    world.rows.frames.iter_mut().for_each(|frame| frame.0 = frame.0.replace('!', ""));
    let analysis = world.analyze();
    assert_eq!(analysis.calls.len(), 3);
    let losses: Vec<_> = analysis.losses.iter().map(|l| (&*l.place, &*l.cause, l.count)).collect();
    assert_eq!(losses, [("cli/curl[10]", "call-without-packets", 1)]);
}

#[test]
fn a_clock_that_is_set_in_between_moves_both_alike() {
    const STEP_NS: i64 = 3_600_000_000_000;
    let mut world = one_request();
    // Set a millisecond after the connection was made: packets show it at once.
    for frame in world.rows.frames.iter_mut().filter(|f| f.1 > OFFSET_NS + 1_500_000) {
        frame.1 += STEP_NS;
    }
    let row = |boottime_ns: i64, step: i64, stepped: bool| ClockRow {
        boottime_ns,
        realtime_ns: OFFSET_NS + boottime_ns + step,
        stepped,
        ..ClockRow::default()
    };
    world.rows.clock =
        vec![row(500_000, 0, false), row(1_900_000, STEP_NS, true), row(9_000_000, STEP_NS, false)];
    let analysis = world.analyze();
    let call = &analysis.calls[0];
    assert_eq!((analysis.calls.len(), call.spans.len()), (1, 4));
    assert_eq!(call.times().request_first, Some(at(2_000).unwrap() + STEP_NS));
}
