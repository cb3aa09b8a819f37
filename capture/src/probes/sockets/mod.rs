//! Socket events: what each thread did on each socket, with the TCP sequence numbers before and after. The program
//! (`sockets.bpf.c`) writes one record per call; here they become rows. Never joins an event to anything.

mod known;
mod mark;
mod record;

use super::Probe;
use super::needs::{CURRENT_TASK, Needs};
use super::ringed::{Decoder, Ringed};
use super::wanted::Wanted;
use crate::broker::Broker;
use crate::error::Result;
use crate::kernel::{Count, Object, clock, fill};
use crate::payload::{Moved, Payload};
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::socket_events::{self, SocketEventRow, SocketEventRows};
use afterpath_formats::table::sockets as sockets_table;
use afterpath_formats::table::tcp_info::{self, TcpInfoRow};
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
    Count { cause: Some("untold-tcp-info") },
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
            .perf_events()
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

/// Records → rows.
struct Records {
    started_ns: i64,
    sockets: Sockets,
    payload: Payload,
    rows: SocketEventRows,
    ended: Vec<TcpInfoRow>,
}

/// Loads and attaches the program, and lists the sockets that are open.
fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    let payload = Payload::new(settings.payload);
    let kept = if payload.keeps_any() { settings.payload_bytes.min(4096) } else { 0 };
    let filter = &settings.filter;
    let wanted = Wanted::of(filter);
    let (own, own_broker) = (std::process::id(), broker.id().unwrap_or(0));
    let filter_ports = u32::from(!filter.ports.is_empty());
    let is_sampled = u32::from(settings.sample.is_some());
    let globals = wanted.globals(&[
        ("own_pid", &own),
        ("own_broker", &own_broker),
        ("n_bytes_kept", &kept),
        ("filter_ports", &filter_ports),
        ("is_sampled", &is_sampled),
    ]);
    let ring_bytes = (settings.memory_bytes / 16).clamp(1 << 12, 1 << 30) as u32;
    let mut object = Object::load(PROBE.name, OBJECT, &globals, ring_bytes)?;
    wanted.fill(&mut object)?;
    fill(PROBE.name, &mut object.ebpf, "wanted_ports", &filter.ports)?;
    let started_ns = clock::boottime_ns();
    object.attach()?;
    object.iterate_files("open_before")?;
    let decoder = Records {
        started_ns,
        sockets: Sockets::default(),
        payload,
        rows: SocketEventRows::default(),
        ended: Vec::new(),
    };
    Ok(Box::new(Ringed::begin(PROBE.name, object, COUNTS, settings.sample, decoder)?))
}

impl Records {
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
        let length = event.result.clamp(0, i64::from(u32::MAX)) as u32;
        let mut sequence = event.sequences.map(|(before, _)| before);
        if mark == Some("fast-open") && moves {
            // Sent with the SYN: it ends where the numbers do now.
            sequence = event.sequences.map(|(_, after)| after.wrapping_sub(length));
            self.payload.opened(event.inode, [None, sequence]);
        }
        let moved = Moved {
            socket: event.inode,
            outbound,
            is_datagram: event.kind == "udp",
            sequence,
            bytes: event.bytes,
            length,
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
}

/// Whether a connect or accept begins new streams: it went well, or goes on.
fn opens(event: &Event<'_>) -> bool {
    const EINPROGRESS: i64 = -115;
    event.result >= 0 || event.result == EINPROGRESS
}

impl Decoder for Records {
    fn record(&mut self, record: &[u8]) -> bool {
        match parse(record) {
            Some(Record::Event(event)) => self.event(&event),
            Some(Record::Socket(socket)) => self.sockets.learn(&socket, self.started_ns),
            Some(Record::TcpInfo(row)) => self.ended.push(row),
            None => return false,
        }
        true
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.rows.is_empty() {
            rows.append(&socket_events::TABLE, self.rows.finish());
        }
    }

    fn lost(&mut self, n_lost: u64) {
        self.payload.lost(n_lost);
    }

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        let changed = self.sockets.rows(now_ns);
        if !changed.is_empty() {
            rows.append(&sockets_table::TABLE, sockets_table::batch(&changed));
        }
        let ended = std::mem::take(&mut self.ended);
        if !ended.is_empty() {
            rows.append(&tcp_info::TABLE, tcp_info::batch(&ended));
        }
    }
}
