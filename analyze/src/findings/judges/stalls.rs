//! Packets that had to be sent again while requests waited, and where they were lost no point tells: most often behind the last one,
//! in a network that nobody recorded. Never judges what was placed, what arrived after all, and what was sent again at once.

use super::lost;
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::loss::{Fate, LostPacket};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const STALLS: Judge = Judge {
    name: "retransmission-stall",
    about: "requests that waited for packets to be sent again, lost nobody knows where",
    judge,
};

/// Less is no timer (Linux: 200 ms at least), but a quick repair.
const LONG_NS: i64 = 100_000_000;
/// So many, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.01;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<Culprit, Vec<&LostPacket>> = BTreeMap::new();
    for packet in case.analysis.lost_packets.iter().filter(|packet| is_stall(packet)) {
        places.entry(lost::culprit(case, packet)).or_default().push(packet);
    }
    places.into_iter().map(|(culprit, packets)| one(case, culprit, &packets)).collect()
}

fn is_stall(packet: &LostPacket) -> bool {
    let has_waited = packet.repaired_ns.is_none_or(|ns| ns >= LONG_NS);
    packet.fate == Fate::Unknown && packet.is_missing() && has_waited && !packet.slowed.is_empty()
}

fn one(case: &Case<'_>, culprit: Culprit, packets: &[&LostPacket]) -> Finding {
    let slowed = lost::slowed(packets);
    let longest_ns = slowed.values().copied().max().unwrap_or(0);
    let each = slowed.iter();
    let concerned: Vec<Concerned> = each.map(|(&call, &ns)| Concerned::slowed(call, ns)).collect();
    let severity = Severity::of(packets.len() >= LEAST && case.share(&concerned) >= MUCH);
    let place = match &culprit {
        Culprit::Stretch { from, to, .. } if to.is_empty() => format!("behind {from}"),
        culprit => format!("around {}", culprit.words()),
    };
    let sentence = format!(
        "{} had to be sent again, since they or their acknowledgments were lost {place}: {} waited, up to {}",
        quantity::plural(packets.len() as u64, "packet"),
        quantity::plural(slowed.len() as u64, "call"),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "sent-again", culprit, sentence, concerned);
    let mut doubts: BTreeMap<&str, u64> = BTreeMap::new();
    for doubt in packets.iter().filter_map(|packet| packet.doubt) {
        *doubts.entry(doubt.name()).or_default() += 1;
    }
    finding.evidence.extend(doubts.into_iter().map(|(doubt, n)| {
        format!("where they were lost can't be told: {doubt} {}", quantity::count(n))
    }));
    finding
}
