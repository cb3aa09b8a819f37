//! How long each stretch between two points took, over all calls: what several judges compare. Never a judgement.

use super::Culprit;
use super::case::{Case, median};
use crate::call::{CallIndex, Hop, Part};
use crate::measure;
use std::collections::BTreeMap;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// With the request.
    Forth,
    /// With the response.
    Back,
    /// Both together: one way alone is not known.
    Both,
}

/// One time that something took from a point to its neighbour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) call: CallIndex,
    pub(super) ns: i64,
    /// How far it may be off.
    pub(super) bound_ns: i64,
}

/// Two neighbouring points, from the client's side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) part: &'static str,
    pub(super) from: String,
    pub(super) to: String,
    /// The namespace or host that both stand in.
    pub(super) place: String,
    /// Neither point is a process.
    is_network: bool,
}

impl Stretch {
    pub(super) fn culprit(&self) -> Culprit {
        let Stretch { from, to, place, .. } = self.clone();
        Culprit::Stretch { from, to, place }
    }
}

/// Every stretch between two interfaces with what passed it: what lies towards a process is that process's.
pub(super) fn stretches(case: &Case<'_>) -> BTreeMap<(Stretch, Way), Vec<Passed>> {
    let mut all: BTreeMap<(Stretch, Way), Vec<Passed>> = BTreeMap::new();
    for (index, call) in case.calls() {
        for hop in call.hops.iter().filter(|hop| hop.part == Part::Wire) {
            let Some(stretch) = stretch(case, index, hop).filter(|s| s.is_network) else {
                continue;
            };
            let passed = |ns| Passed { call: index, ns, bound_ns: hop.bound_ns.unwrap_or(0) };
            match (hop.forward_ns, hop.return_ns) {
                (Some(forth), Some(back)) => {
                    all.entry((stretch.clone(), Way::Forth)).or_default().push(passed(forth));
                    all.entry((stretch, Way::Back)).or_default().push(passed(back));
                }
                _ => all.entry((stretch, Way::Both)).or_default().push(passed(hop.total_ns)),
            }
        }
    }
    all
}

/// The stretch of a hop, by its points.
pub(super) fn stretch(case: &Case<'_>, index: CallIndex, hop: &Hop) -> Option<Stretch> {
    let call = case.call(index);
    let point = |at: u16| {
        let span = call.spans.get(usize::from(at))?;
        case.analysis.points.get(span.point as usize)
    };
    let (from, to) = (point(hop.from)?, point(hop.to)?);
    let place = if from.is_beside(to) { from.place() } else { "" };
    Some(Stretch {
        part: hop.part.name(),
        from: measure::point_label(case.analysis, call, usize::from(hop.from)),
        to: measure::point_label(case.analysis, call, usize::from(hop.to)),
        place: place.to_string(),
        is_network: from.process.is_none() && to.process.is_none(),
    })
}

/// What is usual there: the middle, and the lower tenth.
pub(super) fn usual(passed: &[Passed]) -> (i64, i64) {
    let mut values: Vec<i64> = passed.iter().map(|passed| passed.ns).collect();
    let middle = median(&mut values);
    values.sort_unstable();
    (middle, values.get(values.len() / 10).copied().unwrap_or(0))
}
