//! Requests that wait for a connection: all of a process's connections to a server are taken, and the moment one is given back the next
//! request goes out on it. Never says that more connections would help: who answers may be what is slow, and where it was while requests
//! waited, the pool is only told, unless they did little else.

use crate::call::{Before, CallIndex, Part};
use crate::findings::case::{Case, median};
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::measure;
use crate::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const POOL_WAIT: Judge =
    Judge { name: "pool-wait", about: "requests that wait for a free connection", judge };

/// From this share of all traces' time on, where so many waited, it is a failure: a pool is meant to be full now and then.
const MUCH: f64 = 1.0 / 3.0;
const LEAST: usize = 10;
/// A warning from this share on.
const SOME: f64 = 0.02;

/// A call holds its connection for long if it takes so many times what is usual in its pool, and at least this …
const UNUSUAL: i64 = 5;
const LONG_NS: i64 = 20_000_000;
/// … which is unusual only where at most one of so many does.
const RARE: usize = 8;
/// The pool is not to blame if this share of the time waited passed while such a call held one of its connections.
const HELD: f64 = 0.5;

#[derive(Default)]
struct Pool {
    calls: Vec<CallIndex>,
    waited: Vec<(CallIndex, Before)>,
    connections: BTreeSet<u32>,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut pools: BTreeMap<(Culprit, u32), Pool> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.link.is_some()) {
        let pool = pools.entry((case.client(call), case.service_of(index))).or_default();
        pool.calls.push(index);
        pool.connections.insert(call.spans[0].flow);
        let waited = call.before.iter().find(|before| before.part == Part::ClientPoolWait);
        pool.waited.extend(waited.map(|before| (index, *before)));
    }
    pools
        .into_iter()
        .filter_map(|((culprit, server), pool)| one(case, culprit, server, &pool))
        .collect()
}

fn one(case: &Case<'_>, culprit: Culprit, server: u32, pool: &Pool) -> Option<Finding> {
    // The time lies before the call, in whoever made it.
    let each = pool.waited.iter();
    let concerned: Vec<Concerned> =
        each.map(|(index, wait)| Concerned::slowed(case.asker(*index), wait.ns)).collect();
    let share = case.share(&concerned);
    let held = held_share(case, pool);
    let severity = match () {
        () if pool.waited.len() < LEAST => return None,
        () if share >= MUCH => Severity::Fail,
        () if share >= SOME && held >= HELD => Severity::Pass,
        () if share >= SOME => Severity::Warn,
        () => return None,
    };
    let longest_ns = pool.waited.iter().map(|(_, wait)| wait.ns).max()?;
    let server = case.service(server).words();
    let sentence = format!(
        "{} waited for a free connection to {server}: {} of {}, up to {}",
        culprit.words(),
        quantity::count(pool.waited.len() as u64),
        quantity::plural(pool.calls.len() as u64, "call"),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "pool-wait", culprit, sentence, concerned);
    finding.evidence.push(match pool.connections.len() {
        1 => "each was sent the moment the only connection became free".to_string(),
        n => format!(
            "each was sent the moment one of {} connections became free, while all others were in use",
            quantity::count(n as u64)
        ),
    });
    if held > 0.0 {
        finding.evidence.push(format!(
            "{} of the time waited, a call that took {UNUSUAL} times what is usual, or more, held one of them",
            quantity::share(held, 1.0)
        ));
    }
    Some(finding)
}

/// The share of the time waited in which a call held a connection for unusually long.
fn held_share(case: &Case<'_>, pool: &Pool) -> f64 {
    let held = held(case, pool);
    let (mut waited_ns, mut held_ns) = (0_i64, 0_i64);
    for (_, wait) in &pool.waited {
        let end_ns = wait.from_ns.saturating_add(wait.ns);
        let first = held.partition_point(|[_, to_ns]| *to_ns <= wait.from_ns);
        let within = held[first..].iter().take_while(|[from_ns, _]| *from_ns < end_ns);
        let both = within
            .map(|[from_ns, to_ns]| to_ns.min(&end_ns).saturating_sub(*from_ns.max(&wait.from_ns)));
        held_ns = both.fold(held_ns, i64::saturating_add);
        waited_ns = waited_ns.saturating_add(wait.ns);
    }
    held_ns as f64 / waited_ns.max(1) as f64
}

/// When calls held a connection for unusually long: from and to, none overlapping another, in order.
fn held(case: &Case<'_>, pool: &Pool) -> Vec<[i64; 2]> {
    let mut durations: Vec<i64> = pool.calls.iter().map(|&call| case.duration_ns(call)).collect();
    let usual_ns = median(&mut durations);
    let calls = pool.calls.iter().map(|&call| (case.call(call), case.duration_ns(call)));
    let unusual = calls.filter(|(_, ns)| *ns >= LONG_NS && ns / UNUSUAL > usual_ns);
    let times = unusual.map(|(call, ns)| (measure::start(call), ns));
    let mut each: Vec<[i64; 2]> = times.map(|(at, ns)| [at, at.saturating_add(ns)]).collect();
    if each.len() * RARE > pool.calls.len() {
        return Vec::new();
    }
    each.sort_unstable();
    let mut held: Vec<[i64; 2]> = Vec::new();
    for [from_ns, to_ns] in each {
        match held.last_mut() {
            Some(last) if from_ns <= last[1] => last[1] = last[1].max(to_ns),
            _ => held.push([from_ns, to_ns]),
        }
    }
    held
}
