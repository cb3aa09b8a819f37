//! Clock domains: an instant belongs to one, and only instants of one domain subtract. Never relates two: that is the analyzer's `align`
//! stage, the only door between them.

use serde::{Deserialize, Serialize};

/// A clock domain: one host's one clock. The number is an index into the opened bundles' domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClockDomain(pub u32);
