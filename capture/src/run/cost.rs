//! What recording costs the machine: the recorder's own processor time and memory, once a second, as counters. Never the cost
//! inside the recorded processes: the kernel's eBPF statistics tell that.

use afterpath_formats::table::counters::CounterRow;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What the recorder used so far: processor time in user and kernel mode (ns), its largest resident memory (bytes).
pub(super) fn rows(now_ns: i64) -> Vec<CounterRow> {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Vec::new() };
    let row = |name: &str, value: i64| CounterRow {
        time_ns: now_ns,
        name: name.to_string(),
        subject: None,
        value,
    };
    vec![
        row("recorder.user_ns", usage.user_time().num_nanoseconds()),
        row("recorder.system_ns", usage.system_time().num_nanoseconds()),
        row("recorder.peak_memory_bytes", usage.max_rss() as i64 * 1024),
    ]
}
