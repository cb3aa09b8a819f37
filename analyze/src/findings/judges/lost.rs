//! Packets that were lost, by the place where: on a stretch between two points, or inside the host behind the last one. Where all that
//! were lost are larger than all that got through it is their size. Never counts what may only not have been recorded.

use crate::call::CallIndex;
use crate::findings::case::Case;
use crate::findings::counters::{BACKLOG_DROPS, RECEIVED_DROPPED, SENT_DROPPED, SOFTNET_DROPPED};
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::loss::{Fate, LostPacket};
use crate::point::Point;
use crate::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const LOST: Judge =
    Judge { name: "lost-packets", about: "packets that were lost, and where", judge };

/// From this share of all traces' time on it is a failure …
const MUCH: f64 = 0.01;
/// … or if so many were lost that it is no chance.
const MANY: usize = 5;
/// Reasons of the kernel that are shown.
const SHOWN: usize = 3;
/// What the kernel says of packets that are too large for the next link.
const TOO_BIG: &str = "PKT_TOO_BIG";
/// So often at least the same sequence numbers were lost when nothing of their size gets through.
const TRIES: usize = 3;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<Culprit, Vec<&LostPacket>> = BTreeMap::new();
    for packet in case.analysis.lost_packets.iter().filter(|packet| packet.fate == Fate::Dropped) {
        places.entry(culprit(case, packet)).or_default().push(packet);
    }
    let unrepaired = unrepaired(case);
    let each = places.into_iter();
    each.map(|(culprit, packets)| one(case, culprit, &packets, &unrepaired)).collect()
}

/// Calls that got no answer since what they said was lost, and every copy of it.
pub(super) fn unrepaired(case: &Case<'_>) -> BTreeSet<CallIndex> {
    let lost = case.analysis.lost_packets.iter();
    let never = lost.filter(|lost| lost.fate == Fate::Dropped && lost.repaired_ns.is_none());
    let calls = never.flat_map(|lost| &lost.slowed).map(|(call, _)| *call);
    calls.filter(|&call| case.call(call).failed()).collect()
}

/// The calls that some packets slowed, each by the one that it waited for longest.
pub(super) fn slowed(packets: &[&LostPacket]) -> BTreeMap<CallIndex, i64> {
    let mut slowed: BTreeMap<CallIndex, i64> = BTreeMap::new();
    for &(call, ns) in packets.iter().flat_map(|packet| &packet.slowed) {
        let known = slowed.entry(call).or_default();
        *known = (*known).max(ns);
    }
    slowed
}

/// Where a packet was lost.
pub(super) fn culprit(case: &Case<'_>, packet: &LostPacket) -> Culprit {
    let point =
        |flow: u32| &case.analysis.points[case.analysis.flows[flow as usize].point as usize];
    let from = point(packet.from);
    let to = packet.to.map(point);
    let is_one = to.is_none_or(|to| to.is_beside(from));
    Culprit::Stretch {
        from: from.label(),
        to: to.map_or_else(String::new, Point::label),
        place: if is_one { from.place().to_string() } else { String::new() },
    }
}

fn one(
    case: &Case<'_>,
    culprit: Culprit,
    packets: &[&LostPacket],
    unrepaired: &BTreeSet<CallIndex>,
) -> Finding {
    let slowed = slowed(packets);
    let each = slowed.iter();
    let concerned: Vec<Concerned> = each
        .map(|(&call, &cost_ns)| Concerned { call, cost_ns, failed: unrepaired.contains(&call) })
        .collect();
    let has_failed = concerned.iter().any(|concerned| concerned.failed);
    let tries = packets.iter().fold(BTreeMap::<(u32, u32), usize>::new(), |mut tries, packet| {
        *tries.entry((packet.from, packet.sequence)).or_default() += 1;
        tries
    });
    let is_size = packets.iter().any(|packet| packet.reason.contains(TOO_BIG))
        || tries.values().any(|n| *n >= TRIES) && packets.iter().all(|p| p.repaired_ns.is_none());
    let is_much = packets.len() >= MANY || has_failed || case.share(&concerned) >= MUCH;
    let n = quantity::plural(packets.len() as u64, "packet");
    let where_ = culprit.words();
    let longest = packets.iter().filter_map(|packet| packet.repaired_ns).max().unwrap_or(0);
    let sentence = match is_size {
        true => format!(
            "{n} too large for the way vanished {}, again and again",
            behind(&where_, &culprit)
        ),
        false if slowed.is_empty() => format!("{n} were lost {}", behind(&where_, &culprit)),
        false => format!(
            "{n} were lost {}: {} waited for the next try, up to {}",
            behind(&where_, &culprit),
            quantity::plural(slowed.len() as u64, "call"),
            quantity::duration(longest)
        ),
    };
    let class = if is_size { "packets-too-large" } else { "packets-lost" };
    let mut finding = case.finding(Severity::of(is_much), class, culprit, sentence, concerned);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for packet in packets {
        *reasons.entry(&packet.reason).or_default() += 1;
    }
    let untold = reasons.remove("").unwrap_or(0);
    if untold > 0 {
        finding.evidence.push(format!(
            "{} seen here and at no point behind, not acknowledged, and sent again",
            quantity::count(untold as u64)
        ));
    }
    finding.evidence.extend(
        reasons.into_iter().take(SHOWN).map(|(reason, n)| {
            format!("the kernel dropped {}: {reason}", quantity::count(n as u64))
        }),
    );
    if let Some(packet) = packets.first() {
        finding.evidence.extend(counted(case, packet));
    }
    finding
}

/// What the kernel counted of packets that it had no room for, at the place where these were lost.
fn counted(case: &Case<'_>, packet: &LostPacket) -> Vec<String> {
    let flow = &case.analysis.flows[packet.from as usize];
    let Point { host, netns, interface, .. } = &case.analysis.points[flow.point as usize];
    let here = format!("{netns}/{interface}");
    let of_host = |name: &'static str| {
        case.counters.subjects(host, name).map(|(_, n)| n).fold(0, i64::saturating_add)
    };
    let counts: [(i64, &str); 4] = [
        (
            case.counters.grew(host, BACKLOG_DROPS, netns),
            "segments that a socket's backlog had no room for",
        ),
        (of_host(SOFTNET_DROPPED), "packets that a processor's queue had no room for"),
        (
            case.counters.grew(host, RECEIVED_DROPPED, &here),
            "packets dropped by this interface after it received them",
        ),
        (
            case.counters.grew(host, SENT_DROPPED, &here),
            "packets dropped by this interface instead of sending them",
        ),
    ];
    let some = counts.into_iter().filter(|(n, _)| *n > 0);
    some.map(|(n, what)| format!("the kernel counted {} {what}", quantity::count(n as u64)))
        .collect()
}

fn behind(words: &str, culprit: &Culprit) -> String {
    match culprit {
        Culprit::Stretch { from, to, place } if to.is_empty() => {
            format!("behind {from}, inside {place}")
        }
        Culprit::Stretch { place, .. } if !place.is_empty() => format!("in {words}"),
        _ => format!("between {}", words.replace(" → ", " and ")),
    }
}
