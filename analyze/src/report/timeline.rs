//! Where the calls of one trace stand on its common timeline. Inside one clock domain that is exact; a clock that is aligned is placed
//! within its bound; one that only the trace's own calls cross by these calls' two directions; else it is unknown.
//! For drawing only: no latency is ever derived from it.

use crate::analysis::Analysis;
use crate::call::{Call, SpanAt, Trace};
use crate::measure;
use std::collections::BTreeMap;

/// How a clock stands against the timeline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// Added to its instants.
    pub(super) ns: i64,
    /// Guaranteed bound, if the clocks did not drift within the trace.
    pub(super) bound_ns: i64,
}

/// Offsets of the clock domains a trace touches.
pub(super) struct Timeline {
    /// Clock and begin of the root.
    root: Option<(u32, i64)>,
    offsets: BTreeMap<u32, Offset>,
}

/// Where a call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On the timeline, with its bound.
    At(i64, i64),
    /// No call of the trace crosses between its clock and the timeline's.
    Unknown,
}

impl Timeline {
    /// Of a trace: the clock of its root's first point is the reference.
    pub(super) fn of(analysis: &Analysis, trace: &Trace) -> Self {
        let calls = || trace.calls.iter().filter_map(|&c| analysis.calls.get(c as usize));
        let mut crossings: BTreeMap<(u32, u32), (i64, i64)> = BTreeMap::new();
        calls().for_each(|c| cross(analysis, c, &mut crossings));
        let mut offsets = BTreeMap::new();
        let root = measure::root(analysis, trace)
            .and_then(|root| Some((domain(analysis, root.spans.first()?), measure::start(root))));
        if let Some((domain, _)) = root {
            offsets.insert(domain, Offset { ns: 0, bound_ns: 0 });
        }
        // A trace touches few clocks: one pass per clock reaches all that can be reached.
        for _ in 0..crossings.len() {
            for (&(a, b), &(low, high)) in &crossings {
                let middle = Offset { ns: low + (high - low) / 2, bound_ns: (high - low + 1) / 2 };
                reach(&mut offsets, a, b, middle.ns, middle.bound_ns);
                reach(&mut offsets, b, a, -middle.ns, middle.bound_ns);
            }
        }
        Timeline { root, offsets }
    }

    /// Where a call begins.
    pub(super) fn place(&self, analysis: &Analysis, call: &Call) -> Place {
        let Some(span) = call.spans.first() else { return Place::Unknown };
        let own = (domain(analysis, span), measure::start(call));
        let known = self.root.and_then(|root| Some((root.1, analysis.clocks.between(root, own)?)));
        if let Some((root_ns, since)) = known {
            return Place::At(root_ns.saturating_add(since.value_ns), since.bound_ns);
        }
        match self.offsets.get(&own.0) {
            Some(offset) => Place::At(measure::start(call) + offset.ns, offset.bound_ns),
            None => Place::Unknown,
        }
    }
}

/// From a known domain to another: what adds to the other's instants.
fn reach(offsets: &mut BTreeMap<u32, Offset>, from: u32, to: u32, ns: i64, bound_ns: i64) {
    let Some(known) = offsets.get(&from).copied() else { return };
    offsets.entry(to).or_insert(Offset { ns: known.ns + ns, bound_ns: known.bound_ns + bound_ns });
}

/// A request can't arrive before it was sent, nor its response be sent after it arrived: both bound the offset.
fn cross(analysis: &Analysis, call: &Call, crossings: &mut BTreeMap<(u32, u32), (i64, i64)>) {
    for pair in call.spans.windows(2) {
        let (a, b) = (domain(analysis, &pair[0]), domain(analysis, &pair[1]));
        let (near, far) = (&pair[0].times, &pair[1].times);
        let bounds = (|| {
            let low = near.request_last? - far.request_last?;
            let high = near.response_first? - far.response_first?;
            (a != b && low <= high).then_some((low, high))
        })();
        let Some((low, high)) = bounds else { continue };
        let (key, low, high) = if a < b { ((a, b), low, high) } else { ((b, a), -high, -low) };
        let known = crossings.entry(key).or_insert((low, high));
        let both = (known.0.max(low), known.1.min(high));
        if both.0 <= both.1 {
            *known = both;
        }
    }
}

fn domain(analysis: &Analysis, span: &SpanAt) -> u32 {
    analysis.points.get(span.point as usize).map_or(0, |p| p.domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(analysis: &Analysis, call: usize, expected: Place) {
        let timeline = Timeline::of(analysis, &analysis.traces[0]);
        assert_eq!(timeline.place(analysis, &analysis.calls[call]), expected);
    }

    #[test]
    fn a_crossing_call_places_the_second_clock() {
        let one = sample::shop();
        let redis = measure::start(&one.calls[4]);
        check(&one, 4, Place::At(redis, 0));
        // The crossing hop took 9 µs out and 8 µs back: the middle is half a microsecond off, 8.5 µs at most.
        check(&sample::two_clocks(), 4, Place::At(redis - 500, 8_500));
    }

    #[test]
    fn without_a_crossing_the_place_is_unknown() {
        let mut analysis = sample::two_clocks();
        analysis.calls[3].spans.truncate(2);
        analysis.calls[6].spans.truncate(1);
        check(&analysis, 4, Place::Unknown);
    }
}
