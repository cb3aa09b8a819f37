//! Parts of one stream, cut into stretches in every way, and the span that comes of them.

use crate::call::CallState::{self, Complete, Open, ResponseOnly};
use crate::issue::Issue;
use crate::pair::{Pairing, Span, TimedMessage};
use crate::protocol::{Message, Part, Role, Side};

const END: Part = Part::End { bytes: 20 };
const RESET: Part = Part::Reset { bytes: 20 };

/// A part of stream 1 that passed at `at`.
fn part(role: Role, part: Part, at: i64) -> TimedMessage {
    let from = if role == Role::Request { Side::Client } else { Side::Server };
    let begin = at as u64 * 10;
    let mut message = Message::new(from, role, begin, begin + 10);
    (message.correlation, message.part) = (Some(1), Some(part));
    if let (Part::Reset { .. }, Role::Request) = (part, role) {
        message.status = "CANCEL".to_string();
    }
    let first_ns = if part == Part::Stall { at - 3 } else { at };
    TimedMessage {
        message,
        first_ns: Some(first_ns),
        last_ns: Some(at),
        sequence: Some(at as u32),
        acked: 0,
        head_hash: 1,
        body_hash: 1,
        retransmissions: 0,
        missing_bytes: 0,
    }
}

fn asked(what: Part, at: i64) -> TimedMessage {
    part(Role::Request, what, at)
}

fn told(what: Part, at: i64) -> TimedMessage {
    part(Role::Response, what, at)
}

/// Spans, whatever stretches the parts come in.
#[track_caller]
fn check(parts: &[TimedMessage], expected: &[(CallState, [Option<i64>; 4])]) -> Vec<Span> {
    let mut spans = Vec::new();
    for cut in 0..=parts.len() {
        let mut pairing = Pairing::default();
        pairing.take("http2", parts[..cut].to_vec());
        pairing.take("http2", parts[cut..].to_vec());
        pairing.finish("http2");
        spans = pairing.spans;
        let found: Vec<_> = spans
            .iter()
            .map(|s| {
                let t = s.times;
                let times = [t.request_first, t.request_last, t.response_first, t.response_last];
                (s.state, times)
            })
            .collect();
        assert_eq!(found, expected, "cut at {cut}");
    }
    spans
}

fn attributes(span: &Span) -> String {
    let attributes = span.facts.attributes.iter();
    attributes.map(|(name, value)| format!("{name}={value} ")).collect()
}

#[test]
fn parts_are_put_together_and_items_and_stalls_counted() {
    let spans = check(
        &[
            asked(Part::Begin, 1),
            asked(Part::Item, 2),
            told(Part::Begin, 3),
            asked(END, 4),
            told(Part::Item, 5),
            told(Part::Stall, 9),
            told(Part::Item, 10),
            told(END, 11),
        ],
        &[(Complete, [Some(1), Some(4), Some(3), Some(11)])],
    );
    assert_eq!(
        attributes(&spans[0]),
        "messages=1 first_message_ns=1 last_message_ns=1 response.messages=2 response.first_message_ns=4 \
         response.last_message_ns=9 response.window_stalls=1 response.window_stalled_ns=3 "
    );
    assert_eq!(spans[0].bytes, [20, 20]);
}

#[test]
fn a_response_that_is_over_ends_an_exchange_whose_request_is_not() {
    let parts =
        [asked(Part::Begin, 1), told(Part::Whole, 3), asked(Part::Item, 4), asked(RESET, 5)];
    check(&parts, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
}

#[test]
fn given_up_by_the_client_it_stays_open_unless_answered() {
    let spans =
        check(&[asked(Part::Whole, 1), asked(RESET, 5)], &[(Open, [Some(1), Some(1), None, None])]);
    assert_eq!(spans[0].facts.status, "CANCEL");
    assert_eq!(spans[0].facts.issues, []);
    let parts = [asked(Part::Whole, 1), told(Part::Begin, 3), asked(RESET, 5), told(END, 6)];
    check(&parts, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
    let late = [asked(Part::Whole, 1), told(Part::Whole, 3), asked(RESET, 5)];
    check(&late, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
}

#[test]
fn what_is_not_over_at_the_end_is_open() {
    let spans = check(
        &[asked(Part::Whole, 1), told(Part::Begin, 3), told(Part::Item, 4)],
        &[(Open, [Some(1), Some(1), Some(3), None])],
    );
    assert_eq!(spans[0].facts.issues, [Issue::OpenAtEnd]);
}

#[test]
fn where_parts_were_lost_nobody_claims_that_no_answer_came() {
    let mut lost = told(Part::Lost, 4);
    lost.message.correlation = Some(0);
    let spans = check(&[asked(Part::Whole, 1), lost], &[(Open, [Some(1), Some(1), None, None])]);
    assert_eq!(spans[0].facts.issues, [Issue::ResponseMissing]);
}

#[test]
fn what_began_before_the_capture_has_no_first_time() {
    let spans = check(
        &[asked(END, 1), told(Part::Item, 2), told(END, 3)],
        &[(Complete, [None, Some(1), None, Some(3)])],
    );
    assert_eq!(spans[0].facts.issues, [Issue::MissedStart]);
    check(&[told(END, 3)], &[(ResponseOnly, [None, None, None, Some(3)])]);
}
