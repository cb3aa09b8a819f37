//! Which findings are about the same traces, more than chance would have it: where one service is slow and another waits for it, each is a
//! finding of its own, and whoever reads them wants to know. Says that they go together, never which caused which.

use super::{Finding, Severity};
use crate::analysis::Analysis;
use std::collections::BTreeSet;

/// So many traces at least are of both, and so large a share of those of either.
const LEAST: usize = 3;
const SHARE: f64 = 0.5;
/// So many times what chance would have it.
const BEYOND_CHANCE: f64 = 1.5;

/// Another finding about the same traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Related {
    /// Its number.
    pub finding: usize,
    /// So many traces are of both …
    pub n_both: usize,
    /// … of so many that the finding itself is about.
    pub n_own: usize,
}

/// Per finding the others that share its traces, those that share most first.
pub fn related(analysis: &Analysis, findings: &[Finding]) -> Vec<Vec<Related>> {
    let traces: Vec<BTreeSet<u32>> = findings.iter().map(|f| felt(analysis, f)).collect();
    (0..findings.len()).map(|own| of(analysis.traces.len(), &traces, own)).collect()
}

fn of(n_all: usize, traces: &[BTreeSet<u32>], own: usize) -> Vec<Related> {
    let n_own = traces[own].len();
    let goes_with = |finding: usize, n_both: usize| {
        let by_chance = n_own as f64 * traces[finding].len() as f64 / n_all.max(1) as f64;
        n_both >= LEAST
            && n_both as f64 >= SHARE * n_own.min(traces[finding].len()) as f64
            && n_both as f64 >= BEYOND_CHANCE * by_chance
    };
    let mut found: Vec<Related> = (0..traces.len())
        .filter(|other| *other != own)
        .map(|other| (other, traces[own].intersection(&traces[other]).count()))
        .filter(|&(other, n_both)| goes_with(other, n_both))
        .map(|(finding, n_both)| Related { finding, n_both, n_own })
        .collect();
    found.sort_by_key(|r| std::cmp::Reverse(r.n_both));
    found
}

/// The traces that a finding made longer, or failed.
fn felt(analysis: &Analysis, finding: &Finding) -> BTreeSet<u32> {
    if finding.severity == Severity::Pass {
        return BTreeSet::new();
    }
    let felt = finding.concerned.iter().filter(|c| c.cost_ns > 0 || c.failed);
    felt.filter_map(|c| Some(analysis.calls.get(c.call as usize)?.trace)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_all: usize, traces: &[&[u32]], expected: &[(usize, usize)]) {
        let traces: Vec<BTreeSet<u32>> =
            traces.iter().map(|each| each.iter().copied().collect()).collect();
        let told = of(n_all, &traces, 0);
        let told: Vec<_> = told.iter().map(|r| (r.finding, r.n_both)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn those_that_share_traces_beyond_chance() {
        let ten: Vec<u32> = (0..10).collect();
        let most: Vec<u32> = (0..35).collect();
        check(40, &[&[0, 1, 2, 30], &ten], &[(1, 3)]);
        // Both ways round: either is told of the other.
        check(40, &[&ten, &[0, 1, 2, 30]], &[(1, 3)]);
        check(40, &[&ten, &[0, 1, 2, 30, 31, 32, 33]], &[]);
        // Where nearly all traces are of one finding, any other shares them by chance.
        check(40, &[&[0, 1, 2, 30], &most], &[]);
        check(40, &[&[0, 1], &[0, 1]], &[]);
        check(40, &[&[0, 1, 2, 3], &[0, 1, 2], &[0, 1, 2, 3], &[]], &[(2, 4), (1, 3)]);
        check(0, &[&[]], &[]);
    }
}
