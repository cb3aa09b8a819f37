//! Who woke whom, of threads that touch sockets: how work is handed over inside a process where no descriptor tells it (futexes). Never
//! a conclusion: a wake-up is evidence for a link, no link.

use super::Probe;
use super::needs::Needs;
use super::ringed::{Decoder, Ringed};
use super::wanted::Wanted;
use crate::broker::Broker;
use crate::error::Result;
use crate::kernel::{Count, Object};
use crate::machine::Kernel;
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::wakeups::{self, WakeupRow, WakeupRows};

/// The program, built from `wakeups.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("wakeups.bpf.o");

/// The order of `enum count`.
const COUNTS: &[Count] = &[Count { cause: None }, Count { cause: Some("ring-full") }];

/// `sock_send_length` and `sock_recv_length` tell which threads touch sockets.
const SOCKET_LENGTHS: Kernel = Kernel::new(6, 3);

/// Rows gathered before they are handed on.
const BATCH_ROWS: usize = 16_384;

/// Thread wake-ups.
pub(super) const PROBE: Probe = Probe {
    name: "wakeups",
    about: "who woke whom, between threads that touch sockets",
    on_by_default: false,
    kernel_floor: SOCKET_LENGTHS,
    check: |machine| {
        Needs::of(machine, SOCKET_LENGTHS, "sock_send_length")
            .ebpf()
            .events(&["sched/sched_waking", "sched/sched_switch", "sock/sock_send_length"])
            .done()
    },
    start: Some(start),
};

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let wanted = Wanted::of(&settings.filter);
    let (own, own_broker) = (std::process::id(), broker.id().unwrap_or(0));
    let globals = wanted.globals(&[("own_pid", &own), ("own_broker", &own_broker)]);
    let ring_bytes = (settings.memory_bytes / 64).clamp(1 << 12, 1 << 28) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, &globals, ring_bytes)?;
    wanted.fill(&mut object)?;
    object.attach()?;
    let rows = WakeupRows::default();
    Ok(Box::new(Ringed::begin(PROBE.name, object, COUNTS, settings.sample, rows)?))
}

impl Decoder for WakeupRows {
    fn record(&mut self, record: &[u8]) -> bool {
        let Some(record) = record.first_chunk::<24>() else { return false };
        let i64_at =
            |at: usize| i64::from_ne_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        let u32_at =
            |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("four bytes"));
        self.push(&WakeupRow {
            time_ns: i64_at(0),
            running_ns: Some(i64_at(8)),
            waker_tid: u32_at(16),
            woken_tid: u32_at(20),
        });
        true
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.is_empty() {
            rows.append(&wakeups::TABLE, self.finish());
        }
    }
}
