//! What the kernel itself says it dropped, by namespace, connection and sequence number. Most of what it frees was no loss: only reasons
//! that are one are kept. Never says which request it was.

use super::Given;
use crate::align::boottime::Boottime;
use crate::call::{Fate, Flow, FlowIndex, LostPacket};
use crate::dissect::ip_address;
use crate::protocol::Side;
use afterpath_formats::bundle::Bundles;
use afterpath_formats::frame::{self, LinkType, Transport};
use afterpath_formats::table::{clock, interfaces, kernel_path};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Reasons (enum skb_drop_reason) by which a packet that somebody waits for is lost.
const LOSSES: &[&str] = &[
    "NETFILTER_DROP",
    "PKT_TOO_BIG",
    "SOCKET_FILTER",
    "SOCKET_RCVBUFF",
    "SOCKET_BACKLOG",
    "PROTO_MEM",
    "QDISC_DROP",
    "QDISC_OVERLIMIT",
    "QDISC_CONGESTED",
    "CPU_BACKLOG",
    "XDP",
    "TC_INGRESS",
    "TC_EGRESS",
    "FULL_RING",
    "NOMEM",
    "IP_RPFILTER",
    "IP_NOPROTO",
    "IP_OUTNOROUTES",
    "IP_INNOROUTES",
    "NEIGH_FAILED",
    "NEIGH_QUEUEFULL",
    "NEIGH_DEAD",
    "TCP_CSUM",
    "IP_CSUM",
    "TCP_LISTEN_OVERFLOW",
    "LISTEN_OVERFLOW",
    "DEV_READY",
    "TAP_TXFILTER",
];
/// IP protocol number (IANA).
const TCP: u8 = 6;
/// Functions that say no reason and drop all the same: those of netfilter begin so.
const NETFILTER: &str = "nf";
/// A packet is dropped this soon after it passed an interface of the namespace, even where it is queued.
const SOON_NS: i64 = 2_000_000_000;

/// A packet that the kernel dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Witness {
    at_ns: i64,
    netns: String,
    function: String,
    reason: String,
    sequence: u32,
    ends: Ends,
}

impl Witness {
    /// `nft_do_chain: NETFILTER_DROP`.
    pub(super) fn words(&self) -> String {
        format!("{}: {}", self.function, self.reason)
    }
}

impl Witness {
    /// The packet as one that was lost, at the last of these flows that it can have passed; `None` if it was told of already.
    fn by_itself(
        &self,
        given: &Given<'_>,
        flows: &[FlowIndex],
        known: &BTreeSet<(FlowIndex, u32)>,
    ) -> Option<LostPacket> {
        let is_here = |&&index: &&FlowIndex| {
            let flow = &given.flows[index as usize];
            let point = &given.points[flow.point as usize];
            let lives = flow.first_ns..=flow.last_ns.saturating_add(SOON_NS);
            point.netns == self.netns && lives.contains(&self.at_ns)
        };
        let here: Vec<FlowIndex> = flows.iter().filter(is_here).copied().collect();
        let is_known = here.iter().any(|&flow| known.contains(&(flow, self.sequence)));
        let flow = *here.first().filter(|_| !is_known)?;
        let is_clients = given.flows[flow as usize].client == self.ends.0;
        Some(LostPacket {
            first: flow,
            from: flow,
            to: None,
            sender: if is_clients { Side::Client } else { Side::Server },
            at_ns: self.at_ns,
            at_first_ns: self.at_ns,
            repaired_ns: Some(0),
            sequence: self.sequence,
            length: 0,
            fate: Fate::Dropped,
            doubt: None,
            reason: self.words(),
            slowed: Vec::new(),
        })
    }
}

/// Source, destination at the place of the drop.
type Ends = (SocketAddr, SocketAddr);

/// All packets that the kernels dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    by_ends: BTreeMap<(String, Ends), Vec<Witness>>,
}

impl Witnesses {
    /// Of all hosts of some bundles.
    pub fn read(bundles: &Bundles) -> Witnesses {
        let mut all = Witnesses::default();
        for (number, host) in (0..).zip(&bundles.hosts) {
            let rows = bundles.batches(number, &clock::TABLE).flatten();
            let clock = Boottime::of(&rows.flat_map(|rows| clock::rows(&rows)).collect::<Vec<_>>());
            let namespaces = namespaces(bundles, number);
            for batch in bundles.batches(number, &kernel_path::TABLE).flatten() {
                for row in kernel_path::rows(&batch) {
                    let Some(reason) = row.drop_reason else { continue };
                    if !LOSSES.contains(&reason) && !row.point.starts_with(NETFILTER) {
                        continue;
                    }
                    let headers = frame::decode(LinkType::RawIp, row.header, row.length);
                    let (Some(network), Some(Transport::Tcp(tcp))) =
                        (headers.network, headers.transport)
                    else {
                        continue;
                    };
                    let end =
                        |address, port| SocketAddr::new(ip_address(network.family, address), port);
                    let ends = (
                        end(network.source, tcp.source_port),
                        end(network.destination, tcp.destination_port),
                    );
                    let netns = row.netns.and_then(|inode| namespaces.get(&inode));
                    let witness = Witness {
                        at_ns: clock.realtime_ns(row.time_ns),
                        netns: netns.cloned().unwrap_or_default(),
                        function: row.point.to_string(),
                        reason: reason.to_string(),
                        sequence: tcp.sequence,
                        ends,
                    };
                    all.by_ends.entry((host.name.clone(), ends)).or_default().push(witness);
                }
            }
        }
        all.by_ends.values_mut().for_each(|all| all.sort_by_key(|witness| witness.at_ns));
        all
    }

    /// The drop of a packet that passed this flow's point at this instant.
    pub(super) fn of(
        &self,
        given: &Given<'_>,
        flow: FlowIndex,
        sender: Side,
        at_ns: i64,
        sequence: u32,
        length: u32,
    ) -> Option<&Witness> {
        let flow = &given.flows[flow as usize];
        let point = &given.points[flow.point as usize];
        let ends = match sender {
            Side::Client => (flow.client, flow.server),
            Side::Server => (flow.server, flow.client),
        };
        let all = self.by_ends.get(&(point.host.clone(), ends))?;
        let from = all.partition_point(|witness| witness.at_ns < at_ns);
        all[from..].iter().find(|witness| {
            let is_of_it = sequence.wrapping_sub(witness.sequence) as i32 >= 0
                || witness.sequence.wrapping_sub(sequence) < length.max(1);
            is_of_it
                && witness.at_ns.saturating_sub(at_ns) <= SOON_NS
                && (witness.netns.is_empty() || witness.netns == point.netns)
        })
    }

    /// What the kernel dropped and no retransmission tells of: acknowledgments, and what nobody sent again.
    pub fn untold(&self, given: &Given<'_>, told: &[LostPacket]) -> Vec<LostPacket> {
        let place = |flow: &Flow| {
            let point = &given.points[flow.point as usize];
            point.process.is_none().then(|| point.host.clone())
        };
        let mut lives: BTreeMap<(String, Ends), Vec<FlowIndex>> = BTreeMap::new();
        for (index, flow) in (0..).zip(given.flows) {
            let Some(host) = place(flow).filter(|_| flow.ip_protocol == TCP) else { continue };
            for ends in [(flow.client, flow.server), (flow.server, flow.client)] {
                let key = (host.clone(), ends);
                if self.by_ends.contains_key(&key) {
                    lives.entry(key).or_default().push(index);
                }
            }
        }
        let known: BTreeSet<(FlowIndex, u32)> =
            told.iter().filter(|l| !l.reason.is_empty()).map(|l| (l.from, l.sequence)).collect();
        let mut found = Vec::new();
        for (key, witnesses) in &self.by_ends {
            let flows = lives.get(key).map_or(&[][..], Vec::as_slice);
            for witness in witnesses {
                found.extend(witness.by_itself(given, flows, &known));
            }
        }
        found
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_ends.is_empty()
    }
}

/// Names of a host's namespaces by their inode numbers.
fn namespaces(bundles: &Bundles, host: u32) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for batch in bundles.batches(host, &interfaces::TABLE).flatten() {
        let rows = interfaces::rows(&batch);
        names.extend(rows.into_iter().filter_map(|row| Some((row.netns_inode?, row.netns?))));
    }
    names
}
