//! How often a service makes the same kind of call for one request: once, as a rule, or up to so often. Learnt by service and kind of
//! call. Never looks at times.

use super::delays::milli;
use std::collections::BTreeMap;

/// Who serves a request, and the kind of call that is made for it, by number.
pub(super) type Kind = (u32, u32);

/// So often at most is told apart.
const MOST: usize = 8;
/// So many requests count as much as what is believed before: that as many make one more as made none.
const WORTH: f64 = 2.0;

/// Per kind: how many requests made at least so many such calls, from one on.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    at_least: BTreeMap<Kind, [u64; MOST]>,
}

impl Counts {
    /// Counts a request that made `n` such calls.
    pub(super) fn count(&mut self, kind: Kind, n: u32) {
        let at_least = self.at_least.entry(kind).or_default();
        at_least.iter_mut().take(n as usize).for_each(|count| *count += 1);
    }

    /// How probable it is that a request that made `n` such calls makes one more, if another that made none does for sure; in
    /// milli-nats.
    pub(super) fn one_more(&self, kind: Kind, n: u32) -> i64 {
        let (Some(before), Some(at_least)) = (n.checked_sub(1), self.at_least.get(&kind)) else {
            return 0;
        };
        let count = |n: usize| at_least[n.min(MOST - 1)] as f64;
        let (made, one_more) = (count(before as usize), count(n as usize));
        milli((one_more + 0.5 * WORTH) / (made + WORTH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_once_is_not_expected_again() {
        let mut counts = Counts::default();
        (0..98).for_each(|_| counts.count((1, 1), 1));
        (0..98).for_each(|_| counts.count((1, 2), 3));
        assert_eq!(counts.one_more((1, 1), 0), 0);
        assert!(counts.one_more((1, 1), 1) < -4_000);
        assert!(counts.one_more((1, 2), 1) > -50 && counts.one_more((1, 2), 2) > -50);
        assert!(counts.one_more((1, 2), 3) < -4_000);
        assert_eq!(counts.one_more((7, 7), 3), 0, "nobody knows");
        assert!(counts.one_more((1, 2), 1_000) <= 0);
    }
}
