//! What may be compared of two points: on one clock their times; on two what is known of the clocks. Never more than that.

use crate::align::{Bounded, Clocks};

/// What may be compared.
pub(super) enum Way<'a> {
    /// Both sides of the process were recorded, on one clock.
    Here,
    /// Not both, or on two.
    Far(&'a Clocks),
}

impl Way<'_> {
    /// Whether an instant may lie before another; always where nothing relates their clocks.
    pub(super) fn may_precede(&self, earlier: (u32, i64), later: (u32, i64)) -> bool {
        match self {
            Way::Here => earlier.1 <= later.1,
            Way::Far(clocks) => {
                clocks.between(earlier, later).is_none_or(|Bounded { value_ns, bound_ns }| {
                    value_ns.saturating_add(bound_ns) >= 0
                })
            }
        }
    }

    pub(super) fn are_in_order(
        &self,
        earlier: (u32, Option<i64>),
        later: (u32, Option<i64>),
    ) -> bool {
        let both = earlier.1.zip(later.1);
        both.is_none_or(|(a, b)| self.may_precede((earlier.0, a), (later.0, b)))
    }

    /// An instant where those of all clocks that are related can be compared: the clock that they are told by, and when, ±.
    pub(super) fn common(&self, domain: u32, at_ns: i64) -> (u32, Bounded) {
        let exact = Bounded { value_ns: at_ns, bound_ns: 0 };
        match self {
            Way::Here => (domain, exact),
            Way::Far(clocks) => match clocks.by_reference((domain, at_ns)) {
                Some(there) => (clocks.reference(domain), there),
                None => (domain, exact),
            },
        }
    }

    pub(super) fn are_related(&self, a: u32, b: u32) -> bool {
        match self {
            Way::Here => a == b,
            Way::Far(clocks) => clocks.reference(a) == clocks.reference(b),
        }
    }
}
