//! Plaintext of TLS, where programs hand it to OpenSSL's libssl or Go's crypto/tls, or get it from there. The program (`tls.bpf.c`) writes one record per
//! call; here they become rows. Never joins one to a socket: the calls beneath are those of the same thread meanwhile.

mod record;

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use super::ringed::{Decoder, Ringed};
use super::wanted::Wanted;
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::kernel::{Count, Detaching, Object, uprobe};
use crate::payload::{Moved, Payload};
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::plaintext::{self, PlaintextRow, PlaintextRows};
use aya::programs::Program;
use record::{Record, parse};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The program, built from `tls.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("tls.bpf.o");

/// The order of `enum count`.
const COUNTS: &[Count] = &[
    Count { cause: None },
    Count { cause: Some("ring-full") },
    Count { cause: Some("table-full") },
];

/// Rows gathered before they are handed on.
const BATCH_ROWS: usize = 8192;
/// Connections remembered at most; who was forgotten is masked as one joined in its middle.
const MAX_CONNECTIONS: usize = 65_536;

/// Plaintext of TLS.
pub(super) const PROBE: Probe = Probe {
    name: "tls",
    about: "plaintext at the reads and writes of libssl and Go's crypto/tls, by connection and thread",
    on_by_default: false,
    kernel_floor: RING_BUFFER,
    check: |machine| {
        Needs::of(machine, RING_BUFFER, "BPF ring buffer")
            .ebpf()
            .perf_events()
            .feature(machine.uprobes, "uprobes", "CONFIG_UPROBE_EVENTS")
            .feature(cfg!(target_arch = "x86_64"), "registers of x86-64", "that architecture")
            .done()
    },
    start: Some(start),
};

/// The kernel's side, and what it is attached to.
struct Running {
    ringed: Ringed<Records>,
    broker: Broker,
    /// Events that are joined to programs.
    events: Vec<OwnedFd>,
    detaching: Option<Detaching>,
    /// Whether libraries that appear later are attached, too.
    follow: bool,
    n_unattached: i64,
}

/// Records → rows.
struct Records {
    payload: Payload,
    rows: PlaintextRows,
    /// Connections on which something was said.
    spoken: HashSet<i64>,
}

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let filter = &settings.filter;
    if !filter.ports.is_empty() {
        let why = "plaintext can't be filtered by port; filter by process, cgroup or namespace";
        return Err(Error::BadArguments(format!("probe tls: {why}")));
    }
    let payload = Payload::new(settings.payload);
    let kept = if payload.keeps_any() { settings.payload_bytes.min(4096) } else { 0 };
    let wanted = Wanted::of(filter);
    let globals = wanted.globals(&[("n_bytes_kept", &kept)]);
    let ring_bytes = (settings.memory_bytes / 32).clamp(1 << 12, 1 << 28) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, &globals, ring_bytes)?;
    wanted.fill(&mut object)?;
    object.attach()?;
    let records = Records { payload, rows: PlaintextRows::default(), spoken: HashSet::new() };
    let mut running = Running {
        ringed: Ringed::begin(PROBE.name, object, COUNTS, settings.sample, records)?,
        broker: broker.clone(),
        events: Vec::new(),
        detaching: None,
        follow: settings.follow,
        n_unattached: 0,
    };
    // What is there already comes in several parts.
    while running.attach() > 0 {}
    Ok(Box::new(running))
}

impl Running {
    /// Attaches to the functions that the broker found since; a library that refuses is a loss, not an end. How many functions.
    fn attach(&mut self) -> usize {
        let Some(ebpf) = &mut self.ringed.ebpf else { return 0 };
        let Ok((functions, n_refused)) = self.broker.functions() else { return 0 };
        let n_functions = functions.len();
        self.n_unattached += n_refused as i64;
        for (function, event) in functions {
            let when = if function.is_return { "exit" } else { "enter" };
            let Some(Program::UProbe(program)) = ebpf.program(&format!("{when}_{}", function.name))
            else {
                continue;
            };
            let joined = program.fd().map_err(io::Error::other);
            match joined.and_then(|program| uprobe::join(&event, program.as_fd())) {
                Ok(()) => self.events.push(event),
                Err(_) => self.n_unattached += 1,
            }
        }
        n_functions
    }
}

impl Records {
    fn of(&mut self, record: &Record<'_>) {
        // Connections of all processes share one book: the addresses of two processes may be equal.
        let connection = record.handle.rotate_left(20) ^ i64::from(record.pid);
        let direction = match record.call {
            "read" => Some(1),
            "write" => Some(2),
            _ => None,
        };
        match record.call {
            "handshake" if !self.spoken.contains(&connection) => {
                self.payload.opened(connection, [None, None]);
            }
            "close" => {
                self.payload.closed(connection);
                self.spoken.remove(&connection);
            }
            _ => {}
        }
        let mut bytes: &[u8] = &[];
        if direction.is_some() && record.result > 0 {
            if self.spoken.len() >= MAX_CONNECTIONS {
                self.spoken.clear();
            }
            self.spoken.insert(connection);
            bytes = self.payload.of_event(&Moved {
                socket: connection,
                outbound: direction == Some(2),
                is_datagram: false,
                sequence: None,
                bytes: record.bytes,
                length: record.result.clamp(0, i64::from(u32::MAX)) as u32,
                mark: None,
            });
        }
        self.rows.push(&PlaintextRow {
            time_ns: record.time_ns,
            exit_ns: record.exit_ns,
            pid: record.pid,
            tid: record.tid,
            library: record.library,
            handle: record.handle,
            call: record.call,
            fd: record.fd,
            asked: direction.map(|_| record.asked),
            result: record.result,
            bytes: (!bytes.is_empty()).then_some(bytes),
        });
    }
}

impl Decoder for Records {
    fn record(&mut self, record: &[u8]) -> bool {
        let record = parse(record);
        record.inspect(|record| self.of(record)).is_some()
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.rows.is_empty() {
            rows.append(&plaintext::TABLE, self.rows.finish());
        }
    }

    fn lost(&mut self, n_lost: u64) {
        self.payload.lost(n_lost);
    }
}

impl Source for Running {
    fn drain(&mut self, rows: &mut dyn Rows) {
        self.ringed.drain(rows);
    }

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        self.ringed.each_second(now_ns, rows);
        if self.follow {
            self.attach();
        }
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = self.ringed.losses();
        let n_unattached = std::mem::take(&mut self.n_unattached);
        if n_unattached > 0 {
            losses.push(LossRow {
                source: PROBE.name.into(),
                cause: "unattached-library".into(),
                count: n_unattached,
                ..LossRow::default()
            });
        }
        losses
    }

    fn n_made(&mut self) -> Option<u64> {
        self.ringed.n_made()
    }

    fn stop(&mut self) {
        self.ringed.stop();
        self.detaching = Some(Detaching::begin(std::mem::take(&mut self.events)));
    }
}
