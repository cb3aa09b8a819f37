//! Requests of one service that begin one after another and are all answered at the same moment: they waited for the same thing, a lock
//! or a process that stood still. Needs no recorder. Never says which of the two where nothing shows that the service did other work.

use crate::call::CallIndex;
use crate::critical;
use crate::findings::case::Case;
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const TOGETHER: Judge = Judge {
    name: "answered-together",
    about: "requests that waited for the same thing: begun apart, answered at one moment",
    judge,
};

/// Answers this close to one another are one moment.
const MOMENT_NS: i64 = 4_000_000;
/// What took less waited for nothing.
const LONG_NS: i64 = 30_000_000;
/// So many answered at one moment are no chance.
const LEAST: usize = 3;
/// So many moments, or so many requests in them, are a failure.
const MOMENTS: usize = 2;
const REQUESTS: usize = 8;
/// Kinds of requests that are shown.
const SHOWN: usize = 3;
/// Requests that are asked whether they overtook others, at most.
const MOST_LOOKED_AT: usize = 1_000;

/// The last thing a server did for a request: from when on nothing else was waited for, until it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Own<'a> {
    call: CallIndex,
    route: &'a str,
    from_ns: i64,
    to_ns: i64,
}

impl Own<'_> {
    fn lasted_ns(&self) -> i64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut by_service: BTreeMap<u32, Vec<Own<'_>>> = BTreeMap::new();
    let given = case.given();
    for (index, call) in case.calls() {
        if let Some((from_ns, to_ns)) = critical::last_own(&given, index) {
            let own = Own { call: index, route: &call.route, from_ns, to_ns };
            by_service.entry(case.service_of(index)).or_default().push(own);
        }
    }
    by_service.into_iter().filter_map(|(service, own)| one(case, service, &own)).collect()
}

/// Those that were answered at one moment though they began apart, moment by moment: of each kind of request none that began later was
/// answered before.
fn moments<'a>(own: &[Own<'a>]) -> Vec<Vec<Own<'a>>> {
    let mut long: Vec<Own<'_>> =
        own.iter().copied().filter(|own| own.lasted_ns() >= LONG_NS).collect();
    long.sort_unstable_by_key(|own| (own.to_ns, own.from_ns, own.call));
    let mut by_route: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for own in own {
        by_route.entry(own.route).or_default().push((own.from_ns, own.to_ns));
    }
    by_route.values_mut().for_each(|all| all.sort_unstable());
    let near = |a: &Own<'_>, b: &Own<'_>| b.to_ns.saturating_sub(a.to_ns) <= MOMENT_NS;
    let mut found = Vec::new();
    for group in long.chunk_by(near) {
        let mut held: Vec<Own<'_>> = Vec::new();
        for (route, all) in &by_route {
            let members = group.iter().copied().filter(|own| own.route == *route);
            let members: Vec<Own<'_>> = members.collect();
            if !overtaken(&members, all, group[0].to_ns) {
                held.extend(members);
            }
        }
        let begins = || held.iter().map(|own| own.from_ns);
        let apart = begins().max().unwrap_or(0).saturating_sub(begins().min().unwrap_or(0));
        if held.len() >= LEAST && apart >= LONG_NS / 2 {
            found.push(held);
        }
    }
    found
}

/// Whether one of the same kind began after the first of these and was answered before `end_ns`.
fn overtaken(members: &[Own<'_>], of_route: &[(i64, i64)], end_ns: i64) -> bool {
    let Some(first_ns) = members.iter().map(|own| own.from_ns).min() else { return true };
    let later = of_route.partition_point(|(from_ns, _)| *from_ns <= first_ns);
    let before_end = of_route[later..].iter().take_while(|(from_ns, _)| *from_ns < end_ns);
    before_end.take(MOST_LOOKED_AT).any(|(_, to_ns)| *to_ns < end_ns)
}

fn one(case: &Case<'_>, service: u32, own: &[Own<'_>]) -> Option<Finding> {
    let moments = moments(own);
    let n: usize = moments.iter().map(Vec::len).sum();
    let longest_ns = moments.iter().flatten().map(Own::lasted_ns).max()?;
    let is_much = moments.len() >= MOMENTS && n >= REQUESTS;
    let severity = Severity::of(is_much);
    // While they waited, was anybody else answered?
    let is_active = |group: &Vec<Own<'_>>| {
        let begin_ns = group.iter().map(|own| own.from_ns).max().unwrap_or(0);
        let end_ns = group.iter().map(|own| own.to_ns).min().unwrap_or(0);
        own.iter().any(|own| own.to_ns > begin_ns && own.to_ns < end_ns)
    };
    let n_active = moments.iter().filter(|group| is_active(group)).count();
    let culprit = case.service(service);
    let name = culprit.words();
    let (class, what) = match n_active * 2 > moments.len() {
        true => (
            "waited-for-one-thing",
            "it served others meanwhile, so these waited for a lock or a pool",
        ),
        false => ("stood-still", "it served nothing else meanwhile"),
    };
    let sentence = format!(
        "{name} let {} wait, up to {}, and answered them together, {}, though they had come one after another; {what}",
        quantity::plural(n as u64, "request"),
        quantity::duration(longest_ns),
        match moments.len() {
            1 => "at one moment".to_string(),
            n => format!("at {} moments", quantity::count(n as u64)),
        },
    );
    let each = moments.iter().flatten();
    let concerned = each.map(|own| Concerned::slowed(own.call, own.lasted_ns()));
    let mut finding = case.finding(severity, class, culprit, sentence, concerned.collect());
    let kinds: BTreeSet<&str> = moments.iter().flatten().map(|own| own.route).collect();
    let kinds: Vec<&str> = kinds.into_iter().take(SHOWN).collect();
    finding.evidence.push(format!(
        "each time, no later request of the same kind was answered earlier: {}",
        kinds.join("; ")
    ));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// (from, to) in milliseconds: the sizes of the groups.
    fn check(own: &[(i64, i64)], expected: &[usize]) {
        let own: Vec<Own> = (0..)
            .zip(own)
            .map(|(call, &(from, to))| Own { call, route: "r", from_ns: from * MS, to_ns: to * MS })
            .collect();
        let found = moments(&own);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn begun_apart_and_answered_at_once() {
        check(&[(0, 400), (90, 401), (310, 402), (600, 605)], &[3]);
        check(&[(0, 400), (90, 401), (310, 402), (700, 1000), (820, 1001), (900, 1002)], &[3, 3]);
    }

    #[test]
    fn two_are_chance_and_begun_together_is_a_batch() {
        check(&[(0, 400), (90, 401)], &[]);
        check(&[(0, 400), (1, 401), (2, 402)], &[]);
        check(&[(0, 100), (50, 200), (90, 300)], &[]);
    }

    #[test]
    fn where_others_overtook_nothing_was_held() {
        check(&[(0, 400), (90, 401), (310, 402), (100, 103)], &[]);
        check(&[(0, 400), (90, 401), (310, 402), (320, 700)], &[3]);
    }
}
