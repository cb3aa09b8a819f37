//! Frames of all interfaces of every network namespace, by one packet socket in each. Never joins a frame to anything.

mod points;
mod program;
mod tap;

use super::Probe;
use super::needs::Needs;
use crate::error::{Error, Result};
use crate::kernel::{Instruction, Namespace, clock, namespaces};
use crate::machine::{Capability, Kernel};
use crate::payload::Payload;
use crate::run::{Rows, Settings, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::{interfaces, packets};
use std::collections::BTreeMap;
use tap::{Decoder, Tap};

/// TPACKET_V3.
const PACKET_RING: Kernel = Kernel::new(3, 2);

/// Rows, and bytes of their frames, gathered before they are handed on.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;

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
    taps: BTreeMap<u32, Tap>,
    /// Namespaces that could not be opened: told once.
    refused: BTreeMap<u32, bool>,
    decoder: Decoder,
    filter: Vec<Instruction>,
    wanted: Vec<u32>,
    ring_bytes: usize,
    n_frames: u64,
    stopped: bool,
}

fn start(settings: &Settings) -> Result<Box<dyn Source>> {
    let filter = program::program(&settings.filter.ports, settings.snap_length)?;
    let all = namespaces();
    let whole = settings.memory_bytes as usize / 4;
    let mut running = Running {
        taps: BTreeMap::new(),
        refused: BTreeMap::new(),
        decoder: Decoder::new(
            settings.snap_length,
            Payload::new(settings.payload),
            settings.sample,
        ),
        filter,
        wanted: settings.filter.namespaces.clone(),
        ring_bytes: (whole / (all.len() + 4)).clamp(SMALLEST_RING, LARGEST_RING),
        n_frames: 0,
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

impl Running {
    /// Opens what is new, closes what went. A namespace without a process and a name is held by nobody but this recorder.
    fn follow(&mut self, mut all: BTreeMap<u32, Namespace>) {
        let now_ns = clock::realtime_ns();
        if !self.wanted.is_empty() {
            all.retain(|inode, _| self.wanted.contains(inode));
        }
        let gone: Vec<u32> =
            self.taps.keys().filter(|inode| !all.contains_key(inode)).copied().collect();
        for inode in gone {
            if let Some(mut tap) = self.taps.remove(&inode) {
                tap.drain(&mut self.decoder);
                self.n_frames += u64::from(tap.losses().n_frames);
                self.decoder.points.went(inode, now_ns);
            }
        }
        for (inode, namespace) in all {
            if let Some(tap) = self.taps.get_mut(&inode) {
                tap.namespace = namespace;
                continue;
            }
            match Tap::open(inode, namespace, self.ring_bytes, &self.filter) {
                Ok(mut tap) => {
                    tap.each_second(&mut self.decoder.points, now_ns);
                    self.taps.insert(inode, tap);
                }
                // It went meanwhile, or it may not be entered.
                Err(_) => {
                    self.refused.entry(inode).or_insert(false);
                }
            }
        }
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
        if !self.stopped {
            self.follow(namespaces());
            let now_ns = clock::realtime_ns();
            for tap in self.taps.values_mut() {
                tap.each_second(&mut self.decoder.points, now_ns);
            }
        }
        self.hand_on(rows);
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = Vec::new();
        for tap in self.taps.values() {
            let counted = tap.losses();
            self.n_frames += u64::from(counted.n_frames);
            if counted.n_dropped > 0 {
                losses.push(LossRow {
                    source: PROBE.name.to_string(),
                    cause: "ring-full".to_string(),
                    count: i64::from(counted.n_dropped),
                    ..LossRow::default()
                });
            }
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

    fn n_made(&self) -> Option<u64> {
        Some(self.n_frames.saturating_sub(self.decoder.n_skipped))
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.taps.values().for_each(Tap::stop);
    }
}
