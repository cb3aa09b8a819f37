//! What a process used so far, as the kernel says. Never of another process.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};
use std::io;

/// What a process used so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Processor time in user mode, nanoseconds.
    pub(crate) user_ns: i64,
    /// Processor time in kernel mode, nanoseconds.
    pub(crate) system_ns: i64,
    /// The largest resident memory since its program began, bytes.
    pub(crate) peak_bytes: i64,
}

/// What this process used so far.
pub(crate) fn used() -> io::Result<Cost> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(Cost {
        user_ns: usage.user_time().num_nanoseconds(),
        system_ns: usage.system_time().num_nanoseconds(),
        peak_bytes: peak_bytes().unwrap_or(0),
    })
}

/// The largest resident memory since exec. (getrusage's begins with that of whoever started this program.)
fn peak_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}
