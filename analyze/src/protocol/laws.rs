//! The laws every protocol keeps, as test drivers: any cutting gives equal messages, nothing panics, offsets make sense,
//! each sample is claimed by exactly one protocol. Never a protocol's own expectations: those sit under its code.

use super::{
    Carry, Half, IdFields, Match, Message, Outcome, PROTOCOLS, Piece, Protocol, Role, Side,
    Stretch, Switch, Transport,
};

/// A recorded conversation in time order: what each side sent, and what the capture lost of it.
#[derive(Debug, Clone)]
pub struct Dialog {
    transport: Transport,
    client_port: u16,
    server_port: u16,
    from_start: bool,
    id_fields: IdFields,
    turns: Vec<Turn>,
}

/// Bytes of one side: `known` captured, then `lost` not. In UDP one datagram.
#[derive(Debug, Clone)]
struct Turn {
    side: Side,
    known: Vec<u8>,
    lost: usize,
}

impl Dialog {
    /// A TCP conversation seen from its start.
    pub(crate) fn tcp(server_port: u16) -> Self {
        Dialog {
            transport: Transport::Tcp,
            client_port: 40_000,
            server_port,
            from_start: true,
            id_fields: IdFields::BUILT_IN,
            turns: Vec::new(),
        }
    }

    /// A UDP conversation; each turn is one datagram.
    pub(crate) fn udp(server_port: u16) -> Self {
        Dialog { transport: Transport::Udp, ..Dialog::tcp(server_port) }
    }

    /// The same, joined in its middle.
    pub(crate) fn joined_late(self) -> Self {
        Dialog { from_start: false, ..self }
    }

    /// The same where one more field names requests.
    pub(crate) fn id_field(self, name: &str) -> Self {
        Dialog { id_fields: IdFields::with(&[name.to_owned()]).unwrap(), ..self }
    }

    /// The same from another port than usual.
    pub(crate) fn client_port(self, client_port: u16) -> Self {
        Dialog { client_port, ..self }
    }

    /// The client sends.
    pub(crate) fn client(self, bytes: impl AsRef<[u8]>) -> Self {
        self.turn(Side::Client, bytes.as_ref(), 0)
    }

    /// The server sends.
    pub(crate) fn server(self, bytes: impl AsRef<[u8]>) -> Self {
        self.turn(Side::Server, bytes.as_ref(), 0)
    }

    /// `side` sends `known`, then `lost` bytes that the capture has not (snap length or loss).
    pub(crate) fn cut(self, side: Side, known: impl AsRef<[u8]>, lost: usize) -> Self {
        self.turn(side, known.as_ref(), lost)
    }

    fn turn(mut self, side: Side, known: &[u8], lost: usize) -> Self {
        self.turns.push(Turn { side, known: known.to_vec(), lost });
        self
    }

    /// The same with about one turn in three losing its tail.
    pub(crate) fn with_losses(&self, dice: &mut Dice) -> Dialog {
        let mut lossy = self.clone();
        for turn in &mut lossy.turns {
            if dice.below(3) == 0 {
                let keep = dice.below(turn.known.len() + 1);
                turn.lost += turn.known.len() - keep;
                turn.known.truncate(keep);
            }
        }
        lossy
    }

    fn wire_length(&self) -> usize {
        self.turns.iter().map(|t| t.known.len() + t.lost).sum()
    }

    /// Where each half ends once `wire_bytes` of the whole conversation have passed. Datagrams are not split.
    fn ends_after(&self, wire_bytes: usize) -> [u64; 2] {
        let (mut left, mut ends) = (wire_bytes, [0, 0]);
        for turn in &self.turns {
            let whole = turn.known.len() + turn.lost;
            let passed = match self.transport {
                Transport::Tcp => whole.min(left),
                Transport::Udp if whole > left => break,
                Transport::Udp => whole,
            };
            ends[turn.side as usize] += passed as u64;
            left -= passed;
        }
        ends
    }

    /// The captured runs of one side: (offset, bytes, length on the wire).
    fn tape(&self, side: Side) -> Vec<(u64, Vec<u8>, u32)> {
        let mut runs: Vec<(u64, Vec<u8>, u32)> = Vec::new();
        let mut offset = 0;
        for turn in self.turns.iter().filter(|t| t.side == side) {
            let wire_length = (turn.known.len() + turn.lost) as u32;
            match runs.last_mut() {
                _ if self.transport == Transport::Udp => {
                    runs.push((offset, turn.known.clone(), wire_length))
                }
                Some((at, bytes, _)) if *at + bytes.len() as u64 == offset => {
                    bytes.extend(&turn.known)
                }
                _ => runs.push((offset, turn.known.clone(), 0)),
            }
            offset += u64::from(wire_length);
        }
        runs.retain(|(_, bytes, wire_length)| !bytes.is_empty() || *wire_length > 0);
        runs
    }
}

/// What a protocol made of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The client's messages in order.
    pub(crate) client: Vec<Message>,
    /// The server's messages in order.
    pub(crate) server: Vec<Message>,
    /// Where the protocol changed.
    pub(crate) switch: Option<Switch>,
}

/// A message in a line: role, what it says, what it means, facts, identifiers, doubts.
pub(crate) fn line(message: &Message) -> String {
    let role = match message.role {
        Role::Request => "?",
        Role::Response => "=",
        Role::Interim => "~",
        Role::OneWay => "!",
    };
    let words = [&message.request_type, &message.resource, &message.host, &message.status];
    let words = words.map(String::as_str).into_iter().filter(|w| !w.is_empty());
    let words = words.collect::<Vec<_>>().join(" ");
    let facts: String = message.attributes.iter().map(|(k, v)| format!(" {k}={v}")).collect();
    let ids: String = message.ids.iter().map(|id| format!(" {}:{}", id.field, id.value)).collect();
    let issues: String = message.issues.iter().map(|i| format!(" {}", i.name())).collect();
    let outcome = match message.outcome {
        Some(Outcome::ClientError) => " (client)",
        Some(Outcome::ServerError) => " (server)",
        _ => "",
    };
    format!("{role}{words}{outcome}{facts}{ids}{issues}")
}

/// Parses a conversation in one stretch.
pub(crate) fn told(protocol: &dyn Protocol, dialog: &Dialog) -> Told {
    told_in(protocol, dialog, &[])
}

/// Asks a protocol about the whole conversation.
pub(crate) fn probed(protocol: &dyn Protocol, dialog: &Dialog) -> Match {
    let tapes = [dialog.tape(Side::Client), dialog.tape(Side::Server)];
    let ends = dialog.ends_after(usize::MAX);
    with_stretch(dialog, &tapes, [0, 0], ends, true, |stretch| protocol.probe(stretch))
}

/// Cuts `dialog` in every single place, into single bytes and at random places, and expects the same of each.
pub(crate) fn any_cutting_gives_equal_messages(protocol: &dyn Protocol, dialog: &Dialog) {
    let whole = told(protocol, dialog);
    let length = dialog.wire_length();
    let expect = |cuts: &[usize]| {
        assert_eq!(told_in(protocol, dialog, cuts), whole, "cut at {cuts:?} of {length}");
    };
    (0..=length).step_by(length / 2_000 + 1).for_each(|at| expect(&[at]));
    if length < 5_000 {
        expect(&(0..=length).collect::<Vec<_>>());
    }
    let mut dice = Dice::new(length as u64);
    for _ in 0..200 {
        let n_cuts = 1 + dice.below(9);
        let mut cuts: Vec<usize> = (0..n_cuts).map(|_| dice.below(length + 1)).collect();
        cuts.sort_unstable();
        expect(&cuts);
    }
}

/// The same with random losses.
pub(crate) fn any_cutting_of_lossy_captures_gives_equal_messages(
    protocol: &dyn Protocol,
    dialog: &Dialog,
) {
    let mut dice = Dice::new(7);
    for _ in 0..40 {
        any_cutting_gives_equal_messages(protocol, &dialog.with_losses(&mut dice));
    }
}

/// Prefixes, flipped bytes, losses and noise: never a panic, never a message out of place.
pub(crate) fn survives(protocol: &dyn Protocol, client: &[u8], server: &[u8]) {
    let mut dice = Dice::new((client.len() + server.len()) as u64);
    let longest = client.len().max(server.len());
    for n in (0..=longest).step_by(longest / 1_000 + 1) {
        let prefix = |bytes: &[u8]| bytes[..n.min(bytes.len())].to_vec();
        endures(protocol, &prefix(client), &prefix(server), &mut dice);
    }
    for _ in 0..3_000 {
        let (mut c, mut s) = (client.to_vec(), server.to_vec());
        for bytes in [&mut c, &mut s].into_iter().filter(|b| !b.is_empty()) {
            (0..dice.below(6)).for_each(|_| {
                let at = dice.below(bytes.len());
                bytes[at] = dice.byte();
            });
        }
        endures(protocol, &c, &s, &mut dice);
    }
    for _ in 0..1_000 {
        let noise = |dice: &mut Dice| (0..dice.below(200)).map(|_| dice.byte()).collect::<Vec<_>>();
        let (c, s) = (noise(&mut dice), noise(&mut dice));
        endures(protocol, &c, &s, &mut dice);
    }
}

fn endures(protocol: &dyn Protocol, client: &[u8], server: &[u8], dice: &mut Dice) {
    let base = match dice.below(4) {
        0 => Dialog::udp(53),
        1 => Dialog::tcp(80).joined_late(),
        _ => Dialog::tcp(53),
    };
    let (at, lost) = (dice.below(client.len() + 1), dice.below(20));
    let dialog = base.client(&client[..at]).server(server).client(&client[at..]);
    let lossy = dialog.clone().cut(Side::Server, [], lost).with_losses(dice).server(server);
    for dialog in [dialog, lossy] {
        probed(protocol, &dialog);
        let cuts = [dice.below(dialog.wire_length() + 1)];
        told_in(protocol, &dialog, &cuts);
    }
}

/// Parses a conversation in the stretches that `cuts` (bytes passed in both directions together, rising) make of it.
fn told_in(protocol: &dyn Protocol, dialog: &Dialog, cuts: &[usize]) -> Told {
    let tapes = [dialog.tape(Side::Client), dialog.tape(Side::Server)];
    let mut told = Told { client: Vec::new(), server: Vec::new(), switch: None };
    let (mut starts, mut carry) = ([0, 0], Carry::default());
    for (i, &cut) in cuts.iter().chain([&usize::MAX]).enumerate() {
        let (last, ends) = (i == cuts.len(), dialog.ends_after(cut));
        let state = std::mem::take(&mut carry);
        let parsed = with_stretch(dialog, &tapes, starts, ends, last, |stretch| {
            protocol.parse(stretch, state)
        });
        let consumed = [parsed.client_consumed, parsed.server_consumed];
        for side in 0..2 {
            let range = starts[side]..=ends[side];
            assert!(range.contains(&consumed[side]), "{consumed:?} of {range:?}, cuts {cuts:?}");
        }
        for message in parsed.messages {
            let of_side = match message.from {
                Side::Client => &mut told.client,
                Side::Server => &mut told.server,
            };
            assert!(message.begin <= message.end, "{message:?}");
            let place = |m: &Message| if m.part.is_some() { m.end } else { m.begin };
            let is_free = |m: &Message| m.correlation.is_some() && m.part.is_none();
            let before = of_side.iter().rev().find(|m| !is_free(m)).filter(|_| !is_free(&message));
            assert!(before.is_none_or(|m| place(m) <= place(&message)), "{message:?} is late");
            of_side.push(message);
        }
        (starts, carry, told.switch) = (consumed, parsed.carry, parsed.switch);
        if told.switch.is_some() {
            break;
        }
    }
    told
}

fn with_stretch<T>(
    dialog: &Dialog,
    tapes: &[Vec<(u64, Vec<u8>, u32)>; 2],
    starts: [u64; 2],
    ends: [u64; 2],
    last: bool,
    use_it: impl FnOnce(&Stretch<'_>) -> T,
) -> T {
    let udp = dialog.transport == Transport::Udp;
    let pieces = [0, 1].map(|side: usize| -> Vec<Piece<'_>> {
        let (start, end) = (starts[side], ends[side]);
        let within = tapes[side].iter().filter_map(|(offset, bytes, wire_length)| {
            if udp {
                let piece = Piece { offset: *offset, bytes, wire_length: *wire_length };
                return (*offset >= start && *offset < end).then_some(piece);
            }
            Piece::within(*offset, bytes, start, end)
        });
        within.collect()
    });
    let half =
        |side: usize| Half { start: starts[side], end: ends[side], pieces: &pieces[side], last };
    use_it(&Stretch {
        transport: dialog.transport,
        client_port: dialog.client_port,
        server_port: dialog.server_port,
        client: half(0),
        server: half(1),
        from_start: dialog.from_start,
        id_fields: &dialog.id_fields,
    })
}

/// Repeatable chance (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n.max(1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = PROTOCOLS.iter().map(|p| p.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROTOCOLS.len());
}

#[test]
fn no_other_claims_a_protocols_sample() {
    for of in PROTOCOLS {
        let sample = of.sample();
        for protocol in PROTOCOLS {
            let claims = probed(*protocol, &sample) == Match::Yes;
            assert_eq!(
                claims,
                protocol.name() == of.name(),
                "{} on {}",
                protocol.name(),
                of.name()
            );
        }
    }
}

#[test]
fn every_protocol_survives_every_sample() {
    for of in PROTOCOLS {
        let sample = of.sample();
        let sent = |side| -> Vec<u8> { sample.tape(side).into_iter().flat_map(|r| r.1).collect() };
        let (client, server) = (sent(Side::Client), sent(Side::Server));
        PROTOCOLS.iter().for_each(|p| survives(*p, &client, &server));
    }
}
