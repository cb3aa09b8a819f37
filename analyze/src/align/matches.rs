//! The same bytes at two points with different clocks: what passed the one can't have passed the other before. First bytes only: where
//! segments are merged on the way, a later byte is stamped with the first one's time. Never decides what follows.

use crate::call::{OrderBasis, SpanAt};
use crate::dissect::sockets::log::Sockets;
use crate::flow::{Flow, FlowIndex};
use crate::point::Point;
use std::collections::{BTreeMap, BTreeSet};

/// Clock domain.
pub(super) type Domain = u32;

/// Bytes that went from one domain to another, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    /// When by the clock of the lower domain.
    pub(super) at_ns: i64,
    /// When by that of the higher, less that.
    pub(super) ahead_ns: i64,
    /// How far the stamps themselves may be off.
    pub(super) slack_ns: i64,
    /// They went up: the higher domain's clock is ahead by no more than this.
    pub(super) is_upper: bool,
}

/// Stamps of captures are cut to microseconds, many of them.
const RESOLUTION_NS: i64 = 1_000;

/// All matches by pair of domains, the lower first, each pair's in order of time; of calls, each its spans in path order and whether its
/// connection's server asked.
pub(super) fn matches<'a>(
    calls: impl Iterator<Item = (&'a [SpanAt], bool)>,
    flows: &[Flow],
    points: &[Point],
    sockets: &Sockets,
) -> BTreeMap<(Domain, Domain), Vec<Match>> {
    let mut found = Found { pairs: BTreeMap::new(), points, sockets };
    let mut shaken: BTreeSet<(FlowIndex, FlowIndex)> = BTreeSet::new();
    for (spans, is_turned) in calls {
        for (a, b) in spans.iter().zip(&spans[1..]) {
            if found.domain(a) == found.domain(b) || b.order_basis == OrderBasis::Undecided {
                continue;
            }
            // What was sent again may not be the same packet at both.
            if a.retransmissions == 0 && b.retransmissions == 0 {
                found.first_bytes(a, b);
            }
            // A proxy accepts before it connects, and whoever is asked by its server was connected to before.
            let is_one = b.order_basis != OrderBasis::Forwarding && !is_turned;
            if is_one && found.are_interfaces(a, b) && shaken.insert((a.flow, b.flow)) {
                found.handshake(a, b, flows);
            }
        }
    }
    let mut pairs = found.pairs;
    pairs.values_mut().for_each(|matches| matches.sort_unstable());
    pairs
}

struct Found<'a> {
    pairs: BTreeMap<(Domain, Domain), Vec<Match>>,
    points: &'a [Point],
    sockets: &'a Sockets,
}

impl Found<'_> {
    fn domain(&self, span: &SpanAt) -> Domain {
        self.points[span.point as usize].domain
    }

    fn are_interfaces(&self, a: &SpanAt, b: &SpanAt) -> bool {
        [a, b].iter().all(|span| self.points[span.point as usize].process.is_none())
    }

    /// The first bytes of request and response.
    fn first_bytes(&mut self, a: &SpanAt, b: &SpanAt) {
        if let Some((from_ns, to_ns)) = a.times.request_first.zip(b.times.request_first) {
            self.add(a, from_ns, b, to_ns);
        }
        if let Some((from_ns, to_ns)) = b.times.response_first.zip(a.times.response_first) {
            self.add(b, from_ns, a, to_ns);
        }
    }

    /// SYN, SYN-ACK and ACK of a connection.
    fn handshake(&mut self, a: &SpanAt, b: &SpanAt, flows: &[Flow]) {
        let (at_a, at_b) = (&flows[a.flow as usize], &flows[b.flow as usize]);
        for (i, (from_ns, to_ns)) in at_a.handshake_ns.iter().zip(at_b.handshake_ns).enumerate() {
            if let Some((from_ns, to_ns)) = from_ns.zip(to_ns) {
                match i {
                    1 => self.add(b, to_ns, a, from_ns),
                    _ => self.add(a, from_ns, b, to_ns),
                }
            }
        }
    }

    /// Bytes passed one point, then another.
    fn add(&mut self, one: &SpanAt, from_ns: i64, other: &SpanAt, to_ns: i64) {
        let (from, to) = (self.domain(one), self.domain(other));
        let is_upper = from < to;
        let (at_ns, ahead_ns) = match is_upper {
            true => (from_ns, to_ns.saturating_sub(from_ns)),
            false => (to_ns, from_ns.saturating_sub(to_ns)),
        };
        let slack_ns = RESOLUTION_NS + self.bound_ns(one) + self.bound_ns(other);
        let pair = (from.min(to), from.max(to));
        self.pairs.entry(pair).or_default().push(Match { at_ns, ahead_ns, slack_ns, is_upper });
    }

    /// How far a socket's stamps may be from its host's clock.
    fn bound_ns(&self, span: &SpanAt) -> i64 {
        let log = self.sockets.logs.get(&span.flow);
        log.and_then(|log| self.sockets.bounds_ns.get(&log.host)).copied().unwrap_or(0)
    }
}
