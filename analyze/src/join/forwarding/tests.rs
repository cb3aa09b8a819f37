//! Two connections and more, on one clock or several, and which goes on from which.

use super::leg::{Heard, Sight, places};
use super::*;
use crate::call::Times;
use crate::dissect::Proxied;
use std::net::SocketAddr;

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
        ends: [Sight {
            domain: 0,
            syn_ns: None,
            first_ns: calls[0].2,
            last_ns: calls[calls.len() - 1].2 + 1000,
        }; 2],
        initial: [None; 2],
        client: place("proxy"),
        server: place(if index < 10 { "proxy" } else { "server" }),
        processes: [None, None],
        is_on_loopback: false,
        arrives: [arrives(5000 + index as u16), arrives(80 + (index / 10) as u16)],
        proxied: None,
    }
}

/// (earlier leg, later leg, calls in common) by the legs' indices.
fn check(legs: &[Leg], expected: &[(usize, usize, usize)]) {
    check_by(&Way::Here, legs, expected);
}

fn check_by(way: &Way<'_>, legs: &[Leg], expected: &[(usize, usize, usize)]) {
    let found: Vec<_> = forwarded(legs, way)
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

/// On clocks of this domain each, where nobody recorded the process that forwards: the legs before it, and those behind.
fn check_far(before: &[Leg], next: &[Leg], domains: [u32; 2], expected: &[(usize, usize, usize)]) {
    let legs = |legs: &[Leg], side: usize| {
        let legs = legs.iter().map(|known| {
            let calls = known.calls.iter().map(|call| {
                (
                    call.sequence[0].unwrap_or(0),
                    call.content.0,
                    call.left.request_first.unwrap_or(0),
                )
            });
            let mut leg = leg(known.index, &calls.collect::<Vec<_>>());
            leg.ends.iter_mut().for_each(|end| end.domain = domains[side]);
            *(if side == 0 { &mut leg.server } else { &mut leg.client }) = None;
            leg
        });
        legs.collect::<Vec<_>>()
    };
    let all: Vec<Leg> = legs(before, 0).into_iter().chain(legs(next, 1)).collect();
    check_by(&Way::Far(&Clocks::default()), &all, expected);
}

#[test]
fn a_process_that_nobody_recorded_is_found_by_what_nobody_else_says() {
    let two = |first: u32, at: i64| [(first, 7, at), (first + 10, 8, at + 1000)];
    // Of clocks that nothing relates, whichever seems earlier.
    let before = || leg(1, &two(100, 1000));
    check_far(&[before()], &[leg(10, &two(900, 1001))], [0, 1], &[(1, 10, 2)]);
    check_far(&[before()], &[leg(10, &two(900, 1))], [0, 1], &[(1, 10, 2)]);
    check_far(&[before()], &[leg(10, &two(900, 1))], [0, 0], &[]);
    // One call is chance there; on one clock it is not.
    let one = |index: usize, at: i64| leg(index, &[(100, 7, at)]);
    check_far(&[one(1, 1000)], &[one(10, 1001)], [0, 1], &[]);
    check_far(&[one(1, 1000)], &[one(10, 1001)], [0, 0], &[(1, 10, 1)]);
}

#[test]
fn what_others_say_too_tells_nothing_of_a_process_that_nobody_recorded() {
    let other = |domain_of: usize| leg(domain_of, &[(500, 7, 90_000), (510, 8, 91_000)]);
    let before = || leg(1, &[(100, 7, 1000), (110, 8, 2000)]);
    let next = || leg(10, &[(900, 7, 1001), (910, 8, 2001)]);
    check_far(&[before(), other(2)], &[next()], [0, 1], &[]);
    check_far(&[before(), other(2)], &[next()], [0, 0], &[]);
    // Unless it is said again and again, each time inside of the other's time.
    let many = |index: usize, first: u32, at: i64| {
        let each = |n: u32| (first + 10 * n, 7 + u64::from(n), at + 1000 * i64::from(n));
        leg(index, &[each(0), each(1), each(2)])
    };
    let legs = [many(1, 100, 1000), many(2, 500, 90_000)];
    check_far(&legs, &[many(10, 900, 1001)], [0, 0], &[(1, 10, 3)]);
}

#[test]
fn of_clocks_and_places_that_nothing_relates_none_is_first() {
    let two = |index: usize| {
        let mut leg = leg(index, &[(100, 7, 1000), (110, 8, 2000)]);
        leg.ends.iter_mut().for_each(|end| end.domain = index as u32);
        (leg.client, leg.server) = (None, None);
        leg
    };
    check_by(&Way::Far(&Clocks::default()), &[two(1), two(11)], &[]);
}

#[test]
fn whose_client_has_another_clock_is_forwarded_all_the_same() {
    let mut before = leg(1, &[(100, 7, 1000)]);
    // An hour ahead, at the client's own point.
    let [at_client, at_proxy] = &mut before.ends;
    *at_client = Sight { domain: 1, syn_ns: Some(3_600_000), first_ns: 3_600_000, ..*at_client };
    at_proxy.syn_ns = Some(990);
    check(&[before, leg(10, &[(900, 7, 1001)])], &[(1, 10, 1)]);
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
