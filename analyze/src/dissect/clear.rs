//! What was said inside TLS, as programs said it: messages found in plaintext, placed in the ciphertext that carried them. Every
//! point that the ciphertext passed, known by sequence numbers or by its ends, so tells when each message passed. Never decrypts.

use super::direction::Direction;
use super::speech::{Ends, timed};
use crate::pair::{Pairing, TimedMessage};
use crate::protocol::{Message, Side};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A message whose place in the ciphertext is known.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) protocol: &'static str,
    /// TCP sequence number of the ciphertext of its first byte.
    pub(super) sequence: u32,
    /// Bytes of ciphertext from there to the end of its last record.
    pub(super) length: u64,
    /// `begin` and `end` are those of the plaintext.
    pub(super) message: Message,
    /// Of the plaintext.
    pub(super) hashes: [u64; 2],
}

/// One TLS connection whose plaintext is known.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    /// Sequence numbers of SYN and SYN-ACK, if its beginning was seen.
    pub(super) initial_sequence: Option<[u32; 2]>,
    /// Client and server, as a socket of it has them.
    pub(super) ends: [SocketAddr; 2],
    /// The client's and the server's messages, in stream order.
    pub(super) messages: [Vec<Placed>; 2],
}

/// All connections whose plaintext is known.
#[derive(Debug, Default)]
pub struct Clear {
    dialogs: Vec<Dialog>,
    by_numbers: BTreeMap<[u32; 2], u32>,
    by_ends: BTreeMap<[SocketAddr; 2], Vec<u32>>,
}

/// What a point knows of a conversation, to find its dialog by. Index 0 is one end, 1 the other.
pub(super) struct Known<'a> {
    pub(super) initial_sequence: [Option<u32>; 2],
    pub(super) ends: [SocketAddr; 2],
    pub(super) directions: &'a [Direction; 2],
}

impl Clear {
    /// Of these dialogs; `None` when none says anything.
    pub(super) fn of(dialogs: Vec<Dialog>) -> Option<Arc<Clear>> {
        let mut clear = Clear::default();
        for dialog in dialogs {
            if dialog.messages.iter().all(Vec::is_empty) {
                continue;
            }
            let index = clear.dialogs.len() as u32;
            if let Some(numbers) = dialog.initial_sequence {
                clear.by_numbers.insert(numbers, index);
            }
            clear.by_ends.entry(dialog.ends).or_default().push(index);
            clear.dialogs.push(dialog);
        }
        (!clear.dialogs.is_empty()).then(|| Arc::new(clear))
    }

    /// The dialog of a conversation, and which of its ends is the client.
    pub(super) fn find(self: &Arc<Self>, known: &Known<'_>) -> Option<(Hearing, usize)> {
        let swapped = |[a, b]: [SocketAddr; 2]| [b, a];
        let hearing = |index: u32| Hearing { clear: self.clone(), index, next: [0; 2] };
        if let [Some(a), Some(b)] = known.initial_sequence {
            let found = [[a, b], [b, a]].map(|numbers| self.by_numbers.get(&numbers));
            if let Some(client) = found.iter().position(Option::is_some) {
                return found[client].map(|index| (hearing(*index), client));
            }
        }
        let told = known.initial_sequence.iter().all(Option::is_some);
        for (client, ends) in [known.ends, swapped(known.ends)].into_iter().enumerate() {
            let same_ends = self.by_ends.get(&ends).into_iter().flatten();
            let fits = |index: &&u32| {
                let dialog = &self.dialogs[**index as usize];
                !(told && dialog.initial_sequence.is_some())
                    && [0, 1].iter().any(|&side| {
                        let direction = &known.directions[side ^ client];
                        let first = dialog.messages[side].first();
                        first.is_some_and(|first| holds(direction, first.sequence))
                    })
            };
            if let Some(index) = same_ends.clone().find(fits) {
                return Some((hearing(*index), client));
            }
        }
        None
    }
}

/// Whether a direction's bytes so far hold this number, or follow it soon: its first messages may have passed before.
fn holds(direction: &Direction, sequence: u32) -> bool {
    const BEFORE: i64 = 1 << 30;
    let end = direction.end() as i64;
    direction.offset_of(sequence).is_some_and(|offset| offset < end && offset > -BEFORE)
}

/// A dialog as one point hears it pass.
pub(super) struct Hearing {
    clear: Arc<Clear>,
    index: u32,
    /// Of each side, the first message that has not passed yet.
    next: [usize; 2],
}

impl Hearing {
    /// Takes what passed since the last stretch, and consumes it.
    pub(super) fn take(&mut self, ends: &mut Ends<'_>, pairing: &mut Pairing) {
        let clear = self.clear.clone();
        let dialog = &clear.dialogs[self.index as usize];
        let mut passed: Vec<(&'static str, TimedMessage)> = Vec::new();
        for (side, messages) in dialog.messages.iter().enumerate() {
            while let Some(placed) = messages.get(self.next[side]) {
                let direction = &*ends.directions[side];
                let Some(begin) = direction.offset_of(placed.sequence) else { break };
                let end = begin.saturating_add_unsigned(placed.length).max(0) as u64;
                let is_over = end <= direction.end() || ends.last;
                if begin >= direction.end() as i64 || !is_over {
                    break;
                }
                self.next[side] += 1;
                // What began before the capture did can't be timed.
                if begin >= 0 {
                    let mut message = placed.message.clone();
                    (message.begin, message.end) = (begin as u64, end);
                    let timed = timed(&ends.directions, message, placed.hashes);
                    passed.push((placed.protocol, timed));
                }
            }
        }
        for of_one in passed.chunk_by(|a, b| a.0 == b.0) {
            pairing.take(of_one[0].0, of_one.iter().map(|(_, message)| message.clone()).collect());
        }
        for (side, direction) in ends.directions.iter_mut().enumerate() {
            let end = direction.end();
            let next = dialog.messages[side].get(self.next[side]);
            let next = next.and_then(|placed| direction.offset_of(placed.sequence));
            direction.consume(end);
            direction.forget_arrivals(next.map_or(end, |next| (next.max(0) as u64).min(end)));
        }
    }

    /// The protocol it speaks first.
    pub(super) fn protocol(&self) -> &'static str {
        let dialog = &self.clear.dialogs[self.index as usize];
        let first = dialog.messages.iter().flatten().next();
        first.map_or("tls", |placed| placed.protocol)
    }
}

/// Which half of a dialog a side's messages stand in.
pub(super) fn half(side: Side) -> usize {
    usize::from(side == Side::Server)
}
