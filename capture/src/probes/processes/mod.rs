//! Processes and threads: what each was, from when to when, in which container and pod. The program (`processes.bpf.c`) tells of
//! changes; what is there at the start is read from `/proc`. Never joins one to a socket.

mod book;
mod container;
mod node;
mod record;

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use crate::error::Result;
use crate::kernel::{Count, Counts, Detaching, Object, Window, clock};
use crate::payload::Mode;
use crate::run::{Rows, Settings, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::{processes as processes_table, threads};
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
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

struct Running {
    ebpf: Option<Ebpf>,
    ring: RingBuf<MapData>,
    counts: Counts,
    window: Window,
    book: Book,
    n_unreadable: i64,
    detaching: Option<Detaching>,
}

fn start(settings: &Settings) -> Result<Box<dyn Source>> {
    let globals: &[(&'static str, &u32)] = &[("own_pid", &std::process::id())];
    let ring_bytes = (settings.memory_bytes / 64).clamp(1 << 12, 1 << 24) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, globals, ring_bytes)?;
    // Events first: who comes during the scan is in one of them at least.
    object.attach()?;
    let mut running = Running {
        ring: object.ring()?,
        counts: object.counts(COUNTS)?,
        // Who is there is asked of a sample's gaps too.
        window: object.window(None)?,
        ebpf: Some(object.ebpf),
        book: Book::new(settings.payload == Mode::Raw),
        n_unreadable: 0,
        detaching: None,
    };
    running.book.scan(clock::boottime_ns());
    Ok(Box::new(running))
}

impl Source for Running {
    fn drain(&mut self, rows: &mut dyn Rows) {
        while let Some(item) = self.ring.next() {
            match record::parse(&item) {
                Some(record) => self.book.record(&record),
                None => self.n_unreadable += 1,
            }
        }
        let (told, told_threads) = self.book.told();
        if !told.is_empty() {
            rows.append(&processes_table::TABLE, processes_table::batch(&told));
        }
        if !told_threads.is_empty() {
            rows.append(&threads::TABLE, threads::batch(&told_threads));
        }
    }

    fn each_second(&mut self, _now_ns: i64, _rows: &mut dyn Rows) {}

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = self.counts.losses();
        let n_unreadable = std::mem::take(&mut self.n_unreadable);
        if n_unreadable > 0 {
            losses.push(LossRow {
                source: PROBE.name.into(),
                cause: "unreadable-record".into(),
                count: n_unreadable,
                ..LossRow::default()
            });
        }
        losses
    }

    fn n_made(&mut self) -> Option<u64> {
        Some(self.counts.n_records())
    }

    fn stop(&mut self) {
        self.window.close();
        self.counts.detached();
        self.detaching = self.ebpf.take().map(Detaching::begin);
    }
}
