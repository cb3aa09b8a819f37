//! Processes and threads: what each was, from when to when, in which container and pod. The program (`processes.bpf.c`) tells of
//! changes; what is there at the start is read from `/proc`. Never joins one to a socket.

mod book;
mod container;
mod node;
mod record;

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use super::ringed::{Decoder, Ringed};
use crate::broker::Broker;
use crate::error::Result;
use crate::kernel::{Count, Object, clock};
use crate::payload::Mode;
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::{processes as processes_table, threads};
use book::Book;

/// The program, built from `processes.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("processes.bpf.o");

/// The order of `enum count`.
const COUNTS: &[Count] = &[Count { cause: None }, Count { cause: Some("ring-full") }];

/// Processes.
pub(super) const PROBE: Probe = Probe {
    name: "processes",
    about: "fork, exec, exit and thread names; cgroup, container and pod",
    on_by_default: true,
    kernel_floor: RING_BUFFER,
    check: |machine| Needs::of(machine, RING_BUFFER, "BPF ring buffer").ebpf().done(),
    start: Some(start),
};

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let globals: &[(&'static str, &u32)] =
        &[("own_pid", &std::process::id()), ("own_broker", &broker.id().unwrap_or(0))];
    let ring_bytes = (settings.memory_bytes / 64).clamp(1 << 12, 1 << 24) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, globals, ring_bytes)?;
    // Events first: who comes during the scan is in one of them at least.
    object.attach()?;
    let book = Book::new(settings.payload == Mode::Raw, &settings.filter, broker.clone());
    // Who is there is asked of a sample's gaps too.
    let mut ringed = Ringed::begin(PROBE.name, object, COUNTS, None, book)?;
    ringed.decoder.scan(clock::boottime_ns());
    Ok(Box::new(ringed))
}

impl Decoder for Book {
    fn record(&mut self, record: &[u8]) -> bool {
        let record = record::parse(record);
        record.inspect(|record| self.take(record)).is_some()
    }

    fn each_second(&mut self, _now_ns: i64, _rows: &mut dyn Rows) {
        self.look_again();
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        let (told, told_threads) = self.told();
        if !told.is_empty() {
            rows.append(&processes_table::TABLE, processes_table::batch(&told));
        }
        if !told_threads.is_empty() {
            rows.append(&threads::TABLE, threads::batch(&told_threads));
        }
    }
}
