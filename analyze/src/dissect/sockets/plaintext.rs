//! Plaintext at a TLS library → messages placed in the ciphertext of their connection. The socket calls beneath a library's call are
//! those of its thread meanwhile, or those on its descriptor. What a program wrote lies exactly where its socket writes did; what it read, where the writer's end
//! says, else where the records say. Long: one connection from its calls to its messages.

use super::recorded::Beneath;
use super::records::{HEADER, Records};
use super::stream::first_numbers;
use super::{Recorded, Socket, by_life};
use crate::dissect::Unused;
use crate::dissect::clear::{Clear, Dialog, Placed, half};
use crate::dissect::speech::{best, hashes};
use crate::protocol::{
    Carry, Half, IdFields, Message, PROTOCOLS, Piece, Role, Side, Stretch, Transport,
};
use afterpath_formats::table::plaintext::PlaintextRow;
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND, SocketEventRow};
use afterpath_formats::table::sockets;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Plaintext of one record at most.
const RECORD: u64 = 16_384;
/// What a record is longer than its plaintext, where it can't be told: TLS 1.3's header, type and tag.
const OVERHEAD: u64 = 22;
/// Protocols one connection may switch through.
const MAX_SWITCHES: usize = 4;

/// What is known of all connections of these hosts, and per point what could not be used: with its cause.
pub fn clear(hosts: &[Recorded], id_fields: &IdFields) -> (Option<Arc<Clear>>, Unused) {
    let mut unused = Unused::new();
    let mut connections: BTreeMap<Identity, Vec<End>> = BTreeMap::new();
    for host in hosts {
        let calls = host.plaintext();
        let events = host.events_beneath(&calls);
        for of_handle in calls.chunk_by(|a, b| (a.pid, a.handle) == (b.pid, b.handle)) {
            for end in ends(host, of_handle, &events, &mut unused) {
                connections.entry(end.identity()).or_default().push(end);
            }
        }
    }
    let dialogs = connections.into_values().map(|ends| dialog(&ends, id_fields)).collect();
    (Clear::of(dialogs), unused)
}

/// What a connection is known by.
type Identity = (Option<[u32; 2]>, Option<[SocketAddr; 2]>);

/// Plaintext that one direction carried, as one end had it.
#[derive(Debug, Default)]
struct Stream {
    /// Bytes that are known, by their offset; neighbours are one.
    pieces: Vec<(u64, Vec<u8>)>,
    places: Vec<Place>,
    length: u64,
}

/// Where a read's or a write's plaintext lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: u64,
    /// Number of the ciphertext of its first byte.
    first: u32,
    /// What each record is longer than its plaintext.
    overhead: u64,
}

/// No call of a library moves more: its lengths are of type `int`.
const MOST_MOVED: i64 = i32::MAX as i64;

impl Stream {
    fn push(&mut self, row: &PlaintextRow<'_>, place: Option<(u32, u64)>) {
        let (offset, length) = (self.length, row.result.clamp(0, MOST_MOVED) as u64);
        self.length += length;
        let bytes = row.bytes.unwrap_or(&[]);
        let bytes = &bytes[..bytes.len().min(length as usize)];
        match self.pieces.last_mut() {
            Some((at, known)) if *at + known.len() as u64 == offset => {
                known.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => self.pieces.push((offset, bytes.to_vec())),
        }
        if let Some((first, overhead)) = place {
            self.places.push(Place { offset, length, first, overhead });
        }
    }

    /// The number of the next byte's ciphertext, if another record carries it.
    fn next(&self) -> Option<u32> {
        let last = self.places.last()?;
        let behind = self.number(last.offset + last.length - 1)?.wrapping_add(1);
        Some(behind.wrapping_add(last.overhead as u32))
    }

    fn place(&self, offset: u64) -> Option<&Place> {
        let at = self.places.partition_point(|place| place.offset <= offset).checked_sub(1)?;
        self.places.get(at)
    }

    /// The number of the ciphertext of the byte at `offset`.
    fn number(&self, offset: u64) -> Option<u32> {
        let place = self.place(offset).filter(|place| offset < place.offset + place.length)?;
        let inside = offset - place.offset;
        let records = inside / RECORD * place.overhead;
        Some(place.first.wrapping_add((inside + records) as u32))
    }

    /// Numbers of a message's first byte of ciphertext, and the bytes from there to the end of its last record. An end that was not
    /// seen is that of what was.
    fn span(&self, begin: u64, end: u64) -> Option<(u32, u64)> {
        let first = self.number(begin)?;
        let last = end.max(begin + 1).min(self.length) - 1;
        let place = self.place(last)?;
        let last = last.min(place.offset + place.length - 1);
        let behind = self.number(last)?.wrapping_add(1);
        let tag = place.overhead.saturating_sub(u64::from(HEADER));
        Some((first, u64::from(behind.wrapping_sub(first)) + tag))
    }
}

/// One end of a connection: a process's library object on its socket.
#[derive(Debug)]
struct End {
    is_client: bool,
    initial_sequence: Option<[u32; 2]>,
    /// Client and server.
    ends: [SocketAddr; 2],
    /// The handshake was seen, so offset 0 is the first byte.
    from_start: bool,
    /// Read, written.
    streams: [Stream; 2],
}

impl End {
    fn identity(&self) -> Identity {
        match self.initial_sequence {
            Some(numbers) => (Some(numbers), None),
            None => (None, Some(self.ends)),
        }
    }
}

/// A library object's calls, until its socket is known.
#[derive(Debug, Default)]
struct Calls {
    socket_id: Option<i64>,
    first_ns: i64,
    shaken: bool,
    streams: [Stream; 2],
    records: Records,
    /// Numbers before the first and after the last socket write since the last write of plaintext was done.
    outbound: Option<(u32, u32)>,
    /// A write was begun and not done: it will be asked again.
    unfinished: bool,
    n_unplaced: u64,
}

/// The connections that an object had one after the other.
fn ends(
    host: &Recorded,
    calls: &[PlaintextRow<'_>],
    events: &BTreeMap<Beneath, Vec<SocketEventRow<'_>>>,
    unused: &mut Unused,
) -> Vec<End> {
    let mut found = Vec::new();
    let mut open = Calls::default();
    let mut finish = |open: &mut Calls, pid: u32| {
        let done = std::mem::take(open);
        let n = done.streams.iter().map(|stream| stream.places.len() as u64).sum::<u64>();
        let (n_unplaced, first_ns) = (done.n_unplaced, done.first_ns);
        let mut count = |cause, n: u64| {
            if n > 0 {
                *unused.entry((host.point(pid, first_ns), cause)).or_default() += n;
            }
        };
        match done.socket_id {
            Some(_) => count("unplaced-plaintext", n_unplaced),
            None => count("plaintext-without-socket", n + n_unplaced),
        }
        match end(host, done) {
            Some(end) => found.push(end),
            None => count("unplaced-plaintext", n),
        }
    };
    for call in calls {
        if call.call == "close" {
            finish(&mut open, call.pid);
            continue;
        }
        let beneath = beneath(events.get(&Beneath::of(call)).map_or(&[], Vec::as_slice), call);
        let other = beneath.iter().find_map(|event| event.socket_id);
        if other.is_some() && open.socket_id.is_some() && other != open.socket_id {
            finish(&mut open, call.pid);
        }
        open.take(call, beneath);
    }
    if let Some(last) = calls.last() {
        finish(&mut open, last.pid);
    }
    found
}

/// Those of some stream-socket events, in order of time, that lie inside a call.
fn beneath<'a, 'b>(
    events: &'a [SocketEventRow<'b>],
    call: &PlaintextRow<'_>,
) -> &'a [SocketEventRow<'b>] {
    let from = events.partition_point(|event| event.time_ns < call.time_ns);
    let until = events.partition_point(|event| event.time_ns <= call.exit_ns);
    &events[from..until.max(from)]
}

impl Calls {
    fn take(&mut self, call: &PlaintextRow<'_>, beneath: &[SocketEventRow<'_>]) {
        if self.first_ns == 0 {
            self.first_ns = call.time_ns;
        }
        if call.call != "write" && !self.unfinished {
            self.outbound = None;
        }
        for event in beneath {
            self.socket_id = self.socket_id.or(event.socket_id);
            let moved = event.result.filter(|moved| *moved > 0).and(event.sequence_before);
            let (Some(before), Some(after)) = (moved, event.sequence_after) else { continue };
            match (event.direction, event.mark) {
                (Some(OUTBOUND), None) => {
                    self.outbound = Some((self.outbound.map_or(before, |(first, _)| first), after));
                }
                (Some(INBOUND), None | Some("fin")) => {
                    let length = event.result.unwrap_or(0).clamp(0, MOST_MOVED) as u32;
                    self.records.receive(before, event.bytes.unwrap_or(&[]), length);
                }
                _ => {}
            }
        }
        match call.call {
            "handshake" => self.shaken |= call.result == 1,
            "write" if call.result > 0 => {
                let written = self.outbound.take().map(|(first, behind)| {
                    let n = call.result as u64;
                    let wire = u64::from(behind.wrapping_sub(first));
                    let overhead = wire.saturating_sub(n) / n.div_ceil(RECORD);
                    (first.wrapping_add(HEADER), overhead)
                });
                self.n_unplaced += u64::from(written.is_none());
                self.streams[1].push(call, written);
            }
            "read" if call.result > 0 => {
                let n = u32::try_from(call.result).unwrap_or(u32::MAX);
                let asked = call.asked.unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32;
                // Where the record's header was not recorded, its data follow those of the record before.
                let first = self.records.take(n, asked).or_else(|| self.streams[0].next());
                let place = first.map(|first| (first, OVERHEAD));
                self.n_unplaced += u64::from(place.is_none());
                self.streams[0].push(call, place);
            }
            _ => {}
        }
        self.unfinished = call.call == "write" && call.result <= 0;
    }
}

/// Names the connection of an object's calls; `None` where its socket has no place on a network.
fn end(host: &Recorded, calls: Calls) -> Option<End> {
    let socket_id = calls.socket_id?;
    let events = host.events_of(socket_id);
    let (row, events) = by_life(host.lives(socket_id)?, events)
        .into_iter()
        .take_while(|(row, _)| row.valid_from_ns <= calls.first_ns)
        .last()?;
    let socket = Socket::of(host, row, &events);
    let (local, remote) = socket.local.zip(socket.remote)?;
    let opened = events.iter().find_map(|event| match event.call {
        "connect" => Some(true),
        "accept" => Some(false),
        _ => None,
    });
    let is_client = match row.role {
        sockets::Role::Client => true,
        sockets::Role::Server => false,
        _ => opened.unwrap_or(local.port() > remote.port()),
    };
    let [inbound, outbound] = first_numbers(&events);
    let before = |first: Option<u32>| first.map(|first| first.wrapping_sub(1));
    let numbers = if is_client { [outbound, inbound] } else { [inbound, outbound] }.map(before);
    let initial_sequence = match numbers {
        [Some(client), Some(server)] if opened.is_some() => Some([client, server]),
        _ => None,
    };
    let ends = if is_client { [local, remote] } else { [remote, local] };
    Some(End {
        is_client,
        initial_sequence,
        ends,
        from_start: calls.shaken,
        streams: calls.streams,
    })
}

/// The dialog of a connection of which one end or both are known. What was written counts before what was read, unless that is more: a
/// program that ends within its last write is not seen to return from it.
fn dialog(ends: &[End], id_fields: &IdFields) -> Dialog {
    let stream = |side: Side| {
        let is_writer = |end: &&End| end.is_client == (side == Side::Client);
        let written = ends.iter().filter(is_writer).map(|end| (&end.streams[1], end.from_start));
        let read = ends.iter().filter(|e| !is_writer(e)).map(|e| (&e.streams[0], e.from_start));
        let all = written.chain(read).enumerate();
        let placed = all.filter(|(_, (stream, _))| !stream.places.is_empty());
        let longest = placed.max_by_key(|(n, (stream, _))| (stream.length, Reverse(*n)));
        longest.map(|(_, found)| found)
    };
    let empty = Stream::default();
    let found = [stream(Side::Client), stream(Side::Server)];
    let from_start = found.iter().all(|stream| stream.is_none_or(|(_, from_start)| from_start));
    let streams = found.map(|stream| stream.map_or(&empty, |(stream, _)| stream));
    let mut messages = [Vec::new(), Vec::new()];
    let ports = ends.first().map_or([0; 2], |end| end.ends.map(|end| end.port()));
    for (protocol, mut message, hashes) in parse(streams, ports, from_start, id_fields) {
        let side = half(message.from);
        if message.role != Role::Response {
            message.attributes.push(("encrypted", "tls".to_string()));
        }
        if let Some((sequence, length)) = streams[side].span(message.begin, message.end) {
            messages[side].push(Placed { protocol, sequence, length, message, hashes });
        }
    }
    let first = ends.first();
    Dialog {
        initial_sequence: first.and_then(|end| end.initial_sequence),
        ends: first.map_or([SocketAddr::from(([0; 4], 0)); 2], |end| end.ends),
        messages,
    }
}

/// What is said in two streams of plaintext.
fn parse(
    streams: [&Stream; 2],
    ports: [u16; 2],
    from_start: bool,
    id_fields: &IdFields,
) -> Vec<(&'static str, Message, [u64; 2])> {
    let mut said = Vec::new();
    let mut starts = [0_u64; 2];
    let (mut except, mut next, mut carry) = (None, None, Carry::default());
    for _ in 0..MAX_SWITCHES {
        let known = [0, 1].map(|side: usize| {
            let rest = streams[side].pieces.iter().filter_map(|(offset, bytes)| {
                let skip = starts[side].saturating_sub(*offset).min(bytes.len() as u64) as usize;
                (skip < bytes.len()).then(|| Piece {
                    offset: offset + skip as u64,
                    bytes: &bytes[skip..],
                    wire_length: (bytes.len() - skip) as u32,
                })
            });
            rest.collect::<Vec<_>>()
        });
        let half = |side: usize| Half {
            start: starts[side],
            end: streams[side].length,
            pieces: &known[side],
            last: true,
        };
        let stretch = Stretch {
            transport: Transport::Tcp,
            client_port: ports[0],
            server_port: ports[1],
            client: half(0),
            server: half(1),
            from_start,
            id_fields,
        };
        if known.iter().all(Vec::is_empty) {
            break;
        }
        let Some(protocol) = next.or_else(|| best(&stretch, except).map(|(_, p)| p)) else { break };
        let parsed = protocol.parse(&stretch, std::mem::take(&mut carry));
        said.extend(parsed.messages.into_iter().map(|message| {
            let hashes = hashes(stretch.half(message.from), &message);
            (protocol.name(), message, hashes)
        }));
        let Some(switch) = parsed.switch else { break };
        starts = [switch.client_at, switch.server_at];
        except = Some(protocol.name());
        next = PROTOCOLS.iter().copied().find(|p| Some(p.name()) == switch.to);
        carry = if next.is_some() { parsed.carry } else { Carry::default() };
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &[u8]) -> Stream {
        if bytes.is_empty() {
            return Stream::default();
        }
        let length = bytes.len() as u64;
        let place = Place { offset: 0, length, first: 1000, overhead: OVERHEAD };
        Stream { pieces: vec![(0, bytes.to_vec())], places: vec![place], length }
    }

    /// Read and written.
    fn end(is_client: bool, streams: [&[u8]; 2]) -> End {
        End {
            is_client,
            initial_sequence: Some([1, 2]),
            ends: ["10.0.0.1:40000", "10.0.0.2:443"].map(|end| end.parse().expect("an address")),
            from_start: true,
            streams: streams.map(stream),
        }
    }

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    fn check(ends: &[End], expected: [usize; 2]) {
        let dialog = dialog(ends, &IdFields::BUILT_IN);
        assert_eq!(dialog.messages.map(|messages| messages.len()), expected);
    }

    #[test]
    fn either_end_tells_what_the_other_does_not() {
        check(&[end(true, [OK, GET])], [1, 1]);
        check(&[end(false, [GET, OK])], [1, 1]);
        check(&[end(true, [OK, GET]), end(false, [GET, b""])], [1, 1]);
        let twice = [OK, OK].concat();
        let asked = [GET, GET].concat();
        // The server's last write was not seen to return.
        check(&[end(true, [&twice, &asked]), end(false, [&asked, OK])], [2, 2]);
        check(&[end(true, [b"", GET])], [1, 0]);
    }
}
