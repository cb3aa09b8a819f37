//! How soon each side of a TCP connection reacts, packet by packet, in constant state: ACKs by the stack, answers by the program, and
//! data held back until an ACK came (Nagle's algorithm against delayed ACKs, RFC 896, RFC 9293 3.8.6.3). Never measures from or to what
//! was sent again: nobody knows which copy was met (Karn).

use crate::dissect::direction::Brought;
use crate::flow::{Latency, Pace};

/// An ACK that came this much later than its sender's usually do was delayed on purpose: Linux waits for 40 ms at least
/// (`TCP_DELACK_MIN`), less a tick of its timer …
const DELAYED_NS: i64 = 30_000_000;
/// … and nobody may wait longer (RFC 9293, 3.8.6.3).
const MOST_DELAYED_NS: i64 = 500_000_000;
/// What was held back for it leaves this soon.
const AT_ONCE_NS: i64 = 2_000_000;
/// A smaller segment is not full: Nagle's algorithm holds the next one back.
const SMALL: u32 = 1_000;

/// A packet with data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// The end that sent it.
    pub(super) from: usize,
    /// What it brought.
    pub(super) brought: Brought,
    /// Its bytes.
    pub(super) length: u32,
    /// The offset after the highest byte of its direction, its own counted.
    pub(super) end: u64,
    /// When it passed.
    pub(super) at_ns: i64,
}

/// The last packet that carried data.
#[derive(Debug, Clone, Copy)]
struct Spoken {
    from: usize,
    at_ns: i64,
    /// All of it was new, and nothing was sent again since.
    is_clean: bool,
}

/// One end.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    /// The least that it took to acknowledge.
    usual_ns: Option<i64>,
    /// Packets that it sent again since the other end was heard.
    in_vain: u32,
    /// Its last data is small and alone: nothing before it waits for an ACK.
    small: Option<Piece>,
    /// Such data was acknowledged late: when, and after how long.
    late: Option<(i64, i64)>,
    /// How far its data was acknowledged.
    acknowledged: u64,
    /// From the other's data to its own, as a server …
    answered: Latency,
    /// … and as a client.
    idle: Latency,
    pace: Pace,
}

/// Both ends of a conversation at one point.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paces {
    /// The packet directly before, when it carried the very next data and nothing else.
    before: Option<Piece>,
    spoken: Option<Spoken>,
    /// When the handshake was done.
    opened_ns: Option<i64>,
    sides: [Side; 2],
}

impl Paces {
    /// The handshake is done, by `client`'s ACK: each end acknowledged the other's SYN.
    pub(super) fn opened(&mut self, [syn, syn_ack, ack]: [Option<i64>; 3], client: usize) {
        if self.opened_ns.is_none() {
            self.opened_ns = ack;
            self.sides[1 - client].usual_ns = since(syn, syn_ack);
            self.sides[client].usual_ns = since(syn_ack, ack);
        }
    }

    /// An end sent a packet of whatever kind, which acknowledges so much of the other direction; `None`: no ACK.
    pub(super) fn packet(&mut self, from: usize, acknowledged: Option<i64>) {
        let other = &mut self.sides[1 - from];
        other.in_vain = 0;
        let acknowledged = acknowledged.map_or(0, |offset| offset.max(0) as u64);
        other.acknowledged = other.acknowledged.max(acknowledged);
    }

    /// A packet without data; `acknowledged`: how much of the other direction, when it is nothing but an ACK.
    pub(super) fn bare(&mut self, from: usize, acknowledged: Option<i64>, at_ns: i64) {
        let is_whole = |piece: &Piece| {
            piece.from != from
                && acknowledged == i64::try_from(piece.end).ok()
                && piece.at_ns <= at_ns
        };
        if let Some(piece) = self.before.take().filter(is_whole) {
            self.met(piece, at_ns);
        }
        let small = self.sides[1 - from].small.take_if(|small| is_whole(small));
        let late = small.map(|small| (at_ns, at_ns.saturating_sub(small.at_ns)));
        let is_late = |late: &(i64, i64)| (DELAYED_NS..=MOST_DELAYED_NS).contains(&late.1);
        self.sides[1 - from].late = late.filter(is_late);
    }

    /// A bare ACK came directly behind what it acknowledges.
    fn met(&mut self, piece: Piece, at_ns: i64) {
        let ns = at_ns.saturating_sub(piece.at_ns);
        let usual_ns = &mut self.sides[1 - piece.from].usual_ns;
        let beyond_ns = usual_ns.map_or(0, |usual_ns| ns.saturating_sub(usual_ns));
        *usual_ns = Some(usual_ns.map_or(ns, |usual_ns| usual_ns.min(ns)));
        let pace = &mut self.sides[piece.from].pace;
        if (DELAYED_NS..=MOST_DELAYED_NS).contains(&beyond_ns) {
            pace.delayed_acks += 1;
        } else {
            pace.acknowledged.add(ns);
        }
    }

    /// A packet with data, and nothing but data and an ACK if `is_plain`.
    pub(super) fn data(&mut self, piece: Piece, is_plain: bool) {
        let Piece { from, brought, at_ns, .. } = piece;
        self.before = Some(piece).filter(|_| brought == Brought::Next && is_plain);
        match brought {
            Brought::KeepAlive => {}
            Brought::Again => self.again(from),
            Brought::Apart => self.spoken = Some(Spoken { from, at_ns, is_clean: false }),
            Brought::Next => {
                self.turned(piece);
                self.spoken = Some(Spoken { from, at_ns, is_clean: true });
            }
        }
        self.held_back(piece);
    }

    fn again(&mut self, from: usize) {
        let in_vain = &mut self.sides[from].in_vain;
        *in_vain = in_vain.saturating_add(1);
        if let Some(spoken) = self.spoken.as_mut().filter(|spoken| spoken.from == from) {
            spoken.is_clean = false;
        }
    }

    /// The very next data of an end: after the other's, or after the handshake.
    fn turned(&mut self, piece: Piece) {
        let from_ns = match self.spoken {
            Some(spoken) if spoken.from == piece.from || !spoken.is_clean => None,
            Some(spoken) => Some(spoken.at_ns),
            None => self.opened_ns,
        };
        let Some(ns) = since(from_ns, Some(piece.at_ns)).filter(|ns| *ns >= 0) else { return };
        let side = &mut self.sides[piece.from];
        if self.spoken.is_some() {
            side.answered.add(ns);
        }
        if piece.length > 1 {
            side.idle.add(ns);
        }
    }

    /// Whether data left the moment the small one before it was acknowledged.
    fn held_back(&mut self, piece: Piece) {
        self.sides[1 - piece.from].late = None;
        let side = &mut self.sides[piece.from];
        let late = side.late.take().filter(|_| piece.brought == Brought::Next);
        if let Some((acked_ns, waited_ns)) = late
            && piece.at_ns.saturating_sub(acked_ns) <= AT_ONCE_NS
        {
            side.pace.held_back.add(waited_ns);
        }
        let begin = piece.end.saturating_sub(u64::from(piece.length));
        let is_alone = piece.brought == Brought::Next && side.acknowledged >= begin;
        side.small = Some(piece).filter(|_| is_alone && piece.length < SMALL);
    }

    /// How often an end sent something again since the other was heard.
    pub(super) fn in_vain(&self, side: usize) -> u32 {
        self.sides[side].in_vain
    }

    /// Of what an end sent, which is the client or not.
    pub(super) fn of(&self, side: usize, is_client: bool) -> Pace {
        let Side { pace, idle, answered, .. } = self.sides[side];
        Pace { turn: if is_client { idle } else { answered }, ..pace }
    }
}

fn since(from: Option<i64>, to: Option<i64>) -> Option<i64> {
    Some(to?.saturating_sub(from?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::talk::{Talk, dissect};
    use crate::flow::Flow;

    const MS: i64 = 1_000_000;
    const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const TELL: &[u8] = b"HTTP/1.1 204 \r\n\r\n";
    const FULL: &[u8] = &[b'x'; 1448];

    /// Every frame comes a microsecond after the one before: what is expected is in microseconds.
    fn flow(talk: &Talk) -> Flow {
        dissect(&talk.frames).flows.remove(0)
    }

    fn latency(each: &[i64]) -> Latency {
        let mut latency = Latency::default();
        each.iter().for_each(|us| latency.add(us * 1_000));
        latency
    }

    /// What the server's stack, the server and the client took, each time.
    fn check(talk: &mut Talk, srt: &[i64], art: &[i64], cit: &[i64]) {
        let flow = flow(talk);
        assert_eq!(flow.srt(), latency(srt), "srt");
        assert_eq!(flow.art(), latency(art), "art");
        assert_eq!(flow.cit(), latency(cit), "cit");
    }

    #[test]
    fn stacks_acknowledge_and_programs_answer() {
        let mut talk = Talk::open();
        talk.say(0, ASK).say(1, b"").wait(5 * MS).say(1, TELL).say(0, b"");
        talk.wait(30 * MS).say(0, ASK).say(1, TELL);
        check(&mut talk, &[1], &[5_002, 1], &[1, 30_002]);
        assert_eq!(flow(&talk).pace[1].acknowledged, latency(&[1]), "by the client's stack");
        check(&mut Talk::open(), &[], &[], &[]);
    }

    #[test]
    fn the_last_packet_of_several_counts() {
        let mut talk = Talk::open();
        talk.say(0, FULL).wait(MS).say(0, ASK).say(1, b"").wait(MS).say(1, FULL).say(1, TELL);
        check(&mut talk, &[1], &[1_002], &[1]);
    }

    #[test]
    fn what_was_sent_again_gives_no_time() {
        let mut talk = Talk::open();
        talk.say(0, ASK).wait(200 * MS).again(3).say(1, b"").wait(MS).say(1, TELL);
        check(&mut talk, &[], &[], &[1]);
        let mut talk = Talk::open();
        talk.say(0, ASK).say(1, TELL).wait(200 * MS).again(4).say(0, b"").say(0, ASK);
        check(&mut talk, &[], &[1], &[1]);
        assert_eq!(flow(&talk).pace[1].acknowledged, Latency::default());
    }

    #[test]
    fn an_answer_that_begins_in_a_gap_or_late_gives_no_time() {
        let mut talk = Talk::open();
        talk.say(0, ASK).say(1, FULL).say(1, TELL);
        talk.frames.remove(4);
        check(&mut talk, &[], &[], &[1]);
        let mut talk = Talk::open();
        talk.say(0, ASK).say(1, FULL).say(1, TELL).say(1, TELL);
        talk.frames.swap(4, 5);
        check(&mut talk, &[], &[], &[1]);
    }

    #[test]
    fn acks_of_other_places_and_joint_ones_give_no_srt() {
        let mut talk = Talk::open();
        talk.say(0, FULL).say(0, FULL).say(1, b"").say(0, FULL).say(1, b"").say(1, b"");
        check(&mut talk, &[1, 1], &[], &[1]);
        let mut talk = Talk::open();
        talk.say(0, FULL).say(1, b"").say(0, FULL);
        talk.frames.swap(4, 5);
        check(&mut talk, &[], &[], &[1]);
    }

    #[test]
    fn a_delayed_ack_is_none_of_the_systems_response() {
        let mut talk = Talk::open();
        talk.say(0, ASK).wait(40 * MS).say(1, b"").say(1, TELL);
        check(&mut talk, &[], &[40_002], &[1]);
        assert_eq!(flow(&talk).pace[0].delayed_acks, 1);
        // On a long way, where the handshake took as long, it is the way.
        let mut talk = Talk::open();
        talk.frames[1..].iter_mut().for_each(|frame| frame.time_ns += 60 * MS);
        talk.wait(60 * MS).say(0, ASK).wait(65 * MS).say(1, b"");
        check(&mut talk, &[65_001], &[], &[1]);
        // Longer than anybody may delay it.
        let mut talk = Talk::open();
        talk.say(0, ASK).wait(600 * MS).say(1, b"");
        check(&mut talk, &[600_001], &[], &[1]);
    }

    #[test]
    fn keep_alives_and_heartbeats_change_nothing() {
        let mut talk = Talk::open();
        talk.say(0, ASK).say(1, TELL).wait(9 * MS);
        let mut probe = talk.frames[3].clone();
        (probe.payload, probe.headers.payload_length) = (b"\n".to_vec(), 1);
        if let Some(afterpath_formats::frame::Transport::Tcp(tcp)) = &mut probe.headers.transport {
            tcp.sequence = tcp.sequence.wrapping_add(ASK.len() as u32 - 1);
        }
        if let Some(network) = &mut probe.headers.network {
            network.id = Some(999);
        }
        probe.time_ns += 5 * MS;
        talk.frames.push(probe);
        talk.say(1, b"").say(0, b"!").say(1, b"").say(0, ASK);
        check(&mut talk, &[1], &[1], &[1]);
        assert_eq!(flow(&talk).counters[0].retransmissions, 0);
    }

    #[test]
    fn of_a_conversation_joined_late_the_rest_is_measured() {
        let mut talk = Talk::joined_late();
        talk.say(0, ASK).say(1, b"").say(1, TELL).say(0, ASK);
        check(&mut talk, &[1], &[2], &[1]);
    }

    #[test]
    fn round_trips_count_from_the_first_of_each_kind() {
        let mut talk = Talk::open();
        talk.frames.truncate(1);
        talk.wait(MS).again(0);
        let mut rest = Talk::open();
        rest.wait(MS).again(1).wait(MS).again(2);
        rest.frames.remove(0);
        rest.frames.remove(1);
        rest.frames.iter_mut().for_each(|frame| frame.time_ns += 2 * MS);
        talk.frames.extend(rest.frames);
        let flow = flow(&talk);
        // SYN at 1 us, again at 1,005; SYN-ACK at 2,002, again at 3,004; ACK at 4,005.
        assert_eq!(flow.rtt_server_ns(), Some(2_001_000));
        assert_eq!(flow.rtt_client_ns(), Some(2_003_000));
        assert_eq!(flow.rtt_ns(), Some(4_004_000));
        let again = flow.counters.map(|c| (c.syn_retransmissions, c.retransmissions));
        assert_eq!(again, [(1, 0), (1, 0)]);
    }

    fn check_held_back(talk: &mut Talk, expected: &[i64]) {
        assert_eq!(flow(talk).pace[1].held_back, latency(expected));
    }

    #[test]
    fn small_writes_wait_for_a_late_acknowledgment() {
        let asked = || {
            let mut talk = Talk::open();
            talk.say(0, ASK).say(1, b"");
            talk
        };
        check_held_back(asked().say(1, TELL).wait(40 * MS).say(0, b"").say(1, FULL), &[40_001]);
        // A full segment is not held back, nor what comes later of itself, nor what was acknowledged at once.
        check_held_back(asked().say(1, FULL).wait(40 * MS).say(0, b"").say(1, TELL), &[]);
        let later = &mut asked();
        check_held_back(
            later.say(1, TELL).wait(40 * MS).say(0, b"").wait(9 * MS).say(1, FULL),
            &[],
        );
        check_held_back(asked().say(1, TELL).wait(2 * MS).say(0, b"").say(1, FULL), &[]);
        // The other side spoke in between: this is an answer.
        let answer = &mut asked();
        check_held_back(
            answer.say(1, TELL).wait(40 * MS).say(0, b"").say(0, ASK).say(1, FULL),
            &[],
        );
    }
}
