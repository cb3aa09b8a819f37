//! The declared reduction: what happened in the first part of every period of wall-clock time is recorded, whole, and nothing else;
//! the bundle says so.

use super::made::{Recorder, batches, can_record};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::{clock, packets};
use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, UInt16Type};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const ON_NS: i64 = 300_000_000;
const PERIOD_NS: i64 = 1_000_000_000;
/// Between the two clocks, and between a call and its stamp.
const SLACK_NS: i64 = 2_000_000;

#[test]
fn only_the_declared_part_is_recorded() {
    if !can_record("sockets", "samples") || !can_record("packets", "samples") {
        return;
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = receiver.local_addr().expect("an address").port();
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.connect(("127.0.0.1", port)).expect("connected");
    let recorder = Recorder::start(&[
        "--probes",
        "sockets,packets",
        "--sample",
        "300ms/1s",
        "--port",
        &port.to_string(),
    ]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        sender.send(b"x").expect("sent");
        std::thread::sleep(Duration::from_millis(2));
    }
    let recorded = recorder.stop();
    let readings = batches(&recorded.path, &clock::TABLE);
    let offset_ns = readings
        .iter()
        .flat_map(clock::rows)
        .map(|row| row.realtime_ns - row.boottime_ns)
        .next()
        .expect("a reading");
    let mut times = Vec::new();
    recorded.each_event(|event| {
        if event.kind == "udp" && event.direction.is_some() {
            times.push(event.time_ns + offset_ns);
        }
    });
    let mut packet_times = Vec::new();
    for batch in batches(&recorded.path, &packets::TABLE) {
        let to = batch.column_by_name("destination_port").expect("a column");
        let at = batch.column_by_name("time_ns").expect("a column").as_primitive::<Int64Type>();
        let rows = at.values().iter().zip(to.as_primitive::<UInt16Type>());
        packet_times.extend(rows.filter(|(_, to)| *to == Some(port)).map(|(at, _)| *at));
    }
    for times in [&times, &packet_times] {
        let phases: Vec<i64> = times.iter().map(|at| at.rem_euclid(PERIOD_NS)).collect();
        let outside = |at: &&i64| **at > ON_NS + SLACK_NS && **at < PERIOD_NS - SLACK_NS;
        assert_eq!(phases.iter().filter(outside).count(), 0, "{phases:?}");
        let periods: std::collections::BTreeSet<i64> =
            times.iter().map(|at| at.div_euclid(PERIOD_NS)).collect();
        assert!(periods.len() >= 4, "{} periods", periods.len());
        // A good part of the four seconds, and no more than it.
        assert!((200..=800).contains(&times.len()), "{}", times.len());
    }
    let manifest = std::fs::read_to_string(recorded.path.join("manifest.json")).expect("readable");
    assert!(manifest.contains("the first 300ms of every 1s"), "{manifest}");
    let bundles = Bundles::open(std::slice::from_ref(&recorded.path)).expect("it opens");
    assert!(bundles.warnings.is_empty(), "{:?}", bundles.warnings);
}
