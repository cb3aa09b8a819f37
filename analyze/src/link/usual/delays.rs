//! What services usually do after what: how long after the last thing that happened to a request a call follows, by who serves it and
//! whom it asks. Never looks at threads or content.

use super::{Lesson, Usual, milli};
use crate::link::assignment::Pair;
use crate::link::evidence::Kind;
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

/// Of all edges: while no other call of the same request is out, and while one is.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    edges: BTreeMap<Edge, [Histogram; 2]>,
    everywhere: [Histogram; 2],
    /// The same of requests that were possible and not the parent.
    others: BTreeMap<Edge, [Histogram; 2]>,
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

impl Delays {
    /// Counts one: whether another call was out, and how long after what had happened last.
    fn count(&mut self, edge: Edge, is_beside: bool, delay_ns: i64) {
        self.edges.entry(edge).or_default()[usize::from(is_beside)].count(delay_ns);
        self.everywhere[usize::from(is_beside)].count(delay_ns);
    }

    /// The logarithm of how probable such a delay is, per microsecond, in thousandths.
    fn log(&self, edge: Edge, is_beside: bool, delay_ns: i64) -> i64 {
        let (class, bin) = (usize::from(is_beside), bin(delay_ns));
        let everywhere = self.everywhere[class].share(bin, 1.0 / BINS as f64);
        let here = self.edges.get(&edge);
        let share = here.map_or(everywhere, |here| here[class].share(bin, everywhere));
        let [alone, beside] =
            here.map_or([0, 0], |here| [here[0].total, here[1].total]).map(|n| n as f64 + 0.5);
        let of_class = if is_beside { beside } else { alone } / (alone + beside);
        milli(share * of_class / width(bin))
    }
}

impl Usual for Delays {
    fn kind(&self) -> Kind {
        Kind::Delays
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        if of == Lesson::Likely {
            return;
        }
        let (is_beside, delay_ns) = pair.since();
        match of {
            Lesson::Other => {
                let others = self.others.entry(pair.edge()).or_default();
                others[usize::from(is_beside)].count(delay_ns);
            }
            _ => self.count(pair.edge(), is_beside, delay_ns),
        }
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        let (is_beside, delay_ns) = pair.since();
        self.log(pair.edge(), is_beside, delay_ns)
    }

    fn against_chance(&self, pair: &Pair<'_>) -> i64 {
        let (edge, (is_beside, delay_ns)) = (pair.edge(), pair.since());
        let share = |of: &BTreeMap<Edge, [Histogram; 2]>| {
            let before = 1.0 / BINS as f64;
            of.get(&edge)
                .map_or(before, |of| of[usize::from(is_beside)].share(bin(delay_ns), before))
        };
        milli(share(&self.edges)) - milli(share(&self.others))
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        let (is_beside, delay_ns) = pair.since();
        let beside = if is_beside { " while another was out" } else { "" };
        let (whole, rest) = (delay_ns / 1_000_000, delay_ns / 1_000 % 1_000);
        format!("asked {whole}.{rest:03} ms after the last thing that happened to it{beside}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_more_probable() {
        let mut delays = Delays::default();
        for i in 0..200 {
            delays.count((1, 2), false, 100_000 + i * 100);
            delays.count((1, 3), false, 5_000_000 + i * 1_000);
        }
        let log = |edge, delay_ns| delays.log(edge, false, delay_ns);
        assert!(log((1, 2), 110_000) > log((1, 2), 5_000_000) + 3_000);
        assert!(log((1, 3), 5_100_000) > log((1, 3), 110_000) + 500);
        // An edge that nobody knows is as all are.
        assert!(log((9, 9), 110_000) > log((9, 9), 700_000));
        assert!(delays.log((1, 2), true, 110_000) < log((1, 2), 110_000) - 3_000);
    }

    #[test]
    fn any_delay_has_a_bin() {
        for delay_ns in [i64::MIN, -1, 0, 1, 1_000, i64::MAX] {
            assert!(bin(delay_ns) < BINS);
        }
    }
}
