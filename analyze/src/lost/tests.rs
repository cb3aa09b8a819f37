//! One connection over three points, what it sent twice, and what may be said of it.

use super::*;
use crate::call::{Close, DirectionCounters, Fate, LossDoubt};
use crate::dissect::FlowFacts;
use proptest::prelude::*;

const MS: i64 = 1_000_000;

/// Client's point, a box, the server's point: flow = point.
fn world() -> (Vec<Flow>, Vec<FlowFacts>, Vec<Point>) {
    let point = |n: u32| Point {
        host: "box".to_string(),
        netns: format!("n{n}"),
        interface: "eth0".to_string(),
        process: None,
        domain: 0,
    };
    let flow = |point: u32| Flow {
        point,
        ip_protocol: 6,
        protocol: "http1".to_string(),
        client: ([10, 0, 0, 1], 40_000).into(),
        server: ([10, 0, 0, 2], 80).into(),
        first_ns: 0,
        last_ns: 1_000 * MS,
        handshake_ns: [None; 3],
        counters: [DirectionCounters::default(); 2],
        pace: Default::default(),
        close: Close::Open,
        issues: Vec::new(),
    };
    let points = (0..3).map(point).collect();
    ((0..3).map(flow).collect(), vec![FlowFacts::default(); 3], points)
}

/// From the client: at which points, when, first byte, bytes, identification.
fn sent(points: &[u32], ms: i64, sequence: u32, length: u32, id: u32) -> Vec<Segment> {
    let segment = |&flow: &u32| Segment {
        flow,
        from_client: true,
        at_ns: ms * MS + i64::from(flow) * 10_000,
        sequence,
        length,
        acknowledgment: Some(1),
        id: Some(id),
        is_syn: false,
    };
    points.iter().map(segment).collect()
}

/// An acknowledgment of the server's, at all points.
fn acknowledged(ms: i64, number: u32) -> Vec<Segment> {
    let of =
        |segment: Segment| Segment { from_client: false, acknowledgment: Some(number), ..segment };
    sent(&[0, 1, 2], ms, 1, 0, 900 + ms as u32).into_iter().map(of).collect()
}

fn found(segments: &[Vec<Segment>], doubts: &Doubts, reaches: bool) -> Vec<LostPacket> {
    let (flows, facts, points) = world();
    let witnesses = &Witnesses::default();
    let alive = &[(0, 1_000 * MS); 3];
    let given = Given { flows: &flows, facts: &facts, points: &points, alive, doubts, witnesses };
    let path = Path {
        flows: vec![0, 1, 2],
        unsure: Vec::new(),
        sockets: Vec::new(),
        is_whole: [true, reaches],
    };
    let mut segments: Vec<Segment> = segments.concat();
    segments.sort_by_key(|segment| (segment.flow, segment.at_ns));
    lost(&given, &path, &segments)
}

/// (last point that saw it, the one behind, what became of it, milliseconds until a copy got through) of each.
fn check(segments: &[Vec<Segment>], expected: &[(u32, Option<u32>, Fate, Option<i64>)]) {
    let found = found(segments, &Doubts::default(), true);
    let of = |l: &LostPacket| (l.from, l.to, l.fate, l.repaired_ns.map(|ns| ns / MS));
    assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected);
}

/// 100 bytes at all points, acknowledged, then 100 bytes that are sent again 200 ms later.
fn again(first: &[u32], second: &[u32]) -> Vec<Vec<Segment>> {
    vec![
        sent(&[0, 1, 2], 0, 1000, 100, 1),
        acknowledged(1, 1100),
        sent(first, 10, 1100, 100, 2),
        sent(second, 210, 1100, 100, 3),
        acknowledged(211, 1200),
    ]
}

#[test]
fn lost_between_the_last_point_that_saw_it_and_the_next() {
    check(&again(&[0, 1], &[0, 1, 2]), &[(1, Some(2), Fate::Dropped, Some(200))]);
    check(&again(&[0], &[0, 1, 2]), &[(0, Some(1), Fate::Dropped, Some(200))]);
    check(
        &again(&[0], &[0]),
        &[(0, Some(1), Fate::Dropped, None), (0, Some(1), Fate::Dropped, None)],
    );
}

#[test]
fn inside_the_receivers_host_where_all_points_saw_it() {
    check(&again(&[0, 1, 2], &[0, 1, 2]), &[(2, None, Fate::Dropped, Some(200))]);
    // Whether the receiver's host got it, a point elsewhere can't say.
    let found = found(&again(&[0, 1, 2], &[0, 1, 2]), &Doubts::default(), false);
    assert_eq!(found.iter().map(|l| l.fate).collect::<Vec<_>>(), [Fate::Unknown]);
}

#[test]
fn a_receiver_that_asks_for_it_once_it_got_what_came_behind_did_not_get_it() {
    let soon = |asks: bool| {
        let mut all = vec![
            sent(&[0, 1, 2], 0, 1000, 100, 1),
            acknowledged(1, 1100),
            sent(&[0, 1, 2], 10, 1100, 100, 2),
            sent(&[0, 1, 2], 30, 1200, 100, 3),
            sent(&[0, 1, 2], 40, 1100, 100, 4),
            acknowledged(41, 1300),
        ];
        all.extend(asks.then(|| acknowledged(31, 1100)));
        all
    };
    check(&soon(true), &[(2, None, Fate::Dropped, Some(30))]);
    check(&soon(false), &[(2, None, Fate::Unknown, Some(30))]);
}

#[test]
fn what_was_acknowledged_before_it_was_sent_again_was_not_lost() {
    let mut spurious = again(&[0, 1, 2], &[0, 1, 2]);
    spurious.push(acknowledged(12, 1200));
    check(&spurious, &[(2, None, Fate::Spurious, Some(0))]);
    let mut missed = again(&[0, 1], &[0, 1, 2]);
    missed.push(acknowledged(12, 1200));
    check(&missed, &[(1, Some(2), Fate::Unknown, Some(200))]);
}

#[test]
fn a_point_that_others_behind_it_saw_past_was_passed_by() {
    let segments = again(&[0, 2], &[0, 1, 2]);
    let found = found(&segments, &Doubts::default(), true);
    let fates: Vec<_> = found.iter().map(|l| (l.from, l.to, l.fate)).collect();
    assert!(fates.contains(&(0, Some(1), Fate::Bypassed)), "{fates:?}");
    assert!(!fates.iter().any(|(_, to, fate)| *fate == Fate::Dropped && to.is_some()), "{fates:?}");
}

#[test]
fn a_point_that_had_not_seen_it_before_says_nothing() {
    let segments = [
        sent(&[0, 1], 0, 1000, 100, 1),
        sent(&[0, 1], 200, 1000, 100, 2),
        sent(&[2], 900, 1100, 5, 3),
    ];
    let unknown = (1, Some(2), Fate::Unknown, None);
    check(&segments, &[unknown, unknown]);
}

#[test]
fn where_the_recorder_lost_something_nothing_is_claimed() {
    let mut doubts = Doubts::default();
    doubts.add("box", 0, 500 * MS);
    let doubtful = found(&again(&[0, 1], &[0, 1, 2]), &doubts, true);
    let why = |l: &LostPacket| (l.fate, l.doubt);
    let expected = [(Fate::Unknown, Some(LossDoubt::RecorderLost))];
    assert_eq!(doubtful.iter().map(why).collect::<Vec<_>>(), expected);
    let mut elsewhere = Doubts::default();
    elsewhere.add("other", 0, 500 * MS);
    let sure = found(&again(&[0, 1], &[0, 1, 2]), &elsewhere, true);
    assert_eq!(sure.iter().map(|l| l.fate).collect::<Vec<_>>(), [Fate::Dropped]);
}

#[test]
fn frames_that_are_cut_on_the_way_are_counted_by_bytes() {
    let segments = [
        sent(&[0, 1, 2], 0, 1000, 100, 1),
        sent(&[0], 10, 1100, 3000, 2),
        sent(&[1, 2], 10, 1100, 1500, 2),
        sent(&[1], 10, 2600, 1500, 3),
        sent(&[0, 1, 2], 210, 2600, 1500, 4),
        acknowledged(211, 4100),
    ];
    check(&segments, &[(1, Some(2), Fate::Dropped, Some(200))]);
}

#[test]
fn captured_twice_is_not_sent_twice() {
    check(&[sent(&[0, 1, 2], 0, 1000, 100, 7), sent(&[0, 1, 2], 0, 1000, 100, 7)], &[]);
}

proptest! {
    #[test]
    fn no_order_loss_or_repetition_is_too_much(
        picks in prop::collection::vec((0u32..3, 0i64..300, 0u32..4, 0u32..3, 0u32..6, any::<bool>()), 0..60)
    ) {
        let segments: Vec<Vec<Segment>> = picks
            .iter()
            .map(|&(point, ms, at, length, id, from_client)| {
                let sequence = (u32::MAX - 150).wrapping_add(at * 100);
                let one = sent(&[point], ms, sequence, length * 100, id);
                one.into_iter().map(|s| Segment { from_client, ..s }).collect()
            })
            .collect();
        for lost in found(&segments, &Doubts::default(), true) {
            prop_assert!(lost.repaired_ns.is_none_or(|ns| ns >= 0));
        }
    }
}
