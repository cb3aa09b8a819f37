//! What is missing: packets that were lost on their way, and what could not be used. Plain data; never computes anything but what a
//! field's name promises.

use crate::call::CallIndex;
use crate::flow::FlowIndex;
use crate::protocol::Side;
use serde::{Deserialize, Serialize};

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
