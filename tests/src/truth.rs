//! What the testbed's own services logged: the calls of every request, their parents, the points they crossed. Never
//! derived from packets.

use crate::split::Clock;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;

/// The truth of one recording.
#[derive(Debug, Deserialize)]
pub struct Truth {
    /// Of the recording as a whole.
    pub recording: Facts,
    /// Every request the client issued.
    pub requests: Vec<Request>,
    /// Packets held back on purpose.
    pub delays: Vec<Delay>,
    /// What went wrong on purpose.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Packets dropped on purpose, one by one.
    #[serde(default)]
    pub drops: Vec<Dropped>,
    /// Clocks that are wrong, each of a machine of its own; all others are the load's.
    #[serde(default)]
    pub clocks: Vec<Clock>,
}

/// One thing that went wrong on purpose.
#[derive(Debug, Deserialize)]
pub struct Fault {
    /// As it was asked for: `stall:C:500ms`.
    pub fault: String,
    /// Whose fault it is: a service, a store, a point.
    pub culprit: String,
    /// What it should be called.
    pub kind: String,
}

impl Fault {
    /// `loss` of `loss:podB:2%`.
    pub fn kind_of_fault(&self) -> String {
        self.fault.split(':').next().unwrap_or_default().to_string()
    }
}

/// How a recording was made.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Which topology; older recordings know of one only.
    #[serde(default = "shop")]
    pub topology: String,
    /// `causal` or `timers`.
    #[serde(default = "causal")]
    pub profile: String,
    /// Workers of the load.
    pub concurrency: u32,
    /// `recorder`, or how tcpdump was used.
    pub capture: String,
    /// Shares of the processors.
    pub cpu: Cpu,
}

/// How busy the processors were, 0 to 1.
#[derive(Debug, Deserialize)]
pub struct Cpu {
    /// By everything on the machine.
    pub machine: f64,
}

fn shop() -> String {
    "shop".to_string()
}

fn causal() -> String {
    "causal".to_string()
}

/// One request of the client and all calls it caused.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The client's id of it.
    pub request_id: String,
    /// How it ended for the client, by HTTP; of older recordings 0.
    #[serde(default)]
    pub status: u32,
    /// Calls, the client's own first.
    pub calls: Vec<TrueCall>,
}

impl Request {
    /// Who failed it, if it failed by nobody's doing: whoever answered the innermost call that failed. The testbed's services do so by chance.
    pub fn failed_by(&self) -> Option<&str> {
        let failed = |call: &&TrueCall| call.status.as_u64().is_some_and(|status| status >= 500);
        let last = self.calls.iter().filter(failed).max_by_key(|call| call.t_start_ns);
        last.filter(|_| self.status >= 500).map(|call| call.answerer.as_str())
    }
}

/// One call as its issuer logged it.
#[derive(Debug, Deserialize)]
pub struct TrueCall {
    /// Id in the truth.
    pub call_id: String,
    /// The call that caused it.
    pub parent_call_id: Option<String>,
    /// Who issued it: a service (`A`), a relay (`gw7`), `client`.
    #[serde(default)]
    pub asker: String,
    /// Who got it.
    #[serde(default)]
    pub answerer: String,
    /// `root`, `relay`, `work`.
    pub link: String,
    /// Protocol as the analyzer names it.
    pub protocol: String,
    /// Request type as the analyzer names it.
    pub request_type: String,
    /// How it ended, as its protocol says: a number, or a word.
    #[serde(default)]
    pub status: serde_json::Value,
    /// What it is asked of; of SQL the text before its parameters were numbered.
    #[serde(default)]
    pub resource: String,
    /// The issuing process's socket, `address:port`; of a unix socket `unix:` and its number; empty: it got none.
    pub client: String,
    /// What it dialled; empty of a unix socket.
    #[serde(default)]
    pub server: String,
    /// When it was issued, Unix nanoseconds.
    pub t_start_ns: i64,
    /// When its answer had been read.
    pub t_end_ns: i64,
    /// How far both may be off: a relay's own clock is coarse.
    #[serde(default)]
    pub t_resolution_ns: i64,
    /// When the service at its end had read it, and when it was about to answer.
    #[serde(default)]
    pub served: Option<(i64, i64)>,
    /// Place in a pipeline, and the pipeline's length.
    #[serde(default)]
    pub pipeline: Option<(u32, u32)>,
    /// Observation points the request crosses, in order.
    pub points: Vec<String>,
    /// `tls`: only its ciphertext passes them; `unix`: there are none.
    #[serde(default)]
    pub kind: String,
    /// The programs that issued it and that it was for.
    #[serde(default)]
    pub programs: Option<(String, String)>,
}

/// A packet that the testbed held back.
#[derive(Debug, Deserialize)]
pub struct Delay {
    /// The two points around the place.
    pub between: (String, String),
    /// The call whose packet it was, where its bytes told.
    #[serde(default)]
    pub call_id: Option<String>,
    /// How long it was held, at least: until it was told to go on.
    pub hold_ns: i64,
    /// When it came …
    pub t_received_ns: i64,
    /// … and an instant by which it had gone.
    pub t_released_ns: i64,
}

impl Delay {
    /// How far a time lies outside of what the packet took: 0 if it may be that; less than 0 if it is too short.
    pub fn outside_ns(&self, shown_ns: i64) -> i64 {
        let most_ns = self.t_released_ns.saturating_sub(self.t_received_ns).max(self.hold_ns);
        shown_ns.saturating_sub(shown_ns.clamp(self.hold_ns, most_ns))
    }
}

impl Truth {
    /// The load's own time of what a host's clock said.
    pub fn true_ns(&self, host: &str, said_ns: i64) -> i64 {
        let clock = self.clocks.iter().find(|clock| clock.host == host);
        clock.map_or(said_ns, |clock| clock.true_ns(said_ns))
    }

    /// Reads `truth.json` of a recording.
    ///
    /// # Panics
    /// When it can't be read: a test without its truth must fail.
    pub fn read(recording: &Path) -> Truth {
        let path = recording.join("truth.json");
        let text = std::fs::read_to_string(&path).expect("the recording has a truth.json");
        serde_json::from_str(&text).expect("truth.json has the documented fields")
    }
}

/// A packet that the testbed dropped.
#[derive(Debug, Deserialize)]
pub struct Dropped {
    /// Sender at the place of the drop.
    pub source: SocketAddr,
    /// Receiver there.
    pub destination: SocketAddr,
    /// Sequence number.
    pub sequence: u32,
    /// When.
    pub t_dropped_ns: i64,
    /// Of the IP packet.
    pub bytes: u32,
    /// Sequence numbers that it took.
    #[serde(default)]
    pub carries: Option<u32>,
    /// The namespace that dropped it; of older recordings podB.
    #[serde(default)]
    pub place: Option<String>,
}
