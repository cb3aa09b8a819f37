//! Stretches of paths that took far longer in one call than they usually take: where a packet was held, lost or queued,
//! although the call itself may be no slower than others. Never compares stretches with one another, only with themselves.

use crate::analysis::Analysis;
use crate::call::{Call, Hop};
use crate::measure::point_label;
use crate::quantity::Distribution;
use std::collections::BTreeMap;

/// How often a stretch must have been measured for its usual time to be known.
const LEAST_MEASURED: usize = 8;
/// Far longer: this many times the median …
const TIMES_USUAL: i64 = 10;
/// … and at least this much more.
const LEAST_MORE_NS: i64 = 1_000_000;

/// One way over one stretch, in one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlier<'a> {
    /// The call.
    pub(super) call: &'a Call,
    /// The part of it.
    pub(super) hop: &'a Hop,
    /// `→`, `←`, or `⇄` where only both ways together are known.
    pub(super) way: char,
    /// When it began, on the clock of the point where it began.
    pub(super) began_ns: i64,
    /// What it took.
    pub(super) took_ns: i64,
    /// The stretch's median that way.
    pub(super) usual_ns: i64,
}

impl Outlier<'_> {
    /// The two points, in the way's order.
    pub(super) fn place(&self, analysis: &Analysis) -> String {
        let label = |i: u16| point_label(analysis, self.call, i as usize);
        let (from, to) = (label(self.hop.from), label(self.hop.to));
        if self.way == '←' { format!("{to} → {from}") } else { format!("{from} → {to}") }
    }
}

/// From point, to point, way.
type Stretch = (u32, u32, char);

/// All of them, by when they began.
pub(super) fn outliers(analysis: &Analysis) -> Vec<Outlier<'_>> {
    let mut times: BTreeMap<Stretch, Vec<i64>> = BTreeMap::new();
    for (stretch, outlier) in crossings(analysis) {
        times.entry(stretch).or_default().push(outlier.took_ns);
    }
    let usual: BTreeMap<Stretch, i64> = times
        .into_iter()
        .filter(|(_, times)| times.len() >= LEAST_MEASURED)
        .filter_map(|(stretch, times)| {
            Some((stretch, Distribution::exact(times).percentile(500)?.ns))
        })
        .collect();
    let mut found: Vec<Outlier<'_>> = crossings(analysis)
        .filter_map(|(stretch, crossing)| {
            Some(Outlier { usual_ns: *usual.get(&stretch)?, ..crossing })
        })
        .filter(|o| o.took_ns / TIMES_USUAL >= o.usual_ns)
        .filter(|o| o.took_ns.saturating_sub(o.usual_ns) >= LEAST_MORE_NS)
        .collect();
    found.sort_by_key(|o| (o.began_ns, o.call.id));
    found
}

/// Every way over every stretch between two points, its usual time still unknown.
fn crossings(analysis: &Analysis) -> impl Iterator<Item = (Stretch, Outlier<'_>)> {
    let calls = analysis.calls.iter();
    calls.flat_map(|call| {
        let hops = call.hops.iter().filter(|h| h.part.is_leg());
        hops.flat_map(move |hop| ways(call, hop))
    })
}

fn ways<'a>(call: &'a Call, hop: &'a Hop) -> Vec<(Stretch, Outlier<'a>)> {
    let (Some(from), Some(to)) =
        (call.spans.get(hop.from as usize), call.spans.get(hop.to as usize))
    else {
        return Vec::new();
    };
    let crossing = |way: char, began: Option<i64>, took: Option<i64>| {
        let (began_ns, took_ns) = (began?, took?);
        let outlier = Outlier { call, hop, way, began_ns, took_ns, usual_ns: 0 };
        Some(((from.point, to.point, way), outlier))
    };
    if hop.forward_ns.is_none() && hop.return_ns.is_none() {
        let both = crossing('⇄', from.times.request_last, Some(hop.total_ns));
        return both.into_iter().collect();
    }
    let forward = crossing('→', from.times.request_last, hop.forward_ns);
    forward.into_iter().chain(crossing('←', to.times.response_first, hop.return_ns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Part;
    use crate::report::sample;

    /// (way, what it took) of the outliers among `n` copies of one call, the last with its first wire at `last_ns`.
    fn check(n: usize, last_ns: i64, expected: &[(char, i64)]) {
        let mut analysis = sample::shop();
        let is_wire = |hop: &Hop| hop.part == Part::Wire && hop.forward_ns.is_some();
        let call = analysis.calls.iter().find(|c| c.hops.iter().any(is_wire)).unwrap().clone();
        analysis.calls = vec![call; n];
        let last = &mut analysis.calls[n - 1].hops;
        last.iter_mut().find(|hop| is_wire(hop)).unwrap().forward_ns = Some(last_ns);
        let found: Vec<_> = outliers(&analysis).iter().map(|o| (o.way, o.took_ns)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn far_above_its_own_median_and_by_a_millisecond() {
        check(20, 40_000_000, &[('→', 40_000_000)]);
        check(20, 900_000, &[]);
    }

    #[test]
    fn seldom_measured_nothing_is_usual() {
        check(7, 40_000_000, &[]);
    }
}
