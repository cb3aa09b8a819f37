//! Requests without an answer → which of them were merely under way when the recording ended, whose answers pass no point, and which last
//! words wanted none. A recording is stopped at some moment: what is open then is no failure of anybody's. Never excuses what was open for
//! much longer than others, nor what its connection's end cut off.

use crate::call::{Call, CallState};
use crate::flow::{Close, Flow};
use crate::issue::Issue;
use crate::point::Point;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A request may take so many times as long as the longest of its kind …
const TIMES: i64 = 3;
/// … and so long where others take less, or none was answered.
const LEAST_NS: i64 = 1_000_000_000;
/// What is said this shortly before a connection is closed takes leave; who gives up waiting does so later.
const LEAVE_NS: i64 = 100_000_000;

/// IP protocol number (IANA).
const TCP: u8 = 6;

/// Who answers what: address, port, protocol.
type Kind = (IpAddr, u16, String);

/// Marks them.
pub fn in_flight(calls: &mut [Call], flows: &[Flow], points: &[Point]) {
    let ends = ends(flows, points);
    let longest = longest(calls);
    for call in calls.iter_mut().filter(|call| call.is_open()) {
        let Some(first) = call.spans.first() else { continue };
        let of_call = call.spans.iter().map(|span| &flows[span.flow as usize]);
        if of_call.clone().all(|flow| is_one_way(flow, points)) {
            call.issues.push(Issue::ResponseMissing);
            call.issues.sort();
            continue;
        }
        // A connect that was tried once is under way as well.
        let is_first_try = call.protocol == "tcp" && call.status == "no-answer";
        let is_under_way = |flow: &&Flow| match flow.close {
            Close::Open => true,
            Close::Unanswered => is_first_try,
            _ => false,
        };
        let closed: Option<&Flow> = of_call.clone().find(|flow| !is_under_way(flow));
        let asked_ns = first.times.request_last.or(first.times.first());
        let Some(asked_ns) = asked_ns else { continue };
        match closed {
            None => {
                let domain = points[first.point as usize].domain;
                let end_ns = ends.get(&domain).copied().unwrap_or(asked_ns);
                let usual_ns = longest.get(&kind(call)).copied().unwrap_or(0);
                let patience_ns = usual_ns.saturating_mul(TIMES).max(LEAST_NS);
                if end_ns.saturating_sub(asked_ns) <= patience_ns {
                    call.issues.push(Issue::InFlight);
                    call.issues.sort();
                    call.outcome = None;
                }
            }
            // What it says nobody can read: it may well be a goodbye.
            Some(_) if call.protocol == "opaque" => {
                let last_ns = flows[first.flow as usize].last_ns;
                let is_leave = last_ns.saturating_sub(asked_ns) <= LEAVE_NS;
                if is_leave && of_call.clone().all(|flow| !is_broken(flow.close)) {
                    call.state = CallState::OneWay;
                    call.issues.retain(|issue| *issue != Issue::OpenAtEnd);
                }
            }
            Some(_) => {}
        }
    }
}

/// Whether a point saw one direction only: who asks over TCP was answered at least once, when it connected. Not if it asked again.
fn is_one_way(flow: &Flow, points: &[Point]) -> bool {
    let was_asked_again = flow.counters.iter().any(|side| side.retransmissions > 0);
    let is_interface = points[flow.point as usize].process.is_none();
    let is_silent = flow.counters.iter().any(|side| side.packets == 0);
    let began = flow.counters.iter().any(|side| side.payload_bytes > 0);
    flow.ip_protocol == TCP && is_interface && is_silent && began && !was_asked_again
}

fn is_broken(close: Close) -> bool {
    !matches!(close, Close::Open | Close::ClientFin | Close::ServerFin)
}

fn kind(call: &Call) -> Kind {
    (call.server.address, call.server.port, call.protocol.clone())
}

/// By clock domain the last that its points saw at all.
fn ends(flows: &[Flow], points: &[Point]) -> BTreeMap<u32, i64> {
    let mut ends: BTreeMap<u32, i64> = BTreeMap::new();
    for flow in flows {
        let end = ends.entry(points[flow.point as usize].domain).or_insert(flow.last_ns);
        *end = (*end).max(flow.last_ns);
    }
    ends
}

/// The longest time from request to response of each kind.
fn longest(calls: &[Call]) -> BTreeMap<Kind, i64> {
    let mut longest: BTreeMap<Kind, i64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.state == CallState::Complete) {
        if let Some(ns) = call.spans.first().and_then(|span| span.times.duration_ns()) {
            let known = longest.entry(kind(call)).or_default();
            *known = (*known).max(ns);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const SECOND: i64 = 1_000_000_000;

    /// The first call of the shop left open for so long before all ends, its connection ended so: state, and whether it failed.
    fn check(open_ns: i64, close: Close, protocol: &str, expected: (CallState, bool)) {
        let mut analysis = sample::shop();
        let call = &mut analysis.calls[0];
        (call.state, call.outcome, call.protocol) = (CallState::Open, None, protocol.to_string());
        call.issues = vec![Issue::OpenAtEnd];
        call.status = if protocol == "tcp" { "no-answer".to_string() } else { String::new() };
        let asked_ns = call.spans[0].times.request_last.expect("it was asked");
        for span in &mut call.spans {
            (span.times.response_first, span.times.response_last) = (None, None);
            let flow = &mut analysis.flows[span.flow as usize];
            (flow.close, flow.last_ns) = (close, asked_ns);
        }
        // Somebody else goes on until then.
        let mut other = analysis.flows[0].clone();
        other.last_ns = asked_ns + open_ns;
        analysis.flows.push(other);
        if close != Close::Open {
            analysis.flows[analysis.calls[0].spans[0].flow as usize].last_ns = asked_ns + open_ns;
        }
        analysis.calls.truncate(1);
        in_flight(&mut analysis.calls, &analysis.flows, &analysis.points);
        let call = &analysis.calls[0];
        assert_eq!((call.state, call.failed()), expected, "{open_ns} {close:?} {protocol}");
    }

    #[test]
    fn what_the_end_of_the_recording_cut_off_is_no_failure() {
        check(SECOND / 2, Close::Open, "http1", (CallState::Open, false));
        check(60 * SECOND, Close::Open, "http1", (CallState::Open, true));
        check(SECOND / 2, Close::ClientFin, "http1", (CallState::Open, true));
        check(SECOND / 2, Close::ServerSilent, "http1", (CallState::Open, true));
    }

    #[test]
    fn where_answers_pass_no_point_none_is_missing() {
        let mut analysis = sample::shop();
        let call = &mut analysis.calls[0];
        (call.state, call.outcome, call.issues) = (CallState::Open, None, Vec::new());
        for span in &call.spans {
            let flow = &mut analysis.flows[span.flow as usize];
            flow.counters[0].payload_bytes = 9;
            (flow.counters[1].packets, flow.close) = (0, Close::ClientFin);
        }
        in_flight(&mut analysis.calls, &analysis.flows, &analysis.points);
        assert!(analysis.calls[0].issues.contains(&Issue::ResponseMissing));
        assert!(!analysis.calls[0].failed());
    }

    #[test]
    fn a_connect_that_was_tried_once_just_now_is_under_way() {
        check(SECOND / 2, Close::Unanswered, "tcp", (CallState::Open, false));
        check(3 * SECOND, Close::Unanswered, "tcp", (CallState::Open, true));
    }

    #[test]
    fn last_words_that_nobody_can_read_may_be_a_goodbye() {
        check(SECOND / 1_000, Close::ClientFin, "opaque", (CallState::OneWay, false));
        check(5 * SECOND, Close::ClientFin, "opaque", (CallState::Open, true));
        check(SECOND / 1_000, Close::ClientReset, "opaque", (CallState::Open, true));
    }
}
