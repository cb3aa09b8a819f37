//! One side of a forwarding process: a connection with its calls, and whether another goes on from it. Never looks at a third.

use super::super::connections::Seen;
use super::super::order::Placed;
use super::super::{Connection, Homes, Place};
use super::way::Way;
use crate::call::Times;
use crate::dissect::Proxied;
use crate::flow::Flow;
use crate::point::Process;
use std::net::SocketAddr;

/// Calls behind a presumed pair that are looked at before all are.
const NEAR: usize = 16;
/// A clock goes faster than another by one part of so many at most.
const FASTER: i64 = 10_000;
/// Longest PROXY header: version 2 allows more, in practice its extensions stay below.
const MAX_HEADER: u32 = 4096;

/// Start of the request's head, and lengths of request and response: equal on both legs.
pub(super) type Content = (u64, [u64; 2]);

/// One call as one leg carried it.
pub(super) struct Heard {
    pub(super) content: Content,
    /// Hashes of request and response; 0: not captured whole.
    pub(super) hashes: [u64; 2],
    /// Sequence numbers of request and response.
    pub(super) sequence: [Option<u32>; 2],
    /// Times at the leg's first and last point.
    pub(super) entered: Times,
    pub(super) left: Times,
}

/// A connection as a candidate for one side of a forwarding process.
pub(super) struct Leg {
    pub(super) index: usize,
    pub(super) calls: Vec<Heard>,
    /// Sequence numbers of requests, in rising order, and their calls.
    pub(super) places: Vec<(u32, usize)>,
    /// At its first and its last point.
    pub(super) ends: [Sight; 2],
    /// Sequence numbers of SYN and SYN-ACK.
    pub(super) initial: [Option<u32>; 2],
    /// Where its client end and its server end live.
    pub(super) client: Option<Place>,
    pub(super) server: Option<Place>,
    /// The process that asks and the one that answers, where known.
    pub(super) processes: [Option<Process>; 2],
    /// Its client's address, at the first point, is a loopback's.
    pub(super) is_on_loopback: bool,
    /// Client and server as seen at the last point.
    pub(super) arrives: [SocketAddr; 2],
    pub(super) proxied: Option<Proxied>,
}

/// A connection as one point saw it, by that point's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) domain: u32,
    pub(super) syn_ns: Option<i64>,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
}

impl Sight {
    fn of(flow: &Flow, seen: &Seen<'_>) -> Sight {
        Sight {
            domain: seen.points[flow.point as usize].domain,
            syn_ns: flow.handshake_ns[0],
            first_ns: flow.first_ns,
            last_ns: flow.last_ns,
        }
    }
}

/// A connection's first and last flow, and where its client end and its server end live.
pub(super) struct Ends<'a> {
    pub(super) head: &'a Flow,
    pub(super) tail: &'a Flow,
    pub(super) client: Option<&'a Place>,
    pub(super) server: Option<&'a Place>,
}

pub(super) fn ends<'a>(
    connection: &Connection,
    seen: &Seen<'a>,
    homes: &'a Homes,
) -> Option<Ends<'a>> {
    let flow = |placed: &Placed| -> &'a Flow { &seen.flows[placed.flow as usize] };
    let (first, last) = (connection.path.first()?, connection.path.last()?);
    let (head, tail) = (flow(first), flow(last));
    let carries = head.ip_protocol == 6 && !connection.calls.is_empty();
    carries.then(|| Ends {
        head,
        tail,
        client: homes.of_end(first.flow, 0, seen),
        server: homes.of_end(last.flow, 1, seen),
    })
}

pub(super) fn leg(index: usize, connection: &Connection, ends: &Ends<'_>, seen: &Seen<'_>) -> Leg {
    let facts = connection.path.iter().map(|p| &seen.facts[p.flow as usize]);
    let initial = |side: usize| facts.clone().find_map(|f| f.initial_sequence[side]);
    let calls: Vec<Heard> = connection.calls.iter().map(|spans| heard(spans, connection)).collect();
    Leg {
        index,
        places: places(&calls),
        calls,
        ends: [ends.head, ends.tail].map(|flow| Sight::of(flow, seen)),
        initial: [initial(0), initial(1)],
        client: ends.client.cloned(),
        server: ends.server.cloned(),
        processes: [ends.head, ends.tail].map(|f| seen.points[f.point as usize].process.clone()),
        is_on_loopback: ends.head.client.ip().is_loopback(),
        arrives: [ends.tail.client, ends.tail.server],
        proxied: facts.clone().find_map(|f| f.proxied),
    }
}

pub(super) fn places(calls: &[Heard]) -> Vec<(u32, usize)> {
    let numbered = calls.iter().enumerate().filter_map(|(i, call)| Some((call.sequence[0]?, i)));
    let mut places: Vec<(u32, usize)> = numbered.collect();
    places.sort_unstable();
    places
}

fn heard(spans: &[u32], connection: &Connection) -> Heard {
    let spans: Vec<_> = spans.iter().map(|&i| &connection.spans[i as usize]).collect();
    let most = |value: fn(&crate::pair::Span) -> [u64; 2]| {
        let values = spans.iter().map(|span| value(span));
        values.fold([0, 0], |a, b| [a[0].max(b[0]), a[1].max(b[1])])
    };
    let head = spans.iter().map(|span| span.head_hash).max().unwrap_or(0);
    Heard {
        content: (head, most(|span| span.bytes)),
        hashes: most(|span| span.body_hash),
        sequence: [0, 1].map(|side| spans.iter().find_map(|span| span.numbers()[side])),
        entered: spans[0].times,
        left: spans[spans.len() - 1].times,
    }
}

impl Leg {
    /// Whether `next` begins where and while this one arrives, towards something else.
    pub(super) fn could_go_on_as(&self, next: &Leg, way: &Way<'_>) -> bool {
        let (here, there) = (&self.ends[1], &next.ends[0]);
        let is_one_clock = here.domain == there.domain;
        // Which machine's loopback it is a capture of its own doesn't tell.
        let there_known = next.client.as_ref().filter(|_| is_one_clock || !next.is_on_loopback);
        let both = self.server.as_ref().zip(there_known);
        let is_there = match way {
            Way::Here => is_one_clock && both.is_some_and(|(a, b)| a == b),
            Way::Far(_) => both.is_none_or(|(a, b)| a == b && !is_one_clock),
        };
        let named = next.proxied.is_none_or(|p| p.client == self.arrives[0]);
        let in_order = |earlier: Option<i64>, later: Option<i64>| {
            way.are_in_order((here.domain, earlier), (there.domain, later))
        };
        self.index != next.index
            && is_there
            && self.processes[1]
                .as_ref()
                .zip(next.processes[0].as_ref())
                .is_none_or(|(a, b)| a == b)
            && self.arrives[1] != next.arrives[1]
            && in_order(Some(here.first_ns), Some(there.last_ns))
            && way.may_precede((there.domain, there.first_ns), (here.domain, here.last_ns))
            && in_order(here.syn_ns, there.syn_ns)
            && named
    }

    /// The calls (of this leg, of `next`) that lie at one offset per direction, given that `i` and `k` are the same.
    /// `None`: some contradict it, or too few agree.
    pub(super) fn matched(
        &self,
        i: usize,
        next: &Leg,
        k: usize,
        way: &Way<'_>,
    ) -> Option<Vec<(usize, usize)>> {
        let (one, other) = (&self.calls[i], &next.calls[k]);
        let shift = |side: usize| Some(other.sequence[side]?.wrapping_sub(one.sequence[side]?));
        let (asked, answered) = (shift(0)?, shift(1));
        if !self.streams_begin_together(next, asked, answered) {
            return None;
        }
        let placed = |later: &Heard| self.at(later.sequence[0]?.wrapping_sub(asked));
        let mut behind = next.calls[k + 1..].iter().take(NEAR).peekable();
        let alone = behind.peek().is_none() || self.calls.len() == 1;
        if !alone && !behind.any(|later| placed(later).is_some()) {
            return None;
        }
        let mut matched = Vec::new();
        for (k, later) in next.calls.iter().enumerate() {
            if let Some(i) = placed(later) {
                let is_one = self.calls[i].is_forwarded_as(later, answered);
                if !is_one || !self.encloses(&self.calls[i], next, later, way) {
                    return None;
                }
                matched.push((i, k));
            }
        }
        let enough = 2 * matched.len() >= self.calls.len().min(next.calls.len());
        enough.then_some(matched)
    }

    /// Whether a call was asked here before it was there, and answered here after; that it took longer here needs no common clock.
    fn encloses(&self, call: &Heard, next: &Leg, later: &Heard, way: &Way<'_>) -> bool {
        let (here, there) = (self.ends[1].domain, next.ends[0].domain);
        let (left, entered) = (&call.left, &later.entered);
        way.are_in_order((here, left.request_first), (there, entered.request_first))
            && way.are_in_order((there, entered.response_first), (here, left.response_first))
            && lasted(left).zip(lasted(entered)).is_none_or(|(here_ns, there_ns)| {
                // Which of two clocks goes faster is not known, either.
                here_ns.saturating_add(there_ns / FASTER) >= there_ns
            })
    }

    /// The call whose request begins at this number.
    fn at(&self, sequence: u32) -> Option<usize> {
        let found = self.places.binary_search_by_key(&sequence, |&(number, _)| number);
        found.ok().map(|place| self.places[place].1)
    }

    /// Where both handshakes were seen, both streams begin with the same byte, but for a PROXY header.
    fn streams_begin_together(&self, next: &Leg, asked: u32, answered: Option<u32>) -> bool {
        let begin = |side: usize| Some(next.initial[side]?.wrapping_sub(self.initial[side]?));
        let header = begin(0).map(|begin| asked.wrapping_sub(begin));
        header.is_none_or(|header| header <= MAX_HEADER)
            && begin(1).zip(answered).is_none_or(|(begin, answered)| begin == answered)
    }
}

/// From a request's first byte to its response's.
fn lasted(times: &Times) -> Option<i64> {
    Some(times.response_first?.saturating_sub(times.request_first?))
}

impl Heard {
    /// Whether nothing speaks against this call being `later` on the other side of a process.
    fn is_forwarded_as(&self, later: &Heard, answered: Option<u32>) -> bool {
        let equal = |side: usize| {
            let (a, b) = (self.hashes[side], later.hashes[side]);
            a == 0 || b == 0 || a == b
        };
        let kept = self.sequence[1].zip(later.sequence[1]).zip(answered);
        equal(0) && equal(1) && kept.is_none_or(|((a, b), shift)| b.wrapping_sub(a) == shift)
    }
}
