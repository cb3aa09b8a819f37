//! The packets of connections that are looked at a second time, without their bytes. Never keeps a packet of another.

use super::options::{self, Told};
use crate::dissect::ip_address;
use crate::dissect::partitions::{Partition, chosen};
use crate::flow::{Flow, FlowIndex};
use afterpath_formats::bundle::PacketFile;
use afterpath_formats::frame::Transport;
use afterpath_formats::packet::{Packet, flow_hash_between};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// SYN and FIN, each of which takes one sequence number.
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// IP protocol number (IANA).
const TCP: u8 = 6;

/// A TCP segment at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Of which flow.
    pub flow: FlowIndex,
    /// Sent by the client.
    pub from_client: bool,
    /// When it passed.
    pub at_ns: i64,
    /// Of its first byte, or of SYN.
    pub sequence: u32,
    /// Sequence numbers that it takes: bytes, SYN, FIN.
    pub length: u32,
    /// What it acknowledges.
    pub acknowledgment: Option<u32>,
    /// The IPv4 identification; none where it is 0.
    pub id: Option<u32>,
    /// TSval (RFC 7323).
    pub timestamp: Option<u32>,
    /// What its options say of what its sender received.
    pub told: Told,
    /// It opens the connection.
    pub is_syn: bool,
    /// It ends it.
    pub is_fin: bool,
    /// Its sender has no room for more.
    pub is_full: bool,
}

/// Both ends at a point, the client first.
type Ends = (u32, SocketAddr, SocketAddr);

/// Whose packets are read a second time.
#[derive(Debug, Default)]
pub struct Wanted {
    flows: BTreeMap<Ends, Vec<(i64, i64, FlowIndex)>>,
    hashes: Vec<i64>,
}

impl Wanted {
    /// These of all flows.
    pub fn of(wanted: impl Iterator<Item = FlowIndex>, flows: &[Flow]) -> Wanted {
        let mut all = Wanted::default();
        for index in wanted {
            let flow = &flows[index as usize];
            let ends = (flow.point, flow.client, flow.server);
            all.flows.entry(ends).or_default().push((flow.first_ns, flow.last_ns, index));
            all.hashes.push(flow_hash_between(flow.client, flow.server, TCP));
        }
        all.hashes.sort_unstable();
        all.hashes.dedup();
        all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// A packet as a segment of one of these; `frame` as it was captured, as far as it was read.
    fn segment(&self, packet: &Packet<'_>, frame: &[u8]) -> Option<Segment> {
        // Fragments come reassembled, too.
        let network = packet.headers.network.filter(|network| network.fragment.is_none())?;
        let Some(Transport::Tcp(tcp)) = packet.headers.transport else { return None };
        let end = |address, port| SocketAddr::new(ip_address(network.family, address), port);
        let from = end(network.source, tcp.source_port);
        let to = end(network.destination, tcp.destination_port);
        let of = |ends: &Ends| {
            let lives = self.flows.get(ends)?;
            let at = packet.time_ns;
            lives.iter().find(|(first, last, _)| (*first..=*last).contains(&at)).map(|life| life.2)
        };
        let forth = of(&(packet.interface, from, to));
        let flow = forth.or_else(|| of(&(packet.interface, to, from)))?;
        if tcp.flags & RST != 0 {
            return None;
        }
        let flag = |bit: u8| u32::from(tcp.flags & bit != 0);
        Some(Segment {
            flow,
            from_client: forth.is_some(),
            at_ns: packet.time_ns,
            sequence: tcp.sequence,
            length: packet.headers.payload_length.saturating_add(flag(SYN) + flag(FIN)),
            acknowledgment: (tcp.flags & ACK != 0).then_some(tcp.acknowledgment),
            id: network.id.filter(|id| *id != 0 && network.family == 4),
            timestamp: tcp.timestamp_value,
            told: options::told(frame, packet.headers.payload_offset, &tcp),
            is_syn: tcp.flags & SYN != 0,
            is_fin: tcp.flags & FIN != 0,
            is_full: tcp.window == 0 && tcp.flags & SYN == 0,
        })
    }
}

/// The segments of one partition that are wanted, flow by flow in order of time.
pub fn segments(files: &[PacketFile], part: &Partition, wanted: &Wanted) -> Vec<Segment> {
    let take = |packet: &Packet<'_>, frame: &[u8]| wanted.segment(packet, frame);
    let mut found = chosen(files, part, &wanted.hashes, take);
    found.sort_by_key(|segment| (segment.flow, segment.at_ns));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::talk::{Talk, dissect};
    use afterpath_formats::frame::Fragment;
    use afterpath_formats::packet::flow_hash;

    /// The segments of a conversation, each packet changed before.
    fn check(change: impl Fn(usize, &mut Packet<'_>), expected: &[(bool, u32)]) {
        let mut talk = Talk::open();
        talk.say(0, b"GET").say(1, b"hello").close(0);
        let flows = dissect(&talk.frames).flows;
        let wanted = Wanted::of([0].into_iter(), &flows);
        let each = talk.frames.iter().enumerate().filter_map(|(i, frame)| {
            let mut packet = Packet {
                time_ns: frame.time_ns,
                source_row: 0,
                interface: 0,
                flow_hash: flow_hash(&frame.headers),
                original_length: 0,
                headers: frame.headers,
                payload: &frame.payload,
            };
            change(i, &mut packet);
            wanted.segment(&packet, &[])
        });
        let found: Vec<_> = each.map(|segment| (segment.from_client, segment.length)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn those_of_the_flow_with_what_their_flags_take() {
        let all = [(true, 1), (false, 1), (true, 0), (true, 3), (false, 5), (true, 1)];
        check(|_, _| (), &all);
        check(|i, packet| packet.interface = u32::from(i == 0), &all[1..]);
        check(|i, packet| packet.time_ns += if i == 5 { 1_000_000_000 } else { 0 }, &all[..5]);
        // A fragment comes again, reassembled.
        let fragment = |i, packet: &mut Packet<'_>| {
            let network = packet.headers.network.as_mut().filter(|_| i == 3);
            network.into_iter().for_each(|n| {
                n.fragment = Some(Fragment { offset: 0, more: true });
            });
        };
        check(fragment, &[(true, 1), (false, 1), (true, 0), (false, 5), (true, 1)]);
    }
}
