//! Bytes as a conversation, and what every protocol makes of it: no panic, no message outside of what was said, no stretch that ends before
//! it begins.
//!
//! First byte: bit 0 UDP, bit 1 joined late. Second: the server's port. Then turns: a byte (bit 0 the server speaks, bit 1 what follows was
//! lost, bit 2 a stretch ends behind it), a length in two bytes (little-endian), so many bytes, none where they were lost.

use super::Way;
use afterpath::protocol::{
    Carry, Half, IdFields, Message, PROTOCOLS, Piece, Protocol, Side, Stretch, Transport,
};

pub(super) const WAY: Way = Way { name: "protocols", endure, is_quick: true };

const PORTS: [u16; 8] = [80, 53, 443, 3306, 4222, 5432, 6379, 50_051];

/// What a turn's first byte says.
const SERVER: u8 = 1;
const LOST: u8 = 2;
const CUT: u8 = 4;

fn endure(bytes: &[u8]) {
    Conversation::read(bytes).endure();
}

/// A conversation of captured runs, and where it is cut into stretches.
struct Conversation {
    transport: Transport,
    from_start: bool,
    server_port: u16,
    /// Of client and server: offset, bytes, length on the wire.
    runs: [Vec<(u64, Vec<u8>, u32)>; 2],
    /// Both sides' ends of each stretch.
    cuts: Vec<[u64; 2]>,
}

impl Conversation {
    /// Any bytes are one.
    fn read(bytes: &[u8]) -> Conversation {
        let [first, port, rest @ ..] = bytes else { return Conversation::read(&[0, 0]) };
        let mut conversation = Conversation {
            transport: if first & 1 != 0 { Transport::Udp } else { Transport::Tcp },
            from_start: first & 2 == 0,
            server_port: PORTS[usize::from(*port) % PORTS.len()],
            runs: [Vec::new(), Vec::new()],
            cuts: Vec::new(),
        };
        let (mut rest, mut ends) = (rest, [0_u64; 2]);
        while let [flags, low, high, more @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let side = usize::from(flags & SERVER != 0);
            let known = if flags & LOST != 0 { &[][..] } else { &more[..length.min(more.len())] };
            rest = &more[known.len()..];
            let wire_length = if flags & LOST != 0 { length } else { known.len() };
            conversation.push(side, ends[side], known, wire_length as u32);
            ends[side] += wire_length as u64;
            if flags & CUT != 0 {
                conversation.cuts.push(ends);
            }
        }
        conversation.cuts.push(ends);
        conversation
    }

    fn push(&mut self, side: usize, offset: u64, known: &[u8], wire_length: u32) {
        let runs = &mut self.runs[side];
        match runs.last_mut() {
            _ if self.transport == Transport::Udp => {
                runs.push((offset, known.to_vec(), wire_length))
            }
            _ if known.is_empty() => {}
            Some((at, bytes, _)) if *at + bytes.len() as u64 == offset => bytes.extend(known),
            _ => runs.push((offset, known.to_vec(), 0)),
        }
    }

    /// Every protocol is asked, and reads it in its stretches.
    fn endure(&self) {
        for protocol in PROTOCOLS {
            let whole = self.cuts.last().copied().unwrap_or_default();
            let _ = self.stretch([0; 2], whole, true, |stretch| protocol.probe(stretch));
            self.read_by(*protocol);
        }
    }

    fn read_by(&self, protocol: &dyn Protocol) {
        let (mut starts, mut carry) = ([0; 2], Carry::default());
        for (nth, ends) in self.cuts.iter().enumerate() {
            let is_last = nth + 1 == self.cuts.len();
            let state = std::mem::take(&mut carry);
            let parsed =
                self.stretch(starts, *ends, is_last, |stretch| protocol.parse(stretch, state));
            for message in &parsed.messages {
                self.check(protocol, message);
            }
            let consumed = [parsed.client_consumed, parsed.server_consumed];
            for side in 0..2 {
                let range = starts[side]..=ends[side];
                let name = protocol.name();
                assert!(range.contains(&consumed[side]), "{name}: {consumed:?} of {range:?}");
            }
            if parsed.switch.is_some() {
                return;
            }
            (starts, carry) = (consumed, parsed.carry);
        }
    }

    fn check(&self, protocol: &dyn Protocol, message: &Message) {
        let side = usize::from(message.from == Side::Server);
        let end = self.cuts.last().map_or(0, |ends| ends[side]);
        let is_inside = message.begin <= message.end && message.begin <= end;
        assert!(is_inside, "{}: {message:?} of {end}", protocol.name());
    }

    fn stretch<T>(
        &self,
        starts: [u64; 2],
        ends: [u64; 2],
        last: bool,
        look: impl FnOnce(&Stretch<'_>) -> T,
    ) -> T {
        let is_udp = self.transport == Transport::Udp;
        let pieces = [0, 1].map(|side: usize| -> Vec<Piece<'_>> {
            let (start, end) = (starts[side], ends[side]);
            let within = self.runs[side].iter().filter_map(|(offset, bytes, wire_length)| {
                if is_udp {
                    let piece = Piece { offset: *offset, bytes, wire_length: *wire_length };
                    return (*offset >= start && *offset < end).then_some(piece);
                }
                Piece::within(*offset, bytes, start, end)
            });
            within.collect()
        });
        let half = |side: usize| Half {
            start: starts[side],
            end: ends[side],
            pieces: &pieces[side],
            last,
        };
        look(&Stretch {
            transport: self.transport,
            client_port: 40_000,
            server_port: self.server_port,
            client: half(0),
            server: half(1),
            from_start: self.from_start,
            id_fields: &IdFields::BUILT_IN,
        })
    }
}
