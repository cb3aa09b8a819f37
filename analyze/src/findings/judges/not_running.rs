//! Processes that do not run when there is work: requests that lay at them, arrived and unread, and answers that they did not fetch.
//! A quota, a stopped or overloaded process, one thread for everything. Who did other work meanwhile was busy, which is a failure only where
//! that is its pace. Never judges what a process does when it runs, nor what packets that were lost kept from it.

use crate::call::{CallIndex, Hop, Part, Times};
use crate::findings::case::Case;
use crate::findings::{Concerned, Culprit, Finding, Judge, Severity};
use crate::point::PointIndex;
use crate::quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Its entry in the table of judges.
pub(super) const NOT_RUNNING: Judge = Judge {
    name: "not-running",
    about: "a process that leaves requests or answers unread: stopped, out of quota, overloaded",
    judge,
};

/// A process that is given a processor reads sooner, on busy machines too.
const LONG_NS: i64 = 25_000_000;
/// Who does nothing on any connection for so long while something lies there does not run: an event loop does something else sooner.
const STILL_NS: i64 = 40_000_000;
/// Shorter silences are not looked at.
const QUIET_NS: i64 = 10_000_000;
/// Times that ended within this are one awakening.
const TOGETHER_NS: i64 = 5_000_000;
/// From so many waits and this share of all traces' time on it is a failure.
const LEAST: usize = 4;
const MUCH: f64 = 0.03;
/// Where this share of all that reached it had to wait it is no pause but its pace.
const ALWAYS: f64 = 0.25;

/// A time in which something lay unread.
#[derive(Debug, Clone, Copy)]
struct Waited {
    call: CallIndex,
    ns: i64,
    until_ns: i64,
    /// For how long of it, at a stretch, the process did nothing on any connection.
    silent_ns: i64,
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
    let silences = silences(case);
    // What never reached its socket nobody could read.
    let missing = case.analysis.lost_packets.iter().filter(|lost| lost.is_missing());
    let lost: BTreeSet<CallIndex> =
        missing.flat_map(|lost| &lost.slowed).map(|(call, _)| *call).collect();
    for (index, call) in case.calls().filter(|(index, _)| !lost.contains(index)) {
        // What one process left unread of a call is one wait.
        let mut here: BTreeMap<Culprit, (i64, PointIndex, i64)> = BTreeMap::new();
        for hop in &call.hops {
            let Some(Unread { culprit, ns, at, is_answer }) = unread(case, index, hop) else {
                continue;
            };
            let Some(span) = call.spans.get(at) else { continue };
            let times = span.times;
            let read_ns = if is_answer { times.response_first } else { times.request_last };
            let sum = here.entry(culprit).or_insert((0, span.point, read_ns.unwrap_or(0)));
            // Where a clock was set, a packet's time and a read's are no longer comparable: only what is beyond doubt counts.
            let sure_ns = ns.saturating_sub(hop.bound_ns.unwrap_or(0)).max(0);
            sum.0 = sum.0.saturating_add(sure_ns);
        }
        for (culprit, (ns, at, until_ns)) in here {
            let process = processes.entry(culprit).or_default();
            if let Some(point) = case.analysis.points.get(at as usize) {
                process.host.clone_from(&point.host);
                process.pid = point.process.as_ref().map_or(0, |process| process.pid);
            }
            process.n_reached += 1;
            if ns >= LONG_NS {
                let silences = silences.get(&at).map_or(&[][..], Vec::as_slice);
                let silent_ns = silent(silences, until_ns.saturating_sub(ns), until_ns);
                process.waited.push(Waited { call: index, ns, until_ns, silent_ns });
            }
        }
    }
    processes.into_iter().filter_map(|(culprit, process)| one(case, culprit, &process)).collect()
}

/// From when to when a process neither read nor wrote anything of any call, in order.
type Silences = Vec<(i64, i64)>;

/// Of each process by its point, those that are long enough to look at.
fn silences(case: &Case<'_>) -> BTreeMap<PointIndex, Silences> {
    let mut acts: BTreeMap<PointIndex, Vec<i64>> = BTreeMap::new();
    for span in case.calls().flat_map(|(_, call)| &call.spans) {
        let point = case.analysis.points.get(span.point as usize);
        if point.is_some_and(|point| point.process.is_some()) {
            let Times { request_first, request_last, response_first, response_last } = span.times;
            let times = [request_first, request_last, response_first, response_last];
            acts.entry(span.point).or_default().extend(times.into_iter().flatten());
        }
    }
    acts.into_iter().map(|(point, times)| (point, between(times))).collect()
}

/// The silences before, between and after these.
fn between(mut acts: Vec<i64>) -> Silences {
    acts.extend([i64::MIN, i64::MAX]);
    acts.sort_unstable();
    let pairs = acts.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(from, to)| to.saturating_sub(*from) >= QUIET_NS).collect()
}

/// The longest silence inside of a time; 0: none that is looked at.
fn silent(silences: &[(i64, i64)], from_ns: i64, until_ns: i64) -> i64 {
    let first = silences.partition_point(|(_, to)| *to <= from_ns);
    let inside = silences[first..].iter().take_while(|(from, _)| *from < until_ns);
    let each = inside.map(|(from, to)| (*to).min(until_ns).saturating_sub((*from).max(from_ns)));
    each.max().filter(|ns| *ns >= QUIET_NS).unwrap_or(0)
}

/// What lay unread: whose process it was for, how long, at which place in the path it stands, and which way it went.
struct Unread {
    culprit: Culprit,
    ns: i64,
    at: usize,
    is_answer: bool,
}

/// Whether a hop is about something that lay unread.
fn unread(case: &Case<'_>, index: CallIndex, hop: &Hop) -> Option<Unread> {
    let call = case.call(index);
    let of = |culprit: Culprit, ns: i64, at: u16, is_answer: bool| {
        Some(Unread { culprit, ns, at: usize::from(at), is_answer })
    };
    let gateway = |at: u16| {
        let span = call.spans.get(usize::from(at))?;
        let point = case.analysis.points.get(span.point as usize)?;
        let name = point.process.as_ref()?.name.clone();
        Some(Culprit::Service { name, place: point.place().to_string() })
    };
    match hop.part {
        Part::ServerAcceptQueue | Part::ServerSched | Part::ServerBusy => {
            of(case.server(index), hop.total_ns, hop.to, false)
        }
        Part::ClientRecvQueue => of(client(case, index), hop.total_ns, hop.from, true),
        Part::GatewayIn => of(gateway(hop.to)?, hop.forward_ns?, hop.to, false),
        Part::GatewayOut => of(gateway(hop.from)?, hop.return_ns?, hop.from, true),
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

fn one(case: &Case<'_>, culprit: Culprit, process: &Process) -> Option<Finding> {
    let waited = &process.waited;
    let longest_ns = waited.iter().map(|waited| waited.ns).max()?;
    let still: Vec<Waited> =
        waited.iter().filter(|waited| waited.silent_ns >= STILL_NS).copied().collect();
    let throttled_ns = case.counters.throttled_ns(&process.host, process.pid);
    let is_pace = waited.len() as f64 >= ALWAYS * process.n_reached as f64;
    let is_much = (is_pace && is_failure(case, waited)) || is_failure(case, &still);
    let n = quantity::plural(waited.len() as u64, "message");
    let n_reached = quantity::plural(process.n_reached as u64, "message");
    let of = format!("{} of {n_reached}", quantity::count(waited.len() as u64));
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
        () if is_pace => {
            ("overloaded", format!("{name} could not keep up: {of} lay unread, up to {longest}"))
        }
        () if still.is_empty() => (
            "busy",
            format!("{name} was busy with other requests: {of} lay unread, up to {longest}"),
        ),
        () => (
            "stood-still",
            format!(
                "{name} stood still {}, up to {longest}: {} lay unread until it went on",
                times(n_times(&still)),
                quantity::plural(still.len() as u64, "message")
            ),
        ),
    };
    let each = waited.iter();
    let concerned = each.map(|waited| Concerned::slowed(waited.call, waited.ns)).collect();
    let mut finding = case.finding(Severity::of(is_much), class, culprit, sentence, concerned);
    finding.evidence.push(format!(
        "{of} were read {} or more after they had arrived at its interface",
        quantity::duration(LONG_NS),
    ));
    let silent_ns = waited.iter().map(|waited| waited.silent_ns).max().unwrap_or(0);
    finding.evidence.push(match silent_ns {
        0 => {
            let quiet = quantity::duration(QUIET_NS);
            format!("meanwhile it read or wrote something else at least every {quiet}")
        }
        ns => {
            let ns = quantity::duration(ns);
            format!("meanwhile it neither read nor wrote anything for up to {ns} at a time")
        }
    });
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

/// Whether these are so many, more than once, and cost so much that it is a failure.
fn is_failure(case: &Case<'_>, waited: &[Waited]) -> bool {
    let each = waited.iter();
    let concerned: Vec<Concerned> =
        each.map(|waited| Concerned::slowed(waited.call, waited.ns)).collect();
    waited.len() >= LEAST && n_times(waited) > 1 && case.share(&concerned) >= MUCH
}

/// At how many times something was read that had lain.
fn n_times(waited: &[Waited]) -> usize {
    let mut until: Vec<i64> = waited.iter().map(|waited| waited.until_ns).collect();
    until.sort_unstable();
    let apart = |pair: &&[i64]| pair[1].saturating_sub(pair[0]) > TOGETHER_NS;
    usize::from(!until.is_empty()) + until.windows(2).filter(apart).count()
}

fn times(n: usize) -> String {
    match n {
        1 => "once".to_string(),
        n => format!("{} times", quantity::count(n as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Of a process that did something at these milliseconds, and something that lay there from … to.
    fn check(acts: &[i64], from: i64, until: i64, expected: i64) {
        let silences = between(acts.iter().map(|at| at * MS).collect());
        let found = silent(&silences, from * MS, until * MS);
        assert_eq!(found, expected * MS, "{acts:?} {from} {until}");
    }

    #[test]
    fn the_longest_silence_lies_between_what_it_did() {
        check(&[], 0, 100, 100);
        check(&[10, 40, 95], 0, 100, 55);
        check(&[0, 100, 200], 0, 100, 100);
        check(&[10, 40, 95], 50, 90, 40);
        check(&[0, 9, 18, 27], 0, 27, 0);
        check(&[5], 9, 3, 0);
    }
}
