//! Servers that do not accept: connections that waited between handshake and accept, and those that a full queue did not take, as the
//! kernel's counters say. Never judges a connect that nobody dropped.

use crate::call::{CallIndex, Part};
use crate::findings::case::Case;
use crate::findings::counters::{LISTEN_DROPS, LISTEN_OVERFLOWS};
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const ACCEPT_QUEUE: Judge = Judge {
    name: "accept-queue",
    about: "connections that waited for accept, or found the queue full",
    judge,
};

/// A server that waits for connections accepts sooner.
const LONG_NS: i64 = 25_000_000;
/// A handshake this slow had to try again.
const AGAIN_NS: i64 = 900_000_000;
/// So many, and this share of all traces' time, are a failure.
const LEAST: usize = 3;
const MUCH: f64 = 0.03;

/// What became of connections to one service.
#[derive(Default)]
struct Queue {
    waited: Vec<(CallIndex, i64)>,
    again: Vec<(CallIndex, i64)>,
    place: Option<(String, String)>,
    n_accepted: usize,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut queues: BTreeMap<Culprit, Queue> = BTreeMap::new();
    for (index, call) in case.calls() {
        let waited = call.hop(Part::ServerAcceptQueue);
        let waited_ns = waited.map_or(0, |hop| hop.total_ns);
        let again_ns = call.connect_ns.filter(|ns| *ns >= AGAIN_NS);
        if waited.is_none() && again_ns.is_none() {
            continue;
        }
        let queue = queues.entry(case.server(index)).or_default();
        queue.n_accepted += usize::from(waited.is_some());
        queue.place = Some((call.server.host.clone(), call.server.netns.clone()));
        if waited_ns >= LONG_NS {
            queue.waited.push((index, waited_ns));
        }
        if let Some(ns) = again_ns {
            queue.again.push((case.asker(index), ns));
        }
    }
    queues.into_iter().filter_map(|(culprit, queue)| one(case, culprit, &queue)).collect()
}

fn one(case: &Case<'_>, culprit: Culprit, queue: &Queue) -> Option<Finding> {
    let (host, netns) = queue.place.clone()?;
    let overflows = case.counters.grew(&host, LISTEN_OVERFLOWS, &netns);
    let drops = case.counters.grew(&host, LISTEN_DROPS, &netns);
    // Without the counter a handshake that tried again may have lost its packet anywhere.
    let again: &[(CallIndex, i64)] = if overflows > 0 { &queue.again } else { &[] };
    let is_usual = queue.waited.len() * 2 > queue.n_accepted;
    if overflows == 0 && !is_usual {
        return None;
    }
    let n = queue.waited.len() + again.len();
    let longest_ns = queue.waited.iter().chain(again).map(|(_, ns)| *ns).max()?;
    let concerned: Vec<Concerned> = queue
        .waited
        .iter()
        .chain(again)
        .map(|&(call, cost_ns)| Concerned::slowed(call, cost_ns))
        .collect();
    // Where the kernel counted and its queue never ran over, the server accepted all, if late.
    let may_be_full = overflows > 0 || case.counters.is_empty();
    let severity = Severity::of(n >= LEAST && may_be_full && case.share(&concerned) >= MUCH);
    let name = culprit.words();
    let sentence = match overflows {
        0 => format!(
            "{name} accepted {} late, up to {} after the handshake",
            quantity::plural(n as u64, "connection"),
            quantity::duration(longest_ns)
        ),
        _ => format!(
            "{name} did not accept: its queue was full, {} waited or had to try again, up to {}",
            quantity::plural(n as u64, "connection"),
            quantity::duration(longest_ns)
        ),
    };
    let class = if overflows > 0 { "accept-queue-full" } else { "late-accept" };
    let mut finding = case.finding(severity, class, culprit, sentence, concerned);
    if overflows > 0 {
        finding.evidence.push(format!(
            "the kernel counted in {netns}: ListenOverflows {}, ListenDrops {}",
            quantity::count(overflows as u64),
            quantity::count(drops.max(0) as u64)
        ));
    }
    if !queue.waited.is_empty() {
        let n = quantity::plural(queue.waited.len() as u64, "connection");
        finding.evidence.push(format!(
            "{n} waited {} or more between handshake and accept",
            quantity::duration(LONG_NS)
        ));
    }
    Some(finding)
}
