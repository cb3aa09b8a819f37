//! A small world: processes that talk over TCP, seen by packets at both interfaces and by events at both sockets. Times are
//! microseconds of BOOTTIME; REALTIME is `OFFSET_NS` ahead. Never draws a random number.

use crate::bundle::{Event, Rows};
use afterpath::analysis::Analysis;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::table::clock::ClockRow;
use afterpath_formats::table::processes::ProcessRow;
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND, SocketEventRow};
use afterpath_formats::table::sockets::{Role, SocketRow};
use std::net::SocketAddr;

/// REALTIME − BOOTTIME.
pub(crate) const OFFSET_NS: i64 = 1_700_000_000_000_000_000;

/// How long a segment takes to the own interface, on to the other one, and to the socket, in microseconds.
pub(crate) const QUEUE: i64 = 5;
pub(crate) const WIRE: i64 = 20;
pub(crate) const STACK: i64 = 7;

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// What is recorded.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) rows: Rows,
    netns: Vec<&'static str>,
    n_sockets: i64,
}

/// A process: number, namespace, address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) netns: &'static str,
    pub(crate) address: [u8; 4],
}

/// A connection between two processes; index 0 is the client.
pub(crate) struct Connection {
    pub(crate) ends: [Process; 2],
    pub(crate) sockets: [i64; 2],
    pub(crate) next: [u32; 2],
    /// What each end's process has read of the other's stream.
    pub(crate) read: [u32; 2],
    ports: [u16; 2],
}

impl World {
    pub(crate) fn process(
        &mut self,
        pid: u32,
        name: &str,
        netns: &'static str,
        last: u8,
    ) -> Process {
        self.netns.push(netns);
        self.rows.addresses.insert(netns.into(), format!("10.0.0.{last}/24,fe80::{last}/64"));
        let inode = 4_026_532_000 + u32::from(last);
        self.rows.processes.push(ProcessRow {
            pid,
            valid_from_ns: 0,
            name: name.into(),
            exe: format!("/usr/bin/{name}"),
            netns: inode,
            pod: (netns == "pod").then(|| "shop/pod-1".to_string()),
            ..ProcessRow::default()
        });
        Process { pid, netns, address: [10, 0, 0, last] }
    }

    /// A connection made at `at`: handshake, connect, accept.
    pub(crate) fn connect(&mut self, ends: [Process; 2], ports: [u16; 2], at: i64) -> Connection {
        let first =
            [7919 * u32::from(ports[0]), (u32::MAX - 40).wrapping_add(u32::from(ports[0]) % 64)];
        self.n_sockets += 2;
        let mut connection = Connection {
            ends,
            sockets: [900 + self.n_sockets, 901 + self.n_sockets],
            next: first,
            read: [first[1].wrapping_add(1), first[0].wrapping_add(1)],
            ports,
        };
        self.segment(&mut connection, 0, SYN, b"", at + QUEUE);
        self.segment(&mut connection, 1, SYN | ACK, b"", at + 2 * QUEUE + WIRE);
        self.segment(&mut connection, 0, ACK, b"", at + 3 * QUEUE + 2 * WIRE);
        let calls = [
            ("connect", at, at + 2 * QUEUE + 2 * WIRE),
            ("accept", at - 50, at + 3 * QUEUE + 3 * WIRE + STACK),
        ];
        for (end, (call, entry, exit)) in calls.into_iter().enumerate() {
            let mut event = event(&connection, end, call, [entry, exit]);
            event.row.result = Some(if end == 0 { 0 } else { 9 });
            event.row.sequence_before = Some(connection.read[end]);
            event.row.sequence_after = Some(connection.next[end]);
            self.rows.events.push(event);
            self.rows.sockets.push(connection.socket(end, exit));
        }
        connection
    }

    /// End `from` writes `bytes` at `at`: one segment; the other end's process reads it `late` after it came.
    pub(crate) fn say(
        &mut self,
        connection: &mut Connection,
        from: usize,
        bytes: &[u8],
        at: i64,
        late: i64,
    ) {
        self.write(connection, from, bytes, at);
        let arrives = at + QUEUE + WIRE + STACK + late;
        self.read(connection, 1 - from, bytes, [arrives - 1, arrives]);
    }

    /// A write and its segment.
    pub(crate) fn write(
        &mut self,
        connection: &mut Connection,
        from: usize,
        bytes: &[u8],
        at: i64,
    ) {
        let written = moved(connection, from, OUTBOUND, bytes, [at, at + 2]);
        self.rows.events.push(written);
        self.segment(connection, from, ACK, bytes, at + QUEUE);
    }

    /// A read of `bytes`, which have to be those that come next.
    pub(crate) fn read(
        &mut self,
        connection: &mut Connection,
        end: usize,
        bytes: &[u8],
        times: [i64; 2],
    ) {
        let read = moved(connection, end, INBOUND, bytes, times);
        self.rows.events.push(read);
        connection.read[end] = connection.read[end].wrapping_add(bytes.len() as u32);
    }

    /// A segment past both interfaces.
    pub(crate) fn segment(
        &mut self,
        connection: &mut Connection,
        from: usize,
        flags: u8,
        bytes: &[u8],
        at: i64,
    ) {
        let frame = connection.frame(from, flags, bytes);
        let (near, far) = (connection.ends[from].netns, connection.ends[1 - from].netns);
        self.rows.frames.push((near.into(), OFFSET_NS + at * 1000, frame.clone()));
        if near != far {
            self.rows.frames.push((far.into(), OFFSET_NS + (at + WIRE) * 1000, frame));
        }
        let length = bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        connection.next[from] = connection.next[from].wrapping_add(length);
    }

    /// The analysis, with clocks read each second unless they were.
    pub(crate) fn analyze(&mut self) -> Analysis {
        self.analyze_with(&Config::default())
    }

    /// The same with other options.
    pub(crate) fn analyze_with(&mut self, config: &Config) -> Analysis {
        if self.rows.clock.is_empty() {
            let row = |second: i64| ClockRow {
                boottime_ns: second * 1_000_000_000,
                realtime_ns: OFFSET_NS + second * 1_000_000_000,
                uncertainty_ns: 40,
                ..ClockRow::default()
            };
            self.rows.clock = (0..3).map(row).collect();
        }
        self.netns.sort_unstable();
        self.netns.dedup();
        let folder = tempfile::tempdir().unwrap();
        let bundles = self.rows.open(folder.path(), &self.netns);
        let analysis = analyze(&bundles, config);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(one.install(|| analyze(&bundles, config)) == analysis);
        analysis
    }
}

impl Connection {
    fn end(&self, end: usize) -> SocketAddr {
        SocketAddr::from((self.ends[end].address, self.ports[end]))
    }

    fn socket(&self, end: usize, at: i64) -> SocketRow {
        SocketRow {
            socket_id: self.sockets[end],
            valid_from_ns: at * 1000,
            written_ns: at * 1000,
            pid: self.ends[end].pid,
            local: Some(self.end(end)),
            remote: Some(self.end(1 - end)),
            protocol: 6,
            netns: 4_026_532_000 + u32::from(self.ends[end].address[3]),
            role: if end == 0 { Role::Client } else { Role::Server },
            ..SocketRow::default()
        }
    }

    fn frame(&self, from: usize, flags: u8, bytes: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x45, 0];
        frame.extend((40 + bytes.len() as u16).to_be_bytes());
        frame.extend((self.next[from] as u16).to_be_bytes());
        frame.extend([0x40, 0, 64, 6, 0, 0]);
        frame.extend(self.ends[from].address);
        frame.extend(self.ends[1 - from].address);
        frame.extend(self.ports[from].to_be_bytes());
        frame.extend(self.ports[1 - from].to_be_bytes());
        frame.extend(self.next[from].to_be_bytes());
        frame.extend(self.next[1 - from].to_be_bytes());
        frame.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        frame.extend(bytes);
        frame
    }
}

/// A time as a call shows it.
pub(crate) fn at(microseconds: i64) -> Option<i64> {
    Some(OFFSET_NS + microseconds * 1000)
}

/// An event on one end's socket.
pub(crate) fn event(
    connection: &Connection,
    end: usize,
    call: &'static str,
    times: [i64; 2],
) -> Event {
    let row = SocketEventRow {
        time_ns: times[0] * 1000,
        exit_ns: Some(times[1] * 1000),
        kind: "tcp",
        socket_id: Some(connection.sockets[end]),
        pid: connection.ends[end].pid,
        tid: connection.ends[end].pid,
        call,
        fd: Some(5),
        ..SocketEventRow::default()
    };
    Event { row, bytes: None }
}

/// A read or a write of the bytes that come next.
pub(crate) fn moved(
    connection: &Connection,
    end: usize,
    direction: u8,
    bytes: &[u8],
    times: [i64; 2],
) -> Event {
    let (call, number) = match direction {
        INBOUND => ("read", connection.read[end]),
        _ => ("write", connection.next[end]),
    };
    let mut event = event(connection, end, call, times);
    event.row.direction = Some(direction);
    event.row.result = Some(bytes.len() as i64);
    event.row.sequence_before = Some(number);
    event.row.sequence_after = Some(number.wrapping_add(bytes.len() as u32));
    event.bytes = Some(bytes.to_vec());
    event
}
