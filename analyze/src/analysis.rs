//! The result of it all, as reports take it and as it is stored. Plain data.

use crate::align::Clocks;
use crate::call::{Call, Trace};
use crate::finding::Finding;
use crate::flow::Flow;
use crate::loss::{Loss, LostPacket};
use crate::point::Point;
use serde::{Deserialize, Serialize};

/// Everything reconstructed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Analysis {
    /// Observation points.
    pub points: Vec<Point>,
    /// Names of the clock domains.
    pub domains: Vec<String>,
    /// What is known of their clocks.
    pub clocks: Clocks,
    /// Flows in (point, client, server, first_ns) order.
    pub flows: Vec<Flow>,
    /// Packets that were lost or sent again, in the order of their connections' flows.
    pub lost_packets: Vec<LostPacket>,
    /// Calls ordered by first time, those of one time by connection and stream.
    pub calls: Vec<Call>,
    /// Traces ordered by their root's first time.
    pub traces: Vec<Trace>,
    /// Packets read.
    pub n_packets: u64,
    /// Socket events read.
    pub n_socket_events: u64,
    /// Spans of tracers read.
    pub n_tracer_spans: u64,
    /// What could not be used.
    pub losses: Vec<Loss>,
    /// What went wrong and whose it was, the worst first.
    pub findings: Vec<Finding>,
    /// What judges would have asked and the recording does not hold, in words.
    pub missing: Vec<String>,
}
