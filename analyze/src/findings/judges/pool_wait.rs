//! Requests that wait for a connection: all of a process's connections to a server are taken, and the moment one is given back the next
//! request goes out on it. Never says that more connections would help: who answers may be what is slow.

use crate::call::{CallIndex, Part};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::report::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const POOL_WAIT: Judge =
    Judge { name: "pool-wait", about: "requests that wait for a free connection", judge };

/// From this share of all traces' time on, where so many waited, it is a failure: a pool is meant to be full now and then.
const MUCH: f64 = 0.5;
const LEAST: usize = 10;
/// A warning from this share on.
const SOME: f64 = 0.02;

#[derive(Default)]
struct Pool {
    waited: Vec<(CallIndex, i64)>,
    connections: BTreeSet<u32>,
    n: usize,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut pools: BTreeMap<(Culprit, u32), Pool> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.link.is_some()) {
        let pool = pools.entry((case.client(call), case.service_of(index))).or_default();
        pool.n += 1;
        pool.connections.insert(call.spans[0].flow);
        let waited = call.before.iter().find(|before| before.part == Part::ClientPoolWait);
        pool.waited.extend(waited.map(|before| (index, before.ns)));
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
        each.map(|&(index, ns)| Concerned::slowed(case.asker(index), ns)).collect();
    let share = case.share(&concerned);
    let severity = match () {
        () if pool.waited.len() < LEAST => return None,
        () if share >= MUCH => Severity::Fail,
        () if share >= SOME => Severity::Warn,
        () => return None,
    };
    let longest_ns = pool.waited.iter().map(|(_, ns)| *ns).max()?;
    let server = case.service(server).words();
    let sentence = format!(
        "{} waited for a free connection to {server}: {} of {}, up to {}",
        culprit.words(),
        quantity::count(pool.waited.len() as u64),
        quantity::plural(pool.n as u64, "call"),
        quantity::duration(longest_ns)
    );
    let mut finding = case.finding(severity, "pool-wait", culprit, sentence, concerned);
    finding.evidence.push(format!(
        "{} in use; they went out the moment one was given back, while all others were taken",
        quantity::plural(pool.connections.len() as u64, "connection")
    ));
    Some(finding)
}
