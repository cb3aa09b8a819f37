//! Requests that a relay had read and kept before it passed them on, several at once: they queued in it, for a free slot of whoever
//! answers, a worker of its own, a limit of rate. Never judges what it waited for outside: names, handshakes, connections, answers.

use crate::call::{CallIndex, LinkKind};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::hops;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const QUEUE: Judge = Judge {
    name: "proxy-queue",
    about: "requests that queued inside a relay before it passed them on",
    judge,
};

/// A relay that has room passes on sooner …
const LONG_NS: i64 = 10_000_000;
/// … and never takes so many times what its quick ones take.
const UNUSUAL: i64 = 5;
/// So many that are kept at the same time are a queue.
const BESIDE: usize = 2;
/// So many, and this share of all traces' time, are a failure; a warning from a tenth of it on.
const LEAST: usize = 5;
const MUCH: f64 = 0.02;

/// A request inside a relay.
#[derive(Debug, Clone, Copy)]
struct Kept {
    call: CallIndex,
    from_ns: i64,
    until_ns: i64,
    /// That no part before the next call explains.
    ns: i64,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut relays: BTreeMap<u32, Vec<Kept>> = BTreeMap::new();
    for (index, _) in case.calls() {
        if let Some(kept) = kept(case, index) {
            relays.entry(case.service_of(kept.call)).or_default().push(kept);
        }
    }
    relays.into_iter().filter_map(|(relay, all)| one(case, case.service(relay), all)).collect()
}

/// How long the request that a call passes on lay in its relay.
fn kept(case: &Case<'_>, index: CallIndex) -> Option<Kept> {
    let call = case.call(index);
    let link = call.link.as_ref().filter(|link| link.kind == LinkKind::Relay)?;
    let parent = case.call(link.parent);
    let domain = |point: u32| case.analysis.points.get(point as usize).map(|point| point.domain);
    if domain(parent.spans.last()?.point) != domain(call.spans.first()?.point) {
        return None;
    }
    let (from_ns, until_ns) = (hops::asked(parent)?, call.times().first()?);
    // What asks others first does more than pass on.
    let is_first = |other: &CallIndex| {
        let other = case.call(*other);
        let is_attempt = matches!(other.protocol.as_str(), "tcp" | "dns" | "tls");
        is_attempt || other.times().first().is_none_or(|first_ns| first_ns >= until_ns)
    };
    if !case.children[link.parent as usize].iter().all(is_first) {
        return None;
    }
    let outside = call.before.iter().map(|before| before.ns).fold(0, i64::saturating_add);
    let ns = until_ns.saturating_sub(from_ns).saturating_sub(outside);
    Some(Kept { call: link.parent, from_ns, until_ns, ns })
}

fn one(case: &Case<'_>, culprit: Culprit, mut all: Vec<Kept>) -> Option<Finding> {
    all.sort_unstable_by_key(|kept| kept.ns);
    let quick_ns = all.get(all.len() / 10)?.ns.max(0);
    let is_long = |kept: &&Kept| kept.ns >= LONG_NS && kept.ns / UNUSUAL > quick_ns;
    let long: Vec<Kept> = all.iter().filter(is_long).copied().collect();
    let longest_ns = long.last()?.ns;
    let beside = most_beside(&long);
    if long.len() < LEAST || beside <= BESIDE {
        return None;
    }
    let each = long.iter();
    let concerned: Vec<Concerned> =
        each.map(|kept| Concerned::slowed(kept.call, kept.ns.saturating_sub(quick_ns))).collect();
    let share = case.share(&concerned);
    if share < MUCH / 10.0 {
        return None;
    }
    let sentence = format!(
        "{} queued {} of {} before it passed them on, up to {}, {} at a time",
        culprit.words(),
        quantity::count(long.len() as u64),
        quantity::plural(all.len() as u64, "request"),
        quantity::duration(longest_ns),
        quantity::count(beside as u64)
    );
    let severity = Severity::of(share >= MUCH);
    let mut finding = case.finding(severity, "queued-in-proxy", culprit, sentence, concerned);
    finding.evidence.push(format!(
        "its quickest tenth left within {} of being read; look-ups, handshakes and waits for a connection are left out",
        quantity::duration(quick_ns)
    ));
    Some(finding)
}

/// How many were kept at the same time, at most.
fn most_beside(kept: &[Kept]) -> usize {
    let ends = kept.iter().flat_map(|kept| [(kept.from_ns, 1i64), (kept.until_ns, -1)]);
    let mut ends: Vec<(i64, i64)> = ends.collect();
    // Who leaves when another comes is not beside it.
    ends.sort_unstable();
    let levels = ends.iter().scan(0i64, |level, (_, by)| {
        *level += by;
        Some(*level)
    });
    levels.max().unwrap_or(0).max(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times: &[(i64, i64)], expected: usize) {
        let kept = |&(from_ns, until_ns): &(i64, i64)| Kept { call: 0, from_ns, until_ns, ns: 0 };
        assert_eq!(most_beside(&times.iter().map(kept).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn those_at_the_same_time_are_counted() {
        check(&[], 0);
        check(&[(0, 10), (10, 20), (20, 30)], 1);
        check(&[(0, 10), (5, 20), (9, 30), (40, 50)], 3);
    }
}
