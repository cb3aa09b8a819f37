//! Calls that no recorded request caused: timers, health checks, a pool's upkeep, and what was caused by requests that were missed.
//! How often the former come is seen while nothing is being served; as often they come while something is. How often requests are missed
//! is seen of those that were seen in half. Never looks at which request a call would otherwise be of.

use super::candidates::{PlaceIndex, Possible, Seen, second};
use crate::call::CallIndex;
use std::collections::BTreeMap;
use std::fmt;

/// Fewer of a kind say nothing: one may be the rest of a request that began before the recording.
const ENOUGH: u64 = 3;
/// A place that was idle for less than this share of its time shows too little of its background.
const LEAST_IDLE: f64 = 0.01;
/// Of a kind of call that is also made for requests, no more than this share is taken for background before evidence is heard.
const MOST: f64 = 0.95;

/// Where a call is asked, and its kind.
type At = (PlaceIndex, u32);

/// How many calls of each kind were made while nothing was being served, and how many requests were missed.
pub(super) struct Background<'a> {
    shares: BTreeMap<At, (f64, u64)>,
    seen: Vec<&'a BTreeMap<i64, Seen>>,
}

/// How probable it is, before evidence is heard, that a call has no recorded parent; and why, for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    pub(super) share: f64,
    /// Such calls while nothing was being served.
    n_alone: u64,
    /// What was seen then.
    seen: Seen,
}

impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Prior { n_alone, seen: Seen { half, any }, .. } = self;
        if *n_alone > 0 {
            write!(f, "{n_alone} such calls while nothing was being served")?;
        }
        let between = if *n_alone > 0 && *half > 0 { ", " } else { "" };
        match half {
            0 => Ok(()),
            _ => write!(f, "{between}{half} of {any} requests were seen in half then"),
        }
    }
}

impl Background<'_> {
    /// Counts. `kind` numbers what is asked of whom.
    pub(super) fn learn(possible: &Possible, kind: impl Fn(CallIndex) -> u32) -> Background<'_> {
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
        let seen = possible.places.iter().map(|place| &place.seen).collect();
        Background { shares: asked.into_iter().filter_map(share).collect(), seen }
    }

    /// Of a call of this kind that was asked there, then, while something was being served.
    pub(super) fn prior(&self, place: PlaceIndex, kind: u32, at_ns: i64) -> Option<Prior> {
        let (alone, n_alone) = self.shares.get(&(place, kind)).copied().unwrap_or_default();
        let seen = self.around(place, at_ns);
        let share = 1.0 - (1.0 - alone) * (1.0 - missed(seen));
        (share > 0.0).then_some(Prior { share, n_alone, seen })
    }

    /// What was seen within a second or two.
    fn around(&self, place: PlaceIndex, at_ns: i64) -> Seen {
        let now = second(at_ns);
        let seen = self.seen[place as usize].range(now - 1..=now + 1);
        seen.fold(Seen::default(), |all, (_, seen)| Seen {
            any: all.any + seen.any,
            half: all.half + seen.half,
        })
    }
}

/// How many requests were missed, if requests and answers are missed equally and apart: of so many, `2 m (1 − m) / (1 − m²)` of those that
/// were seen were seen in half.
fn missed(seen: Seen) -> f64 {
    let half = seen.half as f64 / seen.any.max(1) as f64;
    (half / (2.0 - half)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::candidates::{Candidates, Place};

    /// A place that was idle for half of its time, with calls made while idle and while not: what share of the latter is background.
    fn check(n_alone: u32, n_asked: u32, idle_ns: i64, expected: Option<f64>) {
        let child =
            |child| Candidates { child, parents: vec![0], n_open: 1, outlives: false, place: 0 };
        let alone = (0..n_alone).collect();
        let place = Place { busy_ns: 1_000, idle_ns, alone, ..Place::default() };
        let children = (100..100 + n_asked).map(child).collect();
        let possible = Possible { children, places: vec![place] };
        let background = Background::learn(&possible, |_| 7);
        let share = background.prior(0, 7, 0).map(|prior| prior.share);
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

    #[test]
    fn as_many_are_missed_as_halves_tell_and_only_then() {
        let seen = [(10, Seen { any: 90, half: 0 }), (11, Seen { any: 60, half: 20 })];
        let place = Place { seen: BTreeMap::from(seen), ..Place::default() };
        let possible = Possible { children: Vec::new(), places: vec![place] };
        let background = Background::learn(&possible, |_| 7);
        let prior = |second: i64| background.prior(0, 7, second * 1_000_000_000 + 5);
        assert!(prior(5).is_none() && prior(9).is_none());
        let (near, there) = (prior(10).unwrap(), prior(12).unwrap());
        assert!(there.share > near.share && near.share > 0.05);
        // A fifth of the requests and a fifth of the answers: a third of those seen.
        assert!((there.share - 0.2).abs() < 1e-9, "{}", there.share);
        assert_eq!(there.to_string(), "20 of 60 requests were seen in half then");
        assert!(background.prior(0, 7, i64::MIN).is_none());
        assert!(missed(Seen { any: 3, half: 3 }) <= MOST);
    }
}
