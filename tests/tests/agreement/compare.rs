//! One capture's figures, ours beside theirs: equal, or the test fails and names the connection. It never averages.

use crate::ours::{self, Connection, Transaction};
use crate::tcptrace;
use crate::tshark::{self, Bodies};
use afterpath::analysis::Analysis;
use std::collections::BTreeMap;
use std::path::Path;

/// Times agree when they differ by less.
const TOLERANCE_NS: i64 = 1_000;

/// Where a call's times come from, in [`Transaction::times`].
const REQUEST_FIRST: usize = 0;
const REQUEST_LAST: usize = 1;
const RESPONSE_FIRST: usize = 2;
const RESPONSE_LAST: usize = 3;

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

/// Methods, statuses and the times of last bytes; how many `http.time` were compared too.
pub(crate) fn last_bytes(capture: &Path, ports: &[u16], analysis: &Analysis) -> u64 {
    let ours = ours::transactions(analysis);
    let theirs = tshark::transactions(capture, ports, Bodies::Reassembled);
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
                let took = at(RESPONSE_LAST) - at(REQUEST_LAST);
                assert!(close(took, http_time), "{connection:?} {i}");
                n_times += 1;
            }
        }
    }
    n_times
}

/// The times of first bytes; how many `http.time` were compared too.
pub(crate) fn first_bytes(capture: &Path, ports: &[u16], analysis: &Analysis) -> u64 {
    let pipelined = tshark::transactions(capture, ports, Bodies::Reassembled);
    // Without reassembly tshark loses heads that begin inside a segment: only pipelines have those.
    let plain = |connection: &Connection| !pipelined[connection].pipelined;
    let mut ours = ours::transactions(analysis);
    let mut theirs = tshark::transactions(capture, ports, Bodies::Ignored);
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
    n_times
}

/// What was compared of the flows.
#[derive(Debug, Default)]
pub(crate) struct FlowSum {
    pub(crate) n_flows: u64,
    pub(crate) n_round_trips: u64,
    pub(crate) n_retransmissions: u64,
    pub(crate) n_acknowledged: u64,
}

/// What both directions counted, how soon they were acknowledged, and the handshake's round trip.
pub(crate) fn flows_with_tshark(capture: &Path, ports: &[u16], analysis: &Analysis) -> FlowSum {
    let (ours, theirs) = (ours::flows(analysis), tshark::flows(capture, ports));
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    let mut sum = FlowSum { n_flows: ours.len() as u64, ..FlowSum::default() };
    for (connection, ours) in &ours {
        let theirs = &theirs[connection];
        assert_eq!(ours.directions, theirs.directions, "{connection:?}");
        assert_eq!(ours.acknowledged, theirs.acknowledged, "{connection:?}");
        sum.n_acknowledged += ours.acknowledged.iter().map(|a| a.count).sum::<u64>();
        match (ours.round_trip_ns, theirs.round_trip_ns) {
            (None, None) => {}
            (Some(ours), Some(theirs)) if close(ours, theirs) => sum.n_round_trips += 1,
            other => panic!("{connection:?}: round trip {other:?}"),
        }
        sum.n_retransmissions += ours.directions.iter().map(|d| d.retransmissions).sum::<u64>();
    }
    sum
}

/// What both directions counted, and round trips; how many flows.
pub(crate) fn flows_with_tcptrace(capture: &Path, analysis: &Analysis) -> u64 {
    let (ours, theirs) = (ours::flows(analysis), tcptrace::flows(capture));
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    for (connection, ours) in &ours {
        let theirs = &theirs[connection];
        assert_eq!(ours.directions, theirs.directions, "{connection:?}");
        tcptrace::check_round_trips(connection, ours, theirs);
    }
    ours.len() as u64
}
