//! Processes that do not run when there is work: requests that lay at them, arrived and unread, and answers that they did not fetch.
//! A quota, a stopped or overloaded process, one thread for everything. Never judges what a process does when it runs.

use crate::call::{CallIndex, Hop, Part};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::report::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const NOT_RUNNING: Judge = Judge {
    name: "not-running",
    about: "a process that leaves requests or answers unread: stopped, out of quota, overloaded",
    judge,
};

/// A process that is given a processor reads sooner, on busy machines too.
const LONG_NS: i64 = 25_000_000;
/// Times that ended within this are one awakening.
const TOGETHER_NS: i64 = 5_000_000;
/// From so many waits and this share of all traces' time on it is a failure.
const LEAST: usize = 4;
const MUCH: f64 = 0.03;
/// Where this share of all that reached it had to wait it is no pause but its pace.
const ALWAYS: f64 = 0.25;

/// A time in which something lay unread.
struct Waited {
    call: CallIndex,
    ns: i64,
    until_ns: i64,
}

#[derive(Default)]
struct Process {
    host: String,
    pid: u32,
    waited: Vec<Waited>,
    n_reached: usize,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut processes: BTreeMap<Culprit, Process> = BTreeMap::new();
    for (index, call) in case.calls() {
        let mut here: BTreeMap<Culprit, (i64, i64, u32, String)> = BTreeMap::new();
        for hop in &call.hops {
            if let Some((culprit, ns, at)) = unread(case, index, hop) {
                let point =
                    call.spans.get(at).and_then(|s| case.analysis.points.get(s.point as usize));
                let pid = point.and_then(|p| p.process.as_ref()).map_or(0, |process| process.pid);
                let host = point.map_or_else(String::new, |point| point.host.clone());
                let until_ns = call.spans.get(at).and_then(|s| s.times.request_last).unwrap_or(0);
                let sum = here.entry(culprit).or_insert((0, until_ns, pid, host));
                sum.0 = sum.0.saturating_add(ns.max(0));
            }
        }
        for (culprit, (ns, until_ns, pid, host)) in here {
            let process = processes.entry(culprit).or_default();
            (process.host, process.pid) = (host, pid);
            process.n_reached += 1;
            if ns >= LONG_NS {
                process.waited.push(Waited { call: index, ns, until_ns });
            }
        }
    }
    processes.into_iter().filter_map(|(culprit, process)| one(case, culprit, process)).collect()
}

/// Whose process left what a hop is about unread, for how long, and at which place in the path it stands.
fn unread(case: &Case<'_>, index: CallIndex, hop: &Hop) -> Option<(Culprit, i64, usize)> {
    let call = case.call(index);
    let gateway = |at: u16| {
        let span = call.spans.get(usize::from(at))?;
        let point = case.analysis.points.get(span.point as usize)?;
        let name = point.process.as_ref()?.name.clone();
        Some(Culprit::Service { name, place: point.place().to_string() })
    };
    match hop.part {
        Part::ServerAcceptQueue | Part::ServerSched | Part::ServerBusy => {
            Some((case.server(index), hop.total_ns, usize::from(hop.to)))
        }
        Part::ClientRecvQueue => Some((client(case, index), hop.total_ns, usize::from(hop.from))),
        Part::GatewayIn => Some((gateway(hop.to)?, hop.forward_ns?, usize::from(hop.to))),
        Part::GatewayOut => Some((gateway(hop.from)?, hop.return_ns?, usize::from(hop.from))),
        _ => None,
    }
}

/// The asking process under the name that it has as a server, if it is one.
fn client(case: &Case<'_>, index: CallIndex) -> Culprit {
    let call = case.call(index);
    match &call.client.process {
        Some(process) if call.link.is_none() => {
            Culprit::Service { name: process.name.clone(), place: call.client.place().to_string() }
        }
        _ => case.client(call),
    }
}

fn one(case: &Case<'_>, culprit: Culprit, mut process: Process) -> Option<Finding> {
    let waited = &mut process.waited;
    waited.sort_by_key(|waited| waited.until_ns);
    let longest_ns = waited.iter().map(|waited| waited.ns).max()?;
    let n_times = 1 + waited
        .windows(2)
        .filter(|pair| pair[1].until_ns.saturating_sub(pair[0].until_ns) > TOGETHER_NS)
        .count();
    let each = waited.iter();
    let concerned: Vec<Concerned> =
        each.map(|waited| Concerned::slowed(waited.call, waited.ns)).collect();
    let is_rule = waited.len() >= LEAST && n_times > 1;
    let severity = Severity::of(is_rule && case.share(&concerned) >= MUCH);
    let throttled_ns = case.counters.throttled_ns(&process.host, process.pid);
    let is_pace = waited.len() as f64 >= ALWAYS * process.n_reached as f64;
    let n = quantity::plural(waited.len() as u64, "message");
    let longest = quantity::duration(longest_ns);
    let name = culprit.words();
    let (class, sentence) = match () {
        () if throttled_ns > LONG_NS => (
            "throttled",
            format!(
                "{name} was stopped by its CPU quota for {} in all: {n} lay unread, up to {longest}",
                quantity::duration(throttled_ns)
            ),
        ),
        () if is_pace => (
            "overloaded",
            format!(
                "{name} could not keep up: {n} of {} lay unread, up to {longest}",
                quantity::count(process.n_reached as u64)
            ),
        ),
        () => (
            "stood-still",
            format!(
                "{name} did not run when it should have: {n} lay unread until it went on, {}, up to {longest}",
                times(n_times)
            ),
        ),
    };
    let mut finding = case.finding(severity, class, culprit, sentence, concerned);
    finding.evidence.push(format!(
        "arrived at its interface and read {} later or more, {n} of {}",
        quantity::duration(LONG_NS),
        quantity::count(process.n_reached as u64)
    ));
    if throttled_ns > 0 {
        let stopped = quantity::duration(throttled_ns);
        finding.evidence.push(format!("its cgroup's quota stopped it for {stopped}"));
    } else if is_pace {
        let quotas = case.counters.other_quotas(&process.host);
        finding.evidence.extend(quotas.iter().map(|(cgroup, ns)| {
            let stopped = quantity::duration(*ns);
            format!("a quota stopped cgroup {cgroup} of this host for {stopped}; which processes are in it was not told")
        }));
    }
    Some(finding)
}

fn times(n: usize) -> String {
    match n {
        1 => "once".to_string(),
        n => format!("{} times", quantity::count(n as u64)),
    }
}
