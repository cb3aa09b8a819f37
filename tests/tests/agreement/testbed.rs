//! The same questions on what a real network carried: every capture of a fresh testbed recording, each by itself. It never
//! looks at the truth: that is the accuracy suite's.

use crate::{compare, ours};
use afterpath_tests::recording::Recording;
use afterpath_tests::tool;
use std::path::PathBuf;

/// Where the testbed's HTTP servers listen: nginx, the sidecar, A, the gateway's address for B, B, Envoy, C.
const HTTP: &[u16] = &[80, 8080, 9001, 7002, 9002, 8082, 9004];
/// And its stores.
const ALL: &[u16] = &[80, 8080, 9001, 7002, 9002, 8082, 9004, 6379, 5432];

#[test]
fn every_capture_of_the_testbed_agrees() {
    let tools = ["tshark", "tcptrace"].map(|name| tool::usable(name, "the testbed's captures"));
    if tools.contains(&false) {
        return;
    }
    let options = ["--requests", "60", "--concurrency", "4", "--seed", "5"];
    let Some(recording) = Recording::fresh(&options) else { return };
    let (mut n_times, mut n_flows, mut n_round_trips) = ([0, 0], 0, 0);
    for (i, capture) in captures(&recording).iter().enumerate() {
        let analysis = ours::analyze(capture, &recording.path().join(format!("{i}.afterpath")));
        n_times[0] += compare::last_bytes(capture, HTTP, &analysis);
        n_times[1] += compare::first_bytes(capture, HTTP, &analysis);
        let flows = compare::flows_with_tshark(capture, ALL, &analysis);
        assert_eq!(compare::flows_with_tcptrace(capture, &analysis), flows.n_flows);
        n_flows += flows.n_flows;
        n_round_trips += flows.n_round_trips;
    }
    assert!(n_times.iter().all(|&n| n >= 600), "only {n_times:?} http.time");
    assert!(n_flows >= 60 && n_round_trips >= 50, "{n_flows} flows, {n_round_trips} handshakes");
}

fn captures(recording: &Recording) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(recording.path()).expect("the recording is a folder");
    let mut captures: Vec<PathBuf> = entries
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pcap"))
        .collect();
    captures.sort();
    assert!(captures.len() >= 18, "only {} captures", captures.len());
    captures
}
