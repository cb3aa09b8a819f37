//! What Afterpath says of a capture, in the shape that the tools' answers have. It never fills in what was not found.

use afterpath::analysis::Analysis;
use afterpath::flow::DirectionCounters;
use afterpath::pipeline::{Config, analyze as reconstruct};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::{ImportPlan, Word, import};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Client, server.
pub(crate) type Connection = (SocketAddr, SocketAddr);

/// One request with its response.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) method: String,
    pub(crate) status: String,
    /// First and last byte of the request, of the response.
    pub(crate) times: [Option<i64>; 4],
}

/// One direction of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) packets: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) retransmissions: u64,
    /// SYNs and SYN-ACKs among no others.
    pub(crate) syn_retransmissions: u64,
    /// Behind later ones, and either out of order or sent again after a loss: which, tools guess by the time between.
    pub(crate) late: u64,
    pub(crate) zero_windows: u64,
    pub(crate) resets: u64,
}

/// How soon a direction's data was acknowledged by a bare ACK directly behind it: how often, and all together, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) count: u64,
    pub(crate) sum_ns: i64,
    pub(crate) max_ns: i64,
}

/// A flow: from the client, from the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlowMetrics {
    pub(crate) directions: [Direction; 2],
    /// SYN to the handshake's last ACK.
    pub(crate) round_trip_ns: Option<i64>,
    /// SYN to SYN-ACK, SYN-ACK to ACK.
    pub(crate) round_trips_ns: [Option<i64>; 2],
    /// Of the client's data, of the server's.
    pub(crate) acknowledged: [Acknowledged; 2],
    /// Samples of round trips that a tool took, and the longest, by whose data it was.
    pub(crate) samples: [(u64, f64); 2],
}

/// Imports and reconstructs.
pub(crate) fn analyze(capture: &Path, bundle: &Path) -> Analysis {
    let plan = ImportPlan::parse(&[Word::File(capture.into())], bundle).expect("a plan");
    let summary = import(&plan, &|_| ()).expect("an import");
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    let bundles = Bundles::open(&[bundle.to_path_buf()]).expect("a bundle");
    reconstruct(&bundles, &Config::default())
}

/// HTTP calls by connection, in the order they were asked.
pub(crate) fn transactions(analysis: &Analysis) -> BTreeMap<Connection, Vec<Transaction>> {
    let mut by_connection: BTreeMap<Connection, Vec<Transaction>> = BTreeMap::new();
    for call in analysis.calls.iter().filter(|call| call.protocol == "http1") {
        assert_eq!(call.spans.len(), 1, "one tap");
        let flow = &analysis.flows[call.spans[0].flow as usize];
        let t = call.times();
        by_connection.entry((flow.client, flow.server)).or_default().push(Transaction {
            method: call.request_type.clone(),
            status: call.status.clone(),
            times: [t.request_first, t.request_last, t.response_first, t.response_last],
        });
    }
    by_connection.values_mut().for_each(|all| all.sort_by_key(|t| t.times));
    by_connection
}

/// Flows by connection.
pub(crate) fn flows(analysis: &Analysis) -> BTreeMap<Connection, FlowMetrics> {
    let direction = |counters: DirectionCounters| Direction {
        packets: counters.packets,
        payload_bytes: counters.payload_bytes,
        retransmissions: counters.retransmissions,
        syn_retransmissions: counters.syn_retransmissions,
        late: counters.out_of_order,
        zero_windows: counters.zero_windows,
        resets: counters.resets,
    };
    let metrics = |flow: &afterpath::flow::Flow| FlowMetrics {
        directions: flow.counters.map(direction),
        round_trip_ns: flow.rtt_ns(),
        round_trips_ns: [flow.rtt_server_ns(), flow.rtt_client_ns()],
        acknowledged: flow.pace.map(|pace| Acknowledged {
            count: pace.acknowledged.count,
            sum_ns: pace.acknowledged.sum_ns,
            max_ns: pace.acknowledged.max_ns,
        }),
        samples: Default::default(),
    };
    let tcp = analysis.flows.iter().filter(|flow| flow.ip_protocol == 6);
    tcp.map(|flow| ((flow.client, flow.server), metrics(flow))).collect()
}
