//! What services usually do after what: how long after the last thing that happened to a request a call follows, or its answer, by who
//! serves it, whom it asks and what that last thing was. Never looks at threads or content.

use super::{Lesson, Usual, milli};
use crate::link::evidence::Kind;
use crate::link::pair::{Pair, Since, Whole};
use crate::link::roles::Edge;
use std::collections::BTreeMap;

/// Bins of a distribution: two per doubling, from a microsecond on.
const BINS: usize = 64;
/// So many delays a distribution counts for before any is known: as all others are.
const WORTH: f64 = 4.0;

/// A distribution of delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Histogram {
    counts: [u64; BINS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; BINS], total: 0 }
    }
}

/// Whether another call of the same request is out, and what was asked of whom in the call that was answered before.
type Situation = (bool, Option<u32>);

/// Delays, by what happened before.
#[derive(Debug, Clone, Default)]
struct Situations {
    each: BTreeMap<Situation, Histogram>,
    /// While no other call is out, and while one is.
    all: [Histogram; 2],
}

/// Of calls, by who makes them and whom they ask; of answers, by who gives them.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    calls: BTreeMap<Edge, Situations>,
    answers: BTreeMap<u32, Situations>,
    everywhere: [Histogram; 2],
    /// The same as `calls`, of requests that were possible and not the parent.
    others: BTreeMap<Edge, Situations>,
}

fn bin(delay_ns: i64) -> usize {
    let microseconds = (delay_ns.max(0) as f64 / 1_000.0) + 1.0;
    ((2.0 * libm::log2(microseconds)) as usize).min(BINS - 1)
}

/// Microseconds that a bin holds.
fn width(bin: usize) -> f64 {
    libm::exp2((bin + 1) as f64 / 2.0) - libm::exp2(bin as f64 / 2.0)
}

impl Histogram {
    fn count(&mut self, delay_ns: i64) {
        self.counts[bin(delay_ns)] += 1;
        self.total += 1;
    }

    /// Share of a bin, if it were so `before` any was counted.
    fn share(&self, bin: usize, before: f64) -> f64 {
        (self.counts[bin] as f64 + WORTH * before) / (self.total as f64 + WORTH)
    }
}

impl Situations {
    fn count(&mut self, since: Since) {
        self.each.entry((since.is_beside, since.after)).or_default().count(since.delay_ns);
        self.all[usize::from(since.is_beside)].count(since.delay_ns);
    }

    /// How probable it is that something comes in this situation and so long after, if a bin is `everywhere` so probable.
    fn share(&self, since: Since, everywhere: f64) -> f64 {
        let bin = bin(since.delay_ns);
        let all = self.all[usize::from(since.is_beside)].share(bin, everywhere);
        let here = self.each.get(&(since.is_beside, since.after));
        let share = here.map_or(all, |here| here.share(bin, all));
        let n = (self.all[0].total + self.all[1].total) as f64;
        let n_here = here.map_or(0, |here| here.total) as f64;
        share * (n_here + 0.5) / (n + 0.5 * (self.each.len() + 1) as f64)
    }
}

impl Delays {
    fn count(&mut self, edge: Edge, since: Since) {
        self.calls.entry(edge).or_default().count(since);
        self.everywhere[usize::from(since.is_beside)].count(since.delay_ns);
    }

    /// The logarithm of how probable a delay is, per microsecond, in thousandths.
    fn log(&self, of: Option<&Situations>, since: Since) -> i64 {
        let bin = bin(since.delay_ns);
        let everywhere = self.everywhere[usize::from(since.is_beside)];
        let everywhere = everywhere.share(bin, 1.0 / BINS as f64);
        let unknown = Situations::default();
        milli(of.unwrap_or(&unknown).share(since, everywhere) / width(bin))
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

    #[test]
    fn any_delay_has_a_bin() {
        for delay_ns in [i64::MIN, -1, 0, 1, 1_000, i64::MAX] {
            assert!(bin(delay_ns) < BINS);
        }
    }
}
