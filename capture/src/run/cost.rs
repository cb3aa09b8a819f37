//! What recording costs the machine: the recorder's own processor time and memory, once a second, as counters. Never the cost
//! inside the recorded processes: the kernel's eBPF statistics tell that.

use afterpath_formats::table::counters::CounterRow;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What the recorder used so far: processor time in user and kernel mode (ns), its largest resident memory (bytes), and how
/// many records each probe's kernel side made, lost ones too.
pub(super) fn rows<'a>(now_ns: i64, made: impl Iterator<Item = (&'a str, u64)>) -> Vec<CounterRow> {
    let row = |name: &str, subject: Option<&str>, value: i64| CounterRow {
        time_ns: now_ns,
        name: name.to_string(),
        subject: subject.map(str::to_string),
        value,
    };
    let mut rows: Vec<CounterRow> =
        made.map(|(probe, n)| row("recorder.records", Some(probe), n as i64)).collect();
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        rows.push(row("recorder.user_ns", None, usage.user_time().num_nanoseconds()));
        rows.push(row("recorder.system_ns", None, usage.system_time().num_nanoseconds()));
    }
    rows.extend(peak_bytes().map(|n| row("recorder.peak_memory_bytes", None, n)));
    rows
}

/// The largest resident memory since exec. (getrusage's begins with that of whoever started this program.)
fn peak_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}
