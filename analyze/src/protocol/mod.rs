//! L7 protocols: one file each, one line each in [`PROTOCOLS`]. Parsers are passive: they see truncated, hostile,
//! half-captured streams, never fail, never panic, never allocate what the wire announces.

use std::any::Any;

pub mod cursor;
pub mod dns;
mod grpc;
pub mod http1;
pub mod http2;
pub mod ids;
#[cfg(test)]
pub(crate) mod laws;
pub mod message;
pub mod mysql;
pub mod nats;
pub mod postgres;
pub mod redis;
mod seek;
mod sql;
pub mod stretch;
pub mod text;
pub mod tls;
pub mod websocket;

pub(crate) use grpc::status as grpc_status;
pub use ids::IdFields;
pub use message::{ExplicitId, Message, Naming, Outcome, Part, Role};
pub use stretch::{Half, Piece, Side, Stretch, Transport};

/// How sure a protocol is that a stretch is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// Can't be mine.
    No,
    /// Could be: too little seen, or a weak sign.
    Maybe,
    /// A sign that hardly anything else bears.
    Yes,
}

/// State a protocol carries from one stretch to the next: plain, bounded, its own.
#[derive(Default)]
pub struct Carry(Option<Box<dyn Any + Send>>);

impl Carry {
    /// Wraps a protocol's state.
    pub fn of<T: Any + Send>(state: T) -> Self {
        Carry(Some(Box::new(state)))
    }

    /// The state put in before, or the default at the start of a conversation.
    pub fn take<T: Any + Send + Default>(self) -> T {
        self.0.and_then(|b| b.downcast::<T>().ok()).map(|b| *b).unwrap_or_default()
    }
}

/// Another protocol goes on from here (upgrade, STARTTLS, CONNECT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Stream offset at which the client's bytes belong to the next protocol.
    pub client_at: u64,
    /// Same for the server's bytes.
    pub server_at: u64,
    /// The next protocol's name, or `None`: whatever probes, else opaque.
    pub to: Option<&'static str>,
    /// The request that asked for it is answered in the next protocol, with this correlation (HTTP/2: stream 1).
    pub answered_as: Option<u64>,
}

/// What came of one stretch.
pub struct Parsed {
    /// Messages, those of one side in rising order of `begin` (parts of messages: of `end`; messages with a correlation may stand anywhere);
    /// the two sides may be interleaved in any way.
    pub messages: Vec<Message>,
    /// Client bytes before this offset are done with; the rest is given again, with more, in the next stretch.
    pub client_consumed: u64,
    /// Same for the server's bytes.
    pub server_consumed: u64,
    /// State for the next stretch: this protocol's, or after a switch to one by its name that protocol's.
    pub carry: Carry,
    /// Set when the conversation changes its protocol.
    pub switch: Option<Switch>,
}

/// One protocol. Any cutting of a conversation into stretches gives equal messages.
pub trait Protocol: Sync {
    /// Lower-case name, as printed: `http1`, `dns`.
    fn name(&self) -> &'static str;

    /// The beginning of a conversation that no other protocol claims.
    #[cfg(test)]
    fn sample(&self) -> laws::Dialog;

    /// Whether this stretch (the beginning of a conversation, or of what was captured of it) is this protocol, spoken by
    /// the client half as client. When the direction is unknown, `dissect` asks for both orientations.
    fn probe(&self, stretch: &Stretch<'_>) -> Match;

    /// Reads messages from a stretch. What is incomplete is left unconsumed unless the half is `last` or a gap makes
    /// waiting vain; then it is yielded with an issue.
    fn parse(&self, stretch: &Stretch<'_>, carry: Carry) -> Parsed;
}

/// Every protocol, asked in this order; the first `Yes` wins, else the first `Maybe`.
pub const PROTOCOLS: &[&dyn Protocol] = &[
    &http1::Http1,
    &http2::Http2,
    &dns::Dns,
    &nats::Nats,
    &redis::Redis,
    &postgres::Postgres,
    &mysql::Mysql,
    &tls::Tls,
    &websocket::Websocket,
];
