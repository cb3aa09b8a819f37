//! Doubt as data: what could not be read or decided, kept beside the value it concerns and counted in every report.
//! Never an error: the library goes on with what it has.

use serde::{Deserialize, Serialize};

/// One doubt. The names printed and stored are those of [`Issue::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Issue {
    /// A message's bytes end before its announced end (snap length, capture end, loss of the capture).
    Truncated,
    /// A gap in the captured stream falls into the message's head.
    HeadCut,
    /// The bytes contradict the protocol; the parser went on at the next plausible place.
    Malformed,
    /// The conversation was joined after its start.
    MissedStart,
    /// A response whose request was not captured.
    OrphanResponse,
    /// A request whose response was not captured although the conversation went on.
    ResponseMissing,
    /// A request still open when its connection or the capture ended.
    OpenAtEnd,
    /// Open when the recording ended, for no longer than such requests may take: nothing speaks against it.
    InFlight,
    /// The same bytes came with different content (overlapping retransmission).
    OverlapConflict,
    /// A nesting, length or count above the parser's fixed limit.
    LimitExceeded,
    /// Who is client and who is server was guessed.
    OrientationGuessed,
    /// Times at this point run backwards against the stream's order.
    TimeBackwards,
    /// Points of the path whose order is undecided.
    OrderUndecided,
    /// Times of one span contradict its order (a response before its request).
    NegativeLatency,
}

impl Issue {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Issue::Truncated => "truncated",
            Issue::HeadCut => "head-cut",
            Issue::Malformed => "malformed",
            Issue::MissedStart => "missed-start",
            Issue::OrphanResponse => "orphan-response",
            Issue::ResponseMissing => "response-missing",
            Issue::OpenAtEnd => "open-at-end",
            Issue::InFlight => "in-flight",
            Issue::OverlapConflict => "overlap-conflict",
            Issue::LimitExceeded => "limit-exceeded",
            Issue::OrientationGuessed => "orientation-guessed",
            Issue::TimeBackwards => "time-backwards",
            Issue::OrderUndecided => "order-undecided",
            Issue::NegativeLatency => "negative-latency",
        }
    }
}
