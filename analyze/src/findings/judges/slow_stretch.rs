//! A stretch of the network, or the inside of a gateway, that takes long: longer one way than the other, or now and then. What is as
//! long both ways and always is distance, and only told. Never judges what lies in a process.

use crate::findings::case::{Case, median};
use crate::findings::stretches::{Passed, Stretch, Way, stretches, usual};
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const SLOW_STRETCH: Judge = Judge {
    name: "slow-stretch",
    about: "a network or gateway that takes longer one way than the other, or now and then",
    judge,
};

/// Less is no delay that anybody would look for.
const LONG_NS: i64 = 500_000;
/// So many times what is usual there is unusual.
const UNUSUAL: i64 = 5;
/// From this share of all traces' time on it is a failure.
const MUCH: f64 = 0.02;
/// Or if most calls take this much longer, one way only.
const STEADY_NS: i64 = 1_000_000;
/// A single passage this long, and so many times what it need have taken, is worth a warning.
const ONCE_NS: i64 = 5_000_000;
const RARE: i64 = 50;
/// So many passages at least make a rule.
const LEAST: usize = 5;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let all = stretches(case);
    let ways = |stretch: &Stretch, way: Way| all.get(&(stretch.clone(), way)).map(Vec::as_slice);
    let mut by_stretch: BTreeMap<&Stretch, Vec<(Way, &[Passed])>> = BTreeMap::new();
    for ((stretch, way), passed) in &all {
        by_stretch.entry(stretch).or_default().push((*way, passed));
    }
    let mut found = Vec::new();
    for (stretch, each) in by_stretch {
        for (way, passed) in each {
            let other = match way {
                Way::Forth => ways(stretch, Way::Back),
                Way::Back => ways(stretch, Way::Forth),
                Way::Both => None,
            };
            found.extend(one_way(case, stretch, way, passed, other));
        }
    }
    found
}

fn one_way(
    case: &Case<'_>,
    stretch: &Stretch,
    way: Way,
    passed: &[Passed],
    other: Option<&[Passed]>,
) -> Option<Finding> {
    let (middle_ns, low_ns) = usual(passed);
    let other_ns = other.map(|other| usual(other).0);
    // What it would take were nothing wrong: as long as back, or as its own quick ones.
    let sound_ns = other_ns.unwrap_or(low_ns).min(low_ns).max(0);
    let mut excess: Vec<(Passed, i64)> = passed
        .iter()
        .map(|passed| (*passed, passed.ns.saturating_sub(sound_ns)))
        .filter(|(passed, more_ns)| {
            *more_ns >= LONG_NS
                && *more_ns > passed.bound_ns.saturating_mul(2)
                && passed.ns / UNUSUAL > sound_ns
        })
        .collect();
    let worst_ns = excess.iter().map(|(passed, _)| passed.ns).max()?;
    let typical_ns = median(&mut excess.iter().map(|(_, more)| *more).collect::<Vec<_>>());
    excess.sort_by_key(|(passed, _)| passed.call);
    let each = excess.iter();
    let concerned: Vec<Concerned> =
        each.map(|(passed, more)| Concerned::slowed(passed.call, *more)).collect();
    let share = case.share(&concerned);
    let is_rule = excess.len() >= LEAST;
    let is_steady = excess.len() * 2 > passed.len() && typical_ns >= STEADY_NS;
    let severity = match () {
        () if is_rule && (share >= MUCH || is_steady) => Severity::Fail,
        () if is_rule && share >= MUCH / 10.0 => Severity::Warn,
        () if worst_ns >= ONCE_NS && worst_ns / RARE > sound_ns => Severity::Warn,
        () => return None,
    };
    let (what, direction) = match way {
        Way::Forth => ("request", "requests' way"),
        Way::Back => ("response", "responses' way"),
        Way::Both => ("call", "both ways together"),
    };
    let sentence = format!(
        "{} delayed {} of {}{} by {}",
        stretch.culprit().words(),
        quantity::count(excess.len() as u64),
        quantity::plural(passed.len() as u64, what),
        if excess.len() > 1 { ", typically" } else { "" },
        quantity::duration(typical_ns),
    );
    let mut finding = case.finding(severity, "slow-hop", stretch.culprit(), sentence, concerned);
    let mut evidence = format!(
        "{direction}: p50 {}, quickest tenth {}, longest {}",
        quantity::duration(middle_ns),
        quantity::duration(low_ns),
        quantity::duration(worst_ns)
    );
    if let Some(other_ns) = other_ns {
        evidence += &format!("; the other way p50 {}", quantity::duration(other_ns));
    }
    finding.evidence.push(evidence);
    Some(finding)
}
