//! Calls with their spans at every observation point, their links and hops; traces. Plain data; never computes anything but what a
//! field's name promises.
//! Long: the model is read as one page; half of it is what the fields mean.

use crate::flow::FlowIndex;
use crate::issue::Issue;
use crate::point::{Endpoint, PointIndex};
use crate::protocol::{ExplicitId, Outcome};
use serde::{Deserialize, Serialize};

/// Index of a call in [`crate::analysis::Analysis::calls`].
pub type CallIndex = u32;

/// The four times of a span, nanoseconds of its point's clock domain. Absent: not seen at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Times {
    /// First byte of the request.
    pub request_first: Option<i64>,
    /// Last byte of the request.
    pub request_last: Option<i64>,
    /// First byte of the response.
    pub response_first: Option<i64>,
    /// Last byte of the response.
    pub response_last: Option<i64>,
}

impl Times {
    /// response_first − request_last.
    pub fn latency_ns(&self) -> Option<i64> {
        Some(self.response_first? - self.request_last?)
    }

    /// response_last − request_first.
    pub fn duration_ns(&self) -> Option<i64> {
        Some(self.response_last? - self.request_first?)
    }

    /// The earliest time known.
    pub fn first(&self) -> Option<i64> {
        [self.request_first, self.request_last, self.response_first, self.response_last]
            .into_iter()
            .flatten()
            .min()
    }

    /// The latest time known.
    pub fn last(&self) -> Option<i64> {
        [self.request_first, self.request_last, self.response_first, self.response_last]
            .into_iter()
            .flatten()
            .max()
    }
}

/// How the place of a span in its call's path is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderBasis {
    /// The only point.
    Single,
    /// The direction in which the frame passed the interface, as the capture says.
    Direction,
    /// TTL or hop limit differs from the neighbour's.
    Ttl,
    /// One of the two is the own interface of the client or of the server, by the address that all its traffic shares.
    Address,
    /// Majority of the time order over the flow, mirrored by the return direction, one clock.
    Time,
    /// The forwarding process's two connections.
    Forwarding,
    /// The asking or the answering process itself: its socket.
    Process,
    /// Undecided: the neighbours may stand in either order.
    Undecided,
}

/// A call's span at one observation point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanAt {
    /// Where.
    pub point: PointIndex,
    /// The flow it was part of there.
    pub flow: FlowIndex,
    /// When.
    pub times: Times,
    /// Why it stands at this place in the path (towards the point before it).
    pub order_basis: OrderBasis,
    /// Retransmitted segments seen here inside the request and the response.
    pub retransmissions: u32,
    /// Bytes of the request and the response that were not captured here: gaps.
    pub missing_bytes: u64,
}

impl SpanAt {
    /// With nothing sent again and nothing missing.
    pub(crate) fn sound(
        point: PointIndex,
        flow: FlowIndex,
        times: Times,
        order_basis: OrderBasis,
    ) -> SpanAt {
        SpanAt { point, flow, times, order_basis, retransmissions: 0, missing_bytes: 0 }
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// Request and response were seen.
    Complete,
    /// No response was seen until the capture or the connection ended; its true duration is longer than what was seen.
    Open,
    /// Only the response was seen.
    ResponseOnly,
    /// Needs no response.
    OneWay,
}

/// What kind of causation a link states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// A proxy parsed the parent and issued it again.
    Relay,
    /// A service made the call while working on the parent.
    Work,
    /// A broker delivered what the parent published.
    Queue,
}

/// Why a call has the parent it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The call that caused it.
    pub parent: CallIndex,
    /// Kind of causation.
    pub kind: LinkKind,
    /// Probability that this parent is the right one, 0 to 1.
    pub confidence: f64,
    /// How many parents were possible, this one included.
    pub candidates: u32,
    /// Printable reasons: `traceparent 4bf9…`, `contained, 1 candidate`.
    pub evidence: Vec<String>,
}

/// Why a call that could have a parent was given none: such calls are made without any request, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoParent {
    /// Probability that no recorded call caused it, 0 to 1.
    pub confidence: f64,
    /// How many parents were possible.
    pub candidates: u32,
    /// Printable reasons.
    pub evidence: Vec<String>,
}

/// A part of a call's duration. Where packets or sockets were not recorded, neighbours are one part and bear one of the first
/// six names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// First to last byte of the request at the first point.
    RequestTransfer,
    /// Between two neighbouring points.
    Wire,
    /// Inside a process that forwards the same bytes (gateway_in, gateway_process and gateway_out merged).
    Gateway,
    /// The request's last write until it passed the client's innermost interface.
    ClientSendQueue,
    /// The response's begin at the client's innermost interface until it was read.
    ClientRecvQueue,
    /// Interface until read, of a forwarding process.
    GatewayIn,
    /// Read until written on, of a forwarding process.
    GatewayProcess,
    /// Written until the interface, of a forwarding process.
    GatewayOut,
    /// At the server's interface, while its connection waited for accept.
    ServerAcceptQueue,
    /// At the server, while its thread was parked, until that thread returned.
    ServerSched,
    /// At the server, while its thread was doing something else, until it read.
    ServerBusy,
    /// The server's read: from its call, or from the arrival when it is neither of the two above, until it returned.
    ServerKernelRx,
    /// The server's process: request read until the response's first write.
    ServerApp,
    /// The response's first write until it passed the server's interface.
    ServerSendQueue,
    /// Behind the last point: the server's kernel, queue and application, and the way to them if the last point is not the
    /// server's own.
    Server,
    /// First to last byte of the response at the first point.
    ResponseTransfer,
    /// What no pair of points covers.
    Unattributed,
    /// Before a call: the look-up of its server's name.
    ClientDns,
    /// Before a call: it was ready, and no connection was free.
    ClientPoolWait,
    /// Before a call: the TCP handshake of its connection, whose first call it is.
    ClientConnect,
    /// Before a call: from that handshake until the TLS session could carry it.
    ClientTls,
}

impl Part {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Part::RequestTransfer => "request_transfer",
            Part::Wire => "wire",
            Part::Gateway => "gateway",
            Part::ClientSendQueue => "client_send_queue",
            Part::ClientRecvQueue => "client_recv_queue",
            Part::GatewayIn => "gateway_in",
            Part::GatewayProcess => "gateway_process",
            Part::GatewayOut => "gateway_out",
            Part::ServerAcceptQueue => "server_accept_queue",
            Part::ServerSched => "server_sched",
            Part::ServerBusy => "server_busy",
            Part::ServerKernelRx => "server_kernel_rx",
            Part::ServerApp => "server_app",
            Part::ServerSendQueue => "server_send_queue",
            Part::Server => "server",
            Part::ResponseTransfer => "response_transfer",
            Part::Unattributed => "unattributed",
            Part::ClientDns => "client_dns",
            Part::ClientPoolWait => "client_pool_wait",
            Part::ClientConnect => "client_connect",
            Part::ClientTls => "client_tls",
        }
    }
}

impl Part {
    /// Whether it lies behind the last point: where the server works, and waits for calls of its own.
    pub fn is_work(self) -> bool {
        matches!(self, Part::Server | Part::ServerApp)
    }

    /// Whether it lies between two points.
    pub fn is_leg(self) -> bool {
        use Part::{Gateway, GatewayIn, GatewayOut, GatewayProcess, Wire};
        matches!(self, Wire | Gateway | GatewayIn | GatewayProcess | GatewayOut)
    }
}

/// One part of a call's duration, placed. The parts of a call sum to its duration exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Which part.
    pub part: Part,
    /// Index into [`Call::spans`] where it begins.
    pub from: u16,
    /// Index into [`Call::spans`] where it ends (equal to `from` for the server part and transfers).
    pub to: u16,
    /// Time with the request's direction.
    pub forward_ns: Option<i64>,
    /// Time with the response's direction.
    pub return_ns: Option<i64>,
    /// Both together; known even across clocks, where the two one-way times are not.
    pub total_ns: i64,
    /// Guaranteed bound of the one-way times' error; `None`: one-way unknown (clocks).
    pub bound_ns: Option<i64>,
}

/// How well the length of a part before a call is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Both ends were seen.
    Measured,
    /// It took at least this long: its begin was not seen.
    AtLeast,
    /// It is inferred: nobody saw the request wait.
    Estimated,
}

impl Known {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Known::Measured => "measured",
            Known::AtLeast => "at-least",
            Known::Estimated => "estimated",
        }
    }
}

/// What lay before a call's first byte, and is no part of its duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Which part.
    pub part: Part,
    /// When it began, by the clock of the call's first point, nanoseconds.
    pub from_ns: i64,
    /// How long it took, nanoseconds; never negative.
    pub ns: i64,
    /// How well `ns` is known.
    pub known: Known,
    /// The call that it is: the look-up, the TLS handshake.
    pub call: Option<CallIndex>,
}

/// What a call had to do with how long its trace took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Critical {
    /// Nanoseconds of its own parts on the path that made its trace as long as it was: while nothing that it called was waited for. 0 beside
    /// the path.
    pub path_ns: i64,
    /// Of them, its server's own.
    pub self_ns: i64,
    /// How much longer it might have taken and its trace no longer; 0 on the path.
    pub slack_ns: i64,
}

/// The ids of a call in a tracer, for whoever looks it up there. No evidence: that is [`Call::ids`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracer {
    /// The trace's id, big-endian.
    pub trace_id: [u8; 16],
    /// Of the span that asked.
    pub client_span_id: Option<u64>,
    /// Of the span that answered.
    pub server_span_id: Option<u64>,
}

impl Tracer {
    /// The trace's id as tracers write it: 32 hexadecimal digits, 16 where the rest is zeros.
    pub fn trace(&self) -> String {
        match u128::from_be_bytes(self.trace_id) {
            id if id >> 64 == 0 => format!("{id:016x}"),
            id => format!("{id:032x}"),
        }
    }
}

/// One request along one path, from the process that issued it to the process that parsed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Stable id: hash of the first span's place in the bundle.
    pub id: u64,
    /// Protocol name: `http1`, `redis`, `tcp` (a connect attempt), `opaque`.
    pub protocol: String,
    /// See [`crate::protocol::Message::request_type`].
    pub request_type: String,
    /// See [`crate::protocol::Message::resource`].
    pub resource: String,
    /// What it is grouped by: see [`crate::routes`]. Empty where nothing is asked.
    pub route: String,
    /// Authority asked.
    pub authority: String,
    /// Protocol version.
    pub version: String,
    /// Status as the protocol writes it; empty when none was seen.
    pub status: String,
    /// What the status means.
    pub outcome: Option<Outcome>,
    /// What became of it.
    pub state: CallState,
    /// The asking end.
    pub client: Endpoint,
    /// The answering end.
    pub server: Endpoint,
    /// Spans in path order, the client's side first. Never empty.
    pub spans: Vec<SpanAt>,
    /// Request and response bytes on the wire.
    pub request_bytes: u64,
    /// See `request_bytes`.
    pub response_bytes: u64,
    /// Time of the TCP handshake at the first point, when this is its connection's first call.
    pub connect_ns: Option<i64>,
    /// Planted ids seen.
    pub ids: Vec<(String, String)>,
    /// Further facts from request and response.
    pub attributes: Vec<(String, String)>,
    /// What a tracer calls it, where spans of one were imported.
    pub tracer: Option<Box<Tracer>>,
    /// Parent, if one was found.
    pub link: Option<Link>,
    /// Why it was given none, where one was possible.
    pub no_parent: Option<Box<NoParent>>,
    /// What lay before its first byte, in the order of [`Part`]; no part of the duration. Empty: nothing is known.
    pub before: Vec<Before>,
    /// Parts of the duration.
    pub hops: Vec<Hop>,
    /// Time in the server part that no child call covers.
    pub self_ns: Option<i64>,
    /// What it had to do with how long its trace took; `None`: nobody waited for it, as far as is known.
    pub critical: Option<Critical>,
    /// The trace it belongs to: index into [`crate::analysis::Analysis::traces`].
    pub trace: u32,
    /// What is doubtful.
    pub issues: Vec<Issue>,
}

impl Call {
    /// Its first part of a kind.
    pub fn hop(&self, part: Part) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.part == part)
    }

    /// Times at the point nearest to the client.
    pub fn times(&self) -> &Times {
        &self.spans[0].times
    }

    /// Whether it really got no answer before its connection or the recording ended, as far as the capture can tell.
    pub fn is_open(&self) -> bool {
        self.state == CallState::Open && !self.issues.contains(&Issue::ResponseMissing)
    }

    /// Whether it went wrong: an error status, or no answer. That the capture missed the answer, or ended before it, is none of its faults.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Some(Outcome::ClientError | Outcome::ServerError))
            || (self.is_open() && !self.issues.contains(&Issue::InFlight))
    }
}

/// A tree of calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Stable id: the root call's id.
    pub id: u64,
    /// The call without a parent.
    pub root: CallIndex,
    /// All calls, depth first, children by start time.
    pub calls: Vec<CallIndex>,
}

/// The identifiers of a message as the result keeps them.
pub fn owned_ids(ids: &[ExplicitId]) -> Vec<(String, String)> {
    ids.iter().map(|id| (id.field.to_string(), id.value.clone())).collect()
}
