//! Calls → parts: where between its points a call's time went, forward and return apart. Parts follow the path, not the
//! clock, so that a negative hop shows; they sum to the duration exactly. Never interpolates what no point saw.

use crate::align::Clocks;
use crate::call::{Call, CallIndex, Hop, OrderBasis, Part, Point, SpanAt, Times};

/// The calls that each call caused, by call.
pub fn children(calls: &[Call]) -> Vec<Vec<CallIndex>> {
    let mut children = vec![Vec::new(); calls.len()];
    for (i, call) in calls.iter().enumerate() {
        if let Some(link) = &call.link {
            children[link.parent as usize].push(i as CallIndex);
        }
    }
    children
}

/// The parts of one call, in path order. Empty when the first point has not all four times.
pub fn parts(call: &Call, points: &[Point], clocks: &Clocks) -> Vec<Hop> {
    let Some(whole) = Whole::of(call.times()) else { return Vec::new() };
    let domain = |span: &SpanAt| points[span.point as usize].domain;
    let mut hops = vec![transfer(Part::RequestTransfer, whole.request_transfer)];
    let (mut from, mut before) = (0usize, whole);
    for (to, span) in call.spans.iter().enumerate().skip(1) {
        let Some(here) = Whole::of(&span.times) else { continue };
        let (a, b) = (domain(&call.spans[from]), domain(span));
        let forward = clocks.between((a, before.request_last), (b, here.request_last));
        let back = clocks.between((b, here.response_first), (a, before.response_first));
        let gateway = (from + 1..=to).any(|i| call.spans[i].order_basis == OrderBasis::Forwarding);
        hops.push(Hop {
            part: if gateway { Part::Gateway } else { Part::Wire },
            from: from as u16,
            to: to as u16,
            forward_ns: forward.map(|f| f.value_ns),
            return_ns: back.map(|r| r.value_ns),
            total_ns: before.latency() - here.latency(),
            bound_ns: forward.zip(back).map(|(f, r)| f.bound_ns.max(r.bound_ns)),
        });
        (from, before) = (to, here);
    }
    hops.push(Hop {
        from: from as u16,
        to: from as u16,
        ..transfer(Part::Server, before.latency())
    });
    hops.push(transfer(Part::ResponseTransfer, whole.response_transfer));
    hops
}

/// A span all of whose times are known.
#[derive(Clone, Copy)]
struct Whole {
    request_last: i64,
    response_first: i64,
    request_transfer: i64,
    response_transfer: i64,
}

impl Whole {
    fn of(times: &Times) -> Option<Whole> {
        let (request_last, response_first) = (times.request_last?, times.response_first?);
        Some(Whole {
            request_last,
            response_first,
            request_transfer: request_last - times.request_first?,
            response_transfer: times.response_last? - response_first,
        })
    }

    fn latency(self) -> i64 {
        self.response_first - self.request_last
    }
}

/// A part measured at one point, by one clock: no error but the clock's own.
fn transfer(part: Part, total_ns: i64) -> Hop {
    Hop { part, from: 0, to: 0, forward_ns: None, return_ns: None, total_ns, bound_ns: Some(0) }
}

/// The server part less the time that child calls cover (each seen at its own client side, on the same clock).
pub fn self_ns(
    call: &Call,
    children: &[CallIndex],
    calls: &[Call],
    points: &[Point],
) -> Option<i64> {
    let last = call.spans.last()?;
    let domain = |point: u32| points[point as usize].domain;
    let (from, to) = (last.times.request_last?, last.times.response_first?);
    let mut covered: Vec<(i64, i64)> = Vec::new();
    for &child in children {
        let first = &calls[child as usize].spans[0];
        if domain(first.point) != domain(last.point) {
            return None;
        }
        let (begin, end) = (first.times.first()?, first.times.last()?);
        covered.push((begin.max(from), end.min(to)));
    }
    covered.retain(|(begin, end)| begin < end);
    covered.sort_unstable();
    let (mut busy, mut until) = (0, i64::MIN);
    for (begin, end) in covered {
        busy += (end - begin.max(until)).max(0);
        until = until.max(end);
    }
    Some(to - from - busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times: [i64; 4], expected: Option<(i64, i64, i64)>) {
        let [a, b, c, d] = times.map(Some);
        let times =
            Times { request_first: a, request_last: b, response_first: c, response_last: d };
        let whole = Whole::of(&times);
        let parts = whole.map(|w| (w.request_transfer, w.latency(), w.response_transfer));
        assert_eq!(parts, expected);
        assert_eq!(parts.map(|(x, y, z)| x + y + z), times.duration_ns());
    }

    #[test]
    fn a_span_is_its_transfers_and_its_latency() {
        check([10, 12, 20, 25], Some((2, 8, 5)));
    }

    #[test]
    fn a_response_before_the_request_ended_gives_a_negative_latency_that_shows() {
        check([10, 30, 20, 35], Some((20, -10, 15)));
    }
}
