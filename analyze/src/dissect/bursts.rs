//! Dialogs that no protocol claims: bursts of bytes that change direction. A strictly alternating dialog yields opaque
//! spans; any other is a stream and yields none. Never guesses what the bytes mean.

use super::direction::Arrival;
use super::speech::{Ends, hashes_of};
use crate::pair::{Pairing, TimedMessage};
use crate::protocol::{Message, Role, Side};

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
            arrivals.extend(new.iter().filter(|a| a.offset >= from[i]).map(|a| (side, *a)));
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
        let pieces = direction.pieces();
        let known = pieces
            .iter()
            .find(|p| p.offset <= arrival.offset && arrival.offset < p.end())
            .map_or(&[][..], |p| &p.bytes[(arrival.offset - p.offset) as usize..]);
        let length = arrival.end - arrival.offset;
        let [head_hash, body_hash] = hashes_of(known, length);
        self.open = Some(TimedMessage {
            message: Message::new(side, role, arrival.offset, arrival.end),
            first_ns: Some(arrival.time_ns),
            last_ns: Some(arrival.time_ns),
            sequence,
            acked: arrival.acked,
            head_hash,
            body_hash,
            retransmissions,
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
