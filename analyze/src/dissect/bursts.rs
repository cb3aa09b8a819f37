//! Dialogs that no protocol claims: bursts of bytes that change direction. A strictly alternating dialog yields opaque
//! spans; any other is a stream and yields none. Never guesses what the bytes mean.

use super::direction::Arrival;
use super::speech::{Ends, hashes_of};
use crate::pair::{Pairing, TimedMessage};
use crate::protocol::{Message, Piece, Role, Side};

/// Bursts kept of one conversation until it is known to alternate to its end.
const MAX_BURSTS: usize = 100_000;

/// The bursts of one conversation so far.
#[derive(Default)]
pub(super) struct Bursts {
    done: Vec<TimedMessage>,
    open: Option<TimedMessage>,
    /// Both ends spoke at once: a stream.
    streaming: bool,
    /// A handshake of TLS came before: what a server says first are its session tickets.
    is_ciphertext: bool,
    tickets: Tickets,
}

/// What may be a server's session tickets at the head of its first answer (RFC 8446, 4.6.1): whole records of one length. They are
/// sent when the handshake is over, however long the answer takes.
#[derive(Default)]
struct Tickets {
    n: usize,
    length: usize,
    /// Where in the stream they end.
    end: u64,
}

impl Tickets {
    /// Fewer are none: a server that sends one ticket can't be told from one that answers in two pieces.
    const LEAST: usize = 2;
    /// Longer records are data.
    const MOST_BYTES: usize = 2_048;

    /// Takes what arrived next, if it is more of the same.
    fn take(&mut self, arrival: &Arrival, mut bytes: &[u8]) -> bool {
        let (mut n, mut length) = (self.n, self.length);
        if bytes.len() as u64 != arrival.end - arrival.offset {
            return false;
        }
        while let [23, 3, 3, high, low, rest @ ..] = bytes {
            let own = usize::from(u16::from_be_bytes([*high, *low]));
            if own > Tickets::MOST_BYTES || n > 0 && own != length {
                return false;
            }
            let Some(rest) = rest.get(own..) else { return false };
            (n, length, bytes) = (n + 1, own, rest);
        }
        let is_more = bytes.is_empty() && n > self.n;
        if is_more {
            *self = Tickets { n, length, end: arrival.end };
        }
        is_more
    }
}

impl Bursts {
    /// Of what follows a handshake of TLS.
    pub(super) fn of_ciphertext() -> Bursts {
        Bursts { is_ciphertext: true, ..Bursts::default() }
    }

    /// Takes what came since the last stretch and consumes it.
    pub(super) fn take(&mut self, ends: &mut Ends<'_>, _pairing: &mut Pairing) {
        let from = [ends.directions[0].consumed, ends.directions[1].consumed];
        let mut arrivals: Vec<(Side, Arrival)> = Vec::new();
        for (i, side) in [Side::Client, Side::Server].into_iter().enumerate() {
            let new = ends.directions[i].arrivals_from(from[i]);
            // What came in one packet with the end of a handshake begins behind it.
            let behind = |a: &Arrival| Arrival { offset: a.offset.max(from[i]), ..*a };
            let all = new.iter().filter(|a| a.end > from[i]).map(behind);
            arrivals.extend(all.map(|arrival| (side, arrival)));
        }
        arrivals.sort_by_key(|(side, a)| (a.time_ns, *side, a.offset));
        for (side, arrival) in arrivals {
            self.extend(side, arrival, ends);
        }
        for direction in &mut ends.directions {
            let end = direction.end();
            direction.consume(end);
            direction.forget_arrivals(end);
        }
    }

    fn extend(&mut self, side: Side, arrival: Arrival, ends: &mut Ends<'_>) {
        let index = if side == Side::Client { 0 } else { 1 };
        if let Some(open) = self.open.as_mut().filter(|open| open.message.from == side) {
            let is_first_answer = side == Side::Server && self.tickets.end == open.message.end;
            if is_first_answer {
                let pieces = ends.directions[1].pieces();
                let is_more = self.tickets.take(&arrival, known(&pieces, &arrival));
                if !is_more && self.tickets.n >= Tickets::LEAST {
                    open.first_ns = Some(arrival.time_ns);
                }
            }
            open.message.end = open.message.end.max(arrival.end);
            open.last_ns = open.last_ns.max(Some(arrival.time_ns));
            return;
        }
        if let Some(before) = self.open.take() {
            self.streaming |= arrival.acked < before.message.end || self.done.len() >= MAX_BURSTS;
            if !self.streaming {
                self.done.push(before);
            }
        }
        let role = if side == Side::Client { Role::Request } else { Role::Response };
        let direction = &mut ends.directions[index];
        let sequence = direction.sequence_of(arrival.offset);
        let retransmissions = direction.retransmissions_in(arrival.offset, arrival.end);
        let missing_bytes = direction.missing_in(arrival.offset, arrival.end);
        let pieces = direction.pieces();
        let known = known(&pieces, &arrival);
        let [head_hash, body_hash] = hashes_of(known, arrival.end - arrival.offset);
        let is_first = || self.done.iter().all(|before| before.message.from == Side::Client);
        if self.is_ciphertext && side == Side::Server && is_first() {
            self.tickets.take(&arrival, known);
        }
        self.open = Some(TimedMessage {
            message: Message::new(side, role, arrival.offset, arrival.end),
            first_ns: Some(arrival.time_ns),
            last_ns: Some(arrival.time_ns),
            sequence,
            acked: arrival.acked,
            head_hash,
            body_hash,
            retransmissions,
            missing_bytes,
        });
    }

    /// The conversation is over: an alternating one becomes spans.
    pub(super) fn finish(&mut self, pairing: &mut Pairing) {
        let mut done = std::mem::take(&mut self.done);
        done.extend(self.open.take());
        let talked_both = done.iter().any(|m| m.message.from == Side::Client)
            && done.iter().any(|m| m.message.from == Side::Server);
        if self.streaming || !talked_both {
            return;
        }
        if done.first().is_some_and(|m| m.message.from == Side::Server) {
            if self.is_ciphertext {
                done.remove(0);
            } else {
                done[0].message.role = Role::OneWay; // a greeting
            }
        }
        pairing.take("opaque", done);
    }
}

/// The bytes of an arrival, to the first gap.
fn known<'a>(pieces: &[Piece<'a>], arrival: &Arrival) -> &'a [u8] {
    let piece = pieces.iter().find(|p| p.offset <= arrival.offset && arrival.offset < p.end());
    piece.map_or(&[], |piece| {
        let bytes = &piece.bytes[(arrival.offset - piece.offset) as usize..];
        let length = usize::try_from(arrival.end - arrival.offset).unwrap_or(usize::MAX);
        &bytes[..bytes.len().min(length)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server says, arrival by arrival, as lengths of records: how many tickets are found at its head.
    fn check(arrivals: &[&[u16]], expected: usize) {
        let (mut tickets, mut offset) = (Tickets::default(), 1_000);
        for lengths in arrivals {
            let record = |length: &u16| {
                let [high, low] = length.to_be_bytes();
                [vec![23, 3, 3, high, low], vec![7; usize::from(*length)]].concat()
            };
            let bytes: Vec<u8> = lengths.iter().flat_map(record).collect();
            let end = offset + bytes.len() as u64;
            let is_more = tickets.take(&Arrival { offset, end, time_ns: 0, acked: 0 }, &bytes);
            assert_eq!(is_more, tickets.end == end);
            offset = end;
        }
        assert_eq!(tickets.n, expected, "{arrivals:?}");
    }

    #[test]
    fn tickets_are_whole_records_of_one_length() {
        check(&[&[250, 250], &[90]], 2);
        check(&[&[250], &[250], &[90]], 2);
        check(&[&[250, 250, 90]], 0);
        check(&[&[90], &[400]], 1);
        check(&[&[16_000, 16_000]], 0);
        check(&[], 0);
    }

    #[test]
    fn what_is_cut_or_no_record_is_no_ticket() {
        let take = |bytes: &[u8], end| {
            Tickets::default().take(&Arrival { offset: 0, end, time_ns: 0, acked: 0 }, bytes)
        };
        assert!(take(&[23, 3, 3, 0, 1, 9], 6));
        assert!(!take(&[23, 3, 3, 0, 2, 9], 6), "the record goes on");
        assert!(!take(&[23, 3, 3, 0, 1, 9], 7), "a byte is missing");
        assert!(!take(&[22, 3, 3, 0, 1, 9], 6) && !take(&[], 0) && !take(&[23, 3], 2));
    }
}
