//! Which goroutine each thread of a Go program runs at its socket calls, and which one made that. The program (`coroutines.bpf.c`) reads
//! it where the runtime keeps it; where that is depends on the Go version, which the broker finds. Never enters a process.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use super::ringed::{Decoder, Ringed};
use super::wanted::Wanted;
use crate::broker::{Broker, GoLayout};
use crate::error::{Error, Result};
use crate::kernel::{Count, Object};
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::tasks::{self, TaskRow, TaskRows};
use aya::maps::{HashMap, MapData};
use std::collections::BTreeMap;

/// The program, built from `coroutines.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("coroutines.bpf.o");

/// The order of `enum count`.
const COUNTS: &[Count] = &[Count { cause: None }, Count { cause: Some("ring-full") }];

/// Rows gathered before they are handed on.
const BATCH_ROWS: usize = 16_384;

/// Goroutines.
pub(super) const PROBE: Probe = Probe {
    name: "coroutines",
    about: "goroutine of each thread at its socket calls, and which one made it (Go 1.18 to 1.27)",
    on_by_default: true,
    kernel_floor: RING_BUFFER,
    check: |machine| {
        Needs::of(machine, RING_BUFFER, "BPF ring buffer")
            .ebpf()
            .events(&["syscalls/sys_enter_read"])
            .feature(cfg!(target_arch = "x86_64"), "registers of x86-64", "that architecture")
            .done()
    },
    start: Some(start),
};

/// The kernel's side, and the programs that it knows.
struct Running {
    ringed: Ringed<Tasks>,
    broker: Broker,
    programs: HashMap<MapData, u32, [u64; 3]>,
    known: BTreeMap<u32, GoLayout>,
    follow: bool,
    n_unknown: i64,
    n_left_out: i64,
}

/// Records → rows, and processes that became another program.
#[derive(Default)]
struct Tasks {
    rows: TaskRows,
    changed: Vec<u32>,
}

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let wanted = Wanted::of(&settings.filter);
    let ring_bytes = (settings.memory_bytes / 64).clamp(1 << 12, 1 << 26) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, &wanted.globals(&[]), ring_bytes)?;
    wanted.fill(&mut object)?;
    object.attach()?;
    let programs = object.ebpf.take_map("programs").expect("the object has this map");
    let programs = HashMap::try_from(programs)
        .map_err(|error| Error::probe(PROBE.name, "programs", &error))?;
    let mut running = Running {
        ringed: Ringed::begin(PROBE.name, object, COUNTS, settings.sample, Tasks::default())?,
        broker: broker.clone(),
        programs,
        known: BTreeMap::new(),
        follow: settings.follow,
        n_unknown: 0,
        n_left_out: 0,
    };
    running.learn();
    Ok(Box::new(running))
}

impl Running {
    /// Tells the program which processes are Go programs by now.
    fn learn(&mut self) {
        let Ok((found, n_unknown)) = self.broker.go_programs() else { return };
        self.n_unknown += n_unknown as i64;
        let gone: Vec<u32> =
            self.known.keys().filter(|pid| !found.contains_key(pid)).copied().collect();
        gone.into_iter().for_each(|pid| self.tell(pid, None));
        found.into_iter().for_each(|(pid, layout)| self.tell(pid, Some(layout)));
    }

    /// The same of some that just became another program, at once: short lives are recorded, too.
    fn learn_changed(&mut self) {
        for pid in std::mem::take(&mut self.ringed.decoder.changed) {
            let Ok((layout, n_unknown)) = self.broker.go_program(pid) else { return };
            self.n_unknown += n_unknown as i64;
            self.tell(pid, layout);
        }
    }

    /// Tells the program what a process is, if that is new.
    fn tell(&mut self, pid: u32, layout: Option<GoLayout>) {
        if self.known.get(&pid) == layout.as_ref() {
            return;
        }
        let Some(layout) = layout else {
            self.known.remove(&pid);
            // One that is not there can't be told of.
            let _ = self.programs.remove(&pid);
            return;
        };
        let value = [layout.current as u64, layout.task, layout.creator.unwrap_or(0)];
        match self.programs.insert(pid, value, 0) {
            Ok(()) => {
                self.known.insert(pid, layout);
            }
            Err(_) => self.n_left_out += 1,
        }
    }
}

impl Decoder for Tasks {
    fn record(&mut self, record: &[u8]) -> bool {
        let Some(record) = record.first_chunk::<32>() else { return false };
        let i64_at =
            |at: usize| i64::from_ne_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        let u32_at =
            |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("four bytes"));
        if i64_at(8) == 0 {
            self.changed.push(u32_at(24));
            return true;
        }
        self.rows.push(&TaskRow {
            time_ns: i64_at(0),
            pid: u32_at(24),
            tid: u32_at(28),
            task_id: i64_at(8),
            creator_task_id: Some(i64_at(16)).filter(|creator| *creator != 0),
            runtime: "go",
        });
        true
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.rows.is_empty() {
            rows.append(&tasks::TABLE, self.rows.finish());
        }
    }
}

impl Source for Running {
    fn drain(&mut self, rows: &mut dyn Rows) {
        self.ringed.drain(rows);
        if self.follow {
            self.learn_changed();
        }
    }

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        self.ringed.each_second(now_ns, rows);
        if self.follow {
            self.learn();
        }
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = self.ringed.losses();
        for (cause, n) in
            [("unknown-go-version", &mut self.n_unknown), ("table-full", &mut self.n_left_out)]
        {
            let count = std::mem::take(n);
            if count > 0 {
                losses.push(LossRow {
                    source: PROBE.name.into(),
                    cause: cause.into(),
                    count,
                    ..LossRow::default()
                });
            }
        }
        losses
    }

    fn n_made(&mut self) -> Option<u64> {
        self.ringed.n_made()
    }

    fn stop(&mut self) {
        self.ringed.stop();
    }
}
