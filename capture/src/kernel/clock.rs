//! CLOCK_BOOTTIME, which all eBPF records carry, and the wall clock. Never relates them: that is the `clock` table's business.

use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds since boot, time asleep included.
pub(crate) fn boottime_ns() -> i64 {
    now_ns(ClockId::CLOCK_BOOTTIME)
}

/// Now, in nanoseconds of Unix time.
pub(crate) fn realtime_ns() -> i64 {
    now_ns(ClockId::CLOCK_REALTIME)
}

fn now_ns(clock: ClockId) -> i64 {
    let now = clock_gettime(clock).expect("Linux has these clocks since 2.6.39");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}
