//! That a clock was set, as the recorder's own readings of it tell. Never says what time it was.

use serde::{Deserialize, Serialize};

/// A clock was set: stamps of about that time may be of before or of after, and bytes seem to pass in another order than they did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSet {
    /// Clock domain.
    pub domain: u32,
    /// By itself: the first stamp that is doubtful …
    pub from_ns: i64,
    /// … and the last.
    pub to_ns: i64,
    /// By how much, without sign.
    pub by_ns: i64,
}

impl ClockSet {
    /// Between two instants that it is set from and to, and as long before and after as it was set by.
    pub fn between(domain: u32, from_ns: i64, to_ns: i64, by_ns: i64) -> ClockSet {
        let by_ns = by_ns.saturating_abs();
        let (from_ns, to_ns) = (from_ns.saturating_sub(by_ns), to_ns.saturating_add(by_ns));
        ClockSet { domain, from_ns, to_ns, by_ns }
    }
}
