//! Points in the middle of a way that see one direction only, or nothing, of what passes on both sides of them: a redirection, an offload, a
//! second link. What is said of that point is said of half of the traffic. Never takes a loss for it: the bytes arrived.

use crate::call::{CallIndex, OrderBasis};
use crate::findings::case::Case;
use crate::findings::{Culprit, Finding, Judge, Severity};
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const BYPASSED: Judge =
    Judge { name: "bypassed", about: "points that packets pass unseen, one way or both", judge };

/// So many calls at least, and this share of those that pass there, make a rule.
const LEAST: usize = 5;
const MOST: f64 = 0.5;

#[derive(Default)]
struct Seen {
    /// Calls whose request passed points before and behind it, not itself; and the same of responses.
    unseen: [Vec<CallIndex>; 2],
    n: usize,
    before: BTreeMap<String, usize>,
}

fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut points: BTreeMap<u32, Seen> = BTreeMap::new();
    for (index, call) in case.calls().filter(|(_, call)| call.tracer.is_none()) {
        let spans = &call.spans;
        let is_decided = spans.iter().all(|span| span.order_basis != OrderBasis::Undecided);
        if spans.len() < 3 || !is_decided {
            continue;
        }
        let has = |at: usize, way: usize| match way {
            0 => spans[at].times.request_first.is_some(),
            _ => spans[at].times.response_first.is_some(),
        };
        let places = 0..spans.len();
        let ends = [0, 1].map(|way| {
            let first = places.clone().find(|&at| has(at, way));
            first.zip(places.clone().rev().find(|&at| has(at, way)))
        });
        for at in 1..spans.len() - 1 {
            let point = &case.analysis.points[spans[at].point as usize];
            if point.process.is_some() {
                continue;
            }
            let seen = points.entry(spans[at].point).or_default();
            seen.n += 1;
            for way in [0, 1] {
                let around = ends[way].is_some_and(|(first, last)| first < at && at < last);
                if around && !has(at, way) {
                    seen.unseen[way].push(index);
                    let before = case.analysis.points[spans[at - 1].point as usize].label();
                    *seen.before.entry(before).or_default() += 1;
                }
            }
        }
    }
    points.into_iter().filter_map(|(point, seen)| one(case, point, &seen)).collect()
}

fn one(case: &Case<'_>, point: u32, seen: &Seen) -> Option<Finding> {
    let n = seen.unseen.iter().map(Vec::len).max()?;
    if n < LEAST || (n as f64) < MOST * seen.n as f64 {
        return None;
    }
    let label = case.analysis.points[point as usize].label();
    let before = seen.before.iter().max_by_key(|(_, n)| **n).map(|(before, _)| before.clone());
    let what = if seen.unseen[0].len() >= seen.unseen[1].len() { "requests" } else { "responses" };
    let sentence = format!(
        "{label} did not see the {what} of {} that passed on both sides of it: they take another way there",
        quantity::plural(n as u64, "call")
    );
    let culprit = Culprit::Stretch { from: before?, to: label, place: String::new() };
    let mut finding = case.finding(Severity::Warn, "bypassed-point", culprit, sentence, Vec::new());
    finding.evidence.push(format!(
        "{} of {} seen there one way only; none of it was lost",
        quantity::count(n as u64),
        quantity::plural(seen.n as u64, "call")
    ));
    Some(finding)
}
