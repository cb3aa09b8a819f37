//! Join, pass 1, where sequence numbers were rewritten on the way (SYN proxies, randomising firewalls): the two sides of such
//! a box show one tuple and the same content, every number shifted by one constant per direction. The constants are learnt
//! from one call and must hold for all. Never compares times across clock domains.

use super::connections::Seen;
use crate::flow::Flow;
use crate::pair::Span;
use crate::protocol::Side;
use std::collections::BTreeMap;

/// What a flow's numbers are ahead of those of the first flow of its connection: requests', responses'.
pub(super) type Shift = [u32; 2];

/// Spans that are tried as the same call as one of the other flow.
const MAX_TRIES: usize = 64;
/// Calls that must agree where no handshakes vouch for the constants.
const LEAST_AGREEING: usize = 2;

/// Merges groups of flows that differ by constants only; gives every flow its shift.
pub(super) fn merge(groups: &mut Vec<Vec<u32>>, seen: &Seen<'_>, spans: &[Span]) -> Vec<Shift> {
    let mut shifts = vec![[0, 0]; seen.flows.len()];
    let first_point = seen.flows.first().map(|flow| flow.point);
    if seen.flows.iter().all(|flow| Some(flow.point) == first_point) {
        return shifts;
    }
    let mut group_of = vec![0usize; seen.flows.len()];
    for (i, flows) in groups.iter().enumerate() {
        flows.iter().for_each(|&flow| group_of[flow as usize] = i);
    }
    let suspects = suspects(seen, &group_of);
    if suspects.is_empty() {
        return shifts;
    }
    let spans_of = spans_of(&suspects, spans);
    for (a, b) in suspects {
        let (to, from) = (group_of[a as usize], group_of[b as usize]);
        let [Some(x), Some(y)] = [a, b].map(|flow| spans_of.get(&flow)) else { continue };
        // A point sees one side of the box: two groups that both know it are two conversations, ports taken again.
        if to == from || meet(&groups[to], &groups[from], seen) {
            continue;
        }
        let ahead = constants(x, y).filter(|ahead| vouched(a, b, *ahead, x, y, seen));
        let Some(ahead) = ahead else { continue };
        let by = [0, 1].map(|side| {
            let wanted = shifts[a as usize][side].wrapping_add(ahead[side]);
            wanted.wrapping_sub(shifts[b as usize][side])
        });
        for flow in std::mem::take(&mut groups[from]) {
            group_of[flow as usize] = to;
            let shift = &mut shifts[flow as usize];
            *shift = [shift[0].wrapping_add(by[0]), shift[1].wrapping_add(by[1])];
            groups[to].push(flow);
        }
        groups[to].sort_unstable();
    }
    groups.retain(|flows| !flows.is_empty());
    shifts
}

fn meet(one: &[u32], other: &[u32], seen: &Seen<'_>) -> bool {
    let point = |flow: &u32| seen.flows[*flow as usize].point;
    one.iter().any(|flow| other.iter().any(|another| point(flow) == point(another)))
}

/// Pairs of TCP flows with one tuple at two points that sequence numbers did not unite, by place.
fn suspects(seen: &Seen<'_>, group_of: &[usize]) -> Vec<(u32, u32)> {
    let tuple = |&i: &u32| (seen.flows[i as usize].client, seen.flows[i as usize].server);
    let tcp = |&i: &u32| seen.flows[i as usize].ip_protocol == 6;
    let mut flows: Vec<u32> = (0..seen.flows.len() as u32).filter(tcp).collect();
    flows.sort_by_key(tuple);
    let mut found = Vec::new();
    for same in flows.chunk_by(|a, b| tuple(a) == tuple(b)) {
        for (i, &a) in same.iter().enumerate() {
            let others = same[i + 1..].iter().take(MAX_TRIES);
            found.extend(others.filter(|&&b| apart(a, b, seen, group_of)).map(|&b| (a, b)));
        }
    }
    found
}

fn apart(a: u32, b: u32, seen: &Seen<'_>, group_of: &[usize]) -> bool {
    let (x, y): (&Flow, &Flow) = (&seen.flows[a as usize], &seen.flows[b as usize]);
    let domain = |flow: &Flow| seen.points[flow.point as usize].domain;
    let together = x.first_ns <= y.last_ns && y.first_ns <= x.last_ns;
    group_of[a as usize] != group_of[b as usize]
        && x.point != y.point
        && (domain(x) != domain(y) || together)
}

fn spans_of<'a>(suspects: &[(u32, u32)], spans: &'a [Span]) -> BTreeMap<u32, Vec<&'a Span>> {
    let mut found: BTreeMap<u32, Vec<&Span>> =
        suspects.iter().flat_map(|&(a, b)| [(a, Vec::new()), (b, Vec::new())]).collect();
    for span in spans {
        // What the server asked of its own accord lies at the other's numbers.
        let all = found.get_mut(&span.flow).filter(|_| span.asked_by == Side::Client);
        if let Some(all) = all {
            all.push(span);
        }
    }
    found
}

/// What `later`'s numbers are ahead of `one`'s, by the first call whose whole content both show.
fn constants(one: &[&Span], later: &[&Span]) -> Option<Shift> {
    let whole = |span: &&&Span| span.body_hash.iter().all(|hash| *hash != 0);
    for span in later.iter().filter(whole).take(MAX_TRIES) {
        let same = one.iter().find(|other| other.body_hash == span.body_hash);
        if let Some(other) = same {
            let ahead = |a: Option<u32>, b: Option<u32>| Some(b?.wrapping_sub(a?));
            return Some([
                ahead(other.request_sequence, span.request_sequence)?,
                ahead(other.response_sequence, span.response_sequence)?,
            ]);
        }
    }
    None
}

/// Whether all calls that lie at these constants agree, enough of them or with both handshakes.
fn vouched(a: u32, b: u32, ahead: Shift, x: &[&Span], y: &[&Span], seen: &Seen<'_>) -> bool {
    let place: BTreeMap<u32, &Span> =
        x.iter().filter_map(|span| Some((span.request_sequence?, *span))).collect();
    let mut n_agreeing = 0;
    for span in y {
        let at = span.request_sequence.and_then(|s| place.get(&s.wrapping_sub(ahead[0])));
        let Some(other) = at else { continue };
        let equal = |side: usize| {
            let (one, another) = (other.body_hash[side], span.body_hash[side]);
            one == 0 || another == 0 || one == another
        };
        let kept = other.response_sequence.zip(span.response_sequence);
        if !equal(0) || !equal(1) || kept.is_some_and(|(r, s)| s.wrapping_sub(r) != ahead[1]) {
            return false;
        }
        n_agreeing += 1;
    }
    let initial = |side: usize| {
        let number = |flow: u32| seen.facts[flow as usize].initial_sequence[side];
        Some(number(b)?.wrapping_sub(number(a)?) == ahead[side])
    };
    match (initial(0), initial(1)) {
        (Some(true), Some(true)) => n_agreeing > 0,
        (Some(false), _) | (_, Some(false)) => false,
        _ => n_agreeing >= LEAST_AGREEING,
    }
}

#[cfg(test)]
mod tests {
    use crate::dissect::FlowFacts;
    use crate::dissect::talk::{Talk, dissect};
    use crate::flow::Flow;
    use crate::join::Seen;
    use crate::pair::Span;
    use crate::point::Point;
    use afterpath_formats::frame::Transport;

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    /// One conversation as two points see it, the server's numbers `ahead` at the second.
    fn two_points(ahead: u32, second: &[u8]) -> (Vec<Flow>, Vec<FlowFacts>, Vec<Span>) {
        let (mut flows, mut facts, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        for (point, response) in [(0u32, OK), (1, second)] {
            let mut talk = Talk::open();
            talk.say(0, GET).say(1, response);
            let ahead = if point == 0 { 0 } else { ahead };
            for (i, frame) in talk.frames.iter_mut().enumerate() {
                if let Some(Transport::Tcp(tcp)) = &mut frame.headers.transport {
                    let from_server = tcp.source_port == 80;
                    let number =
                        if from_server { &mut tcp.sequence } else { &mut tcp.acknowledgment };
                    *number = if i == 0 { *number } else { number.wrapping_add(ahead) };
                }
            }
            let seen = dissect(&talk.frames);
            flows.extend(seen.flows.into_iter().map(|flow| Flow { point, ..flow }));
            facts.extend(seen.facts);
            spans.extend(seen.spans.into_iter().map(|span| Span { flow: point, ..span }));
        }
        (flows, facts, spans)
    }

    fn point(name: &str, domain: u32) -> Point {
        let (netns, interface) = (String::new(), String::new());
        Point { host: name.into(), netns, interface, process: None, domain }
    }

    fn check(ahead: u32, second: &[u8], n_connections: usize) {
        let (flows, facts, spans) = two_points(ahead, second);
        let points = [point("a", 0), point("b", 1)];
        let seen = Seen { points: &points, flows: &flows, facts: &facts };
        let connections = crate::join::group(&seen, spans);
        assert_eq!(connections.len(), n_connections);
        if n_connections == 1 {
            let numbers: Vec<_> = connections[0]
                .1
                .iter()
                .map(|s| (s.request_sequence, s.response_sequence))
                .collect();
            assert_eq!(numbers[0], numbers[1], "one call, one name");
        }
    }

    #[test]
    fn a_constant_between_two_points_is_learnt() {
        check(0, OK, 1);
        check(0x9000_0000, OK, 1);
        check(77, OK, 1);
    }

    #[test]
    fn ports_taken_again_are_two_conversations() {
        let (mut flows, mut facts, mut spans) = two_points(0, OK);
        let (again, again_facts, again_spans) = two_points(5, OK);
        // The second conversation has other numbers at both points: those of the second point, everywhere.
        for point in 0..2u32 {
            flows.push(Flow { point, ..again[1].clone() });
            facts.push(again_facts[1]);
            let second = again_spans.iter().filter(|span| span.flow == 1);
            spans.extend(second.map(|span| Span { flow: 2 + point, ..span.clone() }));
        }
        let points = [point("a", 0), point("b", 1)];
        let seen = Seen { points: &points, flows: &flows, facts: &facts };
        let connections = crate::join::group(&seen, spans);
        let sizes: Vec<_> = connections.iter().map(|(flows, _)| flows.len()).collect();
        assert_eq!(sizes, [2, 2]);
    }

    #[test]
    fn other_content_under_the_same_tuple_stays_apart() {
        check(77, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 2);
    }
}
