//! Socket events: what each thread did on each socket, with the TCP sequence numbers before and after. The program
//! (`sockets.bpf.c`) writes one record per call; here they become rows. Never joins an event to anything.

mod known;
mod mark;
mod record;

use super::Probe;
use super::needs::{CURRENT_TASK, Needs};
use crate::error::Result;
use crate::kernel::{Count, Counts, Detaching, Object, Window, clock};
use crate::payload::{Moved, Payload};
use crate::run::{Rows, Settings, Source};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::socket_events::{self, SocketEventRow, SocketEventRows};
use afterpath_formats::table::sockets as sockets_table;
use aya::Ebpf;
use aya::maps::{HashMap, MapData, RingBuf};
use known::Sockets;
use record::{Event, Record, parse};

/// The program, built from `sockets.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("sockets.bpf.o");

/// The order of `enum count`.
const COUNTS: &[Count] = &[
    Count { cause: None },
    Count { cause: Some("ring-full") },
    Count { cause: Some("table-full") },
    Count { cause: Some("long-batch") },
    Count { cause: Some("untold-socket") },
];

/// Rows gathered before they are handed on.
const BATCH_ROWS: usize = 8192;

/// Socket events.
pub(super) const PROBE: Probe = Probe {
    name: "sockets",
    about: "sends, receives, connects, accepts and event-loop turns, with socket and sequence",
    on_by_default: true,
    kernel_floor: CURRENT_TASK,
    check: |machine| {
        // One per kind of call: the others come with the same build option.
        Needs::of(machine, CURRENT_TASK, "bpf_get_current_task_btf")
            .ebpf()
            .events(&[
                "syscalls/sys_enter_read",
                "syscalls/sys_exit_read",
                "syscalls/sys_enter_sendmmsg",
                "syscalls/sys_enter_epoll_wait",
            ])
            .done()
    },
    start: Some(start),
};

/// The kernel's side, and what becomes of its records.
struct Running {
    ebpf: Option<Ebpf>,
    ring: RingBuf<MapData>,
    counts: Counts,
    window: Window,
    decoder: Decoder,
    detaching: Option<Detaching>,
}

/// Records → rows.
struct Decoder {
    started_ns: i64,
    sockets: Sockets,
    payload: Payload,
    rows: SocketEventRows,
    n_unreadable: i64,
}

/// Loads and attaches the program, and lists the sockets that are open.
fn start(settings: &Settings) -> Result<Box<dyn Source>> {
    let payload = Payload::new(settings.payload);
    let kept = if payload.keeps_any() { settings.payload_bytes.min(4096) } else { 0 };
    let filter = &settings.filter;
    let is_on = |list: bool| u32::from(list);
    let globals: &[(&'static str, &u32)] = &[
        ("own_pid", &std::process::id()),
        ("n_bytes_kept", &kept),
        ("filter_processes", &is_on(!filter.processes.is_empty())),
        ("filter_cgroups", &is_on(!filter.cgroups.is_empty())),
        ("filter_ports", &is_on(!filter.ports.is_empty())),
        ("filter_namespaces", &is_on(!filter.namespaces.is_empty())),
    ];
    let ring_bytes = (settings.memory_bytes / 16).clamp(1 << 12, 1 << 30) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, globals, ring_bytes)?;
    fill(&mut object.ebpf, "wanted_processes", &filter.processes)?;
    fill(&mut object.ebpf, "wanted_cgroups", &filter.cgroups)?;
    fill(&mut object.ebpf, "wanted_ports", &filter.ports)?;
    fill(&mut object.ebpf, "wanted_namespaces", &filter.namespaces)?;
    let started_ns = clock::boottime_ns();
    object.attach()?;
    object.iterate_files("open_before")?;
    Ok(Box::new(Running {
        ring: object.ring()?,
        counts: object.counts(COUNTS)?,
        window: object.window(settings.sample)?,
        ebpf: Some(object.ebpf),
        decoder: Decoder {
            started_ns,
            sockets: Sockets::default(),
            payload,
            rows: SocketEventRows::default(),
            n_unreadable: 0,
        },
        detaching: None,
    }))
}

fn fill<K: aya::Pod>(ebpf: &mut Ebpf, name: &'static str, keys: &[K]) -> Result<()> {
    let refused = |error: aya::maps::MapError| crate::Error::probe(PROBE.name, name, &error);
    let map = ebpf.map_mut(name).expect("the object has this map");
    let mut map: HashMap<_, K, u8> = HashMap::try_from(map).map_err(refused)?;
    keys.iter().try_for_each(|key| map.insert(*key, 1, 0).map_err(refused))
}

impl Decoder {
    fn record(&mut self, record: &[u8]) {
        match parse(record) {
            Some(Record::Event(event)) => self.event(&event),
            Some(Record::Socket(socket)) => self.sockets.learn(&socket, self.started_ns),
            None => self.n_unreadable += 1,
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        self.sockets.used(event);
        let outbound = event.direction == socket_events::OUTBOUND;
        let mark = mark::mark(event);
        match event.call {
            "connect" | "accept" if opens(event) => {
                let first = event.sequences.filter(|_| event.result == 0 || event.call == "accept");
                // Of a connect that goes on, only the outbound number is known.
                let outbound = event.sequences.map(|(_, after)| after);
                self.payload.opened(event.inode, [first.map(|(before, _)| before), outbound]);
            }
            "close" => self.payload.closed(event.inode),
            _ => {}
        }
        let moves = event.direction != 0 && event.result > 0;
        let moved = Moved {
            socket: event.inode,
            outbound,
            is_datagram: event.kind == "udp",
            sequence: event.sequences.map(|(before, _)| before),
            bytes: event.bytes,
            length: event.result.clamp(0, i64::from(u32::MAX)) as u32,
            mark,
        };
        let bytes = if moves { self.payload.of_event(&moved) } else { &[] };
        self.rows.push(&SocketEventRow {
            time_ns: event.time_ns,
            exit_ns: (event.exit_ns != 0).then_some(event.exit_ns),
            kind: event.kind,
            socket_id: (event.inode != 0).then_some(event.inode),
            pid: event.pid,
            tid: event.tid,
            call: event.call,
            fd: event.fd,
            direction: (event.direction != 0).then_some(event.direction),
            result: (event.exit_ns != 0).then_some(event.result),
            flags: (event.flags != 0).then_some(event.flags),
            sequence_before: event.sequences.map(|(before, _)| before),
            sequence_after: event.sequences.map(|(_, after)| after),
            mark,
            peer: event.peer,
            bytes: (!bytes.is_empty()).then_some(bytes),
        });
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.rows.is_empty() {
            rows.append(&socket_events::TABLE, self.rows.finish());
        }
    }
}

/// Whether a connect or accept begins new streams: it went well, or goes on.
fn opens(event: &Event<'_>) -> bool {
    const EINPROGRESS: i64 = -115;
    event.result >= 0 || event.result == EINPROGRESS
}

impl Source for Running {
    fn drain(&mut self, rows: &mut dyn Rows) {
        // A window that can't be moved is over: nothing is recorded that should not be.
        let _ = self.window.follow();
        self.decoder.payload.lost(self.counts.n_lost());
        while let Some(item) = self.ring.next() {
            self.decoder.record(&item);
            if self.decoder.rows.len() >= BATCH_ROWS {
                self.decoder.hand_on(rows);
            }
        }
        self.decoder.hand_on(rows);
    }

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        let changed = self.decoder.sockets.rows(now_ns);
        if !changed.is_empty() {
            rows.append(&sockets_table::TABLE, sockets_table::batch(&changed));
        }
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = self.counts.losses();
        let n_unreadable = std::mem::take(&mut self.decoder.n_unreadable);
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
