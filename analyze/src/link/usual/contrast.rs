//! How often parents, and other requests that were possible, show something: what is learnt of it per service and callee, and how much
//! it then speaks for being the parent. Never knows what is shown.

use super::milli;
use crate::link::roles::Edge;
use std::collections::BTreeMap;

/// So many things that parents, or others, of one edge show are told apart; what more there is counts as never shown.
const MOST: usize = 4_096;

/// Counts of what parents and others showed.
#[derive(Debug, Clone)]
pub(super) struct Contrast<T> {
    edges: BTreeMap<Edge, Shown<T>>,
}

/// Of one service and callee: parents' first, then others'.
#[derive(Debug, Clone)]
struct Shown<T> {
    counts: BTreeMap<T, [u64; 2]>,
    totals: [u64; 2],
    /// How many different things each showed.
    distinct: [u64; 2],
}

impl<T> Default for Contrast<T> {
    fn default() -> Contrast<T> {
        Contrast { edges: BTreeMap::new() }
    }
}

impl<T> Default for Shown<T> {
    fn default() -> Shown<T> {
        Shown { counts: BTreeMap::new(), totals: [0; 2], distinct: [0; 2] }
    }
}

impl<T: Ord + Copy> Contrast<T> {
    /// One more parent, or other, that showed this.
    pub(super) fn count(&mut self, edge: Edge, what: T, is_parent: bool) {
        let shown = self.edges.entry(edge).or_default();
        let of = usize::from(!is_parent);
        shown.totals[of] += 1;
        if shown.counts.len() >= MOST && !shown.counts.contains_key(&what) {
            return;
        }
        let counts = shown.counts.entry(what).or_default();
        counts[of] += 1;
        shown.distinct[of] += u64::from(counts[of] == 1);
    }

    /// How much more probable this is of a parent than of another, in milli-nats. What was never shown is as probable as that something
    /// new is: the more different things were shown, the more (Witten and Bell 1991).
    pub(super) fn log(&self, edge: Edge, what: T) -> i64 {
        let Some(shown) = self.edges.get(&edge) else { return 0 };
        let counts = shown.counts.get(&what).copied().unwrap_or_default();
        let n_all = (shown.totals[0] + shown.totals[1]) as f64;
        let n_distinct = shown.counts.len() as f64 + 1.0;
        let before = ((counts[0] + counts[1]) as f64 + 0.5) / (n_all + 0.5 * n_distinct);
        let share = |of: usize| {
            let new = shown.distinct[of].max(1) as f64;
            (counts[of] as f64 + new * before) / (shown.totals[of] as f64 + new)
        };
        milli(share(0)) - milli(share(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_parents_show_says_much_and_what_is_new_speaks_against_them() {
        let mut contrast = Contrast::default();
        for n in 0..100 {
            contrast.count((1, 2), 7, true);
            contrast.count((1, 2), n, false);
            contrast.count((1, 3), 7, true);
            contrast.count((1, 3), 7, false);
        }
        assert!(contrast.log((1, 2), 7) > 1_500);
        assert!(contrast.log((1, 2), 8) < -1_000);
        assert!(contrast.log((1, 2), 1_000) < -1_000);
        assert!(contrast.log((1, 3), 7).abs() < 50, "everybody shows it");
        assert_eq!(contrast.log((7, 7), 7), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut contrast = Contrast::default();
        (0..10 * MOST).for_each(|n| contrast.count((1, 2), n, n % 2 == 0));
        assert_eq!(contrast.edges[&(1, 2)].counts.len(), MOST);
        assert!(contrast.log((1, 2), 9 * MOST).abs() < 1_000);
    }
}
