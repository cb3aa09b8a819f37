//! The same capture through Afterpath and through other makers' tools: transactions, statuses, times and flow metrics must
//! be equal, by published definitions. Without those tools a suite says so, and fails where everything is required.
//! It never compares with a figure written down earlier.

mod ours;
mod tcptrace;
mod tshark;

use afterpath_tests::generate::{Recipe, Totals, http_capture};
use afterpath_tests::tool;
use ours::{Connection, Transaction};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;
use tshark::Bodies;

/// Times agree when they differ by less.
const TOLERANCE_NS: i64 = 1_000;

/// Where a call's times come from, in [`Transaction::times`].
const REQUEST_FIRST: usize = 0;
const REQUEST_LAST: usize = 1;
const RESPONSE_FIRST: usize = 2;
const RESPONSE_LAST: usize = 3;

struct Fixture {
    _folder: TempDir,
    capture: PathBuf,
    totals: Totals,
    analysis: afterpath::call::Analysis,
}

/// One capture, imported and analyzed once for all tests.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = folder.path().join("http.pcap");
    let mut out = BufWriter::new(File::create(&capture).expect("a capture"));
    let recipe = Recipe { seed: 20_000, n_packets: n_packets() };
    let totals = http_capture(recipe, &mut out).expect("a capture");
    out.flush().expect("a capture");
    let analysis = ours::analyze(&capture, &folder.path().join("http.afterpath"));
    Fixture { _folder: folder, capture, totals, analysis }
});

/// The short form; `AFTERPATH_AGREEMENT_PACKETS` asks for the long one.
fn n_packets() -> u64 {
    let asked = std::env::var("AFTERPATH_AGREEMENT_PACKETS").ok();
    asked.map_or(20_000, |n| n.parse().expect("a number of packets"))
}

fn close(a: i64, b: i64) -> bool {
    (a - b).abs() < TOLERANCE_NS
}

/// The connections both know, and nothing else.
fn pairs<'a, T>(
    ours: &'a BTreeMap<Connection, Vec<Transaction>>,
    theirs: &'a BTreeMap<Connection, T>,
) -> impl Iterator<Item = (&'a Connection, &'a Vec<Transaction>, &'a T)> {
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    ours.iter().zip(theirs.values()).map(|((connection, ours), theirs)| (connection, ours, theirs))
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
    if !tool::usable("tshark", "HTTP transactions") {
        return;
    }
    let ours = ours::transactions(&FIXTURE.analysis);
    let theirs = tshark::transactions(&FIXTURE.capture, Bodies::Reassembled);
    let n_malformed = theirs.values().filter(|messages| messages.malformed).count();
    assert!(n_malformed * 100 <= theirs.len(), "tshark gave up on {n_malformed} connections");
    let mut n_times = 0;
    for (connection, ours, theirs) in pairs(&ours, &theirs).filter(|(_, _, t)| !t.malformed) {
        let methods: Vec<_> = ours.iter().map(|t| t.method.as_str()).collect();
        let statuses: Vec<_> = ours.iter().map(|t| t.status.as_str()).collect();
        assert_eq!(methods, theirs.methods(), "{connection:?}");
        assert_eq!(statuses, theirs.statuses(), "{connection:?}");
        for (i, t) in ours.iter().enumerate() {
            let at = |which: usize| t.times[which].expect("known");
            assert!(close(at(REQUEST_LAST), theirs.requests[i].at_ns), "{connection:?} {i}");
            assert!(close(at(RESPONSE_LAST), theirs.responses[i].at_ns), "{connection:?} {i}");
            // tshark gives a time to one request per frame only, so pipelined ones are left to the two lines above.
            if let Some(http_time) = theirs.responses[i].http_time_ns.filter(|_| !theirs.pipelined)
            {
                assert!(
                    close(at(RESPONSE_LAST) - at(REQUEST_LAST), http_time),
                    "{connection:?} {i}"
                );
                n_times += 1;
            }
        }
    }
    assert!(n_times > 500, "only {n_times} http.time");
}

#[test]
fn first_bytes_agree_with_tshark_not_reassembling_bodies() {
    if !tool::usable("tshark", "HTTP first bytes") {
        return;
    }
    let pipelined = tshark::transactions(&FIXTURE.capture, Bodies::Reassembled);
    // Without reassembly tshark loses heads that begin inside a segment: only pipelines have those.
    let plain = |connection: &Connection| !pipelined[connection].pipelined;
    let mut ours = ours::transactions(&FIXTURE.analysis);
    let mut theirs = tshark::transactions(&FIXTURE.capture, Bodies::Ignored);
    ours.retain(|connection, _| plain(connection));
    theirs.retain(|connection, _| plain(connection));
    let mut n_times = 0;
    for (connection, ours, theirs) in pairs(&ours, &theirs) {
        assert_eq!((ours.len(), ours.len()), (theirs.requests.len(), theirs.responses.len()));
        for (i, t) in ours.iter().enumerate() {
            let at = |which: usize| t.times[which].expect("known");
            assert!(close(at(REQUEST_FIRST), theirs.requests[i].at_ns), "{connection:?} {i}");
            assert!(close(at(RESPONSE_FIRST), theirs.responses[i].at_ns), "{connection:?} {i}");
            let http_time = theirs.responses[i].http_time_ns.expect("an unpipelined response");
            assert!(close(at(RESPONSE_FIRST) - at(REQUEST_FIRST), http_time), "{connection:?} {i}");
            n_times += 1;
        }
    }
    assert!(n_times > 500, "only {n_times} http.time");
}

#[test]
fn flows_agree_with_tshark() {
    if !tool::usable("tshark", "flow metrics") {
        return;
    }
    let (ours, theirs) = (ours::flows(&FIXTURE.analysis), tshark::flows(&FIXTURE.capture));
    assert_eq!(ours.len() as u64, FIXTURE.totals.n_connections);
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    for (connection, ours) in &ours {
        let theirs = &theirs[connection];
        assert_eq!(ours.directions, theirs.directions, "{connection:?}");
        let (ours, theirs) =
            (ours.round_trip_ns.expect("ours"), theirs.round_trip_ns.expect("theirs"));
        assert!(close(ours, theirs), "{connection:?}: round trip {ours} {theirs}");
    }
    let n: u64 = ours.values().flat_map(|flow| flow.directions).map(|d| d.retransmissions).sum();
    assert_eq!(n, FIXTURE.totals.n_retransmissions);
}

#[test]
fn flows_agree_with_tcptrace() {
    if !tool::usable("tcptrace", "flow metrics") {
        return;
    }
    let (ours, theirs) = (ours::flows(&FIXTURE.analysis), tcptrace::flows(&FIXTURE.capture));
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    for (connection, ours) in &ours {
        assert_eq!(ours.directions, theirs[connection].directions, "{connection:?}");
    }
}
