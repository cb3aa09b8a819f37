//! Frames of all interfaces of every network namespace, by one packet socket in each. Never joins a frame to anything.

mod chosen;
mod expression;
mod points;
mod program;
mod tap;

use super::Probe;
use super::needs::Needs;
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::kernel::{Instruction, Link, Namespace, clock};
use crate::machine::{Capability, Kernel};
use crate::payload::Payload;
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::{interfaces, packets};
use chosen::Chosen;
use std::collections::BTreeMap;
use std::time::Duration;
use tap::{Counted, Decoder, Tap};

/// TPACKET_V3.
const PACKET_RING: Kernel = Kernel::new(3, 2);

/// Rows, and bytes of their frames, gathered before they are handed on.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;

/// Stopping waits so often, so long, for what the kernel still holds.
const MAX_WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);

/// One namespace's ring: at least, and at most.
const SMALLEST_RING: usize = 256 << 10;
const LARGEST_RING: usize = 16 << 20;

/// Frames.
pub(super) const PROBE: Probe = Probe {
    name: "packets",
    about: "frames of all interfaces in every network namespace, cut at a snap length",
    on_by_default: true,
    kernel_floor: PACKET_RING,
    check: |machine| {
        Needs::of(machine, PACKET_RING, "TPACKET_V3")
            .feature(machine.packet_sockets, "packet sockets", "CONFIG_PACKET")
            .capability(Capability::NetRaw)
            .done()
    },
    start: Some(start),
};

struct Running {
    broker: Broker,
    taps: BTreeMap<u32, Tap>,
    /// Namespaces that could not be opened: told once.
    refused: BTreeMap<u32, bool>,
    decoder: Decoder,
    filter: Vec<Instruction>,
    chosen: Chosen,
    ring_bytes: usize,
    /// Of taps that are closed.
    closed: Counted,
    n_told_dropped: u64,
    follow: bool,
    stopped: bool,
}

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let filter = program::program(&settings.filter, settings.snap_length)?;
    let mut all =
        broker.namespaces().map_err(|error| Error::probe(PROBE.name, "list namespaces", &error))?;
    let mut chosen = Chosen::of(&settings.filter);
    chosen.keep(&mut all, broker);
    if chosen.numbers(&[]).is_some()
        && let Some(name) = chosen.unknown(&links(&all, broker))
    {
        let why =
            format!("no interface is called {name:?} in any network namespace that is recorded");
        return Err(Error::BadArguments(why));
    }
    let whole = settings.memory_bytes as usize / 4;
    let mut running = Running {
        broker: broker.clone(),
        taps: BTreeMap::new(),
        refused: BTreeMap::new(),
        decoder: Decoder::new(
            settings.snap_length,
            Payload::new(settings.payload),
            settings.sample,
        ),
        filter,
        chosen,
        ring_bytes: (whole / (all.len() + 4)).clamp(SMALLEST_RING, LARGEST_RING),
        closed: Counted::default(),
        n_told_dropped: 0,
        follow: settings.follow,
        stopped: false,
    };
    running.follow(all);
    match running.taps.is_empty() {
        true => {
            let why = std::io::Error::other("no network namespace could be opened");
            Err(Error::probe(PROBE.name, "open", &why))
        }
        false => Ok(Box::new(running)),
    }
}

/// The interfaces of all namespaces that can be entered.
fn links(all: &BTreeMap<u32, Namespace>, broker: &Broker) -> Vec<Link> {
    all.keys().filter_map(|inode| broker.links(*inode).ok()).flatten().collect()
}

impl Running {
    /// Opens what is new, closes what went. A namespace without a process and a name is held by nobody but this recorder.
    fn follow(&mut self, mut all: BTreeMap<u32, Namespace>) {
        let now_ns = clock::realtime_ns();
        self.chosen.keep(&mut all, &self.broker);
        let gone: Vec<u32> =
            self.taps.keys().filter(|inode| !all.contains_key(inode)).copied().collect();
        for inode in gone {
            if let Some(mut tap) = self.taps.remove(&inode) {
                tap.drain(&mut self.decoder);
                let counted = tap.counted();
                self.closed.n_frames += counted.n_frames;
                // What is in a block that is not full goes with the namespace.
                self.closed.n_dropped += counted.n_frames - counted.n_taken;
                self.decoder.points.went(inode, now_ns);
            }
        }
        for (inode, namespace) in all {
            if let Some(tap) = self.taps.get_mut(&inode) {
                tap.namespace = namespace;
                continue;
            }
            match Tap::open(
                inode,
                namespace,
                &self.broker,
                self.ring_bytes,
                &self.filter,
                &self.chosen,
            ) {
                Ok(mut tap) => {
                    tap.each_second(&mut self.decoder.points, &self.broker, &self.chosen, now_ns);
                    self.taps.insert(inode, tap);
                }
                // It went meanwhile, or it may not be entered.
                Err(_) => {
                    self.refused.entry(inode).or_insert(false);
                }
            }
        }
    }

    /// Sums over all taps.
    fn counted(&mut self) -> Counted {
        let mut sum = self.closed;
        for counted in self.taps.values_mut().map(Tap::counted) {
            sum.n_frames += counted.n_frames;
            sum.n_dropped += counted.n_dropped;
            sum.n_taken += counted.n_taken;
        }
        sum
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        let changed = self.decoder.points.changed();
        if !changed.is_empty() {
            // A row of packets never comes before its interface.
            rows.append(&interfaces::TABLE, interfaces::batch(&changed));
        }
        if !self.decoder.rows.is_empty() {
            rows.append(&packets::TABLE, self.decoder.rows.finish());
        }
    }
}

impl Source for Running {
    fn drain(&mut self, rows: &mut dyn Rows) {
        let inodes: Vec<u32> = self.taps.keys().copied().collect();
        for inode in inodes {
            if let Some(tap) = self.taps.get_mut(&inode) {
                tap.drain(&mut self.decoder);
            }
            if self.decoder.rows.len() >= BATCH_ROWS || self.decoder.rows.n_bytes() >= BATCH_BYTES {
                self.hand_on(rows);
            }
        }
    }

    fn each_second(&mut self, _now_ns: i64, rows: &mut dyn Rows) {
        if self.follow && !self.stopped {
            // Without an answer nothing is known to have gone.
            if let Ok(all) = self.broker.namespaces() {
                self.follow(all);
            }
            let now_ns = clock::realtime_ns();
            for tap in self.taps.values_mut() {
                tap.each_second(&mut self.decoder.points, &self.broker, &self.chosen, now_ns);
            }
        }
        self.hand_on(rows);
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = Vec::new();
        let n_dropped = self.counted().n_dropped;
        if n_dropped > self.n_told_dropped {
            losses.push(LossRow {
                source: PROBE.name.to_string(),
                cause: "ring-full".to_string(),
                count: (n_dropped - self.n_told_dropped) as i64,
                ..LossRow::default()
            });
            self.n_told_dropped = n_dropped;
        }
        for (_, told) in self.refused.iter_mut().filter(|(_, told)| !**told) {
            *told = true;
            losses.push(LossRow {
                source: PROBE.name.to_string(),
                cause: "namespace-not-entered".to_string(),
                count: 1,
                ..LossRow::default()
            });
        }
        losses
    }

    fn n_made(&mut self) -> Option<u64> {
        Some(self.counted().n_frames.saturating_sub(self.decoder.n_skipped))
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.taps.values().for_each(Tap::stop);
        // A block that is not full is handed over by the kernel's timer.
        for _ in 0..MAX_WAITS {
            let mut is_waiting = false;
            for tap in self.taps.values_mut() {
                tap.drain(&mut self.decoder);
                let Counted { n_frames, n_dropped, n_taken } = tap.counted();
                is_waiting |= n_taken + n_dropped < n_frames;
            }
            if !is_waiting {
                return;
            }
            std::thread::sleep(WAIT);
        }
    }
}
