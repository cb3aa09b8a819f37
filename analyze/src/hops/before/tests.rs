//! What lay before calls: fires where they waited for it, and not where it only came before.

use super::*;
use crate::analysis::Analysis;
use crate::call::{CallState, Link, LinkKind};
use crate::report::sample::shop;

const MS: i64 = 1_000_000;
/// When the one that the others are made for was asked.
const ASKED_MS: i64 = 100;

/// A call of a test, in milliseconds: on which connection, and when.
#[derive(Clone, Copy)]
struct Made {
    protocol: &'static str,
    flow: FlowIndex,
    times: (i64, i64),
    /// Handshake: begin and end.
    shaken: Option<(i64, i64)>,
    is_linked: bool,
    name: &'static str,
}

const fn made(protocol: &'static str, flow: FlowIndex, from: i64, to: i64) -> Made {
    let name = "db.example";
    Made { protocol, flow, times: (from, to), shaken: None, is_linked: true, name }
}

fn shaken(made: Made, from: i64, to: i64) -> Made {
    Made { shaken: Some((from, to)), ..made }
}

fn unlinked(made: Made) -> Made {
    Made { is_linked: false, ..made }
}

fn named(made: Made, name: &'static str) -> Made {
    Made { name, ..made }
}

/// The parent, then these.
fn analysis(calls: &[Made]) -> Analysis {
    let mut analysis = shop();
    let template = analysis.calls[0].clone();
    let flow = analysis.flows[template.spans[0].flow as usize].clone();
    analysis.flows = vec![flow; 10];
    let parent = Made { is_linked: false, ..made("http1", 0, ASKED_MS, 900) };
    let all = [&[parent], calls].concat();
    analysis.calls = all.iter().map(|made| call(&template, made)).collect();
    for made in &all {
        let flow = &mut analysis.flows[made.flow as usize];
        if let Some((from, to)) = made.shaken {
            flow.handshake_ns = [Some(from * MS), Some(to * MS), Some(to * MS)];
        }
    }
    analysis
}

fn call(template: &Call, made: &Made) -> Call {
    let mut call = template.clone();
    let (from, to) = (made.times.0 * MS, made.times.1 * MS);
    call.spans.truncate(1);
    call.spans[0].flow = made.flow;
    let times = &mut call.spans[0].times;
    (times.request_first, times.request_last) = (Some(from), Some(from));
    (times.response_first, times.response_last) = (Some(to), Some(to));
    call.state = CallState::Complete;
    call.protocol = made.protocol.into();
    call.server.port = if made.protocol == "redis" { 6379 } else { 80 };
    (call.authority, call.resource) = (made.name.into(), made.name.into());
    call.connect_ns = made.shaken.map(|(from, to)| (to - from) * MS);
    let link = Link {
        parent: 0,
        kind: LinkKind::Work,
        confidence: 1.0,
        candidates: 1,
        evidence: Vec::new(),
    };
    call.link = made.is_linked.then_some(link);
    call
}

/// What lay before the last call: part, begin, how long.
fn check(calls: &[Made], expected: &[(Part, i64, i64)]) -> Vec<Known> {
    let analysis = analysis(calls);
    let given = Given {
        calls: &analysis.calls,
        children: &crate::hops::children(&analysis.calls),
        points: &analysis.points,
        flows: &analysis.flows,
        sockets: &Sockets::default(),
    };
    let found = before(&given).pop().expect("one per call");
    let parts: Vec<_> = found.iter().map(|b| (b.part, b.from_ns / MS, b.ns / MS)).collect();
    assert_eq!(parts, expected);
    found.iter().map(|before| before.known).collect()
}

#[test]
fn a_connection_opened_for_a_call_is_waited_for() {
    check(&[shaken(made("http1", 1, 130, 140), 110, 128)], &[(Part::ClientConnect, 110, 18)]);
    // Long before the call, but after its cause.
    check(&[shaken(made("http1", 1, 300, 340), 110, 128)], &[(Part::ClientConnect, 110, 18)]);
}

#[test]
fn one_that_was_open_already_is_not() {
    check(&[shaken(made("http1", 1, 130, 140), 80, 98)], &[]);
    check(&[shaken(made("http1", 1, 130, 140), 110, 128), made("http1", 1, 150, 160)], &[]);
    // Nobody tells what it was made for, and it did not leave at once.
    check(&[unlinked(shaken(made("http1", 1, 300, 340), 110, 128))], &[]);
}

#[test]
fn the_first_request_of_a_session_waits_for_both_handshakes() {
    let session = shaken(made("tls", 1, 129, 150), 110, 128);
    check(
        &[session, made("http1", 1, 151, 160)],
        &[(Part::ClientConnect, 110, 18), (Part::ClientTls, 128, 22)],
    );
    check(&[session, made("http1", 1, 151, 160), made("http1", 1, 170, 180)], &[]);
    let before = shaken(made("tls", 1, 79, 90), 70, 78);
    check(&[before, made("http1", 1, 151, 160)], &[]);
    let known = check(
        &[made("tls", 1, 129, 150), made("http1", 1, 151, 160)],
        &[(Part::ClientTls, 129, 21)],
    );
    assert_eq!(known, [Known::AtLeast], "its handshake was not seen");
}

#[test]
fn a_name_is_looked_up_before_the_connection_is_opened() {
    let request = shaken(made("http1", 1, 130, 140), 121, 128);
    let both = [(Part::ClientDns, 110, 10), (Part::ClientConnect, 121, 7)];
    assert_eq!(check(&[made("dns", 2, 110, 120), request], &both)[0], Known::Measured);
    // Two tries, one of them in vain, are one look-up.
    let both = [(Part::ClientDns, 102, 18), (Part::ClientConnect, 121, 7)];
    check(&[made("dns", 2, 102, 105), made("dns", 3, 105, 120), request], &both);
    let known = check(
        &[unlinked(made("dns", 2, 110, 120)), unlinked(request)],
        &[(Part::ClientDns, 110, 10), (Part::ClientConnect, 121, 7)],
    );
    assert_eq!(known[0], Known::Estimated, "nobody tells what either was made for");
}

#[test]
fn look_ups_for_others_are_not_waited_for() {
    let request = shaken(made("http1", 1, 130, 140), 121, 128);
    let connect = [(Part::ClientConnect, 121, 7)];
    check(&[named(made("dns", 2, 110, 120), "other.example"), request], &connect);
    check(&[unlinked(made("dns", 2, 110, 120)), request], &connect);
    check(&[made("dns", 2, 101, 105), request], &connect);
    check(&[made("dns", 2, 110, 125), request], &connect);
    // It was somebody else's already.
    let other = shaken(made("http1", 3, 122, 140), 121, 122);
    check(&[made("dns", 2, 110, 120), other, request], &connect);
}

#[test]
fn a_connection_given_back_that_moment_was_waited_for() {
    let known = check(
        &[unlinked(made("redis", 1, 90, 150)), made("redis", 1, 150, 160)],
        &[(Part::ClientPoolWait, ASKED_MS, 50)],
    );
    assert_eq!(known, [Known::Estimated]);
    // Since its last own answer.
    check(
        &[
            unlinked(made("redis", 1, 90, 150)),
            made("http1", 2, 101, 120),
            made("redis", 1, 150, 160),
        ],
        &[(Part::ClientPoolWait, 120, 30)],
    );
    check(&[unlinked(made("redis", 1, 90, 150)), made("redis", 1, 152, 160)], &[]);
    check(&[unlinked(made("redis", 1, 90, 150)), unlinked(made("redis", 1, 150, 160))], &[]);
}
