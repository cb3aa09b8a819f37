//! Join, pass 2, inside one clock domain: the two connections of a process that forwards the same bytes (an L4 proxy)
//! carry one sequence of calls. Pairs whole connections by one offset per direction that all their calls keep, inside one
//! another in time, or by the PROXY header that names the other; never single equal messages.

use super::connections::Seen;
use super::order::Placed;
use super::{Connection, Homes, Place};
use crate::call::{Flow, OrderBasis, Process, Times};
use crate::dissect::Proxied;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Calls of one content tried as the counterpart of one call, the latest asked first; and of one connection's in all.
const MAX_CANDIDATES: usize = 64;
const MAX_TRIES: usize = 256;
/// Calls behind a presumed pair that are looked at before all are.
const NEAR: usize = 16;
/// Calls of a leg that look for a counterpart; one whose content was captured whole is enough.
const MAX_ANCHORS: usize = 8;
/// Longest PROXY header: version 2 allows more, in practice its extensions stay below.
const MAX_HEADER: u32 = 4096;

/// Start of the request's head, and lengths of request and response: equal on both legs.
type Content = (u64, [u64; 2]);

/// One call as one leg carried it.
struct Heard {
    content: Content,
    /// Hashes of request and response; 0: not captured whole.
    hashes: [u64; 2],
    /// Sequence numbers of request and response.
    sequence: [Option<u32>; 2],
    /// Times at the leg's first and last point.
    entered: Times,
    left: Times,
}

/// A connection as a candidate for one side of a forwarding process.
struct Leg {
    index: usize,
    calls: Vec<Heard>,
    /// Sequence numbers of requests, in rising order, and their calls.
    places: Vec<(u32, usize)>,
    domain: u32,
    syn_ns: Option<i64>,
    first_ns: i64,
    last_ns: i64,
    /// Sequence numbers of SYN and SYN-ACK.
    initial: [Option<u32>; 2],
    /// Where its client end and its server end live.
    client: Option<Place>,
    server: Option<Place>,
    /// The process that asks and the one that answers, where known.
    processes: [Option<Process>; 2],
    /// Client and server as seen at the last point.
    arrives: [SocketAddr; 2],
    proxied: Option<Proxied>,
}

/// A later leg, the earlier one it goes on from, and the calls (earlier, later) that are one.
struct Onward {
    before: usize,
    next: usize,
    calls: Vec<(usize, usize)>,
}

/// Merges each forwarded connection into the one it was forwarded from.
pub(super) fn merge(connections: &mut Vec<Connection>, seen: &Seen<'_>, homes: &Homes) {
    let ends: Vec<Option<Ends<'_>>> =
        connections.iter().map(|connection| ends(connection, seen, homes)).collect();
    let entered: BTreeSet<&Place> = ends.iter().flatten().filter_map(|e| e.client).collect();
    let left: BTreeSet<&Place> = ends.iter().flatten().filter_map(|e| e.server).collect();
    let passed = |place: Option<&Place>| {
        place.is_some_and(|place| entered.contains(place) && left.contains(place))
    };
    let candidates = ends.iter().enumerate().filter_map(|(i, ends)| {
        let ends = ends.as_ref().filter(|e| passed(e.client) || passed(e.server))?;
        Some(leg(i, &connections[i], ends, seen))
    });
    let legs: Vec<Leg> = candidates.collect();
    let mut onward = forwarded(&legs);
    // From the last leg backwards, so that a chain of proxies becomes one call.
    onward.sort_by_key(|o| std::cmp::Reverse((legs[o.next].first_ns, o.next)));
    for Onward { before, next, calls } in onward {
        let (before, next) = (legs[before].index, legs[next].index);
        let tail = std::mem::take(&mut connections[next]);
        append(&mut connections[before], tail, &calls);
    }
    connections.retain(|c| !c.path.is_empty());
}

/// A connection's first and last flow, and where its client end and its server end live.
struct Ends<'a> {
    head: &'a Flow,
    tail: &'a Flow,
    client: Option<&'a Place>,
    server: Option<&'a Place>,
}

fn ends<'a>(connection: &Connection, seen: &Seen<'a>, homes: &'a Homes) -> Option<Ends<'a>> {
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

fn leg(index: usize, connection: &Connection, ends: &Ends<'_>, seen: &Seen<'_>) -> Leg {
    let facts = connection.path.iter().map(|p| &seen.facts[p.flow as usize]);
    let initial = |side: usize| facts.clone().find_map(|f| f.initial_sequence[side]);
    let calls: Vec<Heard> = connection.calls.iter().map(|spans| heard(spans, connection)).collect();
    Leg {
        index,
        places: places(&calls),
        calls,
        domain: seen.points[ends.head.point as usize].domain,
        syn_ns: ends.head.handshake_ns[0],
        first_ns: ends.head.first_ns,
        last_ns: ends.head.last_ns,
        initial: [initial(0), initial(1)],
        client: ends.client.cloned(),
        server: ends.server.cloned(),
        processes: [ends.head, ends.tail].map(|f| seen.points[f.point as usize].process.clone()),
        arrives: [ends.tail.client, ends.tail.server],
        proxied: facts.clone().find_map(|f| f.proxied),
    }
}

fn places(calls: &[Heard]) -> Vec<(u32, usize)> {
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

/// For each leg the only one that it can go on from; where two go on from one, neither.
fn forwarded(legs: &[Leg]) -> Vec<Onward> {
    let by_content = by_content(legs);
    let mut onward: Vec<Onward> =
        (0..legs.len()).filter_map(|next| goes_on_from(next, legs, &by_content)).collect();
    onward.sort_by_key(|o| (o.before, o.next));
    let mut uses: BTreeMap<usize, u32> = BTreeMap::new();
    onward.iter().for_each(|o| *uses.entry(o.before).or_default() += 1);
    onward.retain(|o| uses[&o.before] == 1);
    onward
}

/// (When asked at its last point, leg, call) of the calls of one content, by time.
type ByContent = BTreeMap<Content, Vec<(i64, usize, usize)>>;

fn by_content(legs: &[Leg]) -> ByContent {
    let mut found = ByContent::new();
    for (i, leg) in legs.iter().enumerate() {
        for (k, call) in leg.calls.iter().enumerate() {
            if let Some(asked) = call.left.request_first.filter(|_| call.content.0 != 0) {
                found.entry(call.content).or_default().push((asked, i, k));
            }
        }
    }
    found.values_mut().for_each(|calls| calls.sort_unstable());
    found
}

fn goes_on_from(next: usize, legs: &[Leg], by_content: &ByContent) -> Option<Onward> {
    let leg = &legs[next];
    let mut found: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
    let mut tries = 0..MAX_TRIES;
    for (k, call) in leg.calls.iter().enumerate().take(MAX_ANCHORS) {
        let Some(asked) = call.entered.request_first else { continue };
        let Some(same) = by_content.get(&call.content) else { continue };
        let until = same.partition_point(|&(at, ..)| at <= asked);
        for &(_, before, i) in same[..until].iter().rev().take(MAX_CANDIDATES) {
            let tried = found.iter().any(|(known, _)| *known == before);
            if !tried && legs[before].could_go_on_as(leg) && tries.next().is_some() {
                found.extend(legs[before].matched(i, leg, k).map(|calls| (before, calls)));
            }
        }
    }
    let most = found.iter().map(|(_, calls)| calls.len()).max()?;
    let mut best = found.into_iter().filter(|(_, calls)| calls.len() == most);
    let (before, calls) = best.next()?;
    best.next().is_none().then_some(Onward { before, next, calls })
}

impl Leg {
    /// Whether `next` begins where and while this one arrives, towards something else.
    fn could_go_on_as(&self, next: &Leg) -> bool {
        let named = next.proxied.is_none_or(|p| p.client == self.arrives[0]);
        self.index != next.index
            && self.domain == next.domain
            && self.server.is_some()
            && self.server == next.client
            && self.processes[1]
                .as_ref()
                .zip(next.processes[0].as_ref())
                .is_none_or(|(a, b)| a == b)
            && self.arrives[1] != next.arrives[1]
            && self.first_ns <= next.last_ns
            && next.first_ns <= self.last_ns
            && self.syn_ns.zip(next.syn_ns).is_none_or(|(a, b)| a <= b)
            && named
    }

    /// The calls (of this leg, of `next`) that lie at one offset per direction, given that `i` and `k` are the same.
    /// `None`: some contradict it, or too few agree.
    fn matched(&self, i: usize, next: &Leg, k: usize) -> Option<Vec<(usize, usize)>> {
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
                if !self.calls[i].is_forwarded_as(later, answered) {
                    return None;
                }
                matched.push((i, k));
            }
        }
        let enough = 2 * matched.len() >= self.calls.len().min(next.calls.len());
        enough.then_some(matched)
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

impl Heard {
    /// Whether nothing speaks against this call being `later` on the other side of a process.
    fn is_forwarded_as(&self, later: &Heard, answered: Option<u32>) -> bool {
        let equal = |side: usize| {
            let (a, b) = (self.hashes[side], later.hashes[side]);
            a == 0 || b == 0 || a == b
        };
        let in_order = |a: Option<i64>, b: Option<i64>| a.zip(b).is_none_or(|(a, b)| a <= b);
        let kept = self.sequence[1].zip(later.sequence[1]).zip(answered);
        equal(0)
            && equal(1)
            && kept.is_none_or(|((a, b), shift)| b.wrapping_sub(a) == shift)
            && in_order(self.left.request_first, later.entered.request_first)
            && in_order(later.entered.response_first, self.left.response_first)
    }
}

/// Puts a leg's points behind those of the leg before it; calls that only the later leg carried stay calls.
fn append(before: &mut Connection, mut next: Connection, matched: &[(usize, usize)]) {
    if let Some(first) = next.path.first_mut() {
        first.basis = OrderBasis::Forwarding;
    }
    let offset = before.spans.len() as u32;
    before.path.extend(next.path);
    before.spans.extend(next.spans);
    let mut onto: BTreeMap<usize, usize> = matched.iter().map(|&(i, k)| (k, i)).collect();
    for (k, tail) in next.calls.into_iter().enumerate() {
        let tail = tail.into_iter().map(|i| i + offset);
        match onto.remove(&k) {
            Some(i) => before.calls[i].extend(tail),
            None => before.calls.push(tail.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(index: usize, calls: &[(u32, u64, i64)]) -> Leg {
        let heard = |&(sequence, hash, at): &(u32, u64, i64)| {
            let times = Times {
                request_first: Some(at),
                request_last: Some(at),
                response_first: Some(at + 100 - 2 * (at % 10)),
                response_last: Some(at + 100),
            };
            Heard {
                content: (hash, [10, 20]),
                hashes: [hash, hash],
                sequence: [Some(sequence), Some(sequence + 500)],
                entered: times,
                left: times,
            }
        };
        let place = |name: &str| Some(("box".to_string(), name.to_string()));
        let heard: Vec<Heard> = calls.iter().map(heard).collect();
        let arrives = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
        Leg {
            index,
            places: places(&heard),
            calls: heard,
            domain: 0,
            syn_ns: None,
            first_ns: calls[0].2,
            last_ns: calls[calls.len() - 1].2 + 1000,
            initial: [None; 2],
            client: place("proxy"),
            server: place(if index < 10 { "proxy" } else { "server" }),
            processes: [None, None],
            arrives: [arrives(5000 + index as u16), arrives(80 + (index / 10) as u16)],
            proxied: None,
        }
    }

    /// (earlier leg, later leg, calls in common) by the legs' indices.
    fn check(legs: &[Leg], expected: &[(usize, usize, usize)]) {
        let found: Vec<_> = forwarded(legs)
            .iter()
            .map(|o| (legs[o.before].index, legs[o.next].index, o.calls.len()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_offset_for_all_calls_pairs_two_connections() {
        let before = leg(1, &[(100, 7, 1000), (110, 8, 2000), (120, 9, 3000)]);
        let next = leg(10, &[(900, 7, 1001), (910, 8, 2001), (920, 9, 3001)]);
        check(&[before, next], &[(1, 10, 3)]);
    }

    #[test]
    fn a_call_that_was_missed_on_one_leg_breaks_nothing() {
        let before = leg(1, &[(100, 7, 1000), (120, 9, 3000)]);
        let next = leg(10, &[(900, 7, 1001), (910, 8, 2001), (920, 9, 3001)]);
        check(&[before, next], &[(1, 10, 2)]);
    }

    #[test]
    fn equal_messages_at_other_offsets_are_no_forwarding() {
        let before = leg(1, &[(100, 7, 1000), (110, 8, 2000)]);
        let next = leg(10, &[(900, 7, 1001), (915, 8, 2001)]);
        check(&[before, next], &[(1, 10, 1)]);
        let before = leg(1, &[(100, 7, 1000), (110, 8, 2000), (120, 9, 3000)]);
        let next = leg(10, &[(900, 7, 1001), (915, 8, 2001), (935, 9, 3001)]);
        check(&[before, next], &[]);
    }

    #[test]
    fn a_later_equal_call_is_no_forwarding() {
        check(&[leg(1, &[(100, 7, 1000)]), leg(10, &[(900, 7, 1200)])], &[]);
    }

    #[test]
    fn two_clients_of_one_server_are_no_forwarding() {
        check(&[leg(11, &[(100, 7, 1000)]), leg(12, &[(900, 7, 1001)])], &[]);
    }

    #[test]
    fn of_two_equal_connections_a_header_tells_which() {
        let legs =
            || [leg(1, &[(100, 7, 1000)]), leg(2, &[(300, 7, 1000)]), leg(10, &[(900, 7, 1001)])];
        check(&legs(), &[]);
        let mut named = legs();
        let [_, second, next] = &mut named;
        next.proxied = Some(Proxied { client: second.arrives[0], server: second.arrives[1] });
        check(&named, &[(2, 10, 1)]);
    }
}
