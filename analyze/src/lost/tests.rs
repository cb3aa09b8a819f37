//! One connection over three points, what it sent twice, and what may be said of it.

use super::options::Told;
use super::*;
use crate::dissect::FlowFacts;
use crate::flow::{Close, DirectionCounters};
use crate::loss::{Fate, LossDoubt};
use afterpath_formats::frame::Tcp;
use proptest::prelude::*;

const MS: i64 = 1_000_000;
/// So long each point recorded.
const RECORDED_MS: i64 = 5_000;

/// A header like any other.
pub(super) fn tcp() -> Tcp {
    Tcp {
        source_port: 80,
        destination_port: 40_000,
        sequence: 7,
        acknowledgment: 1000,
        flags: 16,
        window: 1000,
        timestamp_value: None,
        timestamp_echo: None,
        window_scale: None,
        mss: None,
    }
}

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
        last_ns: RECORDED_MS * MS,
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
        timestamp: None,
        told: Told::default(),
        is_syn: false,
        is_fin: false,
        is_full: false,
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
    found_by(segments, doubts, reaches, &[])
}

fn found_by(
    segments: &[Vec<Segment>],
    doubts: &Doubts,
    reaches: bool,
    unsure: &[FlowIndex],
) -> Vec<LostPacket> {
    let (flows, facts, points) = world();
    let witnesses = &Witnesses::default();
    let alive = &[(0, RECORDED_MS * MS); 3];
    let given = Given { flows: &flows, facts: &facts, points: &points, alive, doubts, witnesses };
    let path = Path {
        flows: vec![0, 1, 2],
        unsure: unsure.to_vec(),
        sockets: Vec::new(),
        is_whole: [true, reaches],
    };
    let mut segments: Vec<Segment> = segments.concat();
    segments.sort_by_key(|segment| (segment.flow, segment.at_ns));
    lost(&given, &path, &segments).packets
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
    let never = &again(&[0], &[0])[..4];
    let dropped = (0, Some(1), Fate::Dropped, None);
    check(never, &[dropped, dropped]);
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
    // Its acknowledgment was: it came as far as the sender's own interface.
    let answer = (0, None, Fate::Dropped, Some(199));
    check(&spurious, &[(2, None, Fate::Spurious, Some(0)), answer]);
    let mut missed = again(&[0, 1], &[0, 1, 2]);
    missed.push(acknowledged(12, 1200));
    check(&missed, &[(1, Some(2), Fate::Unknown, Some(200)), answer]);
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

/// What the first one of the fates is, and why it is unknown.
fn check_doubt(found: &[LostPacket], expected: LossDoubt) {
    let first = found.first().map(|lost| (lost.fate, lost.doubt));
    assert_eq!(first, Some((Fate::Unknown, Some(expected))), "{found:?}");
}

#[test]
fn an_unknown_fate_says_why() {
    let none = &Doubts::default();
    let lost = again(&[0, 1], &[0, 1, 2]);
    check_doubt(&found_by(&lost, none, true, &[1, 2]), LossDoubt::OrderUndecided);
    let inside = again(&[0, 1, 2], &[0, 1, 2]);
    check_doubt(&found_by(&inside, none, true, &[2]), LossDoubt::OrderUndecided);
    check_doubt(&found(&inside, none, false), LossDoubt::BehindLastPoint);
    let unheard: Vec<_> = lost.iter().filter(|s| s[0].from_client).cloned().collect();
    check_doubt(&found(&unheard, none, true), LossDoubt::OneWay);
    let unheard: Vec<_> = inside.iter().filter(|s| s[0].from_client).cloned().collect();
    check_doubt(&found(&unheard, none, true), LossDoubt::OneWay);
    let last = RECORDED_MS - 100;
    let ending = [
        sent(&[0, 1, 2], 0, 1000, 100, 1),
        acknowledged(1, 1100),
        sent(&[0, 1], last - 200, 1100, 100, 2),
        sent(&[0, 1], last, 1100, 100, 3),
    ];
    let found = found(&ending, none, true);
    let fates: Vec<_> = found.iter().map(|lost| (lost.fate, lost.doubt)).collect();
    let (dropped, cut) = ((Fate::Dropped, None), (Fate::Unknown, Some(LossDoubt::NotRecording)));
    assert_eq!(fates, [dropped, cut], "the last one may have been sent again later");
}

/// Sent again 20 ms later, from 5 ms behind it on with what the receiver told then.
fn soon(permits_sack: bool, twice: Option<(u32, u32)>) -> Vec<Vec<Segment>> {
    let with = |told: Told, segments: Vec<Segment>| -> Vec<Segment> {
        segments.into_iter().map(|segment| Segment { told, ..segment }).collect()
    };
    let permits = Told { permits_sack, ..Told::default() };
    vec![
        with(permits, sent(&[0, 1, 2], 0, 1000, 100, 1)),
        with(permits, acknowledged(1, 1100)),
        sent(&[0, 1, 2], 10, 1100, 100, 2),
        sent(&[0, 1, 2], 30, 1100, 100, 3),
        with(Told { blocks: [twice, None], ..Told::default() }, acknowledged(31, 1200)),
    ]
}

#[test]
fn a_receiver_that_tells_of_duplicates_says_whether_it_got_the_first_copy() {
    check(&soon(true, Some((1100, 1200))), &[(2, None, Fate::Spurious, Some(0))]);
    check(&soon(true, None), &[(2, None, Fate::Dropped, Some(20))]);
    check(&soon(false, None), &[(2, None, Fate::Unknown, Some(20))]);
}

#[test]
fn keep_alives_and_probes_of_a_full_window_are_no_losses() {
    let full = |segments: Vec<Segment>| -> Vec<Segment> {
        segments.into_iter().map(|segment| Segment { is_full: true, ..segment }).collect()
    };
    let mut probes = vec![sent(&[0, 1, 2], 0, 1000, 100, 1), full(acknowledged(1, 1100))];
    probes.extend((1..4).map(|n| sent(&[0, 1, 2], 200 * n, 1100, 1, n as u32 + 1)));
    check(&probes, &[]);
    let mut alive = vec![sent(&[0, 1, 2], 0, 1000, 100, 1), acknowledged(1, 1100)];
    alive.extend((1..4).map(|n| sent(&[0, 1], 200 * n, 1099, 1, n as u32 + 1)));
    check(&alive, &[]);
}

#[test]
fn two_packets_of_one_cut_frame_are_one_where_nothing_lies_between() {
    let segments = [
        sent(&[0, 1, 2], 0, 1000, 100, 1),
        acknowledged(1, 1100),
        sent(&[0], 10, 1100, 3000, 2),
        sent(&[1, 2], 10, 1100, 1000, 2),
        sent(&[1], 10, 2100, 1000, 3),
        sent(&[1], 10, 3100, 1000, 4),
        sent(&[0, 1, 2], 210, 2100, 2000, 5),
        acknowledged(211, 4100),
    ];
    let found = found(&segments, &Doubts::default(), true);
    let ranges: Vec<_> = found.iter().map(|lost| (lost.sequence, lost.length, lost.fate)).collect();
    assert_eq!(ranges, [(2100, 2000, Fate::Dropped)]);
}

#[test]
fn what_was_sent_twice_in_one_tick_is_one_wherever_the_two_lie_nearer() {
    // As a SYN-ACK by the timer and one that answers the SYN sent again.
    let nameless = |points: &[u32], us: i64, timestamp: u32| -> Vec<Segment> {
        let timestamp = Some(timestamp);
        let of = |s: Segment| Segment { id: None, timestamp, at_ns: us * 1_000, ..s };
        sent(points, 0, 1000, 1, 0).into_iter().map(of).collect()
    };
    let segments = [
        nameless(&[0, 1, 2], 0, 5),
        nameless(&[0], 1_000_000, 1005),
        nameless(&[0], 1_000_112, 1005),
        nameless(&[1, 2], 1_000_050, 1005),
        nameless(&[1, 2], 1_000_115, 1005),
        acknowledged(1_002, 1001),
    ];
    check(&segments, &[(2, None, Fate::Dropped, Some(1000))]);
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
