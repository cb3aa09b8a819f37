//! What is known of each socket, and which of it the bundle has yet to be told. Never forgets a socket that is open.

use super::record::{Event, Socket};
use afterpath_formats::table::sockets::{Role, SocketRow};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// `TCP_LISTEN` of include/net/tcp_states.h.
const LISTEN: u8 = 10;

/// A socket's row, and whether it was written as it stands.
struct Known {
    row: SocketRow,
    told: bool,
    /// When a descriptor of it was closed last, unless it was used since.
    closed_ns: Option<i64>,
}

/// All sockets that are open, as far as known, by inode number.
#[derive(Default)]
pub(super) struct Sockets {
    known: HashMap<i64, Known>,
}

impl Sockets {
    /// Takes what the kernel said of a socket; `started_ns` is the recording's start, for those open before.
    pub(super) fn learn(&mut self, socket: &Socket<'_>, started_ns: i64) {
        let open_before = socket.call.is_empty();
        let from_ns = if open_before { started_ns } else { socket.time_ns };
        let row = row(socket, from_ns);
        match self.known.entry(socket.inode) {
            Entry::Vacant(vacant) => {
                vacant.insert(Known { row, told: false, closed_ns: None });
            }
            Entry::Occupied(mut occupied) => {
                let known = occupied.get_mut();
                let merged = merge(&known.row, row);
                if !same(&merged, &known.row) {
                    known.row = merged;
                    known.told = false;
                }
            }
        }
    }

    /// Notes a close, or that a socket that had been closed is still in use (another descriptor of it).
    pub(super) fn used(&mut self, event: &Event<'_>) {
        let Some(known) = self.known.get_mut(&event.inode) else { return };
        known.closed_ns = (event.call == "close").then_some(event.time_ns);
    }

    /// Why a socket's events carry no sequence numbers.
    pub(super) fn rows(&mut self, now_ns: i64) -> Vec<SocketRow> {
        let mut rows = Vec::new();
        self.known.retain(|_, known| {
            let closed = known.closed_ns.is_some();
            if !known.told || closed {
                known.row.written_ns = now_ns;
                known.row.valid_to_ns = known.closed_ns;
                known.told = true;
                rows.push(known.row.clone());
            }
            !closed
        });
        rows.sort_unstable_by_key(|row| (row.socket_id, row.valid_from_ns));
        rows
    }
}

fn row(socket: &Socket<'_>, from_ns: i64) -> SocketRow {
    let role = match socket.call {
        _ if socket.state == LISTEN => Role::Listener,
        "connect" => Role::Client,
        "accept" => Role::Server,
        _ => Role::Unknown,
    };
    let unix = socket.local.is_none();
    SocketRow {
        socket_id: socket.inode,
        valid_from_ns: from_ns,
        valid_to_ns: None,
        written_ns: socket.time_ns,
        pid: socket.pid,
        datagram: socket.datagram,
        local: socket.local,
        remote: socket.remote,
        asked: socket.asked.filter(|asked| Some(*asked) != socket.remote),
        protocol: socket.protocol,
        netns: socket.netns,
        role,
        path: (unix && !socket.path.is_empty()).then(|| path(socket.path)),
        peer_socket_id: (socket.peer_inode != 0).then_some(socket.peer_inode),
        no_sequence: socket.mptcp.then(|| "mptcp".to_string()),
    }
}

/// `@name` for an abstract one; bytes that are no text are replaced.
fn path(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }
    }
}

/// What was known first stays (who used it, since when, its role), what is new is added.
fn merge(old: &SocketRow, new: SocketRow) -> SocketRow {
    SocketRow {
        valid_from_ns: old.valid_from_ns,
        pid: old.pid,
        role: if new.role == Role::Unknown { old.role } else { new.role },
        // A refused connection gives its port back.
        local: new.local.filter(|local| local.port() != 0).or(old.local).or(new.local),
        remote: new.remote.or(old.remote),
        asked: new.asked.or(old.asked),
        path: new.path.or_else(|| old.path.clone()),
        peer_socket_id: new.peer_socket_id.or(old.peer_socket_id),
        ..new
    }
}

/// The same but for when it was written.
fn same(a: &SocketRow, b: &SocketRow) -> bool {
    SocketRow { written_ns: b.written_ns, ..a.clone() } == *b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(call: &'static str, remote: Option<&str>) -> Socket<'static> {
        Socket {
            mptcp: false,
            state: 1,
            pid: 7,
            time_ns: 100,
            inode: 5,
            peer_inode: 0,
            netns: 1,
            protocol: 6,
            datagram: false,
            local: Some("10.0.0.1:1000".parse().expect("an address")),
            remote: remote.map(|remote| remote.parse().expect("an address")),
            asked: None,
            call,
            path: &[],
        }
    }

    fn close(time_ns: i64) -> Event<'static> {
        Event {
            call: "close",
            kind: "tcp",
            mptcp: false,
            direction: 0,
            fd: Some(3),
            time_ns,
            exit_ns: 0,
            inode: 5,
            pid: 7,
            tid: 7,
            result: 0,
            flags: 0,
            sequences: None,
            peer: None,
            bytes: &[],
        }
    }

    #[test]
    fn a_socket_is_told_when_it_appears_changes_and_goes() {
        let mut sockets = Sockets::default();
        sockets.learn(&socket("sendto", None), 0);
        assert_eq!(sockets.rows(200).len(), 1);
        sockets.learn(&socket("sendto", None), 0);
        assert!(sockets.rows(201).is_empty(), "nothing is new");
        sockets.learn(&socket("connect", Some("10.0.0.2:80")), 0);
        let rows = sockets.rows(202);
        assert_eq!((rows.len(), rows[0].role, rows[0].valid_from_ns), (1, Role::Client, 100));
        sockets.used(&close(300));
        let rows = sockets.rows(301);
        assert_eq!(rows[0].valid_to_ns, Some(300));
        assert!(sockets.rows(302).is_empty(), "it is forgotten");
    }

    #[test]
    fn a_socket_used_after_a_close_is_still_open() {
        let mut sockets = Sockets::default();
        sockets.learn(&socket("accept", Some("10.0.0.2:80")), 0);
        sockets.used(&close(300));
        sockets.used(&Event { call: "read", ..close(301) });
        assert_eq!(sockets.rows(302)[0].valid_to_ns, None);
    }
}
