//! Socket events → flows and spans at processes: what was written and read on a socket is a conversation like one of packets,
//! in the same parsers; a write's time is its entry, a read's its return. Never joins a socket with packets: that is `join`.

pub mod boottime;
pub mod clock_set;
mod datagrams;
pub mod log;
mod numbering;
mod plaintext;
mod recorded;
mod records;
mod signals;
mod stream;

use super::conversation::Room;
use super::{Dissected, FlowKey, Given};
use crate::protocol::Side;
use afterpath_formats::packet::address_bytes;
use afterpath_formats::table::socket_events::SocketEventRow;
use afterpath_formats::table::sockets::{Role, SocketRow};
use log::{Moved, SocketLog};
pub use plaintext::clear;
pub use recorded::Recorded;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// How the name begins of a namespace that is known by number only.
pub const UNNAMED: &str = "net:[";

/// MSG_TRUNC: the length says more than was copied.
const MSG_TRUNC: u32 = 0x20;

/// Dissects the sockets of one partition of a host's events.
pub fn dissect(host: &Recorded, part: Range<usize>, given: &Given) -> Dissected {
    let mut out = Dissected { n_events: part.len() as u64, ..Dissected::default() };
    let mut room = Room::knowing(given);
    for (socket_id, events) in host.sockets(part) {
        let Some(lives) = host.lives(socket_id) else {
            let moved = events.iter().filter(|event| event.direction.is_some()).count();
            let pid = events.first().map_or(0, |event| event.pid);
            let point = host.point(pid, events.first().map_or(0, |event| event.time_ns));
            count(&mut out, point, "unknown-socket", moved);
            continue;
        };
        for (life, events) in by_life(lives, events) {
            if life.role == Role::Listener {
                continue;
            }
            let socket = Socket::of(host, life, &events);
            match (life.datagram, life.local.is_none()) {
                (false, _) => stream::dissect(&socket, &events, &mut out, &mut room),
                (true, false) => datagrams::dissect(&socket, &events, &mut out, &room),
                (true, true) => {
                    let moved = events.iter().filter(|event| n_moved(event) > 0);
                    count(&mut out, socket.point, "unix-datagram", moved.count());
                }
            }
        }
    }
    out
}

fn count(out: &mut Dissected, point: u32, cause: &'static str, n: usize) {
    if n > 0 {
        *out.unused.entry((point, cause)).or_default() += n as u64;
    }
}

/// An event, and when it counts on the packets' clock.
struct Event<'a> {
    row: SocketEventRow<'a>,
    /// Outbound: entry; else return.
    at_ns: i64,
    entry_ns: i64,
    exit_ns: i64,
}

/// A socket of one process, and what is said of it.
struct Socket<'a> {
    host: &'a Recorded,
    row: &'a SocketRow,
    /// The process whose socket it is.
    point: u32,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

impl<'a> Socket<'a> {
    fn of(host: &'a Recorded, row: &'a SocketRow, events: &[SocketEventRow<'_>]) -> Socket<'a> {
        // Who reads and writes: a listener's parent may accept for its children.
        let user = events.iter().find(|event| n_moved(event) > 0).or(events.first());
        let (pid, at) =
            user.map_or((row.pid, row.valid_from_ns), |event| (event.pid, event.time_ns));
        let (local, remote) = match row.local {
            Some(local) => (Some(local), row.remote.or(row.asked)),
            None => unix_ends(host, row),
        };
        Socket { host, row, point: host.point(pid, at), local, remote }
    }

    fn is_unix(&self) -> bool {
        self.row.local.is_none()
    }

    /// The conversation's key with `remote`, and which of its ends is the local one.
    fn key(&self, local: SocketAddr, remote: SocketAddr) -> (FlowKey, usize) {
        let end = |socket: SocketAddr| (address_bytes(socket.ip()), socket.port());
        let (here, there) = (end(local), end(remote));
        let (low, high) = (here.min(there), here.max(there));
        let family = if local.is_ipv4() { 4 } else { 6 };
        let udp = self.row.datagram;
        (FlowKey { point: self.point, family, low, high, udp }, usize::from(here != low))
    }
}

/// Puts what the recorder alone knows to the flow that was finished last.
fn settle(socket: &Socket<'_>, local: SocketAddr, log: SocketLog, out: &mut Dissected) {
    let (Some(flow), Some(facts)) = (out.flows.last_mut(), out.facts.last_mut()) else { return };
    let is_client = match socket.row.role {
        Role::Client => true,
        Role::Server => false,
        _ => flow.client == local,
    };
    facts.at_process = Some(if is_client { Side::Client } else { Side::Server });
    if socket.is_unix() {
        flow.ip_protocol = 0;
    }
    for counters in &mut flow.counters {
        // Threads that take turns are no network that reorders.
        (counters.retransmissions, counters.out_of_order) = (0, 0);
    }
    out.logs.push((out.flows.len() as u32 - 1, log));
}

/// Events by the life of the socket number that they belong to: numbers are taken again.
fn by_life<'a, 'b>(
    lives: &'a [SocketRow],
    events: Vec<SocketEventRow<'b>>,
) -> Vec<(&'a SocketRow, Vec<SocketEventRow<'b>>)> {
    let mut found: Vec<(&SocketRow, Vec<SocketEventRow<'b>>)> =
        lives.iter().map(|life| (life, Vec::new())).collect();
    for event in events {
        // A life is told of during the call that began it.
        let until = event.exit_ns.unwrap_or(event.time_ns).max(event.time_ns);
        let life = lives.partition_point(|life| life.valid_from_ns <= until).saturating_sub(1);
        if let Some((_, of_it)) = found.get_mut(life) {
            of_it.push(event);
        }
    }
    found.retain(|(_, events)| !events.is_empty());
    found
}

fn n_moved(event: &SocketEventRow<'_>) -> i64 {
    event.direction.and(event.result).unwrap_or(0).max(0)
}

/// A unix socket has no addresses: loopback ones are made up, the client's port of its number, the server's 0.
fn unix_ends(host: &Recorded, row: &SocketRow) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let end = |id: i64| SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), (id as u16).max(1));
    let listening = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
    let peer = host.unix_peer(row).unwrap_or(!row.socket_id);
    match row.role {
        Role::Server => (Some(listening), Some(end(peer))),
        Role::Client => (Some(end(row.socket_id)), Some(listening)),
        // Of a pair, the one that was made first is taken for the client.
        _ if row.socket_id < peer => (Some(end(row.socket_id)), Some(listening)),
        _ => (Some(listening), Some(end(peer))),
    }
}

fn moved(event: &Event<'_>) -> Moved {
    let Event { at_ns, entry_ns, exit_ns, row } = event;
    Moved { at_ns: *at_ns, entry_ns: *entry_ns, exit_ns: *exit_ns, pid: row.pid, tid: row.tid }
}
