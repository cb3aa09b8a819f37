//! How far each rule of threads holds in each process, learnt from the recording itself: of the requests that are being served when a
//! call is asked, those that are answered before the call is can't be its parent, and a rule that names one of them errs. Counts, which
//! add up; never looks at times.

use super::candidates::Candidates;
use super::threads::{Cause, Told, Way};
use std::collections::BTreeMap;

/// So many cases a belief held before is worth.
const WORTH: f64 = 20.0;
/// Nothing is surer than that, nor less sure.
const BOUNDS: [f64; 2] = [0.02, 0.998];
/// A task that writes for others may do so for whoever waited for a connection: when it errs it names somebody who was being served, which
/// nobody sees.
const MOST_OF_HANDED_OVER: f64 = 0.7;
/// Locks wake threads as work does, and name somebody who is being served.
const MOST_OF_WOKEN: f64 = 0.7;
/// On a connection that was freed just then, somebody else is as probable where many are at work.
const MOST_OF_FREED: f64 = 0.5;
/// A loop that lets one wait, or asks twice for one, names the next, who was being served as well.
const MOST_OF_IN_ORDER: f64 = 0.9;

/// How often a rule was put to the test, and failed. Who errs names anybody who is being served: of those a share can't be the parent, and
/// so much of a test it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Children of which something was named, each by how probable it was to see an error; in thousandths.
    tested: u64,
    /// Children of which nobody was named who could be the parent; in thousandths, too.
    wrong: u64,
}

/// What was learnt of all rules.
#[derive(Debug, Default)]
pub(super) struct Reliability {
    everywhere: BTreeMap<Way, Counts>,
    here: BTreeMap<((u32, u32), Way), Counts>,
}

impl Counts {
    fn count(&mut self, candidates: &Candidates, cause: &Cause) {
        let is_named = candidates.parents.iter().any(|parent| cause.parents.contains(parent));
        let (n_possible, n_open) = (candidates.parents.len(), candidates.n_open.max(1));
        self.tested += 1_000 * n_open.saturating_sub(n_possible) as u64 / n_open as u64;
        self.wrong += if is_named { 0 } else { 1_000 };
    }

    /// How often it holds, if so much was believed before.
    fn holds(self, before: f64) -> f64 {
        let held = self.tested.saturating_sub(self.wrong) as f64 / 1_000.0;
        (before * WORTH + held) / (WORTH + self.tested.max(self.wrong) as f64 / 1_000.0)
    }
}

impl Reliability {
    /// Learns from all children, and from answers, whose requests are known.
    pub(super) fn learn(candidates: &[Candidates], told: &Told) -> Reliability {
        let mut learnt = Reliability::default();
        for (process, order) in &told.order {
            let counts = learnt.here.entry((*process, Way::InOrder)).or_default();
            counts.tested += 1_000 * (order.held + order.broken);
            counts.wrong += 1_000 * order.broken;
        }
        for candidates in candidates.iter().filter(|candidates| !candidates.outlives) {
            if let Some(cause) = told.causes.get(&candidates.child) {
                learnt.everywhere.entry(cause.way).or_default().count(candidates, cause);
                let here = (cause.process, cause.way);
                learnt.here.entry(here).or_default().count(candidates, cause);
            }
        }
        learnt
    }

    /// The probability that one of those named is the parent.
    pub(super) fn of(&self, cause: &Cause) -> f64 {
        let before = cause.way.prior() as f64 / 1_000.0;
        let of = |counts: Option<&Counts>, before: f64| counts.map_or(before, |c| c.holds(before));
        let everywhere = of(self.everywhere.get(&cause.way), before);
        let here = of(self.here.get(&(cause.process, cause.way)), everywhere);
        let most = match cause.way {
            Way::HandedOver(..) => MOST_OF_HANDED_OVER,
            Way::Woken(_) => MOST_OF_WOKEN,
            Way::Freed => MOST_OF_FREED,
            Way::InOrder => MOST_OF_IN_ORDER,
            _ => BOUNDS[1],
        };
        here.clamp(BOUNDS[0], most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Children as (possible parents, named parent), asked while so many were being served.
    fn check(n_open: usize, children: &[(&[u32], u32)], expected: f64) {
        let mut told = Told::default();
        let mut all = Vec::new();
        for (child, (parents, named)) in (100..).zip(children) {
            let (parents, way) = (parents.to_vec(), Way::Made);
            all.push(Candidates { child, parents, n_open, outlives: false, place: 0 });
            let named = vec![*named];
            told.causes.insert(
                child,
                Cause { parents: named, way, process: (0, 1), reason: String::new() },
            );
        }
        let cause =
            Cause { parents: vec![], way: Way::Made, process: (0, 1), reason: String::new() };
        let found = Reliability::learn(&all, &told).of(&cause);
        assert!((found - expected).abs() < 0.005, "{found}, not {expected}");
    }

    #[test]
    fn a_rule_is_believed_as_far_as_it_held() {
        check(1, &[], 0.9);
        check(10, &[(&[1][..], 1); 400], 0.995);
        check(10, &[(&[1][..], 2); 400], 0.02);
        let mut children = vec![(&[1, 2][..], 1); 300];
        children.extend([(&[1, 2][..], 7); 100]);
        // Of four that it names one can't be; half of all can't, so twice as often it errs.
        check(4, &children, 0.503);
        // Only one of five can't be, and it is named each time: of more errors than tests nothing holds.
        check(5, &[(&[1, 2, 3, 4][..], 7); 100], 0.025);
    }

    #[test]
    fn where_nobody_else_was_served_nothing_is_put_to_the_test() {
        check(1, &[(&[1][..], 1); 400], 0.9);
    }
}
