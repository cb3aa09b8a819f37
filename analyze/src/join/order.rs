//! In which order a connection's observation points lie, from the client to the server. Hard facts first (TTL, an
//! interface's own address, direction flags), then the majority of times on one clock; what stays undecided says so.
//! Never compares times across clock domains.

use super::connections::Seen;
use super::homes::{End, Homes};
use crate::call::OrderBasis;
use crate::flow::Flow;
use crate::pair::Span;
use crate::protocol::Side;
use afterpath_formats::frame::Direction as Passing;
use std::cmp::Ordering;

/// Calls of one connection that vote on its order of points.
const MAX_VOTES: usize = 64;

/// A flow's place among the points of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The flow.
    pub(crate) flow: u32,
    /// Why it comes after the one before.
    pub(crate) basis: OrderBasis,
}

/// Orders `flows`, in which `calls` (indices into `spans`) were seen.
pub(super) fn path_order(
    flows: &[u32],
    spans: &[Span],
    calls: &[Vec<u32>],
    seen: &Seen<'_>,
    homes: &Homes,
) -> Vec<Placed> {
    if let [only] = flows {
        return vec![Placed { flow: *only, basis: OrderBasis::Single }];
    }
    let judge = Judge { seen, homes, flows, spans, calls: &calls[..calls.len().min(MAX_VOTES)] };
    let mut ranked: Vec<(usize, u32)> = flows
        .iter()
        .map(|&flow| {
            let before = flows.iter().filter(|&&other| judge.compare(other, flow).0.is_lt());
            (before.count(), flow)
        })
        .collect();
    ranked.sort_unstable();
    let mut placed: Vec<Placed> = Vec::with_capacity(ranked.len());
    for (i, &(_, flow)) in ranked.iter().enumerate() {
        let neighbour = if i == 0 { ranked[1].1 } else { ranked[i - 1].1 };
        let basis = judge.compare(neighbour, flow).1;
        placed.push(Placed { flow, basis });
    }
    placed
}

struct Judge<'a> {
    seen: &'a Seen<'a>,
    homes: &'a Homes,
    flows: &'a [u32],
    spans: &'a [Span],
    calls: &'a [Vec<u32>],
}

impl Judge<'_> {
    /// Whether `a` is nearer to the client than `b` (`Less`), and how that is known.
    fn compare(&self, a: u32, b: u32) -> (Ordering, OrderBasis) {
        let (x, y) = (&self.seen.facts[a as usize], &self.seen.facts[b as usize]);
        if x.at_process != y.at_process {
            let rank = |facts: &crate::dissect::FlowFacts| match facts.at_process {
                Some(Side::Client) => 0,
                None => 1,
                Some(Side::Server) => 2,
            };
            return (rank(x).cmp(&rank(y)), OrderBasis::Process);
        }
        if let Some(order) = by_ttl(x.ttl, y.ttl) {
            return (order, OrderBasis::Ttl);
        }
        let (f, g) = (&self.seen.flows[a as usize], &self.seen.flows[b as usize]);
        if f.client == g.client && f.server == g.server {
            let (side_a, side_b) = (self.side(a), self.side(b));
            if side_a != side_b {
                return (side_a.cmp(&side_b), OrderBasis::Address);
            }
        }
        let place = |point: u32| &self.seen.points[point as usize];
        let (p, q) = (place(f.point), place(g.point));
        if (&p.host, &p.netns) == (&q.host, &q.netns) {
            match (x.passing[0], y.passing[0]) {
                (Some(Passing::Inbound), Some(Passing::Outbound)) => {
                    return (Ordering::Less, OrderBasis::Direction);
                }
                (Some(Passing::Outbound), Some(Passing::Inbound)) => {
                    return (Ordering::Greater, OrderBasis::Direction);
                }
                _ => {}
            }
        }
        if p.domain == q.domain { self.by_time(a, b) } else { (a.cmp(&b), OrderBasis::Undecided) }
    }

    /// How near a point is to the ends, from 0, the client's own interface, to 4, the server's own. A bridge port towards an
    /// end bears the same address as the end itself, but its namespace sees the connection twice: in and out.
    fn side(&self, flow: u32) -> u8 {
        let passes = |flow: u32| {
            let here = &self.seen.flows[flow as usize];
            let place = |f: &Flow| {
                let point = &self.seen.points[f.point as usize];
                (&point.host, &point.netns, f.client, f.server)
            };
            let at_interface = |f: &&u32| self.seen.facts[**f as usize].at_process.is_none();
            let interfaces = self.flows.iter().filter(at_interface);
            let all = interfaces.map(|&f| place(&self.seen.flows[f as usize]));
            all.filter(|other| *other == place(here)).count() > 1
        };
        match self.homes.end_at(&self.seen.flows[flow as usize]) {
            Some(End::Client) => u8::from(passes(flow)),
            Some(End::Server) => 4 - u8::from(passes(flow)),
            None => 2,
        }
    }

    /// The majority of who saw requests first, if responses mirror it.
    fn by_time(&self, a: u32, b: u32) -> (Ordering, OrderBasis) {
        let (mut forward, mut back) = (0i64, 0i64);
        let vote = |sum: &mut i64, x: Option<i64>, y: Option<i64>| {
            if let (Some(x), Some(y)) = (x, y) {
                *sum -= x.cmp(&y) as i64;
            }
        };
        let (f, g) = (&self.seen.flows[a as usize], &self.seen.flows[b as usize]);
        vote(&mut forward, f.handshake_ns[0], g.handshake_ns[0]);
        vote(&mut back, f.handshake_ns[1], g.handshake_ns[1]);
        for call in self.calls {
            let times_at = |flow: u32| {
                let span = call.iter().find(|&&s| self.spans[s as usize].flow == flow)?;
                let Span { times, asked_by, .. } = &self.spans[*span as usize];
                Some(match asked_by {
                    Side::Client => [times.request_first, times.response_first],
                    Side::Server => [times.response_first, times.request_first],
                })
            };
            if let (Some(x), Some(y)) = (times_at(a), times_at(b)) {
                vote(&mut forward, x[0], y[0]);
                vote(&mut back, x[1], y[1]);
            }
        }
        let order = match forward.cmp(&0) {
            Ordering::Greater => Ordering::Less,
            Ordering::Less => Ordering::Greater,
            Ordering::Equal if back != 0 => back.cmp(&0),
            Ordering::Equal => return (a.cmp(&b), OrderBasis::Undecided),
        };
        let mirrored = if order.is_lt() { back <= 0 } else { back >= 0 };
        (order, if mirrored { OrderBasis::Time } else { OrderBasis::Undecided })
    }
}

/// Each router takes one from the TTL: requests lose it towards the server, responses towards the client. Both must agree
/// where both are known.
fn by_ttl(x: [Option<u8>; 2], y: [Option<u8>; 2]) -> Option<Ordering> {
    let request = x[0].zip(y[0]).map(|(x, y)| y.cmp(&x)).filter(|o| o.is_ne());
    let response = x[1].zip(y[1]).map(|(x, y)| x.cmp(&y)).filter(|o| o.is_ne());
    match (request, response) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(x: [u8; 2], y: [u8; 2], expected: Option<Ordering>) {
        assert_eq!(by_ttl(x.map(Some), y.map(Some)), expected);
    }

    #[test]
    fn ttl_falls_along_the_request_and_rises_along_the_response() {
        check([64, 63], [63, 64], Some(Ordering::Less));
        check([63, 64], [64, 63], Some(Ordering::Greater));
        check([64, 64], [64, 64], None);
        check([64, 64], [63, 63], None);
    }
}
