//! Traces → the chain of work that made each as long as it was (Yang and Miller 1988), and how much later everything else might have
//! ended. Walks backwards from the answer: whoever ended last was waited for. Never changes a duration; never compares clocks that are
//! not aligned: a call on such a clock is left to its parent's own time.

use crate::align::Clocks;
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, CallState, Critical, Hop, LinkKind, Part, SpanAt, Trace};
use crate::flow::Flow;
use crate::hops;
use crate::point::Point;

mod replay;

pub use replay::replay;

/// What the walk looks at.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// All calls, linked, with their parts.
    pub calls: &'a [Call],
    /// The calls that each caused.
    pub children: &'a [Vec<CallIndex>],
    /// All flows.
    pub flows: &'a [Flow],
    /// All observation points.
    pub points: &'a [Point],
    /// How their clocks are related.
    pub clocks: &'a Clocks,
}

impl<'a> Given<'a> {
    /// A finished reconstruction, and the calls that each of its calls caused.
    pub fn of(analysis: &'a Analysis, children: &'a [Vec<CallIndex>]) -> Given<'a> {
        let Analysis { calls, flows, points, clocks, .. } = analysis;
        Given { calls, children, flows, points, clocks }
    }
}

/// A time during which a call was waited for, by the clock of whoever waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Awaited {
    call: CallIndex,
    begin_ns: i64,
    end_ns: i64,
}

impl Awaited {
    fn lasted_ns(&self) -> i64 {
        self.end_ns - self.begin_ns
    }
}

/// A call that is looked at: how long it was waited for, and how much later it might have ended.
struct Visit {
    call: CallIndex,
    total_ns: i64,
    slack_ns: i64,
    is_on_path: bool,
}

/// When a call's server was at work, by the clock of its last point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Work {
    from_ns: i64,
    to_ns: i64,
}

/// Every call of a trace that was waited for, in the order of [`Trace::calls`].
pub fn critical(given: &Given<'_>, trace: &Trace) -> Vec<(CallIndex, Critical)> {
    let mut found = Vec::with_capacity(trace.calls.len());
    let root_ns = given.duration_ns(trace.root);
    let mut open =
        vec![Visit { call: trace.root, total_ns: root_ns, slack_ns: 0, is_on_path: true }];
    while let Some(Visit { call: index, total_ns, slack_ns, is_on_path }) = open.pop() {
        let awaited = given.awaited(index);
        let (own, others) = along(given.work(index), &awaited);
        let waited_ns: i64 = own.iter().map(Awaited::lasted_ns).fold(0, i64::saturating_add);
        let visit = |child: &Awaited, later_ns: i64| Visit {
            call: child.call,
            total_ns: child.lasted_ns(),
            slack_ns: slack_ns.saturating_add(later_ns),
            is_on_path: is_on_path && later_ns == 0,
        };
        open.extend(own.iter().map(|child| visit(child, 0)));
        open.extend(
            others
                .iter()
                .map(|(child, later_ns)| Visit { is_on_path: false, ..visit(child, *later_ns) }),
        );
        let path_ns = if is_on_path { total_ns.saturating_sub(waited_ns).max(0) } else { 0 };
        let work_ns = given.work(index).map_or(0, |work| work.to_ns - work.from_ns);
        let self_ns = if is_on_path { work_ns.saturating_sub(waited_ns).max(0) } else { 0 };
        found.push((index, Critical { path_ns, self_ns: self_ns.min(path_ns), slack_ns }));
    }
    found.sort_unstable_by_key(|(call, _)| *call);
    found
}

/// From when on a server waited for nothing else, until it answered; by the clock of its last point. `None` without an answer.
pub fn last_own(given: &Given<'_>, call: CallIndex) -> Option<(i64, i64)> {
    given.call(call).spans.last()?.times.response_first?;
    let work = given.work(call)?;
    let awaited = given.awaited(call);
    let from_ns = awaited.iter().map(|child| child.end_ns).max().unwrap_or(work.from_ns);
    Some((from_ns, work.to_ns))
}

/// How much of a part lies on its trace's path.
pub fn of_hop(call: &Call, hop: &Hop) -> i64 {
    match &call.critical {
        Some(critical) if critical.slack_ns == 0 && critical.path_ns > 0 => match hop.part {
            Part::Server | Part::ServerApp => critical.self_ns.min(hop.total_ns),
            _ => hop.total_ns,
        },
        _ => 0,
    }
}

/// Backwards from the answer: whoever ended last before an instant was waited for until then. The rest, with how much later each might
/// have ended: until the end of the one that was waited for meanwhile.
fn along(work: Option<Work>, awaited: &[Awaited]) -> (Vec<Awaited>, Vec<(Awaited, i64)>) {
    let Some(work) = work else { return (Vec::new(), Vec::new()) };
    let mut by_end: Vec<Awaited> = awaited.to_vec();
    by_end.sort_unstable_by_key(|a| (std::cmp::Reverse((a.end_ns, a.begin_ns)), a.call));
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let (mut at_ns, mut waited_until_ns) = (work.to_ns, work.to_ns);
    for child in by_end {
        if child.end_ns <= at_ns {
            (at_ns, waited_until_ns) = (child.begin_ns, child.end_ns);
            own.push(child);
        } else {
            others.push((child, waited_until_ns.saturating_sub(child.end_ns)));
        }
    }
    (own, others)
}

impl Given<'_> {
    fn call(&self, index: CallIndex) -> &Call {
        &self.calls[index as usize]
    }

    fn domain(&self, span: &SpanAt) -> u32 {
        self.points[span.point as usize].domain
    }

    /// How long a call took at its first point; of one without an answer, until its flow's last packet.
    fn duration_ns(&self, index: CallIndex) -> i64 {
        let call = self.call(index);
        let times = call.times();
        let seen = times.duration_ns().or_else(|| {
            let first = times.first()?;
            // Where the capture missed the answer, it may have come at any time.
            let until = match call.is_open() {
                true => self.flows[call.spans[0].flow as usize].last_ns,
                false => first,
            };
            Some(until.max(times.last()?).saturating_sub(first))
        });
        seen.unwrap_or(0).max(0)
    }

    /// When its server was at work: all of an unanswered call, as far as it was seen.
    fn work(&self, index: CallIndex) -> Option<Work> {
        let call = self.call(index);
        let span = call.spans.last()?;
        let from_ns = hops::asked(call)?;
        let to_ns = match span.times.response_first {
            Some(at) => at,
            None => from_ns.saturating_add(self.duration_ns(index)),
        };
        (from_ns <= to_ns).then_some(Work { from_ns, to_ns })
    }

    /// The calls that its server waited for, within its work and by its clock.
    fn awaited(&self, index: CallIndex) -> Vec<Awaited> {
        let Some(work) = self.work(index) else { return Vec::new() };
        let Some(last) = self.call(index).spans.last() else { return Vec::new() };
        let here = (self.domain(last), work.from_ns);
        let children = self.children[index as usize].iter();
        children.filter_map(|&child| self.awaited_of(child, here, work)).collect()
    }

    fn awaited_of(&self, child: CallIndex, here: (u32, i64), work: Work) -> Option<Awaited> {
        let call = self.call(child);
        let is_queue = call.link.as_ref().is_some_and(|link| link.kind == LinkKind::Queue);
        if is_queue || call.state == CallState::OneWay {
            return None;
        }
        let first = call.spans.first()?;
        let begin = (self.domain(first), first.times.first()?);
        let since = self.clocks.between(here, begin)?;
        let begin_ns = here.1.saturating_add(since.value_ns);
        let end_ns = begin_ns.saturating_add(self.duration_ns(child));
        // What outlasts the answer nobody waited for; one that was given up ends when the answer begins.
        let outlasts = end_ns > work.to_ns.saturating_add(since.bound_ns);
        if outlasts && call.state != CallState::Open {
            return None;
        }
        let begin_ns = begin_ns.clamp(work.from_ns, work.to_ns);
        Some(Awaited { call: child, begin_ns, end_ns: end_ns.clamp(begin_ns, work.to_ns) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn awaited(of: &[(i64, i64)]) -> Vec<Awaited> {
        let each = of.iter().zip(0..);
        each.map(|(&(begin_ns, end_ns), call)| Awaited { call, begin_ns, end_ns }).collect()
    }

    /// Children as (begin, end) within 0 to 100: those on the path, from the last, and the others' slack.
    fn check(children: &[(i64, i64)], path: &[u32], slack: &[(u32, i64)]) {
        let work = Some(Work { from_ns: 0, to_ns: 100 });
        let (own, others) = along(work, &awaited(children));
        assert_eq!(own.iter().map(|a| a.call).collect::<Vec<_>>(), path);
        assert_eq!(others.iter().map(|(a, ns)| (a.call, *ns)).collect::<Vec<_>>(), slack);
    }

    #[test]
    fn one_after_another_all_are_on_the_path() {
        check(&[(10, 20), (30, 40), (40, 90)], &[2, 1, 0], &[]);
    }

    #[test]
    fn of_parallel_ones_the_last_to_end_and_the_others_have_slack() {
        check(&[(10, 50), (10, 90), (12, 60)], &[1], &[(2, 30), (0, 40)]);
    }

    #[test]
    fn what_ended_before_the_awaited_one_began_is_waited_for_too() {
        check(&[(5, 30), (10, 40), (45, 90), (50, 60)], &[2, 1], &[(3, 30), (0, 10)]);
    }

    #[test]
    fn without_children_all_is_its_own() {
        check(&[], &[], &[]);
    }

    #[test]
    fn the_path_is_as_long_as_its_trace() {
        for analysis in [sample::shop(), sample::recorded()] {
            let children = hops::children(&analysis.calls);
            let given = Given::of(&analysis, &children);
            for trace in &analysis.traces {
                let found = critical(&given, trace);
                let path: i64 = found.iter().map(|(_, critical)| critical.path_ns).sum();
                let whole = given.duration_ns(trace.root);
                let calls = &analysis.calls;
                // One that began before it was asked for leaves a gap; none is in these.
                assert_eq!(path, whole, "{}", calls[trace.root as usize].resource);
            }
        }
    }
}
