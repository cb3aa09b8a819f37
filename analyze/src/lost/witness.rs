//! What the kernel itself says it dropped, by namespace, connection and sequence number. Most of what it frees was no loss: only reasons
//! that are one are kept. Never says which request it was.

use super::Given;
use crate::dissect::ip_address;
use crate::dissect::sockets::boottime::Boottime;
use crate::flow::{Close, Flow, FlowIndex};
use crate::loss::{Fate, LostPacket};
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
/// Flags that take a sequence number.
const FIN: u8 = 1;
const SYN: u8 = 2;
/// Functions that say no reason and drop all the same: those of netfilter begin so.
const NETFILTER: &str = "nf";
/// But for this one, which frees what it has cut into segments.
const CUTS: &str = "nfqnl_enqueue_packet";
/// A packet is dropped this soon after it passed an interface of the namespace, even where it is queued.
const SOON_NS: i64 = 2_000_000_000;
/// The clocks of packets and of the kernel's events are mapped to one another at best this exactly.
const CLOCKS_NS: i64 = 100_000;
/// A packet that is answered by a reset this soon was refused, not lost.
const REFUSED_NS: i64 = 10_000_000;

/// A packet that the kernel dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Witness {
    at_ns: i64,
    function: String,
    reason: String,
    sequence: u32,
    /// Sequence numbers that it took.
    length: u32,
    /// Source and destination at the place of the drop: a box that translates may drop it between its two names.
    source: SocketAddr,
    destination: SocketAddr,
}

impl Witness {
    /// `nft_do_chain: NETFILTER_DROP`.
    pub(super) fn words(&self) -> String {
        format!("{}: {}", self.function, self.reason)
    }

    /// Whether it held one of these numbers.
    fn holds(&self, sequence: u32, length: u32) -> bool {
        let ahead = self.sequence.wrapping_sub(sequence);
        ahead < length.max(1) || sequence.wrapping_sub(self.sequence) < self.length.max(1)
    }

    /// Who sent it, if it can have been one of this flow.
    fn sender(&self, flow: &Flow) -> Option<Side> {
        match () {
            () if self.source == flow.client || self.destination == flow.server => {
                Some(Side::Client)
            }
            () if self.source == flow.server || self.destination == flow.client => {
                Some(Side::Server)
            }
            () => None,
        }
    }

    /// Whether its other end is the flow's server, too: where a box translates it may be named otherwise.
    fn is_between(&self, flow: &Flow) -> bool {
        [self.source, self.destination].contains(&flow.server)
    }

    /// Whether somebody answered with a reset.
    fn was_refused(&self, flow: &Flow) -> bool {
        let is_reset = matches!(flow.close, Close::ClientReset | Close::ServerReset);
        is_reset && self.at_ns.saturating_add(REFUSED_NS) >= flow.last_ns
    }

    /// Whether its connection went on for long and sent nothing again: then its bytes did arrive, in another packet.
    fn is_contradicted(&self, flow: &Flow, sender: Side) -> bool {
        let counters = flow.counters[sender as usize];
        let went_on = flow.last_ns > self.at_ns.saturating_add(SOON_NS);
        self.length > 0 && went_on && counters.retransmissions + counters.syn_retransmissions == 0
    }

    /// The packet as one that was lost, behind the flow that it fits best of those with its client's end.
    fn by_itself(&self, given: &Given<'_>, flows: &[FlowIndex]) -> Option<LostPacket> {
        let flow = |index: FlowIndex| &given.flows[index as usize];
        let lives = |&&index: &&FlowIndex| {
            let Flow { first_ns, last_ns, .. } = *flow(index);
            let from_ns = first_ns.saturating_sub(CLOCKS_NS);
            (from_ns..=last_ns.saturating_add(SOON_NS)).contains(&self.at_ns)
        };
        let here = flows.iter().filter(lives).copied();
        let from = here.min_by_key(|&index| (!self.is_between(flow(index)), index))?;
        let sender = self.sender(flow(from))?;
        if self.was_refused(flow(from)) || self.is_contradicted(flow(from), sender) {
            return None;
        }
        Some(LostPacket {
            first: from,
            from,
            to: None,
            sender,
            at_ns: self.at_ns,
            at_first_ns: self.at_ns,
            repaired_ns: Some(0),
            sequence: self.sequence,
            length: self.length,
            fate: Fate::Dropped,
            doubt: None,
            reason: self.words(),
            slowed: Vec::new(),
        })
    }
}

/// A packet that may have been dropped: where and when it was seen last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropped {
    pub(super) flow: FlowIndex,
    pub(super) at_ns: i64,
    pub(super) sequence: u32,
}

/// A host, a namespace of it (empty: not known) and an address there.
type End = (String, String, SocketAddr);

/// All packets that the kernels dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// In order of time, those of one host after those of another.
    all: Vec<Witness>,
    /// Their indices, by source and by destination.
    by_end: BTreeMap<End, Vec<usize>>,
}

impl Witnesses {
    /// Of all hosts of some bundles.
    pub fn read(bundles: &Bundles) -> Witnesses {
        let mut all = Witnesses::default();
        for (number, host) in (0..).zip(&bundles.hosts) {
            let mut found: Vec<(Option<u32>, Witness)> = Vec::new();
            let mut clock = None;
            for batch in bundles.batches(number, &kernel_path::TABLE).flatten() {
                let clock = clock.get_or_insert_with(|| clock_of(bundles, number));
                let rows = kernel_path::rows(&batch);
                found.extend(rows.filter_map(|row| Some((row.netns, witness(&row, clock)?))));
            }
            found.sort_by_key(|(_, witness)| witness.at_ns);
            let names =
                if found.is_empty() { BTreeMap::new() } else { namespaces(bundles, number) };
            for (netns, witness) in found {
                let netns = netns.and_then(|inode| names.get(&inode)).cloned().unwrap_or_default();
                all.add(&host.name, &netns, witness);
            }
        }
        all
    }

    fn add(&mut self, host: &str, netns: &str, witness: Witness) {
        for end in [witness.source, witness.destination] {
            let key = (host.to_string(), netns.to_string(), end);
            self.by_end.entry(key).or_default().push(self.all.len());
        }
        self.all.push(witness);
    }

    /// The drop of a packet that was seen last at a flow of this sender.
    pub(super) fn of(
        &self,
        given: &Given<'_>,
        dropped: Dropped,
        sender: Side,
        length: u32,
    ) -> Option<&Witness> {
        self.place(given, dropped, sender, length).map(|place| &self.all[place])
    }

    fn place(
        &self,
        given: &Given<'_>,
        dropped: Dropped,
        sender: Side,
        length: u32,
    ) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let flow = &given.flows[dropped.flow as usize];
        let point = &given.points[flow.point as usize];
        let from_ns = dropped.at_ns.saturating_sub(CLOCKS_NS);
        let until_ns = dropped.at_ns.saturating_add(SOON_NS);
        let mut best: Option<usize> = None;
        for netns in [point.netns.as_str(), ""] {
            for end in [flow.client, flow.server] {
                let Some(some) = self.by_end.get(&(point.host.clone(), netns.to_string(), end))
                else {
                    continue;
                };
                let from = some.partition_point(|&i| self.all[i].at_ns < from_ns);
                let soon = some[from..].iter().take_while(|i| self.all[**i].at_ns <= until_ns);
                let is_it = |i: &&usize| {
                    let witness = &self.all[**i];
                    witness.sender(flow) == Some(sender) && witness.holds(dropped.sequence, length)
                };
                best = best.into_iter().chain(soon.copied().find(|i| is_it(&i))).min();
            }
        }
        best
    }

    /// What the kernel dropped and no retransmission tells of: acknowledgments, and what nobody sent again. Without a number that says so
    /// the client's end does: it is that of one connection, a server's of many.
    pub fn untold(&self, given: &Given<'_>, told: &[LostPacket]) -> Vec<LostPacket> {
        let spoken = told.iter().filter(|lost| !lost.reason.is_empty());
        let known: BTreeSet<usize> = spoken
            .filter_map(|lost| {
                let LostPacket { from: flow, at_ns, sequence, sender, length, .. } = *lost;
                self.place(given, Dropped { flow, at_ns, sequence }, sender, length)
            })
            .collect();
        let mut flows: BTreeMap<usize, Vec<FlowIndex>> = BTreeMap::new();
        for (index, flow) in (0..).zip(given.flows) {
            let point = &given.points[flow.point as usize];
            if self.is_empty() || point.process.is_some() || flow.ip_protocol != TCP {
                continue;
            }
            let end = (point.host.clone(), point.netns.clone(), flow.client);
            for &witness in self.by_end.get(&end).into_iter().flatten() {
                if !known.contains(&witness) {
                    flows.entry(witness).or_default().push(index);
                }
            }
        }
        let each = flows.iter();
        each.filter_map(|(&witness, flows)| self.all[witness].by_itself(given, flows)).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// What the kernel freed, if it was a loss of a TCP packet.
fn witness(row: &kernel_path::KernelPathRow<'_>, clock: &Boottime) -> Option<Witness> {
    let reason = row.drop_reason?;
    let is_filtered = row.point.starts_with(NETFILTER) && row.point != CUTS;
    if !LOSSES.contains(&reason) && !is_filtered {
        return None;
    }
    let headers = frame::decode(LinkType::RawIp, row.header, row.length);
    let (Some(network), Some(Transport::Tcp(tcp))) = (headers.network, headers.transport) else {
        return None;
    };
    let end = |address, port| SocketAddr::new(ip_address(network.family, address), port);
    let flag = |bit: u8| u32::from(tcp.flags & bit != 0);
    Some(Witness {
        at_ns: clock.realtime_ns(row.time_ns),
        function: row.point.to_string(),
        reason: reason.to_string(),
        sequence: tcp.sequence,
        length: headers.payload_length.saturating_add(flag(SYN) + flag(FIN)),
        source: end(network.source, tcp.source_port),
        destination: end(network.destination, tcp.destination_port),
    })
}

fn clock_of(bundles: &Bundles, host: u32) -> Boottime {
    let rows = bundles.batches(host, &clock::TABLE).flatten();
    Boottime::of(&rows.flat_map(|rows| clock::rows(&rows)).collect::<Vec<_>>())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::DirectionCounters;
    use crate::lost::Doubts;
    use crate::point::Point;

    const MS: i64 = 1_000_000;

    fn end(last: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, last], port).into()
    }

    /// A box that translates: the client's side of it, and the server's.
    fn world() -> (Vec<Flow>, Vec<Point>) {
        let flow = |point, client, server| Flow {
            point,
            ip_protocol: TCP,
            protocol: "http1".to_string(),
            client,
            server,
            first_ns: 0,
            last_ns: 9_000 * MS,
            handshake_ns: [None; 3],
            counters: [DirectionCounters { retransmissions: 1, ..Default::default() }; 2],
            pace: Default::default(),
            close: Close::Open,
            issues: Vec::new(),
        };
        let point = |name: &str| Point {
            host: "box".to_string(),
            netns: "gateway".to_string(),
            interface: name.to_string(),
            process: None,
            domain: 0,
        };
        let flows = vec![flow(0, end(1, 4000), end(9, 80)), flow(1, end(9, 5000), end(2, 8080))];
        (flows, vec![point("eth0"), point("eth1")])
    }

    /// 100 bytes from 1000 on, dropped at 10 ms between their two names.
    fn witness() -> Witness {
        Witness {
            at_ns: 10 * MS,
            function: "nf_hook_slow".to_string(),
            reason: "NETFILTER_DROP".to_string(),
            sequence: 1000,
            length: 100,
            source: end(1, 4000),
            destination: end(2, 8080),
        }
    }

    fn with<T>(netns: &str, flows: &[Flow], ask: impl FnOnce(&Given<'_>) -> T) -> T {
        let mut witnesses = Witnesses::default();
        witnesses.add("box", netns, witness());
        let (doubts, points) = (&Doubts::default(), &world().1);
        let (facts, alive) = (&[], &[(0, i64::MAX); 2]);
        ask(&Given { flows, facts, points, alive, doubts, witnesses: &witnesses })
    }

    fn check(
        netns: &str,
        flow: FlowIndex,
        at_ms: i64,
        sequence: u32,
        sender: Side,
        expected: bool,
    ) {
        let dropped = Dropped { flow, at_ns: at_ms * MS, sequence };
        let found = with(netns, &world().0, |given| {
            given.witnesses.of(given, dropped, sender, 100).map(Witness::words)
        });
        let words = expected.then(|| "nf_hook_slow: NETFILTER_DROP".to_string());
        assert_eq!(found, words, "{netns} {flow} {at_ms} {sequence}");
    }

    #[test]
    fn a_drop_is_that_of_the_packet_that_held_its_numbers_and_came_just_before() {
        check("gateway", 0, 9, 1000, Side::Client, true);
        check("gateway", 1, 9, 1000, Side::Client, true);
        check("", 0, 9, 1000, Side::Client, true);
        check("other", 0, 9, 1000, Side::Client, false);
        check("gateway", 0, 9, 1099, Side::Client, true);
        check("gateway", 0, 9, 901, Side::Client, true);
        check("gateway", 0, 9, 1100, Side::Client, false);
        check("gateway", 0, 9, 900, Side::Client, false);
        check("gateway", 0, 9, 1000, Side::Server, false);
        check("gateway", 0, 11, 1000, Side::Client, false);
    }

    fn check_untold(change: impl Fn(&mut Flow), expected: &[(FlowIndex, Side)]) {
        let (mut flows, _) = world();
        flows.iter_mut().for_each(change);
        let found = with("gateway", &flows, |given| given.witnesses.untold(given, &[]));
        let found: Vec<_> = found.iter().map(|lost| (lost.from, lost.sender)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_no_retransmission_tells_of_is_found_by_the_clients_end() {
        check_untold(|_| (), &[(0, Side::Client)]);
        // It went on for long and sent nothing again: its bytes arrived.
        check_untold(|flow| flow.counters = Default::default(), &[]);
        // Refused.
        let reset = |flow: &mut Flow| (flow.close, flow.last_ns) = (Close::ServerReset, 11 * MS);
        check_untold(reset, &[]);
        check_untold(|flow| flow.first_ns = 5_000 * MS, &[]);
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let told = with("gateway", &world().0, |given| {
            let mut told = given.witnesses.untold(given, &[]);
            told.iter_mut().for_each(|lost| lost.at_ns = 9 * MS);
            let again = given.witnesses.untold(given, &told);
            told[0].reason.clear();
            (again.len(), given.witnesses.untold(given, &told).len())
        });
        assert_eq!(told, (0, 1));
    }
}
