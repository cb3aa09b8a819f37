//! Calls → parts: where between its points a call's time went, forward and return apart. Parts follow the path, not the
//! clock, so that a negative hop shows; they sum to the duration exactly. Never interpolates what no point saw.

use crate::align::Clocks;
use crate::call::{Call, CallIndex, Hop, OrderBasis, Part, Times};
use crate::dissect::sockets::log::Sockets;
use crate::point::Point;

pub mod before;

pub use before::before;

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
pub fn parts(call: &Call, points: &[Point], clocks: &Clocks, sockets: &Sockets) -> Vec<Hop> {
    let overlaps = overlaps(call);
    let Some(whole) = Whole::of(call.times(), overlaps) else { return Vec::new() };
    let path = Path { call, points, clocks, sockets };
    // Tracers tell of requests, not of their bytes.
    let is_transferred = call.tracer.is_none();
    let transferred = |part: Part, ns: i64| is_transferred.then(|| transfer(part, ns));
    let (mut hops, mut back) = (Vec::new(), None);
    hops.extend(transferred(Part::RequestTransfer, whole.request_transfer));
    let last =
        call.spans.iter().rposition(|span| Whole::of(&span.times, overlaps).is_some()).unwrap_or(0);
    let (mut from, mut before) = (0usize, whole);
    for (to, span) in call.spans.iter().enumerate().skip(1) {
        let Some(here) = Whole::of(&span.times, overlaps) else { continue };
        let leg = path.leg((from, before), (to, here));
        match (path.is_process(from), path.is_process(to)) {
            (true, false) if from == 0 && path.is_near(from, to) => {
                hops.push(one_way(Part::ClientSendQueue, &leg, true));
                back = Some(one_way(Part::ClientRecvQueue, &leg, false));
            }
            (false, true) if to == last && path.is_near(from, to) => {
                path.arrival(&leg, before.request_last, here.request_last, &mut hops);
                hops.push(Hop {
                    from: to as u16,
                    to: to as u16,
                    ..transfer(Part::ServerApp, here.latency())
                });
                hops.push(one_way(Part::ServerSendQueue, &leg, false));
                (from, before) = (to, here);
                break;
            }
            _ => hops.push(leg),
        }
        (from, before) = (to, here);
    }
    if !hops.iter().any(|hop| hop.part == Part::ServerApp) {
        let part = if path.serves(from) { Part::ServerApp } else { Part::Server };
        hops.push(Hop { from: from as u16, to: from as u16, ..transfer(part, before.latency()) });
    }
    hops.extend(back);
    hops.extend(transferred(Part::ResponseTransfer, whole.response_transfer));
    hops
}

/// Whether the response began before the request had ended at any point: a stream both ways, or an answer to what was said first.
fn overlaps(call: &Call) -> bool {
    call.spans.iter().any(|span| span.times.latency_ns().is_some_and(|latency| latency < 0))
}

/// When the server had been asked, at the last point.
pub fn asked(call: &Call) -> Option<i64> {
    let times = call.spans.last()?.times;
    if overlaps(call) { times.request_first } else { times.request_last }
}

struct Path<'a> {
    call: &'a Call,
    points: &'a [Point],
    clocks: &'a Clocks,
    sockets: &'a Sockets,
}

impl Path<'_> {
    fn point(&self, at: usize) -> &Point {
        &self.points[self.call.spans[at].point as usize]
    }

    fn is_process(&self, at: usize) -> bool {
        self.point(at).process.is_some()
    }

    /// Whether the process at this place is the one that answers.
    fn serves(&self, at: usize) -> bool {
        let process = self.point(at).process.as_ref();
        process.is_some() && process == self.call.server.process.as_ref()
    }

    /// Whether two points stand in one namespace, on one clock: nothing but queues lies between process and interface.
    fn is_near(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.point(a), self.point(b));
        (&a.host, &a.netns, a.domain) == (&b.host, &b.netns, b.domain)
    }

    /// The stretch between two places, both ways.
    fn leg(&self, (from, before): (usize, Whole), (to, here): (usize, Whole)) -> Hop {
        let (a, b) = (self.point(from).domain, self.point(to).domain);
        let forward = self.clocks.between((a, before.request_last), (b, here.request_last));
        let back = self.clocks.between((b, here.response_first), (a, before.response_first));
        let forwarding =
            (from + 1..=to).any(|i| self.call.spans[i].order_basis == OrderBasis::Forwarding);
        let part = match (self.is_process(from), self.is_process(to), forwarding) {
            (true, true, true) if to == from + 1 => Part::GatewayProcess,
            (_, _, true) => Part::Gateway,
            (true, false, _) if from > 0 && self.is_near(from, to) => Part::GatewayOut,
            (false, true, _) if !self.serves(to) && self.is_near(from, to) => Part::GatewayIn,
            _ => Part::Wire,
        };
        let stamped_ns =
            if self.is_process(from) == self.is_process(to) { 0 } else { self.bound_ns(from, to) };
        Hop {
            part,
            from: from as u16,
            to: to as u16,
            forward_ns: forward.map(|f| f.value_ns),
            return_ns: back.map(|r| r.value_ns),
            total_ns: before.latency().saturating_sub(here.latency()),
            bound_ns: forward
                .zip(back)
                .map(|(f, r)| f.bound_ns.max(r.bound_ns).saturating_add(stamped_ns)),
        }
    }

    /// How far a socket's clock may be from the packets', of whichever of the two is a process.
    fn bound_ns(&self, a: usize, b: usize) -> i64 {
        let of = |at: usize| {
            let log = self.sockets.logs.get(&self.call.spans[at].flow)?;
            self.sockets.bounds_ns.get(&log.host).copied()
        };
        of(a).or(of(b)).unwrap_or(0)
    }

    /// What happened to a request between the server's interface and its process, by what its thread did meanwhile.
    fn arrival(&self, leg: &Hop, arrived_ns: i64, read_ns: i64, hops: &mut Vec<Hop>) {
        let part = |part: Part, total_ns: i64| Hop {
            part,
            total_ns,
            forward_ns: Some(total_ns),
            return_ns: None,
            ..leg.clone()
        };
        let log = self.sockets.logs.get(&self.call.spans[leg.to as usize].flow);
        let read = log.and_then(|log| log.read_at(read_ns));
        let (Some(log), Some(read)) = (log, read.filter(|_| arrived_ns <= read_ns)) else {
            return hops.push(part(Part::ServerKernelRx, read_ns - arrived_ns));
        };
        let accepted_ns = log.accepted_ns.map(|at| at.clamp(arrived_ns, read_ns));
        let seen_ns = accepted_ns.unwrap_or(arrived_ns);
        if seen_ns > arrived_ns {
            hops.push(part(Part::ServerAcceptQueue, seen_ns - arrived_ns));
        }
        let entry_ns = read.entry_ns.clamp(seen_ns, read_ns);
        let wait = self.sockets.wait_before(log.host, read.tid, entry_ns);
        let woken = wait.filter(|wait| wait.entry_ns <= seen_ns && wait.exit_ns >= seen_ns);
        let (sched_ns, busy_ns) = match woken {
            _ if read.entry_ns <= seen_ns => (read_ns - seen_ns, 0),
            Some(wait) => (wait.exit_ns - seen_ns, entry_ns - wait.exit_ns),
            None => (0, entry_ns - seen_ns),
        };
        hops.push(part(Part::ServerSched, sched_ns));
        hops.push(part(Part::ServerBusy, busy_ns));
        hops.push(part(Part::ServerKernelRx, read_ns - seen_ns - sched_ns - busy_ns));
    }
}

/// One direction of a stretch that is two parts.
fn one_way(part: Part, leg: &Hop, forward: bool) -> Hop {
    let (forward_ns, return_ns) = match forward {
        true => (leg.forward_ns, None),
        false => (None, leg.return_ns),
    };
    let total_ns = forward_ns.or(return_ns).unwrap_or(0);
    Hop { part, forward_ns, return_ns, total_ns, ..leg.clone() }
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
    /// In a call that `overlaps`, the request's first byte stands for its last: what was said while it was answered is part of the answer.
    fn of(times: &Times, overlaps: bool) -> Option<Whole> {
        let (request_last, response_first) = (times.request_last?, times.response_first?);
        let request_last = if overlaps { times.request_first? } else { request_last };
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

/// The server part less the time that child calls cover (each seen at its own client side, on the same clock); one that got no answer, to
/// the end.
pub fn self_ns(
    call: &Call,
    children: &[CallIndex],
    calls: &[Call],
    points: &[Point],
) -> Option<i64> {
    let last = call.spans.last()?;
    let domain = |point: u32| points[point as usize].domain;
    let (from, to) = (asked(call)?, last.times.response_first?);
    let mut covered: Vec<(i64, i64)> = Vec::new();
    for &child in children {
        let child = &calls[child as usize];
        let first = &child.spans[0];
        if domain(first.point) != domain(last.point) {
            return None;
        }
        // Who got no answer waited for one until it gave up, as far as anybody can tell.
        let end = if child.is_open() { to } else { first.times.last()? };
        covered.push((first.times.first()?.max(from), end.min(to)));
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
    use crate::call::CallState;

    fn check(times: [i64; 4], overlaps: bool, expected: Option<(i64, i64, i64)>) {
        let [a, b, c, d] = times.map(Some);
        let times =
            Times { request_first: a, request_last: b, response_first: c, response_last: d };
        let whole = Whole::of(&times, overlaps);
        let parts = whole.map(|w| (w.request_transfer, w.latency(), w.response_transfer));
        assert_eq!(parts, expected);
        assert_eq!(parts.map(|(x, y, z)| x + y + z), times.duration_ns());
    }

    #[test]
    fn a_span_is_its_transfers_and_its_latency() {
        check([10, 12, 20, 25], false, Some((2, 8, 5)));
    }

    #[test]
    fn a_response_before_the_request_ended_is_measured_from_its_beginning() {
        check([10, 30, 20, 35], true, Some((0, 10, 15)));
    }

    #[test]
    fn who_gets_no_answer_is_waited_for_until_its_caller_answers() {
        let mut analysis = crate::report::sample::shop();
        let children = children(&analysis.calls);
        let parent = children.iter().position(|of| of.len() == 1).expect("one calls one");
        let own = |calls: &[Call], points: &[Point]| {
            self_ns(&calls[parent], &children[parent], calls, points)
        };
        let before = own(&analysis.calls, &analysis.points).expect("one clock");
        let child = children[parent][0] as usize;
        let answered = analysis.calls[child].times().last().expect("it was answered");
        let child = &mut analysis.calls[child];
        (child.state, child.outcome) = (CallState::Open, None);
        child.issues.clear();
        for span in &mut child.spans {
            (span.times.response_first, span.times.response_last) = (None, None);
        }
        let until = analysis.calls[parent].spans.last().and_then(|s| s.times.response_first);
        let after_it = until.expect("it was answered") - answered;
        assert!(after_it > 0);
        assert_eq!(own(&analysis.calls, &analysis.points), Some(before - after_it));
    }
}
