//! Packets that are said to be lost, held against those that were dropped on purpose. Never counts a drop that nobody could have known
//! of: whether a packet was acknowledged, or sent again, is what the analyzer has to find out.

use super::Share;
use crate::truth::Truth;
use afterpath::call::{Analysis, Fate, LostPacket};
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;

/// A drop is the one that is told of if it was told within this time of it.
const NEAR_NS: i64 = 3_000_000_000;

/// Headers of IPv4 and TCP with a timestamp, and nothing behind them.
const BARE_BYTES: u32 = 52;

/// What is said of packets that were dropped.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LossScore {
    /// Dropped packets that are said to be lost in the right place.
    pub located: Share,
    /// Packets said to be lost that nobody dropped, or somewhere else.
    pub elsewhere: u64,
    /// Dropped packets without data, of packets alone: what nobody sends again no capture misses. They count nowhere else.
    pub bare: u64,
    /// Drops that were not found, by what they were.
    pub missed: Vec<String>,
}

impl fmt::Display for LossScore {
    /// `98.75 % of 80 located, 0 claimed elsewhere`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LossScore { located, elsewhere, bare, .. } = self;
        if *bare > 0 {
            write!(f, "{bare} bare; ")?;
        }
        write!(
            f,
            "{:.2} % of {} located, {elsewhere} claimed elsewhere",
            located.percent(),
            located.all
        )
    }
}

/// Of a recording with drops, or of any other: there nothing may be claimed. `None` where the fault itself drops what it doesn't log.
pub(super) fn losses(analysis: &Analysis, truth: &Truth) -> Option<LossScore> {
    let drops_unlogged = ["mtu", "accept-backlog", "reset"];
    let is_unlogged = |fault: &str| drops_unlogged.contains(&fault);
    if truth.faults.iter().any(|fault| is_unlogged(&fault.kind_of_fault())) {
        return None;
    }
    let by_kernel = analysis.points.iter().any(|point| point.process.is_some());
    let mut score = LossScore::default();
    let mut taken = vec![false; analysis.lost_packets.len()];
    for drop in &truth.drops {
        let place = drop.place.as_deref().unwrap_or("podB");
        let is_it = |lost: &LostPacket| {
            let flow = &analysis.flows[lost.from as usize];
            let ends = match lost.sender {
                afterpath::protocol::Side::Client => (flow.client, flow.server),
                afterpath::protocol::Side::Server => (flow.server, flow.client),
            };
            let is_sequence = lost.sequence == drop.sequence
                || drop.sequence.wrapping_sub(lost.sequence) < lost.length.max(1);
            ends == (drop.source, drop.destination)
                && is_sequence
                && lost.at_ns.abs_diff(drop.t_dropped_ns) < NEAR_NS as u64
                && netns(analysis, lost) == place
                && lost.to.is_none()
        };
        let found = (0..taken.len()).find(|&i| {
            let lost = &analysis.lost_packets[i];
            !taken[i] && lost.fate == Fate::Dropped && is_it(lost)
        });
        if let Some(i) = found {
            taken[i] = true;
        } else if drop.bytes <= BARE_BYTES && !by_kernel {
            score.bare += 1;
            continue;
        } else {
            score
                .missed
                .push(format!("{} bytes, {} → {}", drop.bytes, drop.source, drop.destination));
        }
        score.located.count(found.is_some());
    }
    let claimed = analysis.lost_packets.iter().zip(&taken);
    score.elsewhere =
        claimed.filter(|(lost, taken)| lost.fate == Fate::Dropped && !**taken).count() as u64;
    Some(score)
}

/// The namespace of the last point that saw a packet, as the truth names it.
fn netns<'a>(analysis: &'a Analysis, lost: &LostPacket) -> &'a str {
    let point = &analysis.points[analysis.flows[lost.from as usize].point as usize];
    point.netns.strip_prefix("ap-").unwrap_or(&point.netns)
}

/// A packet that the testbed dropped.
#[derive(Debug, serde::Deserialize)]
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
    /// The namespace that dropped it; of older recordings podB.
    #[serde(default)]
    pub place: Option<String>,
}
