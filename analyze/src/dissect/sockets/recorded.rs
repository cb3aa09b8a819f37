//! What a recorder told of one host besides packets: processes, sockets, and the events in memory, by socket. Never a
//! conclusion of its own but names: of processes by time, of namespaces by the interfaces that have a socket's address.
//! Long: one host's tables are looked up here and nowhere else.

use super::log::{Channel, Switch, Task, Wait};
use super::{Event, UNNAMED};
use crate::dissect::TIMES_NS;
use crate::dissect::partitions::PARTITION_ROWS;
use crate::dissect::sockets::boottime::Boottime;
use crate::dissect::sockets::clock_set::ClockSet;
use crate::loss::{DAMAGED, Loss};
use crate::point::{Point, Process};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::error::Error;
use afterpath_formats::table::plaintext::{self, PlaintextRow};
use afterpath_formats::table::processes::{self, ProcessRow};
use afterpath_formats::table::socket_events::{self, SocketEventColumns, SocketEventRow};
use afterpath_formats::table::sockets::{self, SocketRow};
use afterpath_formats::table::tasks;
use afterpath_formats::table::{Table, clock, interfaces, wakeups};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

/// The beginning of a container's id that is shown.
const ID_CHARACTERS: usize = 12;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    socket_id: i64,
    time_ns: i64,
    batch: u32,
    row: u32,
}

/// Where the socket calls beneath a library's call are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beneath {
    Thread(u32),
    /// Process and descriptor: a goroutine goes on on any thread.
    Descriptor(u32, u32),
}

impl Beneath {
    pub(super) fn of(call: &PlaintextRow<'_>) -> Beneath {
        call.fd.map_or(Beneath::Thread(call.tid), |fd| Beneath::Descriptor(call.pid, fd))
    }
}

/// One recorded host.
pub struct Recorded {
    /// Index of the host.
    pub host: u32,
    /// Its processes that used sockets or event loops.
    pub points: Vec<Point>,
    /// What could not be read.
    pub losses: Vec<Loss>,
    /// Rows of socket_events.
    pub n_events: u64,
    clock: Boottime,
    /// Index among all points of the first of `points`.
    first_point: u32,
    /// By process number: since when, and which of `points`.
    users: BTreeMap<u32, Vec<(i64, u32)>>,
    lives: BTreeMap<i64, Vec<SocketRow>>,
    unix_peers: BTreeMap<i64, i64>,
    batches: Vec<RecordBatch>,
    plaintext: Vec<RecordBatch>,
    tasks: Vec<RecordBatch>,
    wakeups: Vec<RecordBatch>,
    order: Vec<Place>,
}

impl Recorded {
    /// Reads a host's tables; `None` where no event was recorded. Its points come behind `first_point` others.
    pub fn read(bundles: &Bundles, host: u32, first_point: u32) -> Option<Recorded> {
        let mut losses = Vec::new();
        let mut batches_of = |table| batches(bundles, host, table, &mut losses);
        let batches = batches_of(&socket_events::TABLE);
        let n_events: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if n_events == 0 {
            return None;
        }
        let clock: Vec<_> = batches_of(&clock::TABLE).iter().flat_map(clock::rows).collect();
        let processes: Vec<_> =
            batches_of(&processes::TABLE).iter().flat_map(processes::rows).collect();
        let sockets: Vec<_> = batches_of(&sockets::TABLE).iter().flat_map(sockets::rows).collect();
        let plaintext = batches_of(&plaintext::TABLE);
        let tasks = batches_of(&tasks::TABLE);
        let wakeups = batches_of(&wakeups::TABLE);
        let namespaces = namespaces(&batches_of(&interfaces::TABLE), &sockets, &processes);
        let clock = Boottime::of(&clock);
        let domain = bundles.interfaces.iter().find(|interface| interface.host == host);
        let told = bundles.hosts[host as usize].boottime_domain;
        let domain = domain.filter(|_| clock.is_known()).map(|interface| interface.domain);
        let domain = domain.or(told).map_or(0, |domain| domain.0);
        let mut recorded = Recorded {
            host,
            points: Vec::new(),
            losses,
            n_events,
            clock,
            first_point,
            users: BTreeMap::new(),
            unix_peers: unix_peers(&sockets),
            lives: lives(sockets),
            order: order(&batches),
            plaintext,
            tasks,
            wakeups,
            batches,
        };
        let name = &bundles.hosts[host as usize].name;
        recorded.learn_users(processes, name, &namespaces, domain);
        Some(recorded)
    }

    /// How far a time of this host's sockets may lie from the packets' clock.
    pub fn bound_ns(&self) -> i64 {
        self.clock.bound_ns()
    }

    /// When this host's clock was set.
    pub fn sets(&self) -> impl Iterator<Item = ClockSet> {
        let domain = self.points.first().map(|point| point.domain);
        let set =
            move |(from_ns, to_ns, by_ns)| Some(ClockSet::between(domain?, from_ns, to_ns, by_ns));
        self.clock.sets().filter_map(set)
    }

    /// Ranges of events of about [`PARTITION_ROWS`] that begin and end between sockets.
    pub fn partitions(&self) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut begin = 0;
        while begin < self.order.len() {
            let target = (begin + PARTITION_ROWS as usize).min(self.order.len());
            let last = self.order[target - 1].socket_id;
            let end =
                target + self.order[target..].partition_point(|place| place.socket_id == last);
            parts.push(begin..end);
            begin = end;
        }
        parts
    }

    /// The sockets of a range with their events by time.
    pub(super) fn sockets(
        &self,
        part: Range<usize>,
    ) -> impl Iterator<Item = (i64, Vec<SocketEventRow<'_>>)> {
        let columns: Vec<_> = self.batches.iter().map(SocketEventColumns::of).collect();
        self.order[part].chunk_by(|a, b| a.socket_id == b.socket_id).map(move |places| {
            let row = |place: &Place| columns[place.batch as usize].row(place.row as usize);
            (places[0].socket_id, places.iter().map(row).collect())
        })
    }

    /// The events of one socket by time.
    pub(super) fn events_of(&self, socket_id: i64) -> Vec<SocketEventRow<'_>> {
        let from = self.order.partition_point(|place| place.socket_id < socket_id);
        let to = self.order.partition_point(|place| place.socket_id <= socket_id);
        self.sockets(from..to).flat_map(|(_, events)| events).collect()
    }

    /// Calls of TLS libraries, by process and connection object, each object's by time.
    pub(super) fn plaintext(&self) -> Vec<PlaintextRow<'_>> {
        let mut rows: Vec<_> = self.plaintext.iter().flat_map(plaintext::rows).collect();
        rows.sort_by_key(|row| (row.pid, row.handle, row.time_ns, row.exit_ns));
        rows
    }

    /// The events on stream sockets that may lie beneath `calls`, by time: of the descriptor, where the library tells it, else of the thread.
    pub(super) fn events_beneath(
        &self,
        calls: &[PlaintextRow<'_>],
    ) -> BTreeMap<Beneath, Vec<SocketEventRow<'_>>> {
        let mut found: BTreeMap<Beneath, Vec<SocketEventRow<'_>>> =
            calls.iter().map(|call| (Beneath::of(call), Vec::new())).collect();
        if found.is_empty() {
            return found;
        }
        for row in self.batches.iter().flat_map(socket_events::rows) {
            if row.kind != "tcp" {
                continue;
            }
            let by_descriptor = row.fd.map(|fd| Beneath::Descriptor(row.pid, fd));
            for key in [Some(Beneath::Thread(row.tid)), by_descriptor].into_iter().flatten() {
                if let Some(events) = found.get_mut(&key) {
                    events.push(row);
                }
            }
        }
        found.values_mut().for_each(|rows| rows.sort_by_key(|row| row.time_ns));
        found
    }

    /// What is known of a socket number: its lives, by their beginning.
    pub(super) fn lives(&self, socket_id: i64) -> Option<&[SocketRow]> {
        self.lives.get(&socket_id).map(Vec::as_slice)
    }

    /// The other end of a unix socket.
    pub(super) fn unix_peer(&self, row: &SocketRow) -> Option<i64> {
        self.unix_peers.get(&row.socket_id).copied()
    }

    /// The observation point of a process.
    pub(super) fn point(&self, pid: u32, at_ns: i64) -> u32 {
        let lives = self.users.get(&pid).map_or(&[][..], Vec::as_slice);
        let at = lives.partition_point(|life| life.0 <= at_ns).saturating_sub(1);
        lives.get(at).map_or(self.first_point, |life| life.1)
    }

    /// Events on the packets' clock, in order of when they count.
    pub(super) fn timed<'a>(&self, rows: &[SocketEventRow<'a>]) -> Vec<Event<'a>> {
        let timed = |row: &SocketEventRow<'a>| {
            let entry_ns = self.realtime_ns(row.time_ns);
            let exit_ns = row.exit_ns.map_or(entry_ns, |at| self.realtime_ns(at)).max(entry_ns);
            let outbound = row.direction == Some(socket_events::OUTBOUND);
            Event { row: *row, at_ns: if outbound { entry_ns } else { exit_ns }, entry_ns, exit_ns }
        };
        let mut events: Vec<Event<'_>> = rows.iter().map(timed).collect();
        events.sort_by_key(|event| event.at_ns);
        events
    }

    /// When threads waited for events, by thread, in order of their entry.
    pub fn waits(&self) -> BTreeMap<(u32, u32), Vec<Wait>> {
        let mut waits: BTreeMap<(u32, u32), Vec<Wait>> = BTreeMap::new();
        for row in self.batches.iter().flat_map(socket_events::rows) {
            let waited = matches!(row.call, "epoll_wait" | "epoll_pwait" | "select" | "poll");
            if let Some(exit_ns) = row.exit_ns.filter(|_| waited) {
                let (entry_ns, exit_ns) =
                    (self.realtime_ns(row.time_ns), self.realtime_ns(exit_ns));
                let wait = Wait { entry_ns, exit_ns, n_ready: row.result.unwrap_or(0) };
                waits.entry((self.host, row.tid)).or_default().push(wait);
            }
        }
        waits.values_mut().for_each(|waits| waits.sort_unstable());
        waits
    }

    /// Which tasks threads ran, by thread, in order.
    pub fn tasks(&self) -> BTreeMap<(u32, u32), Vec<Switch>> {
        let mut switches: BTreeMap<(u32, u32), Vec<Switch>> = BTreeMap::new();
        for row in self.tasks.iter().flat_map(tasks::rows) {
            let task = |id: i64| Task { pid: row.pid, id };
            switches.entry((self.host, row.tid)).or_default().push(Switch {
                from_ns: self.realtime_ns(row.time_ns),
                task: task(row.task_id),
                creator: row.creator_task_id.map(task),
            });
        }
        switches.values_mut().for_each(|switches| switches.sort_unstable());
        switches
    }

    /// Rows of socket_events.
    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Rows of wakeups.
    pub(super) fn wakeups(&self) -> &[RecordBatch] {
        &self.wakeups
    }

    /// The channel that a unix socket is one end of.
    pub(super) fn unix_pair(&self, socket_id: i64) -> Option<Channel> {
        let peer = *self.unix_peers.get(&socket_id)?;
        Some(Channel::UnixPair(socket_id.min(peer)))
    }

    pub(super) fn realtime_ns(&self, boottime_ns: i64) -> i64 {
        self.clock.realtime_ns(boottime_ns).clamp(*TIMES_NS.start(), *TIMES_NS.end())
    }

    /// Gives every process that has an event a point.
    fn learn_users(
        &mut self,
        mut rows: Vec<ProcessRow>,
        host: &str,
        namespaces: &BTreeMap<u32, String>,
        domain: u32,
    ) {
        let all = self.batches.iter().flat_map(socket_events::rows);
        let of_sockets = self.lives.values().flatten().map(|life| life.pid);
        let pids: BTreeSet<u32> = all.map(|event| event.pid).chain(of_sockets).collect();
        rows.retain(|row| pids.contains(&row.pid));
        let known: BTreeSet<u32> = rows.iter().map(|row| row.pid).collect();
        rows.extend(
            pids.difference(&known).map(|pid| ProcessRow { pid: *pid, ..ProcessRow::default() }),
        );
        rows.sort_by_key(|row| (row.pid, row.valid_from_ns, row.valid_to_ns.is_none()));
        rows.dedup_by_key(|row| (row.pid, row.valid_from_ns));
        for row in rows {
            let point = self.first_point + self.points.len() as u32;
            self.users.entry(row.pid).or_default().push((row.valid_from_ns, point));
            let id = |id: &String| id.chars().take(ID_CHARACTERS).collect();
            self.points.push(Point {
                host: host.to_string(),
                netns: namespaces.get(&row.netns).cloned().unwrap_or_default(),
                interface: String::new(),
                domain,
                process: Some(Process {
                    pid: row.pid,
                    since_ns: row.valid_from_ns,
                    container: row.container_name.or(row.container.as_ref().map(id)),
                    pod: row.pod,
                    name: row.name,
                }),
            });
        }
    }
}

/// All rows of a table; damage is a loss.
fn batches(
    bundles: &Bundles,
    host: u32,
    table: &'static Table,
    losses: &mut Vec<Loss>,
) -> Vec<RecordBatch> {
    let mut read = Vec::new();
    for batch in bundles.batches(host, table) {
        match batch {
            Ok(batch) => read.push(batch),
            Err(error) => losses.push(damage(&error, table)),
        }
    }
    read
}

fn damage(error: &Error, table: &Table) -> Loss {
    let names: Vec<_> = error.path.iter().rev().take(3).map(|n| n.to_string_lossy()).collect();
    let place = names.into_iter().rev().collect::<Vec<_>>().join("/");
    let place =
        if place.is_empty() { table.name.to_string() } else { format!("{place}, {}", error.at) };
    Loss { place, cause: format!("{DAMAGED}{}", error.kind.name()), count: 1 }
}

/// Of each socket number its lives, each as it was told last.
fn lives(mut rows: Vec<SocketRow>) -> BTreeMap<i64, Vec<SocketRow>> {
    rows.sort_by_key(|row| (row.socket_id, row.valid_from_ns, std::cmp::Reverse(row.written_ns)));
    rows.dedup_by_key(|row| (row.socket_id, row.valid_from_ns));
    let mut lives: BTreeMap<i64, Vec<SocketRow>> = BTreeMap::new();
    rows.into_iter().for_each(|row| lives.entry(row.socket_id).or_default().push(row));
    lives
}

/// Both ways, where one end or both named the other.
fn unix_peers(rows: &[SocketRow]) -> BTreeMap<i64, i64> {
    let mut peers = BTreeMap::new();
    for row in rows {
        if let Some(peer) = row.peer_socket_id {
            peers.insert(row.socket_id, peer);
            peers.entry(peer).or_insert(row.socket_id);
        }
    }
    peers
}

/// Events by socket, each socket's by time; what is on no socket is left out.
fn order(batches: &[RecordBatch]) -> Vec<Place> {
    let mut order = Vec::new();
    for (batch, rows) in (0..).zip(batches) {
        for (row, event) in (0..).zip(socket_events::rows(rows)) {
            if matches!(event.kind, "tcp" | "udp" | "unix")
                && let Some(socket_id) = event.socket_id
            {
                order.push(Place { socket_id, time_ns: event.time_ns, batch, row });
            }
        }
    }
    order.sort_unstable();
    order
}

/// Namespaces by their inode numbers: named as their interfaces say, else as the interfaces are that have the addresses of
/// their sockets. Where nothing tells, the number.
fn namespaces(
    interfaces: &[RecordBatch],
    sockets: &[SocketRow],
    processes: &[ProcessRow],
) -> BTreeMap<u32, String> {
    let (mut names, mut homes) = (BTreeSet::new(), BTreeMap::<IpAddr, BTreeSet<String>>::new());
    let mut told: BTreeMap<u32, String> = BTreeMap::new();
    for batch in interfaces {
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        for row in 0..batch.num_rows() {
            let name = text("netns", row).unwrap_or_default();
            names.insert(name.to_string());
            let inode = batch.column_by_name("netns_inode").map(|c| c.as_primitive::<UInt32Type>());
            if let Some(inode) = inode.filter(|inode| inode.is_valid(row)) {
                told.insert(inode.value(row), name.to_string());
            }
            for address in text("addresses", row).unwrap_or_default().split(',') {
                let bare = address.trim().split('/').next().unwrap_or_default();
                if let Ok(address) = bare.parse::<IpAddr>() {
                    homes.entry(address).or_default().insert(name.to_string());
                }
            }
        }
    }
    let mut votes: BTreeMap<u32, BTreeMap<&String, usize>> = BTreeMap::new();
    for socket in sockets {
        let home = socket.local.and_then(|local| homes.get(&local.ip()));
        if let Some(name) = home.filter(|names| names.len() == 1).and_then(|names| names.first()) {
            *votes.entry(socket.netns).or_default().entry(name).or_default() += 1;
        }
    }
    let first = processes.iter().find(|row| row.pid == 1).map(|row| row.netns);
    let inodes = sockets.iter().map(|row| row.netns).chain(processes.iter().map(|row| row.netns));
    let name = |inode: u32| {
        let voted = votes.get(&inode).and_then(|votes| {
            votes
                .iter()
                .max_by_key(|(name, n)| (**n, std::cmp::Reverse(**name)))
                .map(|(name, _)| *name)
        });
        match told.get(&inode).or(voted) {
            Some(name) => name.clone(),
            None if inode == 0 || Some(inode) == first || names.len() <= 1 => {
                names.first().cloned().unwrap_or_default()
            }
            None => format!("{UNNAMED}{inode}]"),
        }
    };
    inodes.collect::<BTreeSet<_>>().into_iter().map(|inode| (inode, name(inode))).collect()
}
