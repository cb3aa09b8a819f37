//! What pairing yields: a span, built of a request and its response, or of what there is of them. Never decides what answers what.

use super::TimedMessage;
use crate::call::{CallState, Times};
use crate::issue::Issue;
use crate::protocol::{Outcome, Side};

/// A request and its response at one point.
#[derive(Debug, Clone)]
pub struct Span {
    /// Index of its flow among the flows dissected with it.
    pub flow: u32,
    /// Protocol name.
    pub protocol: &'static str,
    /// Who sent the request, or the message that asks for nothing: the server where it publishes to its client.
    pub asked_by: Side,
    /// The four times.
    pub times: Times,
    /// What became of it at this point.
    pub state: CallState,
    /// Sequence number of the request's first byte.
    pub request_sequence: Option<u32>,
    /// Sequence number of the response's first byte.
    pub response_sequence: Option<u32>,
    /// See [`TimedMessage::head_hash`]; of the request, or of the response when there is no request.
    pub head_hash: u64,
    /// Request's and response's [`TimedMessage::body_hash`].
    pub body_hash: [u64; 2],
    /// Protocol's id, where it has one.
    pub correlation: Option<u64>,
    /// Lengths of request and response in bytes.
    pub bytes: [u64; 2],
    /// Retransmissions inside request and response.
    pub retransmissions: u32,
    /// Bytes of request and response that were not captured here.
    pub missing_bytes: u64,
    /// What request and response say; boxed because most spans of a call hold the same and are dropped by `join`.
    pub facts: Box<Facts>,
}

impl Span {
    /// The sequence numbers of what the client said and of what the server did.
    pub fn numbers(&self) -> [Option<u32>; 2] {
        match self.asked_by {
            Side::Client => [self.request_sequence, self.response_sequence],
            Side::Server => [self.response_sequence, self.request_sequence],
        }
    }
}

/// What request and response say.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// See [`Message::request_type`].
    pub request_type: String,
    /// See [`Message::resource`].
    pub resource: String,
    /// See [`Message::host`].
    pub authority: String,
    /// See [`Message::version`].
    pub version: String,
    /// See [`Message::status`].
    pub status: String,
    /// See [`Message::outcome`].
    pub outcome: Option<Outcome>,
    /// Planted ids.
    pub ids: Vec<(String, String)>,
    /// Further facts.
    pub attributes: Vec<(String, String)>,
    /// Doubts.
    pub issues: Vec<Issue>,
}

pub(super) fn answered(
    protocol: &'static str,
    request: TimedMessage,
    response: TimedMessage,
) -> Span {
    let mut span = half(protocol, request, CallState::Complete, None);
    if let Some(inner) = response.message.inner {
        span.protocol = inner;
    }
    span.retransmissions += response.retransmissions;
    span.missing_bytes = span.missing_bytes.saturating_add(response.missing_bytes);
    let TimedMessage { message, first_ns, last_ns, sequence, body_hash, .. } = response;
    span.times.response_first = first_ns;
    span.times.response_last = last_ns;
    if span.times.latency_ns().is_some_and(|l| l < 0) && span.times.duration_ns() < Some(0) {
        span.facts.issues.push(Issue::NegativeLatency);
    }
    span.response_sequence = sequence;
    span.body_hash[1] = body_hash;
    span.bytes[1] = message.end.saturating_sub(message.begin);
    let facts = &mut span.facts;
    facts.status = message.status;
    facts.outcome = message.outcome;
    if facts.version.is_empty() {
        facts.version = message.version;
    }
    facts.ids.extend(crate::call::owned_ids(&message.ids));
    facts.attributes.extend(owned_attributes("response.", message.attributes));
    facts.issues.extend(message.issues);
    facts.issues.sort();
    facts.issues.dedup();
    span
}

pub(super) fn unanswered(protocol: &'static str, request: TimedMessage, why: Issue) -> Span {
    half(protocol, request, CallState::Open, Some(why))
}

pub(super) fn one_way(protocol: &'static str, message: TimedMessage) -> Span {
    half(protocol, message, CallState::OneWay, None)
}

pub(super) fn orphan(protocol: &'static str, response: TimedMessage) -> Span {
    let mut span = half(protocol, response, CallState::ResponseOnly, Some(Issue::OrphanResponse));
    let times = &mut span.times;
    (times.response_first, times.request_first) = (times.request_first, None);
    (times.response_last, times.request_last) = (times.request_last, None);
    span.response_sequence = span.request_sequence.take();
    span.bytes.swap(0, 1);
    span.body_hash.swap(0, 1);
    span
}

/// A span of one message, which takes the request's place.
pub(super) fn half(
    protocol: &'static str,
    timed: TimedMessage,
    state: CallState,
    issue: Option<Issue>,
) -> Span {
    let message = timed.message;
    let prefix = match (message.from, state) {
        (Side::Server, CallState::ResponseOnly) => "response.",
        _ => "",
    };
    let mut issues = message.issues;
    issues.extend(issue);
    let asked_by =
        if state == CallState::ResponseOnly { message.from.other() } else { message.from };
    Span {
        flow: 0,
        protocol: message.inner.unwrap_or(protocol),
        asked_by,
        times: Times {
            request_first: timed.first_ns,
            request_last: timed.last_ns,
            response_first: None,
            response_last: None,
        },
        state,
        request_sequence: timed.sequence,
        response_sequence: None,
        head_hash: timed.head_hash,
        body_hash: [timed.body_hash, 0],
        correlation: message.correlation,
        bytes: [message.end.saturating_sub(message.begin), 0],
        retransmissions: timed.retransmissions,
        missing_bytes: timed.missing_bytes,
        facts: Box::new(Facts {
            request_type: message.request_type,
            resource: message.resource,
            authority: message.host,
            version: message.version,
            status: message.status,
            outcome: message.outcome,
            ids: crate::call::owned_ids(&message.ids),
            attributes: owned_attributes(prefix, message.attributes),
            issues,
        }),
    }
}

fn owned_attributes(
    prefix: &str,
    attributes: Vec<(&'static str, String)>,
) -> Vec<(String, String)> {
    attributes.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
}
