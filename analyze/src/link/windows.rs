//! When a call keeps its server busy and when its client waits for it, on every clock that saw the call. Parent and child are
//! compared on one clock: the nearest to the parent's server that saw both. Never compares instants of two clocks.

use crate::call::{Call, CallState, SpanAt};
use crate::flow::Flow;
use crate::issue::Issue;
use crate::point::Point;
use std::collections::BTreeMap;

/// First request byte, last request byte and last response byte, at the point nearest to the server on one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) domain: u32,
    pub(super) from: i64,
    pub(super) request_last: i64,
    pub(super) to: i64,
    /// First response byte, if one was seen.
    pub(super) answered: Option<i64>,
    /// Nobody waits for it: what it causes begins within, and may end later.
    pub(super) is_one_way: bool,
}

/// First and last byte at the point nearest to the client on one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) domain: u32,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// So long after a one-way message was read it may still be worked on.
const ONE_WAY_NS: i64 = 1_000_000_000;
/// See [`Served::rounded`]: the end is the sum of two.
const ROUNDED_NS: i64 = 2_000;

/// A call's windows: on the clock nearest to the end concerned, then on the others in path order from there.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    served: Served,
    asked: Asked,
    further_served: Vec<Served>,
    further_asked: Vec<Asked>,
}

impl Windows {
    /// The windows of all calls. An open call lasts as long as its flow, but one whose response was only missed by the
    /// capture ends at the latest when the next request on its connection begins.
    pub(super) fn of_all(calls: &[Call], points: &[Point], flows: &[Flow]) -> Vec<Windows> {
        let mut next_on: BTreeMap<u32, i64> = BTreeMap::new();
        let mut windows: Vec<Windows> = Vec::with_capacity(calls.len());
        for call in calls.iter().rev() {
            let flow = call.spans[call.spans.len() - 1].flow;
            let missed = call.issues.contains(&Issue::ResponseMissing);
            let next = next_on.get(&flow).copied().filter(|_| missed);
            let here = Windows::of(call, points, next.unwrap_or(flows[flow as usize].last_ns));
            next_on.insert(flow, here.served.from);
            windows.push(here);
        }
        windows.reverse();
        windows
    }

    fn of(call: &Call, points: &[Point], open_until: i64) -> Windows {
        let domain = |span: &SpanAt| points[span.point as usize].domain;
        let open_until = (call.state == CallState::Open).then_some(open_until);
        let (first, last) = (&call.spans[0], &call.spans[call.spans.len() - 1]);
        let served = |nearest: &SpanAt| {
            let here = call.spans.iter().rev().filter(|s| domain(s) == domain(nearest));
            let served = Served::at(whole(here).unwrap_or(nearest), domain(nearest), open_until);
            let served = if call.tracer.is_some() { served.rounded() } else { served };
            if call.state == CallState::OneWay { served.one_way() } else { served }
        };
        let asked = |nearest: &SpanAt| {
            let here = call.spans.iter().filter(|s| domain(s) == domain(nearest));
            Asked::at(whole(here).unwrap_or(nearest), domain(nearest))
        };
        let (mut further_served, mut further_asked) = (Vec::new(), Vec::new());
        if call.spans.iter().any(|span| domain(span) != domain(first)) {
            let mut known = vec![domain(last)];
            for span in call.spans.iter().rev().filter(|s| is_new(domain(s), &mut known)) {
                further_served.push(served(span));
            }
            let mut known = vec![domain(first)];
            for span in call.spans.iter().filter(|s| is_new(domain(s), &mut known)) {
                further_asked.push(asked(span));
            }
        }
        Windows { served: served(last), asked: asked(first), further_served, further_asked }
    }

    /// When it was served, on each clock.
    pub(super) fn served(&self) -> impl Iterator<Item = &Served> {
        std::iter::once(&self.served).chain(&self.further_served)
    }

    /// When it was asked, on each clock.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Asked> {
        std::iter::once(&self.asked).chain(&self.further_asked)
    }

    /// When it was served, on the clock nearest to its server.
    pub(super) fn served_there(&self) -> &Served {
        &self.served
    }

    /// When its first byte left, on the clock nearest to its client.
    pub(super) fn asked_from(&self) -> i64 {
        self.asked.from
    }

    /// When its answer was there, on the same clock.
    pub(super) fn asked_to(&self) -> i64 {
        self.asked.to
    }

    /// This call's service and `child`'s asking, on the clock nearest to the server that saw both.
    pub(super) fn beside<'a>(&'a self, child: &'a Windows) -> Option<(&'a Served, &'a Asked)> {
        let both = |served: &'a Served| {
            child.asked().find(|asked| asked.domain == served.domain).map(|asked| (served, asked))
        };
        self.served().find_map(both)
    }
}

impl Served {
    fn at(span: &SpanAt, domain: u32, open_until: Option<i64>) -> Served {
        let from = span.times.first().unwrap_or(i64::MAX);
        Served {
            domain,
            from,
            request_last: span.times.request_last.unwrap_or(from),
            to: open_until.or(span.times.last()).unwrap_or(i64::MIN),
            answered: span.times.response_first,
            is_one_way: false,
        }
    }

    /// Tracers cut starts and durations to microseconds, each by itself: what lay inside may reach out by one.
    fn rounded(self) -> Served {
        let (from, to) = (self.from.saturating_sub(ROUNDED_NS), self.to.saturating_add(ROUNDED_NS));
        Served { from, to, ..self }
    }

    fn one_way(self) -> Served {
        Served { to: self.request_last.saturating_add(ONE_WAY_NS), is_one_way: true, ..self }
    }

    /// Whether `asked` begins inside, on the same clock.
    pub(super) fn begins(&self, asked: &Asked) -> bool {
        self.domain == asked.domain && self.from <= asked.from && self.to >= asked.from
    }

    /// Whether `asked` lies inside, on the same clock.
    pub(super) fn contains(&self, asked: &Asked) -> bool {
        let until = if self.is_one_way { asked.from } else { asked.to };
        self.domain == asked.domain && self.from <= asked.from && self.to >= until
    }
}

impl Asked {
    fn at(span: &SpanAt, domain: u32) -> Asked {
        let from = span.times.first().unwrap_or(i64::MAX);
        Asked { domain, from, to: span.times.last().unwrap_or(from) }
    }
}

/// The first that missed none of the four times: a wider window further away still contains the right children.
fn whole<'a>(mut from_end: impl Iterator<Item = &'a SpanAt>) -> Option<&'a SpanAt> {
    from_end.find(|s| s.times.duration_ns().is_some() && s.times.latency_ns().is_some())
}

fn is_new(domain: u32, known: &mut Vec<u32>) -> bool {
    let new = !known.contains(&domain);
    if new {
        known.push(domain);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: (u32, i64, i64) = (u32::MAX, 0, 0);

    /// A call by its windows (clock, from, to), those nearest to its ends first.
    fn windows(served: &[(u32, i64, i64)], asked: &[(u32, i64, i64)]) -> Windows {
        let serve = |&(domain, from, to): &(u32, i64, i64)| Served {
            domain,
            from,
            request_last: from,
            to,
            answered: None,
            is_one_way: false,
        };
        let ask = |&(domain, from, to): &(u32, i64, i64)| Asked { domain, from, to };
        Windows {
            served: serve(served.first().unwrap_or(&NEVER)),
            asked: ask(asked.first().unwrap_or(&NEVER)),
            further_served: served.iter().skip(1).map(serve).collect(),
            further_asked: asked.iter().skip(1).map(ask).collect(),
        }
    }

    fn check(served: &[(u32, i64, i64)], asked: &[(u32, i64, i64)], expected: Option<u32>) {
        let (parent, child) = (windows(served, &[]), windows(&[], asked));
        assert_eq!(parent.beside(&child).map(|(served, _)| served.domain), expected);
    }

    #[test]
    fn compared_on_the_clock_nearest_to_the_server_that_saw_both() {
        check(&[(1, 100, 200)], &[(1, 110, 180)], Some(1));
        check(&[(1, 100, 200), (2, 1100, 1200)], &[(2, 1150, 1160), (1, 150, 160)], Some(1));
        check(&[(1, 100, 200), (2, 1100, 1200)], &[(2, 1150, 1160)], Some(2));
        check(&[(1, 100, 200)], &[(2, 150, 160)], None);
    }
}
