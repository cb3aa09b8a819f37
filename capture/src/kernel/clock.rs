//! CLOCK_BOOTTIME, which all eBPF records carry. Never the wall clock: that is the `clock` table's business.

use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds since boot, time asleep included.
pub(crate) fn boottime_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}
