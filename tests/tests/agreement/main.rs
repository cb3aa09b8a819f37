//! The same capture through Afterpath and through other makers' tools: transactions, statuses, times and flow metrics must
//! be equal, by published definitions. Without those tools a suite says so, and fails where everything is required.
//! It never compares with a figure written down earlier.

mod compare;
mod http2;
mod mysql;
mod ours;
mod protocols;
mod tcptrace;
mod testbed;
mod troubled;
mod tshark;
mod websocket;

use afterpath_tests::generate::{NO_LIMIT, Recipe, Totals, http_capture};
use afterpath_tests::tool;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;

/// Where the generated capture's servers listen.
const PORTS: &[u16] = &[80];

struct Fixture {
    _folder: TempDir,
    capture: PathBuf,
    totals: Totals,
    analysis: afterpath::analysis::Analysis,
}

/// One capture, imported and analyzed once for all tests.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = folder.path().join("http.pcap");
    let mut out = BufWriter::new(File::create(&capture).expect("a capture"));
    let recipe = Recipe { seed: 20_000, n_packets: n_packets(), snap_length: NO_LIMIT };
    let totals = http_capture(recipe, &mut out).expect("a capture");
    out.flush().expect("a capture");
    let analysis = ours::analyze(&capture, &folder.path().join("http.afterpath"));
    assert!(analysis.losses.is_empty(), "{:?}", analysis.losses);
    Fixture { _folder: folder, capture, totals, analysis }
});

/// The short form; `AFTERPATH_AGREEMENT_PACKETS` asks for the long one.
fn n_packets() -> u64 {
    let asked = std::env::var("AFTERPATH_AGREEMENT_PACKETS").ok();
    asked.map_or(20_000, |n| n.parse().expect("a number of packets"))
}

#[test]
fn every_generated_request_is_found_with_its_response() {
    let transactions = ours::transactions(&FIXTURE.analysis);
    let all: Vec<_> = transactions.values().flatten().collect();
    assert_eq!(all.len() as u64, FIXTURE.totals.n_requests);
    assert_eq!(transactions.len() as u64, FIXTURE.totals.n_connections);
    assert_eq!(FIXTURE.analysis.n_packets, FIXTURE.totals.n_packets);
    assert!(all.iter().all(|t| !t.status.is_empty() && t.times.iter().all(Option::is_some)));
}

#[test]
fn transactions_and_last_bytes_agree_with_tshark_reassembling_bodies() {
    if tool::usable("tshark", "HTTP transactions") {
        let n_times = compare::last_bytes(&FIXTURE.capture, PORTS, &FIXTURE.analysis);
        assert!(n_times > 500, "only {n_times} http.time");
    }
}

#[test]
fn first_bytes_agree_with_tshark_not_reassembling_bodies() {
    if tool::usable("tshark", "HTTP first bytes") {
        let n_times = compare::first_bytes(&FIXTURE.capture, PORTS, &FIXTURE.analysis);
        assert!(n_times > 500, "only {n_times} http.time");
    }
}

#[test]
fn flows_agree_with_tshark() {
    if tool::usable("tshark", "flow metrics") {
        let sum = compare::flows_with_tshark(&FIXTURE.capture, PORTS, &FIXTURE.analysis);
        assert_eq!((sum.n_flows, sum.n_round_trips), (FIXTURE.totals.n_connections, sum.n_flows));
        assert_eq!(sum.n_retransmissions, FIXTURE.totals.n_retransmissions);
        assert!(sum.n_acknowledged > 500, "only {} bare ACKs", sum.n_acknowledged);
    }
}

#[test]
fn flows_agree_with_tcptrace() {
    if tool::usable("tcptrace", "flow metrics") {
        let n_flows = compare::flows_with_tcptrace(&FIXTURE.capture, &FIXTURE.analysis);
        assert_eq!(n_flows, FIXTURE.totals.n_connections);
    }
}
