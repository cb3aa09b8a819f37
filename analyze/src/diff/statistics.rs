//! What a comparison of recordings rests on: weighted percentiles, the bootstrap over seconds and recordings, Hodges and Lehmann's shift,
//! and Westfall and Young's single-step max-T permutation test (*Resampling-Based Multiple Testing*, 1993). Requests of one second are not
//! independent, nor are seconds of one recording: the unit within a recording is a second, across recordings the recording. Equal input,
//! equal results: every seed is fixed.

use super::value;

/// Replicates of the bootstrap within a recording.
pub(super) const REPLICATES: usize = 100;
/// Relabellings that are tried where not all can be.
const RELABELLINGS: usize = 9_999;
/// Up to so many, all are tried.
const ALL_RELABELLINGS: u64 = 20_000;

/// The seconds of a recording, drawn with replacement once for each replicate: how often each counts.
pub(super) struct Seconds {
    weights: Vec<Vec<u32>>,
}

impl Seconds {
    /// Of a recording so many seconds long, the `number`-th of its side.
    pub(super) fn drawn(n: usize, number: u64) -> Seconds {
        let mut random = fastrand::Rng::with_seed(SEED ^ number);
        let draw = |_| {
            let mut weights = vec![0; n];
            (0..n).for_each(|_| weights[random.usize(0..n)] += 1);
            weights
        };
        Seconds { weights: (0..REPLICATES).map(draw).collect() }
    }
}

const SEED: u64 = 0x5eed_af7e_8a74_0001;

/// Values of one row in one recording, by size, each with its second.
pub(super) struct Sorted {
    by_size: Vec<(u16, u32)>,
}

impl Sorted {
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a (u32, u16)>) -> Sorted {
        let values = values.into_iter();
        let mut by_size: Vec<(u16, u32)> = values.map(|(second, v)| (*v, *second)).collect();
        by_size.sort_unstable();
        Sorted { by_size }
    }

    pub(super) fn len(&self) -> usize {
        self.by_size.len()
    }

    /// The nearest-rank percentile, nanoseconds; `None` of nothing.
    pub(super) fn percentile(&self, permille: u32) -> Option<f64> {
        let n = self.by_size.len();
        let rank = (n * permille as usize).div_ceil(1_000).clamp(1, n.max(1)) - 1;
        self.by_size.get(rank).map(|(v, _)| value::ns(*v))
    }

    /// Percentiles of each replicate, in the order of `permilles`; one whose seconds hold no value is empty.
    pub(super) fn replicates(&self, permilles: &[u32], seconds: &Seconds) -> Vec<Vec<f64>> {
        let of = |weights: &Vec<u32>| {
            let weight = |second: u32| weights.get(second as usize).copied().unwrap_or(0);
            let n: u64 = self.by_size.iter().map(|(_, second)| u64::from(weight(*second))).sum();
            let (mut seen, mut at, mut found) = (0_u64, 0, Vec::with_capacity(permilles.len()));
            for permille in permilles.iter().filter(|_| n > 0) {
                let rank = (n * u64::from(*permille)).div_ceil(1_000).clamp(1, n);
                while at < self.by_size.len() {
                    let more = u64::from(weight(self.by_size[at].1));
                    if seen + more >= rank {
                        break;
                    }
                    seen += more;
                    at += 1;
                }
                found.extend(self.by_size.get(at).map(|(v, _)| value::ns(*v)));
            }
            found
        };
        seconds.weights.iter().map(of).collect()
    }
}

/// Mean and variance (of a sample) of some numbers.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, squares / (n - 1.0).max(1.0))
}

/// Hodges and Lehmann's shift: the median of all differences between one of `candidate` and one of `base`.
pub(super) fn shift(base: &[f64], candidate: &[f64]) -> Option<f64> {
    let mut differences: Vec<f64> =
        candidate.iter().flat_map(|c| base.iter().map(move |b| c - b)).collect();
    median(&mut differences)
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    let upper = *values.get(n / 2)?;
    Some(if n.is_multiple_of(2) { (values[n / 2 - 1] + upper) / 2.0 } else { upper })
}

/// What is tested of one row: a number of each recording, those of the base first; and how far chance alone may move it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tested {
    /// A number of each recording.
    pub(super) each: Vec<f64>,
    /// Its sampling error within a recording, squared, on average: the spread between recordings is no smaller.
    pub(super) within: f64,
    /// An effect that is of no interest: what keeps rows that hardly vary from outweighing all others.
    pub(super) floor: f64,
}

/// Of the floor that is added to a row's standard error.
const OF_FLOOR: f64 = 0.05;

impl Tested {
    /// How far the two sides lie apart, in standard errors.
    fn t(&self, is_candidate: &[bool]) -> f64 {
        let (mut sum, mut n) = ([0.0; 2], [0.0; 2]);
        for (value, side) in self.each.iter().zip(is_candidate) {
            sum[usize::from(*side)] += value;
            n[usize::from(*side)] += 1.0;
        }
        let mean = [sum[0] / n[0], sum[1] / n[1]];
        let each = self.each.iter().zip(is_candidate);
        let squares: f64 = each.map(|(v, side)| (v - mean[usize::from(*side)]).powi(2)).sum();
        let pooled = (squares / (n[0] + n[1] - 2.0).max(1.0)).max(self.within);
        let error = (pooled * (1.0 / n[0] + 1.0 / n[1])).sqrt() + OF_FLOOR * self.floor;
        if error > 0.0 { (mean[1] - mean[0]) / error } else { 0.0 }
    }
}

/// For each row the probability that, were both sides alike, any row would lie as far apart as it does: corrected for all that is tested.
pub(super) fn family_wise(rows: &[Tested], n_base: usize, n_candidate: usize) -> Vec<f64> {
    let observed: Vec<bool> = (0..n_base + n_candidate).map(|i| i >= n_base).collect();
    let t: Vec<f64> = rows.iter().map(|row| row.t(&observed).abs()).collect();
    let mut beyond = vec![0_u64; rows.len()];
    let labels = relabellings(n_base, n_candidate);
    for sides in &labels {
        let most = rows.iter().map(|row| row.t(sides).abs()).fold(0.0, f64::max);
        // Equal but for rounding is as far.
        for (beyond, t) in beyond.iter_mut().zip(&t) {
            *beyond += u64::from(most >= t * (1.0 - 1e-9));
        }
    }
    beyond.into_iter().map(|n| n as f64 / labels.len() as f64).collect()
}

/// The least probability that relabelling so many recordings can give.
pub(super) fn least_probability(n_base: usize, n_candidate: usize) -> f64 {
    // Turned round, equal sides are as far apart.
    let alike = if n_base == n_candidate { 2.0 } else { 1.0 };
    alike / combinations(n_base + n_candidate, n_candidate) as f64
}

fn combinations(n: usize, k: usize) -> u64 {
    (0..k.min(n - k)).fold(1_u64, |all, i| all.saturating_mul((n - i) as u64) / (i as u64 + 1))
}

/// Which recordings are called candidates: every way to, or, where those are too many, the true one and as many drawn ones as are enough.
fn relabellings(n_base: usize, n_candidate: usize) -> Vec<Vec<bool>> {
    let n = n_base + n_candidate;
    let observed: Vec<bool> = (0..n).map(|i| i >= n_base).collect();
    if combinations(n, n_candidate) > ALL_RELABELLINGS {
        let mut random = fastrand::Rng::with_seed(SEED);
        let drawn = |_| {
            let mut sides = observed.clone();
            random.shuffle(&mut sides);
            sides
        };
        return std::iter::once(observed.clone()).chain((0..RELABELLINGS).map(drawn)).collect();
    }
    let mut found = Vec::new();
    let mut chosen: Vec<usize> = (0..n_candidate).collect();
    loop {
        let mut sides = vec![false; n];
        chosen.iter().for_each(|&i| sides[i] = true);
        found.push(sides);
        // The next choice in order: the last that can move on does, those behind it follow at once.
        let Some(at) = (0..n_candidate).rev().find(|&i| chosen[i] < n - n_candidate + i) else {
            return found;
        };
        chosen[at] += 1;
        for i in at + 1..n_candidate {
            chosen[i] = chosen[i - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relabelling_once() {
        let all = relabellings(5, 5);
        assert_eq!(all.len(), 252);
        assert!(all.iter().all(|sides| sides.iter().filter(|side| **side).count() == 5));
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 252);
        assert_eq!(relabellings(0, 1), [[true]]);
        let many = relabellings(30, 30);
        assert_eq!(many.len(), RELABELLINGS + 1);
        assert_eq!(many, relabellings(30, 30), "the same every time");
    }

    #[test]
    fn five_and_five_suffice_for_one_in_a_hundred_and_four_and_four_do_not() {
        let two_of_252 = least_probability(5, 5);
        assert!((two_of_252 - 2.0 / 252.0).abs() < 1e-12);
        assert!(least_probability(4, 4) > 0.01 && least_probability(3, 9) < 0.01);
        assert!((least_probability(1, 1) - 1.0).abs() < 1e-12);
    }

    fn tested(each: &[f64]) -> Tested {
        Tested { each: each.to_vec(), within: 0.0, floor: 1.0 }
    }

    #[test]
    fn a_row_that_moved_is_found_among_many_that_did_not() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut rows: Vec<Tested> = (0..200)
            .map(|_| Tested {
                within: 1.0,
                ..tested(&(0..10).map(|_| 100.0 + random.f64() * 4.0).collect::<Vec<_>>())
            })
            .collect();
        assert!(family_wise(&rows, 5, 5).iter().all(|p| *p > 0.01), "nothing moved");
        rows[17].each[5..].iter_mut().for_each(|value| *value += 20.0);
        let p = family_wise(&rows, 5, 5);
        assert!(p[17] < 0.01, "{}", p[17]);
        assert!(p.iter().enumerate().all(|(i, p)| i == 17 || *p > 0.01));
    }

    #[test]
    fn what_never_varied_and_did_not_move_is_as_likely_as_can_be() {
        assert_eq!(family_wise(&[tested(&[3.0; 10])], 5, 5), [1.0]);
        assert_eq!(family_wise(&[], 5, 5), [0.0; 0]);
    }

    #[test]
    fn shifts_and_medians() {
        assert_eq!(shift(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]), Some(10.0));
        assert_eq!(shift(&[], &[1.0]), None);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(moments(&[1.0, 3.0]), (2.0, 2.0));
    }

    #[test]
    fn seconds_are_drawn_together() {
        // Ten quick values in one second, ten slow ones in another: replicates hold either, both or neither.
        let values: Vec<(u32, u16)> =
            (0..20).map(|i| (i / 10, value::of(if i < 10 { 1_000 } else { 9_000 }))).collect();
        let sorted = Sorted::of(&values);
        assert_eq!((sorted.len(), Sorted::of(&[]).percentile(500)), (20, None));
        let replicates = sorted.replicates(&[500, 950], &Seconds::drawn(2, 0));
        assert_eq!(replicates.len(), REPLICATES);
        let replicates: Vec<_> = replicates.into_iter().filter(|of| !of.is_empty()).collect();
        let slow = replicates.iter().filter(|found| found[0] > 5_000.0).count();
        assert!((10..50).contains(&slow), "a quarter hold the slow second alone: {slow}");
        assert!(replicates.iter().all(|found| found[0] <= found[1]));
    }
}
