//! Connections that sent something twice → which transmissions were lost, between which two points, and whom that slowed. Their packets are
//! read a second time; how often each byte passed each point tells where a copy went. A drop is claimed only where TCP agrees, where the
//! point behind had seen this connection before, and where no recorder lost anything then; the kernel's own word needs none of it. Never
//! compares times across clocks.

use crate::call::{Call, CallIndex};
use crate::dissect::FlowFacts;
use crate::flow::{Flow, FlowIndex};
use crate::loss::LostPacket;
use crate::point::Point;
use crate::protocol::Side;
use std::collections::BTreeMap;

mod copies;
mod doubt;
mod options;
mod passing;
mod segments;
mod suspects;
mod witness;

pub use doubt::Doubts;
pub use segments::{Segment, Wanted, segments};
pub use witness::Witnesses;

/// Connections looked at, at most, and their packets at all points; those of lower numbers first. More are counted as a loss.
pub const MOST_CONNECTIONS: usize = 20_000;
/// See [`MOST_CONNECTIONS`].
pub const MOST_PACKETS: u64 = 8_000_000;

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
    /// Whether something was sent twice at one of its points, or was not seen there.
    pub fn is_suspect(&self, flows: &[Flow]) -> bool {
        let counters = self.flows.iter().flat_map(|&flow| flows[flow as usize].counters);
        counters.into_iter().any(|side| {
            let again = side.retransmissions.saturating_add(side.syn_retransmissions);
            again.saturating_add(side.missing_bytes).saturating_add(side.out_of_order) > 0
        })
    }

    fn n_packets(&self, flows: &[Flow]) -> u64 {
        let counters = self.flows.iter().flat_map(|&flow| flows[flow as usize].counters);
        counters.map(|side| side.packets).fold(0, u64::saturating_add)
    }
}

/// As many of these as are looked at, and how many are not.
pub fn chosen(mut paths: Vec<Path>, flows: &[Flow]) -> (Vec<Path>, u64) {
    let n_all = paths.len();
    paths.truncate(MOST_CONNECTIONS);
    let mut n_packets: u64 = 0;
    paths.retain(|path| {
        let more = n_packets.saturating_add(path.n_packets(flows));
        let is_room = more <= MOST_PACKETS;
        n_packets = if is_room { more } else { n_packets };
        is_room
    });
    let n_left_out = n_all.saturating_sub(paths.len()) as u64;
    (paths, n_left_out)
}

/// When each point recorded something: from its first packet to its last.
pub fn alive(flows: &[Flow], points: &[Point]) -> Vec<(i64, i64)> {
    let mut alive = vec![(i64::MAX, i64::MIN); points.len()];
    for flow in flows {
        let Some(times) = alive.get_mut(flow.point as usize) else { continue };
        *times = (times.0.min(flow.first_ns), times.1.max(flow.last_ns));
    }
    alive
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
    /// One per point, see [`alive`].
    pub alive: &'a [(i64, i64)],
    /// When recorders lost something.
    pub doubts: &'a Doubts,
    /// What the kernel says it dropped.
    pub witnesses: &'a Witnesses,
}

/// What was found of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its packets that were lost, or sent again.
    pub packets: Vec<LostPacket>,
    /// Pieces that were not looked at: there are too many.
    pub n_left_out: u64,
}

/// What one connection lost, by its segments at all points, those of each in order of time.
pub fn lost(given: &Given<'_>, path: &Path, segments: &[Segment]) -> Found {
    let mut by_flow: BTreeMap<FlowIndex, Vec<&Segment>> = BTreeMap::new();
    for segment in segments {
        by_flow.entry(segment.flow).or_default().push(segment);
    }
    let mut found = Found::default();
    for sender in [Side::Client, Side::Server] {
        let more = copies::lost(given, path, &by_flow, sender);
        found.packets.extend(more.packets);
        found.n_left_out = found.n_left_out.saturating_add(more.n_left_out);
    }
    found
}

/// Which calls each packet that was lost, here or nobody knows where, slowed, and by how much: all that were open on its connection until
/// a copy got through.
pub fn slow(lost: &mut [LostPacket], paths: &[Path], calls: &[Call], given: &Given<'_>) {
    let mut by_flow: BTreeMap<FlowIndex, Vec<usize>> = BTreeMap::new();
    for (i, packet) in lost.iter().enumerate().filter(|(_, packet)| packet.is_missing()) {
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
