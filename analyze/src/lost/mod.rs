//! Connections that sent something twice → which transmissions were lost, between which two points, and whom that slowed. Their packets are
//! read a second time; how often each byte passed each point tells where a copy went. A drop is claimed only where TCP agrees, where the
//! point behind had seen this connection before, and where no recorder lost anything then; the kernel's own word needs none of it. Never
//! compares times across clocks.

use crate::call::{Call, CallIndex, Fate, Flow, FlowIndex, LostPacket, Point};
use crate::dissect::FlowFacts;
use crate::protocol::Side;
use std::collections::BTreeMap;

mod copies;
mod doubt;
mod passing;
mod segments;
mod witness;

pub use doubt::Doubts;
pub use segments::{Segment, Wanted, segments};
pub use witness::Witnesses;

/// Connections looked at, at most; those of lower numbers first.
pub const MOST_CONNECTIONS: usize = 20_000;

/// One connection's flows at interfaces, from the client to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// In path order.
    pub flows: Vec<FlowIndex>,
    /// Those whose places in this order are not known.
    pub unsure: Vec<FlowIndex>,
    /// Its flows at processes.
    pub sockets: Vec<FlowIndex>,
    /// Whether the first stands in the client's own place, and the last in the server's.
    pub is_whole: [bool; 2],
}

impl Path {
    /// Whether something was sent twice at one of its points.
    pub fn is_suspect(&self, flows: &[Flow]) -> bool {
        self.flows.iter().any(|&flow| {
            let counters = flows[flow as usize].counters;
            counters.iter().any(|side| side.retransmissions + side.syn_retransmissions > 0)
        })
    }
}

/// What all of it is looked up in.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// All flows.
    pub flows: &'a [Flow],
    /// One per flow.
    pub facts: &'a [FlowFacts],
    /// All points.
    pub points: &'a [Point],
    /// Per point from when to when it recorded anything, by its clock.
    pub alive: &'a [(i64, i64)],
    /// When recorders lost something.
    pub doubts: &'a Doubts,
    /// What the kernel says it dropped.
    pub witnesses: &'a Witnesses,
}

/// What one connection lost, by its segments at all points.
pub fn lost(given: &Given<'_>, path: &Path, segments: &[Segment]) -> Vec<LostPacket> {
    let mut by_flow: BTreeMap<FlowIndex, Vec<&Segment>> = BTreeMap::new();
    for segment in segments {
        by_flow.entry(segment.flow).or_default().push(segment);
    }
    // A point whose packets were not found a second time saw as much as one that isn't there.
    let found = |flow: &FlowIndex| by_flow.contains_key(flow);
    let mut lost = Vec::new();
    for sender in [Side::Client, Side::Server] {
        let mut flows: Vec<FlowIndex> = path.flows.iter().copied().filter(found).collect();
        if sender == Side::Server {
            flows.reverse();
        }
        let reaches = path.is_whole[1 - sender as usize];
        lost.extend(copies::lost(given, &flows, &by_flow, sender, (reaches, &path.unsure)));
    }
    lost
}

/// Which calls each lost packet slowed, and by how much: all that were open on its connection until a copy got through.
pub fn slow(lost: &mut [LostPacket], paths: &[Path], calls: &[Call], given: &Given<'_>) {
    let mut by_flow: BTreeMap<FlowIndex, Vec<usize>> = BTreeMap::new();
    let dropped = lost.iter().enumerate().filter(|(_, packet)| packet.fate == Fate::Dropped);
    for (i, packet) in dropped {
        by_flow.entry(packet.first).or_default().push(i);
    }
    // A request that never left its process waits behind what its connection lost.
    for path in paths {
        let packets = path.flows.iter().filter_map(|flow| by_flow.get(flow)).flatten();
        let packets: Vec<usize> = packets.copied().collect();
        if !packets.is_empty() {
            by_flow.extend(path.sockets.iter().map(|&socket| (socket, packets.clone())));
        }
    }
    let domain = |flow: FlowIndex| given.points[given.flows[flow as usize].point as usize].domain;
    for (index, call) in (0..).zip(calls) {
        let mut slowed: BTreeMap<usize, i64> = BTreeMap::new();
        for span in &call.spans {
            let Some(packets) = by_flow.get(&span.flow) else { continue };
            let Some(begin_ns) = span.times.first() else { continue };
            let last_ns = given.flows[span.flow as usize].last_ns;
            let end_ns = span.times.response_last.unwrap_or(last_ns);
            for &i in packets {
                let packet = &lost[i];
                let until_ns = match packet.repaired_ns {
                    Some(ns) => packet.at_first_ns.saturating_add(ns),
                    None => last_ns,
                };
                let overlap = until_ns.min(end_ns).saturating_sub(packet.at_first_ns.max(begin_ns));
                if overlap > 0 && domain(packet.first) == domain(span.flow) {
                    let known = slowed.entry(i).or_default();
                    *known = (*known).max(overlap);
                }
            }
        }
        for (i, ns) in slowed {
            lost[i].slowed.push((index as CallIndex, ns));
        }
    }
}

#[cfg(test)]
mod tests;
