//! How often a service makes the same kind of call for one request: once, as a rule, or up to so often. Learnt by service and kind of
//! call. Never looks at times.

use super::{Lesson, Usual, milli};
use crate::link::assignment::Pair;
use crate::link::evidence::Kind;
use crate::link::roles::CallKind;
use std::collections::BTreeMap;

/// So often at most is told apart.
const MOST: usize = 8;
/// So many requests count as much as what is believed before: that as many make one more as made none.
const WORTH: f64 = 2.0;

/// Per kind: how many requests made at least so many such calls, from one on.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    at_least: BTreeMap<CallKind, [u64; MOST]>,
}

impl Counts {
    /// Counts a call of a request that had made `before` such calls.
    fn count(&mut self, kind: CallKind, before: u32) {
        if let Some(count) = self.at_least.entry(kind).or_default().get_mut(before as usize) {
            *count += 1;
        }
    }

    /// How probable it is that a request that made `n` such calls makes one more, if another that made none does for sure; in
    /// milli-nats.
    fn one_more(&self, kind: CallKind, n: u32) -> i64 {
        let (Some(before), Some(at_least)) = (n.checked_sub(1), self.at_least.get(&kind)) else {
            return 0;
        };
        let count = |n: usize| at_least[n.min(MOST - 1)] as f64;
        let (made, one_more) = (count(before as usize), count(n as usize));
        milli((one_more + 0.5 * WORTH) / (made + WORTH))
    }
}

impl Usual for Counts {
    fn kind(&self) -> Kind {
        Kind::Counts
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        if of != Lesson::Other {
            self.count(pair.kind(), pair.n_made());
        }
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        self.one_more(pair.kind(), pair.n_made())
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        match pair.n_made() {
            0 => "had made no such call yet".to_string(),
            n => format!("had made {n} such calls, as is usual here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_once_is_not_expected_again() {
        let mut counts = Counts::default();
        (0..98).for_each(|_| counts.count((1, 1), 0));
        (0..98).for_each(|_| (0..3).for_each(|before| counts.count((1, 2), before)));
        counts.count((1, 1), u32::MAX);
        assert_eq!(counts.one_more((1, 1), 0), 0);
        assert!(counts.one_more((1, 1), 1) < -4_000);
        assert!(counts.one_more((1, 2), 1) > -50 && counts.one_more((1, 2), 2) > -50);
        assert!(counts.one_more((1, 2), 3) < -4_000);
        assert_eq!(counts.one_more((7, 7), 3), 0, "nobody knows");
        assert!(counts.one_more((1, 2), 1_000) <= 0);
    }
}
