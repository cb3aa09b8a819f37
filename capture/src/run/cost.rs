//! What recording costs the machine: the recorder's and its broker's processor time and memory, once a second, as counters. Never the cost
//! inside the recorded processes: the kernel's eBPF statistics tell that.

use crate::broker::{Broker, used};
use afterpath_formats::table::counters::CounterRow;

/// What the recorder and its broker used so far: processor time in user and kernel mode (ns), its largest resident memory (bytes), and how
/// many records each probe's kernel side made, lost ones too.
pub(super) fn rows<'a>(
    now_ns: i64,
    made: impl Iterator<Item = (&'a str, u64)>,
    broker: &Broker,
) -> Vec<CounterRow> {
    let row = |name: &str, subject: Option<&str>, value: i64| CounterRow {
        time_ns: now_ns,
        name: name.to_string(),
        subject: subject.map(str::to_string),
        value,
    };
    let mut rows: Vec<CounterRow> =
        made.map(|(probe, n)| row("recorder.records", Some(probe), n as i64)).collect();
    if let (Ok(own), Ok(brokers)) = (used(), broker.cost()) {
        rows.push(row("recorder.user_ns", None, own.user_ns + brokers.user_ns));
        rows.push(row("recorder.system_ns", None, own.system_ns + brokers.system_ns));
        rows.push(row("recorder.peak_memory_bytes", None, own.peak_bytes + brokers.peak_bytes));
    }
    rows
}
