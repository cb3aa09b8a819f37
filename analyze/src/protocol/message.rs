//! What a parser yields: messages named by stream offsets. Never a time, never a pairing.

use super::stretch::Side;
use crate::issue::Issue;
use std::borrow::Cow;

/// What a message is in its dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks for a response.
    Request,
    /// Ends a request.
    Response,
    /// Comes between a request and its response and belongs to it (HTTP 1xx, a notice before the result).
    Interim,
    /// Neither asks nor answers (a push, a notification).
    OneWay,
}

/// Which part of a message, where a protocol carries many at once on one connection and none stands in one piece (HTTP/2). The parts of
/// one exchange bear one correlation, those of its request the role of a request; `pair` puts them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its head; more follows.
    Begin,
    /// The last byte of one of the messages that its body is a stream of (gRPC).
    Item,
    /// From the last byte that its receiver's window let pass to the next byte that followed.
    Stall,
    /// Its end, and how many bytes all its frames have.
    End {
        /// Frames' heads included.
        bytes: u64,
    },
    /// Its sender gave it up.
    Reset {
        /// As in [`Part::End`].
        bytes: u64,
    },
    /// Of no exchange: parts were lost here, maybe of any that is open.
    Lost,
}

/// What a request is asked of, where an earlier request said it and later ones name it by a number (MySQL's prepared statements).
/// Who answers what, only `pair` knows: it gives the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// A request whose resource gets a number; requests by that number are of this type.
    Asks(String),
    /// A response that tells the number.
    Defines(u64),
    /// A request by number.
    Refers(u64),
    /// The same, which is of the type that the number stands for.
    Executes(u64),
}

/// How a response judges its request.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Ok,
    /// The client asked wrongly (HTTP 4xx, a syntax error).
    ClientError,
    /// The server failed (HTTP 5xx).
    ServerError,
}

/// An identifier that a tracer, a proxy or the user's own programs planted in the message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExplicitId {
    /// Lower-case field name it came in: `traceparent`, `b3`, `x-b3-traceid`, `uber-trace-id`, `sw8`, `x-request-id` …
    pub field: Cow<'static, str>,
    /// Its value as sent, at most 512 bytes.
    pub value: String,
}

/// One L7 message of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: Side,
    /// What it is in the dialog.
    pub role: Role,
    /// Stream offset of its first byte.
    pub begin: u64,
    /// Stream offset after its last byte; may lie in a gap, and beyond the captured end when announced by a length.
    pub end: u64,
    /// Matches request and response where the protocol has ids (DNS id, HTTP/2 stream); `None`: by order.
    pub correlation: Option<u64>,
    /// What it is a part of, in protocols whose messages have parts; needs a correlation.
    pub part: Option<Part>,
    /// A protocol carried inside, by which it is known instead of the conversation's: `grpc`.
    pub inner: Option<&'static str>,
    /// A number that stands for a resource.
    pub naming: Option<Box<Naming>>,
    /// `GET`, `SELECT`, `HGETALL`, `A` …: a short name of what is asked. Empty on most responses.
    pub request_type: String,
    /// What it is asked of: path, statement, key, name. At most 1,024 bytes.
    pub resource: String,
    /// Authority: HTTP host, TLS server name, database. Empty when unknown.
    pub host: String,
    /// Status as the protocol writes it: `200`, `NXDOMAIN`, `42P01`, `WRONGTYPE`. Empty on requests.
    pub status: String,
    /// What the status means; `None` on requests and where it is unknown.
    pub outcome: Option<Outcome>,
    /// Version as the protocol writes it: `1.1`, `TLSv1.3`. May be empty.
    pub version: String,
    /// Planted identifiers.
    pub ids: Vec<ExplicitId>,
    /// A request that gets no response by design (then role is `OneWay`), a response without a body by HEAD …: further
    /// facts as (name, value), names from a fixed set documented by the protocol.
    pub attributes: Vec<(&'static str, String)>,
    /// What is doubtful about it.
    pub issues: Vec<Issue>,
}

impl Message {
    /// A message with nothing known but its place.
    pub fn new(from: Side, role: Role, begin: u64, end: u64) -> Self {
        Message {
            from,
            role,
            begin,
            end,
            correlation: None,
            part: None,
            inner: None,
            naming: None,
            request_type: String::new(),
            resource: String::new(),
            host: String::new(),
            status: String::new(),
            outcome: None,
            version: String::new(),
            ids: Vec::new(),
            attributes: Vec::new(),
            issues: Vec::new(),
        }
    }
}
