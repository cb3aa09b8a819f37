//! The analyzer's result model: calls with their spans at every observation point, links, hops, flows and traces.
//! Plain data; never computes anything but what a field's name promises.
//! Long: the model is read as one page; half of it is what the fields mean.

use crate::align::Clocks;
use crate::findings::Finding;
use crate::issue::Issue;
use crate::protocol::{ExplicitId, Outcome, Side};
use serde::{Deserialize, Serialize};

/// Index of an observation point in [`Analysis::points`].
pub type PointIndex = u32;
/// Index of a call in [`Analysis::calls`].
pub type CallIndex = u32;
/// Index of a flow in [`Analysis::flows`].
pub type FlowIndex = u32;

/// A process, as the recorder named it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its name (comm).
    pub name: String,
    /// Its number in the initial PID namespace.
    pub pid: u32,
    /// When it appeared, or the recording's start, BOOTTIME: numbers are taken again.
    pub since_ns: i64,
    /// Its container: the name where known, else the beginning of its id.
    pub container: Option<String>,
    /// `namespace/pod`.
    pub pod: Option<String>,
}

impl Process {
    /// `python3[1234]`; `frontend` for a service that only its tracer told of: no process has the number 0.
    pub fn label(&self) -> String {
        match self.pid {
            0 => self.name.clone(),
            pid => format!("{}[{pid}]", self.name),
        }
    }
}

/// An observation point: an interface in a namespace of a host, or a process with its sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Host's name.
    pub host: String,
    /// Network namespace, empty when the capture named none.
    pub netns: String,
    /// Interface name; empty for a process.
    pub interface: String,
    /// The process whose sockets these are.
    pub process: Option<Process>,
    /// Clock domain: instants of two points compare only when this is equal.
    pub domain: u32,
}

impl Point {
    /// The namespace, or the host where none was named.
    pub fn place(&self) -> &str {
        if self.netns.is_empty() { &self.host } else { &self.netns }
    }

    /// Whether both stand in one namespace of one host.
    pub fn is_beside(&self, other: &Point) -> bool {
        (&self.host, &self.netns) == (&other.host, &other.netns)
    }

    /// `podA/eth0`, `gw7/eth0`, `host/if3`, `podA/python3[1234]`: the shortest name that a reader recognises.
    pub fn label(&self) -> String {
        let place = self.place();
        if let Some(process) = &self.process {
            let pod = process.pod.as_ref().map(|pod| pod.rsplit('/').next().unwrap_or(pod));
            let place = pod.or(process.container.as_deref()).unwrap_or(place);
            if place == process.name && process.pid == 0 {
                return process.label();
            }
            return format!("{place}/{}", process.label());
        }
        // A bare capture is a host of one interface, both named by the file.
        if self.interface.is_empty() || self.interface == place {
            place.to_string()
        } else {
            format!("{place}/{}", self.interface)
        }
    }
}

/// One end of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Host it was located on, empty when no point near this end was recorded.
    pub host: String,
    /// Namespace it was located in, may be empty.
    pub netns: String,
    /// Address as seen at the point nearest to this end.
    pub address: std::net::IpAddr,
    /// Port as seen there.
    pub port: u16,
    /// The process, where a recorder saw its socket.
    pub process: Option<Process>,
}

impl Endpoint {
    /// The namespace that it was located in, or the host; empty where it was not located.
    pub fn place(&self) -> &str {
        if self.netns.is_empty() { &self.host } else { &self.netns }
    }
}

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
    /// The trace it belongs to: index into [`Analysis::traces`].
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

/// What became of a packet that did not get through as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Lost between the two points; or, as the kernel says, at the first.
    Dropped,
    /// It went on, and the second point did not see it: a redirection, an offload, a capture that left it out.
    Bypassed,
    /// It arrived, and was sent again all the same.
    Spurious,
    /// It was sent again, and where it was lost, or whether, can't be told.
    Unknown,
}

impl Fate {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Dropped => "dropped",
            Fate::Bypassed => "bypassed",
            Fate::Spurious => "spurious",
            Fate::Unknown => "unknown",
        }
    }
}

/// Why it can't be told what became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossDoubt {
    /// A recorder, a capture or an interface lost something within a second of it.
    RecorderLost,
    /// The point that did not see it had seen nothing of this connection and direction before.
    NotSeenBefore,
    /// The point that did not see it recorded nothing yet, or nothing any more.
    NotRecording,
    /// The order of the points is not known.
    OrderUndecided,
    /// No point there sees what the receiver acknowledges.
    OneWay,
    /// The receiver acknowledged it before it was sent again: points missed it.
    Acknowledged,
    /// All points saw it, and the last one is not its receiver's own: it was lost behind, or its acknowledgment.
    BehindLastPoint,
    /// It was sent again so soon that its acknowledgment may have been on its way.
    TooSoon,
}

impl LossDoubt {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            LossDoubt::RecorderLost => "recorder-lost",
            LossDoubt::NotSeenBefore => "not-seen-before",
            LossDoubt::NotRecording => "not-recording",
            LossDoubt::OrderUndecided => "order-undecided",
            LossDoubt::OneWay => "one-way",
            LossDoubt::Acknowledged => "acknowledged",
            LossDoubt::BehindLastPoint => "behind-last-point",
            LossDoubt::TooSoon => "too-soon",
        }
    }
}

/// A transmission of a TCP segment that was sent again, or that the kernel says it dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostPacket {
    /// The flow at the first point that saw it: at its sender's side.
    pub first: FlowIndex,
    /// The flow at the last point that saw it.
    pub from: FlowIndex,
    /// The flow at the next point of its way; `None`: behind the last one, of what was dropped inside its receiver's own host (where the
    /// kernel says so: inside the host of that point).
    pub to: Option<FlowIndex>,
    /// Who sent it.
    pub sender: Side,
    /// When it passed the last point that saw it, by that point's clock.
    pub at_ns: i64,
    /// When it passed the first point, by that point's clock.
    pub at_first_ns: i64,
    /// How long until the copy that got through passed the first point, 0 of one that got through itself; `None`: none did.
    pub repaired_ns: Option<i64>,
    /// Its sequence number at the last point that saw it.
    pub sequence: u32,
    /// Sequence numbers that it took: its bytes, SYN, FIN; 0 of an acknowledgment.
    pub length: u32,
    /// What became of it.
    pub fate: Fate,
    /// Of an unknown fate: why it is.
    pub doubt: Option<LossDoubt>,
    /// The kernel's word, function and reason; empty without.
    pub reason: String,
    /// Calls that were open on its connection meanwhile, and for how long, nanoseconds.
    pub slowed: Vec<(CallIndex, i64)>,
}

impl LostPacket {
    /// Whether it did not get through, here or nobody knows where: not if its receiver may have had it when it was sent again.
    pub fn is_missing(&self) -> bool {
        let had = matches!(self.doubt, Some(LossDoubt::Acknowledged | LossDoubt::TooSoon));
        self.fate == Fate::Dropped || (self.fate == Fate::Unknown && !had)
    }
}

/// Something that could not be used, counted by its cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// Where: a host, a file or a stage.
    pub place: String,
    /// Stable cause name.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// What the cause of a loss begins with that comes from damage to the recording; the name of the error follows.
pub const DAMAGED: &str = "damaged: ";

impl Loss {
    /// Whether the recording itself is damaged.
    pub fn is_damage(&self) -> bool {
        self.cause.starts_with(DAMAGED)
    }

    /// Whether it is only traffic of another kind (ARP, ICMP …): nothing that was looked for is missing.
    pub fn is_other_traffic(&self) -> bool {
        matches!(self.cause.as_str(), "not-ip" | "not-tcp-or-udp")
    }
}

/// Everything reconstructed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Analysis {
    /// Observation points.
    pub points: Vec<Point>,
    /// Names of the clock domains.
    pub domains: Vec<String>,
    /// What is known of their clocks.
    pub clocks: Clocks,
    /// Flows in (point, client, server, first_ns) order.
    pub flows: Vec<Flow>,
    /// Packets that were lost or sent again, in the order of their connections' flows.
    pub lost_packets: Vec<LostPacket>,
    /// Calls ordered by first time, those of one time by connection and stream.
    pub calls: Vec<Call>,
    /// Traces ordered by their root's first time.
    pub traces: Vec<Trace>,
    /// Packets read.
    pub n_packets: u64,
    /// Socket events read.
    pub n_socket_events: u64,
    /// Spans of tracers read.
    pub n_tracer_spans: u64,
    /// What could not be used.
    pub losses: Vec<Loss>,
    /// What went wrong and whose it was, the worst first.
    pub findings: Vec<Finding>,
    /// What judges would have asked and the recording does not hold, in words.
    pub missing: Vec<String>,
}

/// The identifiers of a message as the result keeps them.
pub fn owned_ids(ids: &[ExplicitId]) -> Vec<(String, String)> {
    ids.iter().map(|id| (id.field.to_string(), id.value.clone())).collect()
}
