//! How often things take how long: counts in bins, eight per doubling, each delay spread over its neighbours so that few are enough.
//! Integers, so that sums are the same on every machine.

use super::milli;

/// Bins: from a microsecond to hours.
pub(super) const BINS: usize = 272;
/// Bins per doubling.
const FINE: u32 = 8;
/// Delays are counted from here on: what is shorter by less than that is the same.
const FLOOR_NS: u64 = 1_000;
/// The power of two below the floor.
const FIRST: u32 = FLOOR_NS.ilog2();
/// A delay is spread over so many bins to either side, less and less: by one and a half doublings.
const REACH: usize = 12;
/// What one delay adds in all.
const ONE: u32 = (REACH * REACH) as u32;
/// So many delays a distribution counts for before any is known: as all others are.
const WORTH: f64 = 4.0;

/// A distribution of delays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram {
    counts: Vec<u32>,
    n: u32,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BINS], n: 0 }
    }
}

/// The bin of a delay: its power of two and the three bits behind.
pub(super) fn bin(delay_ns: i64) -> usize {
    let ns = delay_ns.max(0).unsigned_abs().saturating_add(FLOOR_NS);
    let power = ns.ilog2();
    let eighth = (ns >> (power - 3)) as u32 & (FINE - 1);
    (((power - FIRST) * FINE + eighth) as usize).min(BINS - 1)
}

/// Microseconds that a bin holds.
fn width(bin: usize) -> f64 {
    let power = FIRST + bin as u32 / FINE;
    libm::exp2(f64::from(power)) / f64::from(FINE) / 1_000.0
}

impl Histogram {
    pub(super) fn count(&mut self, delay_ns: i64) {
        let middle = bin(delay_ns);
        for i in 0..2 * REACH - 1 {
            let share = if i < REACH { i + 1 } else { 2 * REACH - 1 - i };
            let at = (middle + i + 1).saturating_sub(REACH).min(BINS - 1);
            self.counts[at] = self.counts[at].saturating_add(share as u32);
        }
        self.n = self.n.saturating_add(1);
    }

    /// How many were counted.
    pub(super) fn n(&self) -> u32 {
        self.n
    }

    /// Share of each bin, if they were so `before` any was counted.
    pub(super) fn shares(&self, before: &[f64]) -> Vec<f64> {
        let share = |(count, before): (&u32, &f64)| {
            let n = f64::from(*count) / f64::from(ONE);
            (n + WORTH * before) / (f64::from(self.n) + WORTH)
        };
        self.counts.iter().zip(before).map(share).collect()
    }
}

/// Each bin as probable as any.
pub(super) fn even() -> Vec<f64> {
    vec![1.0 / BINS as f64; BINS]
}

/// Per bin the logarithm of how probable a delay is, per microsecond, in thousandths, in a class that has this share of all.
pub(super) fn logs(shares: &[f64], of_class: f64) -> Vec<i32> {
    let log = |(bin, share): (usize, &f64)| milli(share * of_class / width(bin)) as i32;
    shares.iter().enumerate().map(log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_delay_has_a_bin_and_longer_ones_have_later_bins() {
        let delays = [i64::MIN, -1, 0, 1, 999, 1_000, 1_250, 10_000, 1_000_000, 1 << 43, i64::MAX];
        let bins: Vec<usize> = delays.iter().map(|delay_ns| bin(*delay_ns)).collect();
        assert!(bins.is_sorted() && bins.iter().all(|bin| *bin < BINS), "{bins:?}");
        assert_eq!(bin(1_000_000) + 8, bin(2_000_000 + 1_000), "eight per doubling");
    }

    #[test]
    fn what_was_counted_is_more_probable_than_what_was_not() {
        let mut histogram = Histogram::default();
        (0..200).for_each(|i| histogram.count(100_000 + i * 100));
        let logs = logs(&histogram.shares(&even()), 1.0);
        let log = |delay_ns| logs[bin(delay_ns)];
        assert!(log(110_000) > log(5_000_000) + 3_000);
        assert!(log(110_000) > log(300_000) + 1_000);
        assert_eq!(histogram.n(), 200);
    }

    #[test]
    fn shares_sum_to_one() {
        let mut histogram = Histogram::default();
        [0, 5_000, 1 << 40, i64::MAX].iter().for_each(|delay_ns| histogram.count(*delay_ns));
        let sum: f64 = histogram.shares(&even()).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
}
