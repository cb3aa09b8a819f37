//! How often a service makes the same kind of call for one request: once, as a rule, or up to so often. Learnt by service and kind of
//! call. Never looks at times.

use super::{Lesson, Usual, milli};
use crate::link::evidence::Kind;
use crate::link::pair::{Pair, Whole};
use crate::link::roles::CallKind;
use std::collections::BTreeMap;

/// So often at most is told apart.
const MOST: usize = 8;
/// So many requests count as much as what is believed before: that as many make one more as made none.
const WORTH: f64 = 2.0;
/// Of a kind of request, so many kinds of call are counted.
const MOST_KINDS: usize = 32;

/// What requests of one kind make.
#[derive(Debug, Clone, Default)]
struct Made {
    /// How many there were.
    n: u64,
    /// Per kind of call: how many of them made at least so many, from one on.
    at_least: BTreeMap<u32, [u64; MOST]>,
    /// Per kind of call what is made of that.
    logs: Vec<(u32, Logs)>,
}

/// Logarithms by the number of calls made.
#[derive(Debug, Clone, Default)]
struct Logs {
    /// That one more is made.
    one_more: [i32; MOST + 1],
    /// That just so many are made, beside what `one_more` says.
    no_more: [i32; MOST + 1],
}

/// Per kind of request what it makes.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    of: BTreeMap<u32, Made>,
}

impl Counts {
    /// Counts a request that made so many calls of these kinds.
    fn count(&mut self, kind: u32, made: &[(u32, u32)]) {
        let counts = self.of.entry(kind).or_default();
        counts.n += 1;
        for &(call, n) in made {
            if counts.at_least.len() < MOST_KINDS || counts.at_least.contains_key(&call) {
                let at_least = counts.at_least.entry(call).or_default();
                at_least.iter_mut().take(n as usize).for_each(|count| *count += 1);
            }
        }
    }

    /// How probable it is that a request that made `n` such calls makes one more, if another that made none does for sure; in
    /// milli-nats.
    fn one_more(&self, kind: CallKind, n: u32) -> i64 {
        let logs = self.of.get(&kind.0).and_then(|made| made.of(kind.1));
        logs.map_or(0, |logs| i64::from(logs.one_more[(n as usize).min(MOST)]))
    }

    /// How probable it is that a request makes just so many calls, beside what `one_more` said of them, in milli-nats.
    fn no_more(&self, kind: u32, made: &[(u32, u32)]) -> i64 {
        let Some(counts) = self.of.get(&kind) else { return 0 };
        let of_kind = |(call, logs): &(u32, Logs)| {
            let n = made.iter().find(|(made, _)| made == call).map_or(0, |(_, n)| *n as usize);
            i64::from(logs.no_more[n.min(MOST)])
        };
        counts.logs.iter().map(of_kind).sum()
    }
}

impl Made {
    fn of(&self, call: u32) -> Option<&Logs> {
        let place = self.logs.binary_search_by_key(&call, |(call, _)| *call).ok()?;
        Some(&self.logs[place].1)
    }

    fn settle(&mut self) {
        let of_kind = |(call, at_least): (&u32, &[u64; MOST])| {
            let count = |n: usize| match n.checked_sub(1) {
                None => self.n as f64,
                Some(n) => at_least[n.min(MOST - 1)] as f64,
            };
            let share = |n: usize| (count(n + 1) + 0.5 * WORTH) / (count(n) + WORTH);
            let mut logs = Logs::default();
            for n in 0..=MOST {
                // That it makes any is said once.
                let any = if n > 0 { milli(share(0)) } else { 0 };
                logs.one_more[n] = if n > 0 { milli(share(n)) as i32 } else { 0 };
                logs.no_more[n] = (any + milli(1.0 - share(n))) as i32;
            }
            (*call, logs)
        };
        self.logs = self.at_least.iter().map(of_kind).collect();
    }
}

impl Usual for Counts {
    fn kind(&self) -> Kind {
        Kind::Counts
    }

    fn learn(&mut self, _: &Pair<'_>, _: Lesson) {}

    fn learn_whole(&mut self, whole: &Whole<'_>) {
        self.count(whole.kind(), whole.made);
    }

    fn settle(&mut self) {
        self.of.values_mut().for_each(Made::settle);
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        self.one_more(pair.kind(), pair.n_made)
    }

    fn whole(&self, whole: &Whole<'_>) -> i64 {
        self.no_more(whole.kind(), whole.made)
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        match pair.n_made {
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
        (0..98).for_each(|_| counts.count(1, &[(1, 1), (2, 3)]));
        counts.count(1, &[(1, u32::MAX)]);
        counts.settle();
        assert_eq!(counts.one_more((1, 1), 0), 0);
        assert!(counts.one_more((1, 1), 1) < -3_000);
        assert!(counts.one_more((1, 2), 1) > -50 && counts.one_more((1, 2), 2) > -50);
        assert!(counts.one_more((1, 2), 3) < -4_000);
        assert_eq!(counts.one_more((7, 7), 3), 0, "nobody knows");
        assert!(counts.one_more((1, 2), 1_000) <= 0);
        let missing = counts.no_more(1, &[(1, 1)]);
        assert!(counts.no_more(1, &[(1, 1), (2, 3)]) > missing + 3_000);
        assert!(counts.no_more(1, &[(1, 1), (2, 2)]) < missing + 3_000, "one is missing");
        assert_eq!(counts.no_more(7, &[(1, 1)]), 0);
    }
}
