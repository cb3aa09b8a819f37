//! One fast hash for what is compared within an analysis. Never written to disk, never a proof: whoever meets equal ones knows more.

use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

/// A hash of bytes, the same on every machine.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0x0af7_e2b1).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
