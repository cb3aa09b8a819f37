//! What went wrong, whose it was, and what it cost: a table of small judges, each with its evidence, and a verdict over all. Judges look
//! at the finished reconstruction and at what the kernel counted; none looks at another. Never a finding without its evidence; where
//! nothing can be said, what is missing is said.
//!
//! One more judge is a file in `judges/` and a line in [`JUDGES`].

mod case;
pub mod counters;
mod judges;
mod missing;
mod related;
mod stretches;
pub mod verdict;

pub use crate::finding::{Concerned, Culprit, Finding, Severity, WhatIf};
pub use case::Case;
pub use judges::JUDGES;
pub use missing::missing;
pub use related::{Related, related};

/// A judge.
pub struct Judge {
    /// Stable name.
    pub name: &'static str,
    /// What it looks for, in a line.
    pub about: &'static str,
    /// Gives its findings.
    pub judge: fn(&Case<'_>) -> Vec<Finding>,
}

/// What one judge finds, and what that cost.
pub fn asked(judge: &Judge, case: &Case<'_>) -> Vec<Finding> {
    let found = (judge.judge)(case).into_iter().map(|finding| {
        let mut finding = Finding { judge: judge.name.to_string(), ..finding };
        case.weigh(&mut finding);
        finding
    });
    found.collect()
}

/// What all judges found, the worst first; of those that are as bad, the one that more slow and failed traces are blamed on, then the one that more
/// traces felt, then the one that more failed for, then the one that cost more time.
pub fn ranked(case: &Case<'_>, mut found: Vec<Finding>) -> Vec<Finding> {
    let order = |f: &Finding| {
        let worst = (f.severity, f.n_traces, f.n_failed, f.cost_ns);
        (std::cmp::Reverse(worst), f.judge.clone(), f.culprit.clone())
    };
    found.sort_by_cached_key(order);
    let mut n_blamed = vec![0_u32; found.len()];
    for verdict in verdict::blamed(case.analysis, &case.slow, &found, |ns, _| ns > 0) {
        verdict.finding.into_iter().for_each(|finding| n_blamed[finding] += 1);
    }
    let mut found: Vec<(u32, Finding)> = n_blamed.into_iter().zip(found).collect();
    found.sort_by_key(|(n_blamed, finding)| std::cmp::Reverse((finding.severity, *n_blamed)));
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// What all judges find, one after another.
#[cfg(test)]
pub(crate) fn findings(
    analysis: &crate::analysis::Analysis,
    counters: &counters::Counters,
) -> Vec<Finding> {
    let case = Case::new(analysis, counters);
    ranked(&case, JUDGES.iter().flat_map(|judge| asked(judge, &case)).collect())
}

#[cfg(test)]
mod tests;
