//! Clocks that can't be mixed: an instant belongs to a clock domain, and only instants of one domain subtract.
//! Never converts between domains; that is the analyzer's `align` stage.

use serde::{Deserialize, Serialize};

/// A clock domain: one host's one clock. The number is an index into the opened bundles' domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClockDomain(pub u32);

/// A span of time in nanoseconds; negative when the later instant was given first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct DurationNs(pub i64);

/// An instant in one clock domain, in nanoseconds of that domain's clock (Unix time for REALTIME).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DomainNs {
    domain: ClockDomain,
    ns: i64,
}

impl DomainNs {
    /// An instant read from a column of `domain`.
    pub fn new(domain: ClockDomain, ns: i64) -> Self {
        DomainNs { domain, ns }
    }

    /// The domain this instant belongs to.
    pub fn domain(self) -> ClockDomain {
        self.domain
    }

    /// The time since `earlier`; `None` across domains and when nanoseconds overflow.
    pub fn since(self, earlier: DomainNs) -> Option<DurationNs> {
        if self.domain != earlier.domain {
            return None;
        }
        self.ns.checked_sub(earlier.ns).map(DurationNs)
    }

    /// The raw stamp, for storing and for printing with the domain's name beside it.
    pub fn raw_ns(self) -> i64 {
        self.ns
    }
}
