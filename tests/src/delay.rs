//! Packets held back on purpose, against the hops that show them. Never looks at the times inside servers: those vary by
//! the testbed's design.

use crate::score::{Matching, forward_times};
use crate::truth::Truth;
use afterpath::analysis::Analysis;

/// What a hop may add to the hold: the queue's way to the holding process and back.
const TOLERANCE_NS: i64 = 3_000_000;
/// What no hop of an undisturbed packet takes one way.
const SLOW_NS: i64 = 10_000_000;

/// A delay of the truth, and the hop's forward time in the call that suffered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Index of the call.
    pub call: usize,
    /// How long the packet was held.
    pub hold_ns: i64,
    /// What the hop shows.
    pub shown_ns: i64,
}

impl Shown {
    /// Whether the hop shows the whole hold and little more.
    pub fn is_right(self) -> bool {
        (0..TOLERANCE_NS).contains(&(self.shown_ns - self.hold_ns))
    }
}

/// Every delay of the truth as the analysis shows it.
///
/// # Panics
/// When a delayed call was not found, or lacks the hop.
pub fn shown(analysis: &Analysis, truth: &Truth) -> Vec<Shown> {
    let matching = Matching::new(analysis, truth);
    let shown = |delay: &crate::truth::Delay| {
        let call = delay.call_id.as_deref().and_then(|id| matching.of(id));
        let call = call.expect("the delayed call was found");
        let at_hop = forward_times(analysis, &delay.between.0, &delay.between.1);
        let hop = at_hop.iter().find(|(at, _)| *at == call).expect("it has this hop");
        Shown { call, hold_ns: delay.hold_ns, shown_ns: hop.1 }
    };
    truth.delays.iter().map(shown).collect()
}

/// All other hops between two points that took as long as only a delayed packet does, for people.
pub fn slow_elsewhere(analysis: &Analysis, delays: &[Shown]) -> Vec<String> {
    let mut slow = Vec::new();
    for (index, call) in analysis.calls.iter().enumerate() {
        for hop in call.hops.iter().filter(|hop| hop.from != hop.to) {
            let is_known =
                delays.iter().any(|d| d.call == index && hop.forward_ns == Some(d.shown_ns));
            let forward_ns = hop.forward_ns.filter(|_| !is_known);
            if forward_ns.max(hop.return_ns) > Some(SLOW_NS) {
                slow.push(format!("{} {} {hop:?}", call.request_type, call.resource));
            }
        }
    }
    slow
}
