//! How long a trace would have taken, had some of its calls taken less: everything begins as long after what it waited for as it did.
//! Only for less, and only to first order: whether a server would then have been free earlier for others is not asked.

use super::{Awaited, Given};
use crate::call::{CallIndex, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// The root's duration in nanoseconds, where each call's own parts had taken `saved` nanoseconds less.
pub fn replay(given: &Given<'_>, trace: &Trace, saved: impl Fn(CallIndex) -> i64) -> i64 {
    let mut lasted: BTreeMap<CallIndex, i64> = BTreeMap::new();
    // Depth first, backwards: children before parents.
    for &call in trace.calls.iter().rev() {
        let awaited = given.awaited(call);
        let as_it_was = given.duration_ns(call);
        let earlier_ns = given.work(call).map_or(0, |work| {
            let end_ns = |child: &Awaited, begin_ns: i64| {
                let was = child.end_ns - child.begin_ns;
                begin_ns.saturating_add(lasted.get(&child.call).copied().unwrap_or(was).min(was))
            };
            work.to_ns - answered(work.from_ns, work.to_ns, awaited, end_ns)
        });
        let lasts = as_it_was.saturating_sub(earlier_ns).saturating_sub(saved(call).max(0));
        lasted.insert(call, lasts.max(0));
    }
    lasted.get(&trace.root).copied().unwrap_or(0)
}

/// When the answer would begin, each child ending as `end_ns` says of its new beginning.
fn answered(
    from_ns: i64,
    to_ns: i64,
    mut awaited: Vec<Awaited>,
    end_ns: impl Fn(&Awaited, i64) -> i64,
) -> i64 {
    awaited.sort_unstable_by_key(|child| (child.begin_ns, child.end_ns, child.call));
    let mut ended = Ended { later: BinaryHeap::new(), latest: (from_ns, from_ns) };
    for child in &awaited {
        let (was, is) = ended.before(child.begin_ns);
        let begin_ns = is.saturating_add(child.begin_ns - was);
        ended.later.push(Reverse((child.end_ns, end_ns(child, begin_ns))));
    }
    let (was, is) = ended.before(to_ns);
    is.saturating_add(to_ns - was)
}

/// Ends as they were and as they would be, asked for in order of time.
struct Ended {
    later: BinaryHeap<Reverse<(i64, i64)>>,
    latest: (i64, i64),
}

impl Ended {
    /// The latest of those that ended until an instant.
    fn before(&mut self, at_ns: i64) -> (i64, i64) {
        while let Some(Reverse((was, is))) =
            self.later.peek().copied().filter(|end| end.0.0 <= at_ns)
        {
            self.latest = (self.latest.0.max(was), self.latest.1.max(is));
            self.later.pop();
        }
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hops;
    use crate::report::sample;

    /// Children as (begin, end, how long each would last) within 0 to 100: when the answer would begin.
    fn check(children: &[(i64, i64, i64)], expected: i64) {
        let awaited = children.iter().zip(0..).map(|(&(begin_ns, end_ns, _), call)| Awaited {
            call,
            begin_ns,
            end_ns,
        });
        let end = |child: &Awaited, begin_ns: i64| begin_ns + children[child.call as usize].2;
        assert_eq!(answered(0, 100, awaited.collect(), end), expected);
    }

    #[test]
    fn what_follows_moves_forward() {
        check(&[(10, 50, 5), (60, 90, 30)], 65);
    }

    #[test]
    fn beside_a_longer_one_little_is_won() {
        check(&[(10, 50, 5), (10, 45, 35)], 95);
        check(&[(10, 90, 10), (10, 45, 35)], 55);
    }

    #[test]
    fn nothing_saved_changes_nothing() {
        let analysis = sample::recorded();
        let children = hops::children(&analysis.calls);
        let given = Given::of(&analysis, &children);
        for trace in &analysis.traces {
            let was = given.duration_ns(trace.root);
            assert_eq!(replay(&given, trace, |_| 0), was);
            assert!(replay(&given, trace, |_| i64::MAX) == 0);
        }
    }
}
