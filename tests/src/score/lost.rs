//! Packets that are said to be lost, held against those that were dropped on purpose. Never counts as found what is said of another place,
//! and keeps apart what only acknowledged: of such a drop nothing but the kernel's own word tells, unless something was sent again for it.

use super::Share;
use crate::truth::{Dropped, Truth};
use afterpath::analysis::Analysis;
use afterpath::loss::{Fate, LostPacket};
use afterpath::protocol::Side;
use serde::Serialize;
use std::fmt;

/// A drop is the one that is told of if it was told within this time of it.
const NEAR_NS: u64 = 3_000_000_000;
/// Headers of a packet that carries nothing: of IPv4, of TCP with time stamps. Older recordings don't say what a packet carried.
const HEADERS: u32 = 52;

/// What is said of packets that were dropped.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LossScore {
    /// Dropped packets with bytes, SYN or FIN that are said to be lost in the right place.
    pub located: Share,
    /// The same of those that only acknowledged.
    pub acknowledgments: Share,
    /// Packets said to be lost that nobody dropped, or somewhere else.
    pub elsewhere: u64,
    /// Drops that were not found, by what they were.
    pub missed: Vec<String>,
}

impl fmt::Display for LossScore {
    /// `98.75 % of 80 located, acknowledgments 7 of 9, 0 claimed elsewhere`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LossScore { located, acknowledgments, elsewhere, .. } = self;
        match located.all {
            0 => write!(f, "none dropped")?,
            all => write!(f, "{:.2} % of {all} located", located.percent())?,
        }
        if acknowledgments.all > 0 {
            write!(f, ", acknowledgments {} of {}", acknowledgments.right, acknowledgments.all)?;
        }
        write!(f, ", {elsewhere} claimed elsewhere")
    }
}

/// Where faults drop what they don't log.
const UNLOGGED: &[(&str, &str)] = &[("mtu", "l4gw"), ("reset", "l4gw"), ("accept-backlog", "podE")];

/// Of a recording with drops, or of any other: there nothing may be claimed, but where a fault drops what it doesn't log.
pub fn losses(analysis: &Analysis, truth: &Truth) -> LossScore {
    let kinds: Vec<String> = truth.faults.iter().map(|fault| fault.kind_of_fault()).collect();
    let unlogged: Vec<&str> = UNLOGGED
        .iter()
        .filter(|(kind, _)| kinds.iter().any(|k| k == kind))
        .map(|(_, place)| *place)
        .collect();
    let mut score = LossScore::default();
    let mut taken: Vec<Vec<&Dropped>> = vec![Vec::new(); analysis.lost_packets.len()];
    for drop in &truth.drops {
        let place = drop.place.as_deref().unwrap_or("podB");
        let places: Vec<usize> = (0..taken.len())
            .filter(|&i| {
                let lost = &analysis.lost_packets[i];
                lost.fate == Fate::Dropped
                    && drop.is(lost, analysis)
                    && is_inside(lost, analysis, place)
            })
            .collect();
        // Packets that a point saw as one frame are told of as one: it answers for each that lies wholly in it.
        let answers = |&&i: &&usize| {
            let lost = &analysis.lost_packets[i];
            drop.lies_in(lost) && taken[i].iter().all(|other| !other.meets(drop))
        };
        let found = places.iter().find(|&&i| taken[i].is_empty());
        let found = found.or_else(|| places.iter().find(answers));
        if let Some(&i) = found {
            taken[i].push(drop);
        } else {
            let Dropped { bytes, source, destination, sequence, .. } = drop;
            score.missed.push(format!("{bytes} bytes, {sequence}, {source} → {destination}"));
        }
        let share = if drop.carries() { &mut score.located } else { &mut score.acknowledgments };
        share.count(found.is_some());
    }
    let claimed = analysis.lost_packets.iter().zip(&taken);
    let elsewhere = claimed.filter(|(lost, taken)| {
        let is_fault = unlogged.iter().any(|place| is_inside(lost, analysis, place));
        lost.fate == Fate::Dropped && taken.is_empty() && !is_fault
    });
    score.elsewhere = elsewhere.count() as u64;
    score
}

/// Whether a packet is said to be lost inside a namespace: behind an interface of it, or between two.
fn is_inside(lost: &LostPacket, analysis: &Analysis, place: &str) -> bool {
    let netns = |flow: u32| {
        let point = &analysis.points[analysis.flows[flow as usize].point as usize];
        point.netns.strip_prefix("ap-").unwrap_or(&point.netns) == place
    };
    netns(lost.from) && lost.to.is_none_or(netns)
}

impl Dropped {
    fn length(&self) -> u32 {
        self.carries.unwrap_or(self.bytes.saturating_sub(HEADERS))
    }

    fn carries(&self) -> bool {
        self.length() > 0
    }

    fn lies_in(&self, lost: &LostPacket) -> bool {
        let ahead = self.sequence.wrapping_sub(lost.sequence);
        self.carries() && u64::from(ahead) + u64::from(self.length()) <= u64::from(lost.length)
    }

    /// Whether both took one number.
    fn meets(&self, other: &Dropped) -> bool {
        let ahead = |a: &Dropped, b: &Dropped| b.sequence.wrapping_sub(a.sequence) < a.length();
        ahead(self, other) || ahead(other, self)
    }

    /// Whether this is the packet that is told of. A box that translates drops it between its two names.
    fn is(&self, lost: &LostPacket, analysis: &Analysis) -> bool {
        let flow = &analysis.flows[lost.from as usize];
        let (from, to) = match lost.sender {
            Side::Client => (flow.client, flow.server),
            Side::Server => (flow.server, flow.client),
        };
        let is_in = self.sequence.wrapping_sub(lost.sequence) < lost.length.max(1)
            || lost.sequence.wrapping_sub(self.sequence) < self.length().max(1);
        (from == self.source || to == self.destination)
            && is_in
            && (lost.length > 0) == self.carries()
            && lost.at_ns.abs_diff(self.t_dropped_ns) < NEAR_NS
    }
}
