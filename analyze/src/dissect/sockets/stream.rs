//! One stream socket's events → one conversation. Never takes an event twice: a peek is no read.

use super::log::{Moved, SocketLog};
use super::numbering::{Numbering, fast_open};
use super::{Event, MSG_TRUNC, Socket, count, moved, n_moved, settle};
use crate::dissect::Dissected;
use crate::dissect::conversation::{Conversation, Room};
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND, SocketEventRow};
use afterpath_formats::table::sockets::Role;

/// Error numbers (include/uapi/asm-generic/errno.h).
const ECONNRESET: i64 = -104;
const IN_PROGRESS: [i64; 4] = [-115, -114, -4, -106];

/// What a failed connect is called, as packets would have told it.
fn failure(error: i64) -> Option<&'static str> {
    Some(match error {
        -111 => "refused",
        -110 => "timeout",
        -104 | -103 => "reset",
        -101 | -113 => "unreachable",
        _ if error >= 0 || IN_PROGRESS.contains(&error) => return None,
        _ => "failed",
    })
}

/// Hands the socket's flow and spans to `out`.
pub(super) fn dissect(
    socket: &Socket<'_>,
    events: &[SocketEventRow<'_>],
    out: &mut Dissected,
    room: &mut Room,
) {
    let events = socket.host.timed(events);
    let asked = events.iter().find(|event| event.row.call == "connect");
    let refused = asked.and_then(|asked| refusal(asked, &events));
    let any_bytes = events.iter().any(|event| n_moved(&event.row) > 0);
    // A unix socket that nobody listens on is how programs ask whether a service is there; it is no call.
    if !any_bytes && (refused.is_none() || socket.is_unix()) {
        return;
    }
    let Some((local, remote)) = socket.local.zip(socket.remote) else {
        let n = events.iter().filter(|event| n_moved(&event.row) > 0).count();
        return count(out, socket.point, "no-address", n);
    };
    let (key, here) = socket.key(local, remote);
    let first_ns = events.first().map_or(0, |event| event.at_ns);
    let mut dialog = Dialog {
        conversation: Conversation::new(key, first_ns, room),
        numbering: Numbering::of(socket),
        here,
        log: SocketLog { host: socket.host.host, ..SocketLog::default() },
    };
    dialog.open(socket, &events);
    if let Some((asked_ns, status, at_ns)) = refused.filter(|_| !any_bytes) {
        dialog.conversation.opened_by(here);
        dialog.conversation.failed(asked_ns, status, at_ns);
    }
    let last_use = events.iter().rposition(|event| event.row.direction.is_some()).unwrap_or(0);
    for (i, event) in events.iter().enumerate() {
        dialog.take(socket, event, i > last_use, out);
    }
    let Dialog { conversation, log, .. } = dialog;
    conversation.finish(out, room);
    settle(socket, local, log, out);
}

/// A connect that failed, at once or as a later call on the socket says: when it was asked, how it failed, when.
fn refusal(asked: &Event<'_>, events: &[Event<'_>]) -> Option<(i64, &'static str, i64)> {
    let calls = events.iter().filter(|e| e.row.call == "connect" || e.row.direction.is_some());
    let told = calls.filter_map(|event| Some((event, failure(event.row.result?)?)));
    let (event, status) = told.min_by_key(|(event, _)| event.exit_ns)?;
    Some((asked.entry_ns, status, event.exit_ns))
}

struct Dialog {
    conversation: Conversation,
    numbering: Numbering,
    /// Which end of the conversation is the socket's.
    here: usize,
    log: SocketLog,
}

impl Dialog {
    /// Who opened it, and where its streams begin, if that was seen.
    fn open(&mut self, socket: &Socket<'_>, events: &[Event<'_>]) {
        let opened = events.iter().find(|event| is_opening(&event.row));
        let is_client = match (socket.row.role, opened.map(|event| event.row.call)) {
            (Role::Client, _) | (Role::Unknown, Some("connect")) => Some(true),
            (Role::Server, _) | (Role::Unknown, Some("accept")) => Some(false),
            // A pair of unix sockets: the made-up addresses say it.
            _ if socket.is_unix() => socket.remote.map(|remote| remote.port() == 0),
            _ => None,
        };
        if let Some(is_client) = is_client {
            self.conversation.opened_by(if is_client { self.here } else { 1 - self.here });
        }
        let Some(opened) = opened else { return };
        let done = events.iter().find(|event| opens(&event.row, opened.row.call));
        let rows: Vec<_> = events.iter().map(|event| event.row).collect();
        let numbers = first_numbers(&rows);
        for side in [0, 1] {
            let first = numbers[side];
            let unnumbered = socket.is_unix() || socket.row.no_sequence.is_some();
            if first.is_some() || unnumbered {
                let first = self.numbering.begin(side, first);
                self.conversation.begins(self.end(side), first);
            }
        }
        if opened.row.call == "connect" {
            let asked = moved(opened);
            self.log.connected = Some(Moved { at_ns: asked.entry_ns, ..asked });
        }
        match done {
            Some(done) if done.row.call == "connect" => {
                self.conversation.connected(done.entry_ns, done.exit_ns);
            }
            Some(done) => self.log.accepted_ns = Some(done.exit_ns),
            None => {}
        }
    }

    /// The conversation's end that sends inbound (0) or outbound (1) bytes.
    fn end(&self, side: usize) -> usize {
        if side == 0 { 1 - self.here } else { self.here }
    }

    fn take(&mut self, socket: &Socket<'_>, event: &Event<'_>, is_over: bool, out: &mut Dissected) {
        let row = &event.row;
        let side = match row.direction {
            Some(INBOUND) => 0,
            Some(OUTBOUND) => 1,
            _ => {
                let closed = row.call == "shutdown" || row.call == "close" && is_over;
                if closed && row.result.is_none_or(|result| result >= 0) {
                    self.conversation.ended(self.here, event.at_ns);
                }
                return;
            }
        };
        let Some(result) = row.result else {
            return count(out, socket.point, "unfinished-call", 1);
        };
        match row.mark {
            Some("peek") => return,
            Some("not-on-the-wire") => return count(out, socket.point, "not-on-the-wire", 1),
            _ => {}
        }
        if result == ECONNRESET {
            self.conversation.reset(1 - self.here, event.at_ns);
        }
        if result > 0 {
            self.move_bytes(socket, event, side, result, out);
        }
        if side == 0 && (row.mark == Some("fin") || result == 0) {
            self.conversation.ended(1 - self.here, event.at_ns);
        }
    }

    fn move_bytes(
        &mut self,
        socket: &Socket<'_>,
        event: &Event<'_>,
        side: usize,
        result: i64,
        out: &mut Dissected,
    ) {
        let row = &event.row;
        let length = u32::try_from(result).unwrap_or(u32::MAX);
        let (sequence, cause) = self.numbering.place(side, row, length);
        if let Some(cause) = cause.filter(|_| !socket.is_unix()) {
            count(out, socket.point, cause, 1);
        }
        let is_cut = side == 0 && row.flags.unwrap_or(0) & MSG_TRUNC != 0;
        let known = row.bytes.filter(|_| !is_cut).unwrap_or(&[]);
        let known = &known[..known.len().min(length as usize)];
        self.conversation.hear(self.end(side), sequence, (known, length), event.at_ns);
        self.log.moved[side].push(moved(event));
    }
}

/// Whether it opens a connection: a connect, an accept, a send with the SYN.
fn is_opening(row: &SocketEventRow<'_>) -> bool {
    matches!(row.call, "connect" | "accept") || row.mark == Some("fast-open")
}

/// Whether it is a connect or an accept, as `call` says, that went well: it tells the numbers of both first bytes.
fn opens(row: &SocketEventRow<'_>, call: &str) -> bool {
    matches!(call, "connect" | "accept")
        && row.call == call
        && row.result.is_some_and(|result| result >= 0)
}

/// The numbers of the first bytes of a socket that was seen to open, inbound and outbound, as far as its events tell.
pub(super) fn first_numbers(events: &[SocketEventRow<'_>]) -> [Option<u32>; 2] {
    let Some(opened) = events.iter().find(|row| is_opening(row)) else { return [None; 2] };
    let done = events.iter().find(|row| opens(row, opened.call));
    let told = done.map_or([None; 2], |done| [done.sequence_before, done.sequence_after]);
    [0, 1].map(|side| told[side].or_else(|| first_number(side, events)))
}

/// The number of a direction's first byte, by the first event that bears an exact one, less what was sent with the SYN.
fn first_number(side: usize, events: &[SocketEventRow<'_>]) -> Option<u32> {
    let direction = if side == 0 { INBOUND } else { OUTBOUND };
    let mut before = 0u32;
    for row in events.iter().filter(|row| row.direction == Some(direction)) {
        match (row.mark, row.sequence_before) {
            (None | Some("fin"), Some(number)) => return Some(number.wrapping_sub(before)),
            (Some("fast-open"), _) if n_moved(row) > 0 => {
                if let Some(number) = fast_open(row, n_moved(row) as u32) {
                    return Some(number.wrapping_sub(before));
                }
                before = before.wrapping_add(n_moved(row) as u32);
            }
            _ => {}
        }
    }
    None
}
