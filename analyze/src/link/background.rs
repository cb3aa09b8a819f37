//! Calls that no recorded request caused: timers, health checks, a pool's upkeep, and what was caused by requests that were not
//! recorded. How often they come is seen while nothing is being served; as often they come while something is. Never looks at which
//! request a call would otherwise be of.

use super::candidates::{PlaceIndex, Possible};
use crate::call::CallIndex;
use std::collections::BTreeMap;

/// Fewer of a kind say nothing: one may be the rest of a request that began before the recording.
const ENOUGH: u64 = 3;
/// A place that was idle for less than this share of its time shows too little of its background.
const LEAST_IDLE: f64 = 0.01;
/// Of a kind of call that is also made for requests, no more than this share is taken for background before evidence is heard.
const MOST: f64 = 0.95;

/// Where a call is asked, and its kind.
type At = (PlaceIndex, u32);

/// How many calls of each kind were made while nothing was being served.
pub(super) struct Background {
    shares: BTreeMap<At, (f64, u64)>,
}

impl Background {
    /// Counts. `kind` numbers what is asked of whom.
    pub(super) fn learn(possible: &Possible, kind: impl Fn(CallIndex) -> u32) -> Background {
        let mut alone: BTreeMap<At, u64> = BTreeMap::new();
        for (index, place) in (0..).zip(&possible.places) {
            for child in &place.alone {
                *alone.entry((index, kind(*child))).or_default() += 1;
            }
        }
        let mut asked: BTreeMap<At, u64> = BTreeMap::new();
        for candidates in &possible.children {
            *asked.entry((candidates.place, kind(candidates.child))).or_default() += 1;
        }
        let share = |(at, n_asked): (At, u64)| {
            let n_alone = *alone.get(&at)?;
            let place = &possible.places[at.0 as usize];
            let (idle_ns, busy_ns) = (place.idle_ns as f64, place.busy_ns as f64);
            if n_alone < ENOUGH || idle_ns < LEAST_IDLE * (idle_ns + busy_ns) {
                return None;
            }
            let expected = n_alone as f64 * busy_ns / idle_ns;
            Some((at, ((expected / n_asked as f64).min(MOST), n_alone)))
        };
        Background { shares: asked.into_iter().filter_map(share).collect() }
    }

    /// How probable it is, before evidence is heard, that a call of this kind that was asked while something was being served has no
    /// recorded parent; and how many such calls were made while nothing was.
    pub(super) fn share(&self, place: PlaceIndex, kind: u32) -> Option<(f64, u64)> {
        self.shares.get(&(place, kind)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::candidates::{Candidates, Place};

    /// A place that was idle for half of its time, with calls made while idle and while not: what share of the latter is background.
    fn check(n_alone: u32, n_asked: u32, idle_ns: i64, expected: Option<f64>) {
        let child = |child| Candidates {
            child,
            parents: vec![0],
            n_open: 1,
            outlives: false,
            place: 0,
        };
        let place = Place { busy_ns: 1_000, idle_ns, alone: (0..n_alone).collect() };
        let children = (100..100 + n_asked).map(child).collect();
        let background = Background::learn(&Possible { children, places: vec![place] }, |_| 7);
        let share = background.share(0, 7).map(|(share, _)| share);
        match (share, expected) {
            (Some(share), Some(expected)) => assert!((share - expected).abs() < 1e-9, "{share}"),
            _ => assert_eq!(share, expected),
        }
    }

    #[test]
    fn as_often_while_serving_as_while_idle() {
        check(10, 100, 1_000, Some(0.1));
        check(10, 10, 1_000, Some(MOST));
        check(10, 100, 500, Some(0.2));
        check(2, 100, 1_000, None);
        check(10, 100, 5, None);
        check(0, 100, 1_000, None);
    }
}
