//! Clocks of different domains → one timeline. So far the identity inside a domain: across domains no one-way time is
//! known, and nothing here pretends otherwise.

pub mod boottime;

/// A difference of instants and the guaranteed bound of its error, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded {
    /// Best estimate.
    pub value_ns: i64,
    /// The truth lies within ± this.
    pub bound_ns: i64,
}

/// What is known of the clocks of all domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clocks;

impl Clocks {
    /// Time from `earlier` to `later`, each an instant in its domain; `None` when the two clocks are not aligned.
    pub fn between(&self, earlier: (u32, i64), later: (u32, i64)) -> Option<Bounded> {
        let same = earlier.0 == later.0;
        same.then(|| Bounded { value_ns: later.1.saturating_sub(earlier.1), bound_ns: 0 })
    }
}
