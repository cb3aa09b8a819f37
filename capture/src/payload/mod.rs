//! What of a payload is kept: nothing, heads, all with credentials overwritten, or all of it. Decided before a byte leaves the
//! recorder. Never lets through what the mode forbids; in doubt, nothing is kept.

mod streams;

pub use afterpath_formats::mask::Mode;

use afterpath_formats::frame::{Headers, Transport};
use afterpath_formats::mask::{Kept, mask_datagram};
use std::collections::HashMap;
use streams::{Stream, Streams};

const SYN: u8 = 2;
/// Ethernet's type of ARP, behind two addresses.
const ARP: [u8; 2] = [8, 6];

/// In words, for who starts a recording.
pub fn text(mode: Mode) -> &'static str {
    match mode {
        Mode::None => "none",
        Mode::Heads => "heads of known protocols, credentials masked",
        Mode::Masked => "credentials masked",
        Mode::Raw => "RAW: credentials and personal data are recorded as they are",
    }
}

/// What a socket event moved.
pub(crate) struct Moved<'a> {
    /// The socket's inode number.
    pub(crate) socket: i64,
    pub(crate) outbound: bool,
    pub(crate) is_datagram: bool,
    /// Number of the first byte; `None`: the stream has none.
    pub(crate) sequence: Option<u32>,
    /// The first of all bytes.
    pub(crate) bytes: &'a [u8],
    pub(crate) length: u32,
    /// As in the table.
    pub(crate) mark: Option<&'a str>,
}

/// The maskers of one probe's streams.
pub(crate) struct Payload {
    mode: Mode,
    /// By socket, and whether outbound.
    events: Streams<(i64, bool)>,
    frames: Streams<FrameKey>,
    /// Directions that were seen to open, until their first bytes.
    fresh: HashMap<(i64, bool), Fresh>,
    /// Events lost so far, as far as known: behind a loss nothing is sure to be a stream's beginning.
    n_lost: u64,
    buffer: Vec<u8>,
}

/// A direction of which no byte was seen yet.
#[derive(Clone, Copy)]
struct Fresh {
    /// Number of its first byte, if that is known.
    first: Option<u32>,
    n_lost: u64,
}

/// One direction of a flow at one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FrameKey {
    interface_id: u32,
    source: [u8; 16],
    destination: [u8; 16],
    ports: (u16, u16),
}

/// Openings remembered at most: of sockets on which nothing was ever said.
const N_FRESH: usize = 65_536;

impl Payload {
    /// Payloads under `mode`.
    pub(crate) fn new(mode: Mode) -> Payload {
        Payload {
            mode,
            events: Streams::new(),
            frames: Streams::new(),
            fresh: HashMap::new(),
            n_lost: 0,
            buffer: Vec::new(),
        }
    }

    /// Whether any byte is ever kept.
    pub(crate) fn keeps_any(&self) -> bool {
        self.mode != Mode::None
    }

    /// So many events are lost by now.
    pub(crate) fn lost(&mut self, n_lost: u64) {
        self.n_lost = n_lost;
    }

    /// A socket was opened, seen from its beginning: its streams begin with these numbers, inbound first, where they are known.
    pub(crate) fn opened(&mut self, socket: i64, first: [Option<u32>; 2]) {
        if self.fresh.len() >= N_FRESH {
            self.fresh.clear();
        }
        for (outbound, first) in [(false, first[0]), (true, first[1])] {
            self.fresh.insert((socket, outbound), Fresh { first, n_lost: self.n_lost });
        }
    }

    /// A socket was closed.
    pub(crate) fn closed(&mut self, socket: i64) {
        for outbound in [false, true] {
            self.fresh.remove(&(socket, outbound));
            self.events.remove(&(socket, outbound));
        }
    }

    /// What is kept of an event's first bytes.
    pub(crate) fn of_event<'a>(&'a mut self, moved: &Moved<'a>) -> &'a [u8] {
        if moved.bytes.is_empty() {
            self.pass(moved);
            return &[];
        }
        match self.mode {
            Mode::None => return &[],
            Mode::Raw => return moved.bytes,
            Mode::Heads | Mode::Masked => {}
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(moved.bytes);
        let kept = if moved.is_datagram {
            mask_datagram(self.mode, &mut self.buffer)
        } else {
            self.mask_stream(moved)
        };
        &self.buffer[..kept.bytes]
    }

    /// Bytes went by of which none was seen (sendfile, splice).
    fn pass(&mut self, moved: &Moved<'_>) {
        let masks = matches!(self.mode, Mode::Heads | Mode::Masked);
        if masks && !moved.is_datagram && moved.length > 0 && moved.mark != Some("peek") {
            self.buffer.clear();
            self.mask_stream(moved);
        }
    }

    /// Masks `buffer`, the beginning of what was moved.
    fn mask_stream(&mut self, moved: &Moved<'_>) -> Kept {
        let (mode, n_lost) = (self.mode, self.n_lost);
        let key = (moved.socket, moved.outbound);
        // Its bytes are somewhere between the numbers: what follows finds a gap.
        let is_placed = !matches!(moved.mark, Some("interleaved"));
        if !is_placed {
            self.fresh.remove(&key);
            return Kept::default();
        }
        if let Some(fresh) = self.fresh.remove(&key) {
            let first = fresh.first.or(moved.sequence).unwrap_or(0);
            let is_sure =
                fresh.n_lost == n_lost || (fresh.first.is_some() && moved.sequence.is_some());
            let stream =
                if is_sure { Stream::opened(mode, first) } else { Stream::joined(mode, first) };
            self.events.insert(key, stream.by(n_lost));
        }
        let near = moved.sequence.unwrap_or(0);
        let stream = self.events.get(key, || Stream::joined(mode, near).by(n_lost));
        // Without numbers a lost event leaves no gap behind.
        if moved.sequence.is_none() && stream.is_behind(n_lost) {
            *stream = Stream::joined(mode, near).by(n_lost);
        }
        let sequence = moved.sequence.unwrap_or_else(|| stream.next());
        match moved.mark {
            Some("peek") => stream.peek(sequence, &mut self.buffer, moved.length),
            _ => stream.mask(sequence, &mut self.buffer, moved.length),
        }
    }

    /// Takes out of a captured frame, or overwrites, what is not kept.
    pub(crate) fn of_frame(&mut self, interface_id: u32, headers: &Headers, frame: &mut Vec<u8>) {
        if self.mode == Mode::Raw {
            return;
        }
        let begin = headers.payload_offset as usize;
        let Some(network) = headers.network else {
            // ARP is all header; of other kinds nothing is known.
            if frame.get(12..14) != Some(&ARP) {
                frame.truncate(14);
            }
            return;
        };
        let length = headers.payload_length;
        let end = frame.len().min(begin.saturating_add(length as usize));
        // Padding of short frames may be anything.
        frame.truncate(end.max(begin));
        let mode = self.mode;
        let payload = &mut frame[begin..];
        let kept = match headers.transport {
            _ if mode == Mode::None || payload.is_empty() => Kept::default(),
            Some(Transport::Tcp(tcp)) => {
                let key = FrameKey {
                    interface_id,
                    source: network.source,
                    destination: network.destination,
                    ports: (tcp.source_port, tcp.destination_port),
                };
                let stream = self.frames.get(key, || Stream::joined(mode, tcp.sequence));
                stream.mask(tcp.sequence, payload, length)
            }
            // A fragment is half a datagram.
            Some(Transport::Udp { .. }) if network.fragment.is_none() => {
                mask_datagram(mode, payload)
            }
            _ => Kept::default(),
        };
        frame.truncate(begin + kept.bytes);
        if let Some(tcp) = headers.tcp().filter(|tcp| tcp.flags & SYN != 0) {
            let key = FrameKey {
                interface_id,
                source: network.source,
                destination: network.destination,
                ports: (tcp.source_port, tcp.destination_port),
            };
            self.frames.insert(key, Stream::opened(mode, tcp.sequence.wrapping_add(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(outbound: bool, sequence: u32, bytes: &[u8]) -> Moved<'_> {
        Moved {
            socket: 1,
            outbound,
            is_datagram: false,
            sequence: Some(sequence),
            bytes,
            length: bytes.len() as u32,
            mark: None,
        }
    }

    #[test]
    fn a_stream_that_was_seen_to_open_is_masked_and_kept() {
        for outbound in [false, true] {
            let mut payload = Payload::new(Mode::Masked);
            payload.opened(1, [Some(100), Some(100)]);
            let text = b"GET / HTTP/1.1\r\nCookie: abc\r\n\r\n";
            let kept = payload.of_event(&moved(outbound, 100, text));
            assert_eq!(
                kept.escape_ascii().to_string(),
                "GET / HTTP/1.1\\r\\nCookie: ***\\r\\n\\r\\n"
            );
        }
    }
}
