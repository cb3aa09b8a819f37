//! Links that only threads can tell: requests that overlap and say the same.

use crate::world::{Connection, Process, QUEUE, STACK, WIRE, World};
use afterpath::analysis::Analysis;
use afterpath::link::Evidence;
use afterpath::link::baseline::named;
use afterpath::link::evidence::Kind;
use afterpath::pipeline::Config;
use afterpath_formats::table::socket_events::{INBOUND, SocketEventRow};

const GET: &[u8] = b"GET /item HTTP/1.1\r\nHost: x\r\n\r\n";
const ASK: &[u8] = b"GET /stock HTTP/1.1\r\nHost: y\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// From a write to the other end's read.
const WAY: i64 = QUEUE + WIRE + STACK;

struct Shop {
    world: World,
    /// Two clients' connections to the service, two of the service to its store.
    asked: [Connection; 2],
    asks: [Connection; 2],
}

/// A service in the middle of two clients and a store.
fn shop() -> Shop {
    let mut world = World::default();
    let client = world.process(10, "curl", "cli", 1);
    let service = world.process(20, "api", "srv", 2);
    let store = world.process(30, "store", "db", 3);
    let mut connect = |ends: [Process; 2], ports| world.connect(ends, ports, 1_000);
    let asked =
        [connect([client, service], [40_000, 80]), connect([client, service], [40_001, 80])];
    let asks = [connect([service, store], [50_000, 81]), connect([service, store], [50_001, 81])];
    Shop { world, asked, asks }
}

impl Shop {
    /// The service's thread for whatever happens from event `from` on in its process.
    fn by_thread(&mut self, from: usize, tid: u32) {
        let events = self.world.rows.events[from..].iter_mut();
        events.filter(|event| event.row.pid == 20).for_each(|event| event.row.tid = tid);
    }

    fn asked(&mut self, i: usize, at: i64, tid: u32) {
        let from = self.world.rows.events.len();
        self.world.say(&mut self.asked[i], 0, GET, at, 0);
        self.by_thread(from, tid);
    }

    /// The service asks the store, which answers 50 µs later.
    fn asks(&mut self, i: usize, at: i64, tid: u32) {
        let from = self.world.rows.events.len();
        self.world.say(&mut self.asks[i], 0, ASK, at, 0);
        self.world.say(&mut self.asks[i], 1, OK, at + WAY + 50, 0);
        self.by_thread(from, tid);
    }

    fn answers(&mut self, i: usize, at: i64, tid: u32) {
        let from = self.world.rows.events.len();
        self.world.say(&mut self.asked[i], 1, OK, at, 0);
        self.by_thread(from, tid);
    }
}

/// For each call to the store, by its connection: the client's port of the call that caused it, and how sure.
fn check(analysis: &Analysis, expected: [u16; 2], least: f64, reason: &str) {
    for (port, parent) in [50_000, 50_001].into_iter().zip(expected) {
        let call = analysis.calls.iter().find(|call| call.client.port == port).unwrap();
        let link = call.link.as_ref().unwrap();
        assert_eq!(analysis.calls[link.parent as usize].client.port, parent, "{port}: {link:?}");
        assert!(link.confidence >= least, "{link:?}");
        assert!(link.evidence[0].contains(reason), "{link:?}");
    }
}

/// Two threads, each with a request of its own; the one asked first asks last, so that time alone is wrong.
fn crossed() -> Shop {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asked(1, 2_010, 22);
    shop.asks(0, 2_100, 22);
    shop.asks(1, 2_120, 21);
    shop.answers(0, 2_500, 21);
    shop.answers(1, 2_510, 22);
    shop
}

#[test]
fn a_thread_per_request() {
    check(&crossed().world.analyze(), [40_001, 40_000], 0.98, "had no other");
}

#[test]
fn without_threads_there_are_two_candidates() {
    let evidence = Evidence::ALL.without(Kind::Threads);
    let analysis = crossed().world.analyze_with(&Config { evidence, ..Config::default() });
    let links = analysis.calls.iter().filter_map(|call| call.link.as_ref());
    assert!(links.clone().count() == 2 && links.clone().all(|link| link.candidates == 2));
}

/// For the two calls to the store: the client's port of the call that a baseline takes for their cause.
fn check_baseline(name: &str, expected: [u16; 2]) {
    let baseline = named(name);
    assert!(baseline.is_some(), "{name}");
    let analysis = crossed().world.analyze_with(&Config { baseline, ..Config::default() });
    let found = [50_000, 50_001].map(|port| {
        let call = analysis.calls.iter().find(|call| call.client.port == port).unwrap();
        let link = call.link.as_ref().unwrap();
        assert_eq!(link.evidence, [name]);
        analysis.calls[link.parent as usize].client.port
    });
    assert_eq!(found, expected, "{name}");
}

#[test]
fn others_rules_say_what_they_are_published_to_say() {
    // Threads are right here; whoever knows arrivals only takes the first first, the last first, or the last always.
    check_baseline("thread", [40_001, 40_000]);
    check_baseline("deepflow", [40_001, 40_000]);
    check_baseline("first-come", [40_000, 40_001]);
    check_baseline("most-recent", [40_001, 40_001]);
    check_baseline("delay", [40_001, 40_001]);
    assert!(named("nobody").is_none());
}

#[test]
fn an_event_loop_that_reads_and_asks_in_turn() {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asks(0, 2_040, 21);
    // Its answer is read at 2 154; meanwhile the second request came and was asked for.
    shop.asked(1, 2_050, 21);
    shop.asks(1, 2_090, 21);
    shop.answers(0, 2_500, 21);
    shop.answers(1, 2_510, 21);
    check(&shop.world.analyze(), [40_000, 40_001], 0.94, "thread 21 read");
}

#[test]
fn what_a_reply_led_to_has_the_cause_of_its_request() {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asked(1, 2_001, 22);
    // Each thread hands on by itself: the reply to the first call, then a second call on the same connection.
    shop.asks(0, 2_100, 22);
    shop.asks(0, 2_300, 22);
    shop.asks(1, 2_101, 21);
    shop.answers(0, 2_600, 21);
    shop.answers(1, 2_610, 22);
    check(&shop.world.analyze(), [40_001, 40_000], 0.94, "thread 2");
}

#[test]
fn where_requests_are_handed_over_whoever_answers_tells_whose_a_call_was() {
    let mut shop = shop();
    // One thread reads both; workers 22 and 23 take the second and the first.
    shop.asked(0, 2_000, 21);
    shop.asked(1, 2_010, 21);
    shop.asks(0, 2_100, 22);
    shop.asks(1, 2_120, 23);
    shop.answers(1, 2_500, 22);
    shop.answers(0, 2_510, 23);
    check(&shop.world.analyze(), [40_001, 40_000], 0.9, "answered this request next");
}

#[test]
fn a_wake_up_in_between_is_a_cause_nobody_knows() {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asked(1, 2_010, 21);
    let wake_up = SocketEventRow {
        time_ns: 2_060_000,
        exit_ns: Some(2_061_000),
        kind: "eventfd",
        pid: 20,
        tid: 21,
        call: "read",
        direction: Some(INBOUND),
        result: Some(8),
        ..SocketEventRow::default()
    };
    let events = &mut shop.world.rows.events;
    events.push(crate::bundle::Event { row: wake_up, bytes: None });
    shop.asks(0, 2_100, 21);
    shop.answers(0, 2_500, 21);
    shop.answers(1, 2_510, 21);
    let analysis = shop.world.analyze();
    let call = analysis.calls.iter().find(|call| call.client.port == 50_000).unwrap();
    assert_eq!(call.link.as_ref().map(|link| link.candidates), Some(2));
}

#[test]
fn a_loop_that_reads_several_first_works_in_the_order_in_which_it_read() {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asked(1, 2_010, 21);
    shop.asks(0, 2_100, 21);
    shop.asks(1, 2_120, 21);
    shop.answers(0, 2_500, 21);
    shop.answers(1, 2_510, 21);
    check(&shop.world.analyze(), [40_000, 40_001], 0.8, "in this turn");
    let evidence = Evidence::ALL.without(Kind::Turns);
    let analysis = shop.world.analyze_with(&Config { evidence, ..Config::default() });
    let link = |port| {
        let call = analysis.calls.iter().find(|call| call.client.port == port).unwrap();
        call.link.clone().unwrap()
    };
    assert!(!link(50_001).evidence[0].contains("in this turn"), "{:?}", link(50_001));
}

#[test]
fn a_call_that_nobody_waited_for_began_inside() {
    let mut shop = shop();
    shop.asked(0, 2_000, 21);
    shop.asks(0, 2_100, 21);
    // The store's answer is read at 2 214; the request was answered long before.
    shop.answers(0, 2_120, 21);
    shop.asked(1, 4_000, 21);
    shop.asks(1, 4_040, 21);
    shop.answers(1, 4_500, 21);
    let analysis = shop.world.analyze();
    check(&analysis, [40_000, 40_001], 0.9, "thread 21 read");
    let call = analysis.calls.iter().find(|call| call.client.port == 50_000).unwrap();
    let evidence = &call.link.as_ref().unwrap().evidence;
    assert!(evidence.iter().any(|e| e.contains("outlived it")), "{evidence:?}");
}

/// A service whose timer asks the store once a millisecond, by a thread of its own, and serves two requests, without asking for them.
fn ticking(evidence: Evidence) -> Analysis {
    let mut shop = shop();
    for tick in 2..12 {
        shop.asks(0, tick * 1_000, 25);
    }
    shop.asked(0, 2_500, 21);
    shop.answers(0, 2_700, 21);
    shop.asked(1, 6_900, 21);
    shop.answers(1, 7_400, 21);
    // The last one ends what was seen of the service.
    shop.asked(0, 12_500, 21);
    shop.answers(0, 12_600, 21);
    shop.world.analyze_with(&Config { evidence, ..Config::default() })
}

#[test]
fn a_timers_call_while_a_request_is_served_has_no_recorded_parent() {
    let analysis = ticking(Evidence::ALL);
    let asked = || analysis.calls.iter().filter(|call| call.client.port == 50_000);
    assert_eq!(asked().filter(|call| call.link.is_some()).count(), 0);
    let told: Vec<_> = asked().filter_map(|call| call.no_parent.as_ref()).collect();
    assert_eq!(told.len(), 1, "the one that a request would contain");
    assert_eq!(told[0].candidates, 1);
    assert!(told[0].confidence > 0.5, "{told:?}");
    assert!(
        told[0].evidence[0].contains("8 such calls while nothing was being served"),
        "{told:?}"
    );
    let without = ticking(Evidence::ALL.without(Kind::Background));
    assert_eq!(without.calls.iter().filter(|call| call.link.is_some()).count(), 1);
}
