//! The kernel's clocks: now, and the three of them at one moment. Never relates two machines.
#![allow(unsafe_code, reason = "adjtimex has no safe interface")]

use afterpath_formats::table::clock::ClockRow;
use nix::time::{ClockId, clock_gettime};

/// `domain_id` of CLOCK_REALTIME: packets.
pub(crate) const REALTIME: u32 = 0;
/// `domain_id` of CLOCK_BOOTTIME: everything else.
pub(crate) const BOOTTIME: u32 = 1;

/// Readings of which the tightest counts.
const N_TRIES: usize = 50;
/// REALTIME that moved against BOOTTIME by more than both readings' uncertainty and this was set: slewing is at most 500 ppm, of a
/// second.
const SLEWED_NS: i64 = 600_000;

/// `STA_UNSYNC`, `STA_NANO` (include/uapi/linux/timex.h).
const UNSYNCHRONIZED: i32 = 0x40;
const IN_NANOSECONDS: i32 = 0x2000;

/// Now, in nanoseconds since boot, time asleep included.
pub(crate) fn boottime_ns() -> i64 {
    now_ns(ClockId::CLOCK_BOOTTIME)
}

/// Now, in nanoseconds of Unix time.
pub(crate) fn realtime_ns() -> i64 {
    now_ns(ClockId::CLOCK_REALTIME)
}

/// What the three clocks said at once, and what the kernel knows of its own error. `before` is the reading of about a second ago.
pub(crate) fn reading(before: Option<&ClockRow>) -> ClockRow {
    let tries = (0..N_TRIES).map(|_| sandwich());
    let tightest = tries.min_by_key(|row| row.uncertainty_ns).unwrap_or_default();
    let offset_ns = |row: &ClockRow| row.realtime_ns - row.boottime_ns;
    let stepped = before.is_some_and(|before| {
        let seconds = (tightest.boottime_ns - before.boottime_ns).max(0) / 1_000_000_000 + 1;
        let moved = (offset_ns(&tightest) - offset_ns(before)).abs();
        moved > SLEWED_NS * seconds + tightest.uncertainty_ns + before.uncertainty_ns
    });
    with_discipline(ClockRow { stepped, ..tightest })
}

/// REALTIME between two readings of BOOTTIME; RAW right behind.
fn sandwich() -> ClockRow {
    let first = boottime_ns();
    let realtime_ns = realtime_ns();
    let last = boottime_ns();
    let monotonic_raw_ns = now_ns(ClockId::CLOCK_MONOTONIC_RAW);
    ClockRow {
        boottime_ns: first + (last - first) / 2,
        realtime_ns,
        monotonic_raw_ns,
        uncertainty_ns: last - first,
        ..ClockRow::default()
    }
}

fn with_discipline(row: ClockRow) -> ClockRow {
    // SAFETY: all zeros is a valid value, and asks for nothing to be changed.
    let mut told: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer lives through the call.
    if unsafe { libc::adjtimex(&raw mut told) } < 0 {
        return row;
    }
    let unit_ns = if told.status & IN_NANOSECONDS != 0 { 1 } else { 1000 };
    ClockRow {
        synchronized: Some(told.status & UNSYNCHRONIZED == 0),
        offset_ns: Some(told.offset * unit_ns),
        // Parts per million, 16 bits of fraction.
        frequency_ppb: Some(told.freq.saturating_mul(1000) >> 16),
        maximum_error_ns: Some(told.maxerror.saturating_mul(1000)),
        estimated_error_ns: Some(told.esterror.saturating_mul(1000)),
        ..row
    }
}

fn now_ns(clock: ClockId) -> i64 {
    let now = clock_gettime(clock).expect("Linux has these clocks since 2.6.39");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_tight_and_a_step_is_seen() {
        let first = reading(None);
        assert!(first.uncertainty_ns < 1_000_000, "{first:?}");
        assert!(!reading(Some(&first)).stepped);
        let set = ClockRow { realtime_ns: first.realtime_ns + 5_000_000, ..first };
        assert!(reading(Some(&set)).stepped);
    }
}
