//! A conversation as a process had it: reads and writes instead of segments. Never guesses a place in the stream; that is
//! `sockets`' business.

use super::pace::Piece;
use super::{Conversation, FIN_SEEN};

impl Conversation {
    /// Names the end that opened it.
    pub(in crate::dissect) fn opened_by(&mut self, client: usize) {
        self.client = Some(client);
    }

    /// Names the number of the first byte that end `from` ever sent.
    pub(in crate::dissect) fn begins(&mut self, from: usize, sequence: u32) {
        self.initial_sequence[from] = Some(sequence.wrapping_sub(1));
        self.directions[from].begin_at(sequence);
    }

    /// A connect: when it was asked for, and when it was done. The process is not told when its kernel acknowledged.
    pub(in crate::dissect) fn connected(&mut self, asked_ns: i64, done_ns: i64) {
        self.handshake = [Some(asked_ns), Some(done_ns), None];
        self.extend(asked_ns, done_ns);
    }

    /// A connect that came to nothing; a time-out has no answer.
    pub(in crate::dissect) fn failed(&mut self, asked_ns: i64, status: &'static str, at_ns: i64) {
        self.handshake[0] = Some(asked_ns);
        self.failure = Some((status, (status != "timeout").then_some(at_ns)));
        self.extend(asked_ns, at_ns);
    }

    /// Takes what end `from` sent: `known` bytes of `length`.
    pub(in crate::dissect) fn hear(
        &mut self,
        from: usize,
        sequence: u32,
        (known, length): (&[u8], u32),
        now_ns: i64,
    ) {
        self.maybe_cut(now_ns);
        self.extend(now_ns, now_ns);
        self.directions[from].counters.packets += 1;
        if length > 0 {
            // What this end had read of the other when it wrote; of the other end, what it could have read.
            let acked = self.directions[1 - from].next;
            let direction = &mut self.directions[from];
            let brought = direction.receive(sequence, known, length, now_ns, acked);
            let piece = Piece { from, brought, length, end: direction.next, at_ns: now_ns };
            self.paces.data(piece, false);
        }
    }

    /// End `from` ended its stream.
    pub(in crate::dissect) fn ended(&mut self, from: usize, now_ns: i64) {
        self.extend(now_ns, now_ns);
        let direction = &mut self.directions[from];
        direction.fin.get_or_insert(direction.next);
        self.close.get_or_insert((from, FIN_SEEN));
    }

    /// End `from` reset the connection.
    pub(in crate::dissect) fn reset(&mut self, from: usize, now_ns: i64) {
        self.extend(now_ns, now_ns);
        self.reset_ns.get_or_insert(now_ns);
        self.close.get_or_insert((from, !FIN_SEEN));
    }

    fn extend(&mut self, first_ns: i64, last_ns: i64) {
        self.first_ns = self.first_ns.min(first_ns);
        self.last_ns = self.last_ns.max(last_ns);
    }
}
