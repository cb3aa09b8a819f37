//! Which leg each leg goes on from: by content, then by all calls of both, and only where it is the only one. Never by one message that
//! others say, too.

use super::leg::{Content, Leg};
use super::way::Way;
use crate::align::Bounded;
use std::collections::BTreeMap;

/// Calls of one content tried as the counterpart of one call, the latest asked first; and of one connection's in all.
const MAX_CANDIDATES: usize = 64;
const MAX_TRIES: usize = 256;
/// Calls of a leg that look for a counterpart; one whose content was captured whole is enough.
const MAX_ANCHORS: usize = 8;
/// Calls that must agree where not both sides of the process were recorded: of content that no other connection carries, where the clocks
/// are related and where nothing else relates them; and of any content.
const RARE: usize = 1;
const RARE_UNRELATED: usize = 2;
const AGREEING: usize = 3;
/// Legs of one chain of forwarding processes.
const MAX_CHAIN: usize = 16;

/// A later leg, the earlier one it goes on from, and the calls (earlier, later) that are one.
pub(super) struct Onward {
    pub(super) before: usize,
    pub(super) next: usize,
    pub(super) calls: Vec<(usize, usize)>,
}

/// For each leg the only one that it can go on from; where two go on from one, neither.
pub(super) fn forwarded(legs: &[Leg], way: &Way<'_>) -> Vec<Onward> {
    let by_content = by_content(legs, way);
    let mut onward: Vec<Onward> =
        (0..legs.len()).filter_map(|next| goes_on_from(next, legs, &by_content, way)).collect();
    onward.sort_by_key(|o| (o.before, o.next));
    let mut uses: BTreeMap<usize, u32> = BTreeMap::new();
    onward.iter().for_each(|o| *uses.entry(o.before).or_default() += 1);
    onward.retain(|o| uses[&o.before] == 1);
    in_chains(onward)
}

/// A call by when it was asked at its leg's last point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    /// By which clock.
    by: u32,
    at_ns: i64,
    bound_ns: i64,
    leg: usize,
    call: usize,
}

/// The calls of one content, by time.
type ByContent = BTreeMap<Content, Vec<Asked>>;

fn by_content(legs: &[Leg], way: &Way<'_>) -> ByContent {
    let mut found = ByContent::new();
    for (i, leg) in legs.iter().enumerate() {
        for (k, call) in leg.calls.iter().enumerate() {
            if let Some(asked) = call.left.request_first.filter(|_| call.content.0 != 0) {
                let (by, Bounded { value_ns, bound_ns }) = way.common(leg.ends[1].domain, asked);
                let asked = Asked { by, at_ns: value_ns, bound_ns, leg: i, call: k };
                found.entry(call.content).or_default().push(asked);
            }
        }
    }
    found.values_mut().for_each(|calls| calls.sort_unstable());
    found
}

/// Whether only two connections carry something, this one and another.
fn is_rare(same: &[Asked]) -> bool {
    let mut legs: Vec<usize> = same.iter().map(|asked| asked.leg).take(MAX_CANDIDATES).collect();
    legs.sort_unstable();
    legs.dedup();
    legs.len() == 2 && same.len() <= MAX_CANDIDATES
}

/// Those that a call may be the counterpart of: asked before, the latest first; on clocks that nothing relates, if there is one only.
fn earlier<'a>(
    same: &'a [Asked],
    (by, asked): (u32, Bounded),
    way: &Way<'_>,
) -> impl Iterator<Item = &'a Asked> {
    let from = same.partition_point(|other| other.by < by);
    let on_clock = &same[from..from + same[from..].partition_point(|other| other.by == by)];
    // Where clocks are known within a bound, it may seem to have been asked later.
    let until = on_clock.partition_point(|other| {
        other.at_ns <= asked.value_ns.saturating_add(asked.bound_ns).saturating_add(other.bound_ns)
    });
    let others = if matches!(way, Way::Far(_)) && is_rare(same) { same } else { &[] };
    let unrelated = others.iter().filter(move |other| other.by != by);
    on_clock[..until].iter().rev().take(MAX_CANDIDATES).chain(unrelated)
}

fn goes_on_from(
    next: usize,
    legs: &[Leg],
    by_content: &ByContent,
    way: &Way<'_>,
) -> Option<Onward> {
    let leg = &legs[next];
    let mut found: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
    let mut tries = 0..MAX_TRIES;
    for (k, call) in leg.calls.iter().enumerate().take(MAX_ANCHORS) {
        let Some(asked) = call.entered.request_first else { continue };
        let Some(same) = by_content.get(&call.content) else { continue };
        let asked = way.common(leg.ends[0].domain, asked);
        for &Asked { leg: before, call: i, .. } in earlier(same, asked, way) {
            let tried = found.iter().any(|(known, _)| *known == before);
            if !tried && legs[before].could_go_on_as(leg, way) && tries.next().is_some() {
                found.extend(legs[before].matched(i, leg, k, way).map(|calls| (before, calls)));
            }
        }
    }
    let most = found.iter().map(|(_, calls)| calls.len()).max()?;
    let mut best = found.into_iter().filter(|(_, calls)| calls.len() == most);
    let (before, calls) = best.next()?;
    let is_only = best.next().is_none();
    let is_enough = || is_enough((&legs[before], leg), &calls, by_content, way);
    (is_only && is_enough()).then_some(Onward { before, next, calls })
}

/// Whether so much agrees that it is no chance: where both sides of a process were recorded what is matched at all is enough.
fn is_enough(
    (before, next): (&Leg, &Leg),
    calls: &[(usize, usize)],
    by_content: &ByContent,
    way: &Way<'_>,
) -> bool {
    let is_named = next.proxied.is_some();
    let same = |call: usize| by_content.get(&before.calls[call].content);
    let n_rare = || {
        let calls = calls.iter().filter(|(i, _)| same(*i).is_some_and(|same| is_rare(same)));
        calls.take(RARE_UNRELATED).count()
    };
    match way {
        Way::Here => true,
        Way::Far(_) if is_named => true,
        Way::Far(_) if way.are_related(before.ends[1].domain, next.ends[0].domain) => {
            calls.len() >= AGREEING || n_rare() >= RARE
        }
        Way::Far(_) => n_rare() >= RARE_UNRELATED,
    }
}

/// Those with most legs before them first; without what goes round in a circle: which is first, clocks that nothing relates don't tell.
fn in_chains(mut onward: Vec<Onward>) -> Vec<Onward> {
    let before: BTreeMap<usize, usize> = onward.iter().map(|o| (o.next, o.before)).collect();
    let depth = |o: &Onward| {
        let chain = std::iter::successors(Some(o.next), |leg| before.get(leg).copied());
        chain.take(MAX_CHAIN + 1).count()
    };
    onward.retain(|o| depth(o) <= MAX_CHAIN);
    onward.sort_by_cached_key(|o| (std::cmp::Reverse(depth(o)), o.next));
    onward
}
