//! Requests that make many calls of one kind, one after another, where one would do (N + 1 queries). Never judges parallel ones.

use crate::call::CallIndex;
use crate::findings::case::Case;
use crate::findings::{Concerned, Finding, Judge, Severity};
use crate::measure;
use crate::quantity;
use std::collections::BTreeMap;

/// Its entry in the table of judges.
pub(super) const MANY_CALLS: Judge =
    Judge { name: "many-calls", about: "many calls of one kind, one after another", judge };

/// So many of one kind for one request are many.
const MANY: usize = 10;
/// So many requests that do so are a habit.
const LEAST: usize = 3;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    // Caller, callee, kind → the calls of each parent that makes many.
    let mut habits: BTreeMap<(u32, u32, &str), Vec<Vec<CallIndex>>> = BTreeMap::new();
    for (parent, children) in (0..).zip(&case.children) {
        let mut kinds: BTreeMap<(u32, &str), Vec<CallIndex>> = BTreeMap::new();
        for &child in children {
            let call = case.call(child);
            kinds.entry((case.service_of(child), &call.route)).or_default().push(child);
        }
        for ((service, route), calls) in kinds {
            if calls.len() >= MANY && n_in_turn(case, &calls) >= MANY {
                let key = (case.service_of(parent), service, route);
                habits.entry(key).or_default().push(calls);
            }
        }
    }
    let habits = habits.into_iter().filter(|(_, parents)| parents.len() >= LEAST);
    habits.map(|((caller, callee, _), parents)| one(case, caller, callee, &parents)).collect()
}

/// How many began after the one before had ended.
fn n_in_turn(case: &Case<'_>, calls: &[CallIndex]) -> usize {
    let mut times: Vec<(i64, i64)> = calls
        .iter()
        .filter_map(|&call| {
            let times = case.call(call).times();
            Some((times.first()?, times.last()?))
        })
        .collect();
    times.sort_unstable();
    1 + times.windows(2).filter(|pair| pair[0].1 <= pair[1].0).count()
}

fn one(case: &Case<'_>, caller: u32, callee: u32, parents: &[Vec<CallIndex>]) -> Finding {
    let most = parents.iter().map(Vec::len).max().unwrap_or(0);
    let culprit = case.service(caller);
    let sentence = format!(
        "{} makes up to {} calls of one kind to {}, one after another, in {}",
        culprit.words(),
        quantity::count(most as u64),
        case.service(callee).words(),
        quantity::plural(parents.len() as u64, "request")
    );
    let each = parents.iter().flatten();
    let concerned = each.map(|&call| Concerned::slowed(call, case.duration_ns(call)));
    let mut finding =
        case.finding(Severity::Warn, "many-calls", culprit, sentence, concerned.collect());
    finding.evidence.extend(
        parents.first().and_then(|calls| calls.first()).map(|&c| measure::request(case.call(c))),
    );
    finding
}
