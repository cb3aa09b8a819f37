//! What is said of clocks that are known to be wrong, held against how wrong they are. Never looks at a link.

use super::Share;
use crate::truth::Truth;
use afterpath::analysis::Analysis;
use serde::Serialize;
use std::fmt;

/// Two readings of one instant must differ by nothing, within what is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClockScore {
    /// Times whose difference to the true one lies within the stated bound; unaligned ones are not counted …
    pub inside: Share,
    /// … but here.
    pub unknown: u64,
    /// Stated bounds, nanoseconds: the middle one and the widest.
    pub bound_ns: [i64; 2],
    /// Errors without their sign: the middle one and the largest.
    pub error_ns: [i64; 2],
    /// Hops that are negative by more than their bound.
    pub impossible_hops: u64,
}

impl fmt::Display for ClockScore {
    /// `100.00 % of 812 inside; ± 3 µs, 12 µs; off by 1 µs, 3 µs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} % of {} inside", self.inside.percent(), self.inside.all)?;
        for (n, what) in [(self.unknown, "unknown"), (self.impossible_hops, "hops below nothing")] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        let micro =
            |[middle, most]: [i64; 2]| format!("{} µs, {} µs", middle / 1_000, most / 1_000);
        write!(f, "; ± {}; off by {}", micro(self.bound_ns), micro(self.error_ns))
    }
}

/// Of every time at a host whose clock is wrong; `None` where none is.
pub(super) fn clocks(analysis: &Analysis, truth: &Truth) -> Option<ClockScore> {
    let domain = |host: &str| analysis.points.iter().find(|p| p.host == host).map(|p| p.domain);
    let is_wrong = |host: &String| truth.clocks.iter().any(|clock| clock.host == *host);
    let right = analysis.points.iter().find(|point| !is_wrong(&point.host))?.domain;
    let mut score = ClockScore::default();
    let (mut bounds, mut errors) = (Vec::new(), Vec::new());
    for clock in &truth.clocks {
        let own = domain(&clock.host)?;
        let spans = analysis.calls.iter().flat_map(|call| &call.spans);
        let own_spans = spans.filter(|span| analysis.points[span.point as usize].domain == own);
        let said = own_spans.flat_map(|span| [span.times.request_first, span.times.response_last]);
        for said_ns in said.flatten() {
            let is = (right, truth.true_ns(&clock.host, said_ns));
            let Some(known) = analysis.clocks.between(is, (own, said_ns)) else {
                score.unknown += 1;
                continue;
            };
            score.inside.count(known.value_ns.abs() <= known.bound_ns);
            bounds.push(known.bound_ns);
            errors.push(known.value_ns.abs());
        }
    }
    let middle_and_most = |mut all: Vec<i64>| {
        all.sort_unstable();
        [all.get(all.len() / 2), all.last()].map(|ns| ns.copied().unwrap_or_default())
    };
    score.bound_ns = middle_and_most(bounds);
    score.error_ns = middle_and_most(errors);
    let hops = analysis.calls.iter().flat_map(|call| &call.hops);
    let is_impossible = |hop: &&afterpath::call::Hop| {
        let ways = [hop.forward_ns, hop.return_ns].into_iter().flatten();
        let least = ways.min();
        least.zip(hop.bound_ns).is_some_and(|(least_ns, bound_ns)| least_ns < -bound_ns)
    };
    score.impossible_hops = hops.filter(is_impossible).count() as u64;
    (!truth.clocks.is_empty()).then_some(score)
}
