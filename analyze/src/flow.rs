//! Flows: L4 conversations at one observation point, with what was counted and timed of them. Plain data; never computes anything but
//! what a field's name promises.

use crate::issue::Issue;
use crate::point::PointIndex;
use serde::{Deserialize, Serialize};

/// Index of a flow in [`crate::analysis::Analysis::flows`].
pub type FlowIndex = u32;

/// How a flow ended at a point. What came first counts: a reset after a FIN is in the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// Still open when the capture ended, or UDP.
    Open,
    /// The client sent the first FIN.
    ClientFin,
    /// The server sent the first FIN.
    ServerFin,
    /// The client reset it.
    ClientReset,
    /// The server reset it.
    ServerReset,
    /// The server answered the SYN with a reset.
    Refused,
    /// Nothing answered the SYN.
    Unanswered,
    /// Open, but the client was silent at the end: the server's last data was sent again twice or more, for nothing.
    ClientSilent,
    /// The same of the server.
    ServerSilent,
}

impl Close {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Close::Open => "open",
            Close::ClientFin => "client-fin",
            Close::ServerFin => "server-fin",
            Close::ClientReset => "client-reset",
            Close::ServerReset => "server-reset",
            Close::Refused => "refused",
            Close::Unanswered => "unanswered",
            Close::ClientSilent => "client-silent",
            Close::ServerSilent => "server-silent",
        }
    }
}

/// Per-direction counters of a flow: index 0 from the client, 1 from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectionCounters {
    /// Captured packets, capture duplicates left out; of a process's socket, its writes and reads.
    pub packets: u64,
    /// Payload bytes on the wire, retransmissions included.
    pub payload_bytes: u64,
    /// Segments whose bytes had been seen before (RFC 9293; not keep-alive probes).
    pub retransmissions: u64,
    /// Segments that arrived after later ones without having been seen before.
    pub out_of_order: u64,
    /// Segments advertising a zero window; without SYN, FIN and RST.
    pub zero_windows: u64,
    /// SYNs sent again, of the server SYN-ACKs; not among `retransmissions`.
    pub syn_retransmissions: u64,
    /// The same transmission captured twice at one point.
    pub capture_duplicates: u64,
    /// Stream bytes acknowledged or skipped that were never captured.
    pub missing_bytes: u64,
    /// RST segments.
    pub resets: u64,
}

/// Times of one kind, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Their sum, nanoseconds.
    pub sum_ns: i64,
    /// The longest, nanoseconds.
    pub max_ns: i64,
}

impl Latency {
    /// One more.
    pub fn add(&mut self, ns: i64) {
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Those of another, too.
    pub fn merge(&mut self, other: Latency) {
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Their mean, nanoseconds; `None` of none.
    pub fn mean_ns(&self) -> Option<i64> {
        self.sum_ns.checked_div(i64::try_from(self.count).ok()?)
    }
}

/// How soon the data of one side of a TCP connection was met with something, at one point: as DeepFlow defines its flow metrics
/// (`agent/src/flow_generator/perf/tcp.rs`), but that nothing sent again is measured and that delayed ACKs are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// A data packet of this side → the bare ACK of exactly it that directly follows. Of the client's data: srt, the system's response.
    pub acknowledged: Latency,
    /// Such ACKs that the other side had delayed on purpose (RFC 9293, 3.8.6.3): none of `acknowledged`.
    pub delayed_acks: u64,
    /// The other side's last data → its own first. The server's: art, the application's response; the client's: cit, its idle time,
    /// which also counts from the handshake's end, and not to a single byte, which may be a heartbeat.
    pub turn: Latency,
    /// A small segment that had to wait until the one before was acknowledged, late: Nagle's algorithm and a delayed ACK.
    pub held_back: Latency,
}

/// An L4 conversation at one observation point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Where.
    pub point: PointIndex,
    /// 6 or 17; 0: a unix socket, or what a tracer told, whose addresses are made up.
    pub ip_protocol: u8,
    /// L7 protocol found; `opaque` otherwise.
    pub protocol: String,
    /// Client address and port at this point.
    pub client: std::net::SocketAddr,
    /// Server address and port at this point.
    pub server: std::net::SocketAddr,
    /// First and last packet.
    pub first_ns: i64,
    /// See `first_ns`.
    pub last_ns: i64,
    /// First SYN, first SYN-ACK, final ACK of the handshake. At the client's process: connect asked, connect done, unknown.
    pub handshake_ns: [Option<i64>; 3],
    /// Counters from client and from server.
    pub counters: [DirectionCounters; 2],
    /// How soon what client and server sent was met with something.
    pub pace: [Pace; 2],
    /// How it ended.
    pub close: Close,
    /// What is doubtful.
    pub issues: Vec<Issue>,
}

impl Flow {
    /// System response time: the server's stack acknowledged the client's data.
    pub fn srt(&self) -> Latency {
        self.pace[0].acknowledged
    }

    /// Application response time: the server's first data after the client's last.
    pub fn art(&self) -> Latency {
        self.pace[1].turn
    }

    /// Client idle time: the client's first data after the server's last.
    pub fn cit(&self) -> Latency {
        self.pace[0].turn
    }

    /// final ACK − SYN-ACK: the client's side of the round trip.
    pub fn rtt_client_ns(&self) -> Option<i64> {
        Some(self.handshake_ns[2]?.saturating_sub(self.handshake_ns[1]?))
    }

    /// SYN-ACK − SYN: the server's side of the round trip.
    pub fn rtt_server_ns(&self) -> Option<i64> {
        Some(self.handshake_ns[1]?.saturating_sub(self.handshake_ns[0]?))
    }

    /// final ACK − SYN: the whole round trip.
    pub fn rtt_ns(&self) -> Option<i64> {
        Some(self.handshake_ns[2]?.saturating_sub(self.handshake_ns[0]?))
    }
}
