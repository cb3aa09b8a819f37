//! What services usually do after what: how long after the last thing that happened to a request a call follows, or its answer, by who
//! serves it, whom it asks and what that last thing was. Never looks at threads or content.

use super::histogram::{Histogram, bin, even, logs};
use super::{Lesson, Usual};
use crate::link::evidence::Kind;
use crate::link::pair::{Pair, Since, Whole};
use crate::link::roles::Edge;
use std::collections::BTreeMap;

/// Whether another call of the same request is out, and what was asked of whom in the call that was answered before.
type Situation = (bool, Option<u32>);

/// Delays, by what happened before.
#[derive(Debug, Clone, Default)]
struct Situations {
    each: BTreeMap<Situation, Histogram>,
    /// While no other call is out, and while one is.
    all: [Histogram; 2],
    /// Of each situation, logarithms per bin; and of one that was never seen.
    logs: BTreeMap<Situation, Vec<i32>>,
    unseen: [Vec<i32>; 2],
}

/// Of calls, by who makes them and whom they ask; of answers, by who gives them.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    calls: BTreeMap<Edge, Situations>,
    answers: BTreeMap<u32, Situations>,
    /// The same as `calls`, of requests that were possible and not the parent.
    others: BTreeMap<Edge, Situations>,
    everywhere: [Histogram; 2],
    unknown: [Vec<i32>; 2],
}

impl Situations {
    fn count(&mut self, since: Since) {
        self.each.entry((since.is_beside, since.after)).or_default().count(since.delay_ns);
        self.all[usize::from(since.is_beside)].count(since.delay_ns);
    }

    /// Makes the logarithms of what was counted, if bins are `everywhere` so probable.
    fn settle(&mut self, everywhere: &[Vec<f64>; 2]) {
        let all = [0, 1].map(|class| self.all[class].shares(&everywhere[class]));
        let n = f64::from(self.all[0].n()) + f64::from(self.all[1].n());
        let of_class =
            |n_here: u32| (f64::from(n_here) + 0.5) / (n + 0.5 * (self.each.len() + 1) as f64);
        let of_situation = |(situation, here): (&Situation, &Histogram)| {
            let shares = here.shares(&all[usize::from(situation.0)]);
            (*situation, logs(&shares, of_class(here.n())))
        };
        self.logs = self.each.iter().map(of_situation).collect();
        self.unseen = [0, 1].map(|class| logs(&all[class], of_class(0)));
    }

    fn log(&self, since: Since) -> i64 {
        let logs = self.logs.get(&(since.is_beside, since.after));
        let logs = logs.unwrap_or(&self.unseen[usize::from(since.is_beside)]);
        logs.get(bin(since.delay_ns)).copied().map_or(0, i64::from)
    }
}

impl Delays {
    fn count(&mut self, edge: Edge, since: Since) {
        self.calls.entry(edge).or_default().count(since);
        self.everywhere[usize::from(since.is_beside)].count(since.delay_ns);
    }

    /// The logarithm of how probable a delay is, per microsecond, in thousandths.
    fn log(&self, of: Option<&Situations>, since: Since) -> i64 {
        match of {
            Some(of) => of.log(since),
            None => {
                let unknown = &self.unknown[usize::from(since.is_beside)];
                unknown.get(bin(since.delay_ns)).copied().map_or(0, i64::from)
            }
        }
    }
}

impl Usual for Delays {
    fn kind(&self) -> Kind {
        Kind::Delays
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        match of {
            Lesson::Sure => self.count(pair.edge(), pair.since()),
            Lesson::Other => self.others.entry(pair.edge()).or_default().count(pair.since()),
        }
    }

    fn learn_whole(&mut self, whole: &Whole<'_>) {
        if let Some(since) = whole.since() {
            self.answers.entry(whole.listener()).or_default().count(since);
        }
    }

    fn settle(&mut self) {
        let everywhere = [0, 1].map(|class| self.everywhere[class].shares(&even()));
        let calls = self.calls.values_mut().chain(self.answers.values_mut());
        calls.chain(self.others.values_mut()).for_each(|of| of.settle(&everywhere));
        self.unknown = everywhere.map(|shares| logs(&shares, 0.5));
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        self.log(self.calls.get(&pair.edge()), pair.since())
    }

    fn whole(&self, whole: &Whole<'_>) -> i64 {
        let Some((since, answers)) = whole.since().zip(self.answers.get(&whole.listener())) else {
            return 0;
        };
        self.log(Some(answers), since)
    }

    fn against_chance(&self, pair: &Pair<'_>) -> i64 {
        let (edge, since) = (pair.edge(), pair.since());
        let log = |of: &BTreeMap<Edge, Situations>| self.log(of.get(&edge), since);
        log(&self.calls) - log(&self.others)
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        let Since { delay_ns, after, is_beside } = pair.since();
        let what = if after.is_some() { "a call of it was answered" } else { "it was read" };
        let beside = if is_beside { " while another was out" } else { "" };
        let (whole, rest) = (delay_ns / 1_000_000, delay_ns / 1_000 % 1_000);
        format!("asked {whole}.{rest:03} ms after {what}{beside}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(delay_ns: i64) -> Since {
        Since { delay_ns, after: None, is_beside: false }
    }

    #[test]
    fn what_is_usual_is_more_probable() {
        let mut delays = Delays::default();
        for i in 0..200 {
            delays.count((1, 2), since(100_000 + i * 100));
            delays.count((1, 3), since(5_000_000 + i * 1_000));
        }
        delays.settle();
        let log = |edge: Edge, delay_ns| delays.log(delays.calls.get(&edge), since(delay_ns));
        assert!(log((1, 2), 110_000) > log((1, 2), 5_000_000) + 3_000);
        assert!(log((1, 3), 5_100_000) > log((1, 3), 110_000) + 500);
        // An edge that nobody knows is as all are.
        assert!(log((9, 9), 110_000) > log((9, 9), 700_000));
        let of = delays.calls.get(&(1, 2));
        let beside = Since { is_beside: true, ..since(110_000) };
        let after = Since { after: Some(7), ..since(110_000) };
        for other in [beside, after] {
            assert!(delays.log(of, other) < log((1, 2), 110_000) - 3_000, "{other:?}");
        }
    }
}
