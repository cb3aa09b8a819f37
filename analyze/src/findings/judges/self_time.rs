//! Which service itself the time goes into: its own work on the path of traces, what it waited for left out; and whether the slow traces
//! are slow in one, by calls that took many times what their kind usually takes. Never calls work a failure: what it should take nobody
//! recorded.

use crate::call::CallIndex;
use crate::findings::case::{Case, median};
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const SELF_TIME: Judge = Judge {
    name: "self-time",
    about: "the service whose own work takes most of the time, and most of the slow requests'",
    judge,
};

/// A service that takes this share of all traces' time is told.
const MOST: f64 = 0.3;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut own: BTreeMap<u32, Vec<(CallIndex, i64)>> = BTreeMap::new();
    for (index, call) in case.calls() {
        let self_ns = call.critical.map_or(0, |critical| critical.self_ns);
        if self_ns > 0 {
            own.entry(case.service_of(index)).or_default().push((index, self_ns));
        }
    }
    let slow = &case.slow;
    let mut found = Vec::new();
    for (service, calls) in own {
        found.extend(unusual(case, service, &calls));
        let sum = |calls: &[(CallIndex, i64)]| {
            calls.iter().map(|(_, ns)| *ns).fold(0, i64::saturating_add)
        };
        let share = sum(&calls) as f64 / case.path_ns.max(1) as f64;
        if share < MOST {
            continue;
        }
        let of_slow: Vec<_> = calls
            .iter()
            .copied()
            .filter(|(call, _)| slow.contains_key(&case.trace_of(*call)))
            .collect();
        let slow_ns = slow.values().copied().fold(0, i64::saturating_add);
        let slow_share = sum(&of_slow) as f64 / slow_ns.max(1) as f64;
        let culprit = case.service(service);
        let mut sentence = format!(
            "{} itself took {} of all the time",
            culprit.words(),
            quantity::share(share, 1.0)
        );
        if !slow.is_empty() {
            sentence += &format!(
                ", and {} of that of the {}",
                quantity::share(slow_share, 1.0),
                quantity::plural(slow.len() as u64, "slow trace")
            );
        }
        let concerned = calls.iter().map(|&(call, ns)| Concerned::slowed(call, ns));
        let mut finding =
            case.finding(Severity::Pass, "own-work", culprit, sentence, concerned.collect());
        let mut values: Vec<i64> = calls.iter().map(|(_, ns)| *ns).collect();
        let longest = values.iter().max().copied().unwrap_or(0);
        finding.evidence.push(format!(
            "{}: p50 {}, longest {}, on the path of their traces",
            quantity::plural(calls.len() as u64, "call"),
            quantity::duration(median(&mut values)),
            quantity::duration(longest)
        ));
        found.push(finding);
    }
    found
}

/// A call is unusual if it took so many times what its kind does, and this long.
const UNUSUAL: i64 = 5;
const LONG_NS: i64 = 20_000_000;
/// So many of them, and this share of the time of slow traces, are worth a warning.
const FEW: usize = 5;
const SHARE: f64 = 0.25;

/// Calls of a service that took much longer than their kind does and made their traces slow.
fn unusual(case: &Case<'_>, service: u32, calls: &[(CallIndex, i64)]) -> Option<Finding> {
    let slow = &case.slow;
    let mut kinds: BTreeMap<&str, Vec<(CallIndex, i64)>> = BTreeMap::new();
    for (index, ns) in calls {
        kinds.entry(&case.call(*index).route).or_default().push((*index, *ns));
    }
    let mut found: Vec<(CallIndex, i64)> = Vec::new();
    let mut worst: Option<(i64, i64, &str)> = None;
    for (kind, calls) in &kinds {
        let usual_ns = median(&mut calls.iter().map(|(_, ns)| *ns).collect::<Vec<_>>());
        let many = calls.iter().copied().filter(|(index, ns)| {
            *ns >= LONG_NS && *ns / UNUSUAL > usual_ns && slow.contains_key(&case.trace_of(*index))
        });
        for (index, ns) in many {
            found.push((index, ns.saturating_sub(usual_ns)));
            worst = worst.max(Some((ns, usual_ns, kind)));
        }
    }
    let (longest_ns, usual_ns, kind) = worst?;
    let cost_ns = found.iter().map(|(_, ns)| *ns).fold(0, i64::saturating_add);
    let slow_ns = slow.values().copied().fold(0, i64::saturating_add);
    if found.len() < FEW || (cost_ns as f64) < SHARE * slow_ns as f64 {
        return None;
    }
    let culprit = case.service(service);
    let sentence = format!(
        "{} was {UNUSUAL} times as slow as usual, or more, in {}, up to {}; slow traces waited for them",
        culprit.words(),
        quantity::plural(found.len() as u64, "call"),
        quantity::duration(longest_ns)
    );
    let concerned = found.iter().map(|&(call, ns)| Concerned::slowed(call, ns));
    let mut finding =
        case.finding(Severity::Warn, "slow-work", culprit, sentence, concerned.collect());
    let (longest, usual) = (quantity::duration(longest_ns), quantity::duration(usual_ns));
    finding.evidence.push(format!("{kind}: up to {longest}, usually {usual}"));
    Some(finding)
}
