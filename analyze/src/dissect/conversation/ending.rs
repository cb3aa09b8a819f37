//! How a conversation ended, and what it is when it never began: a failed connect. Never tells who is to blame.

use super::Conversation;
use crate::call::{CallState, Times};
use crate::flow::Close;
use crate::pair::{Facts, Span};
use crate::protocol::{Outcome, Side};

/// So often the same was sent again, for nothing, by one whose peer is silent: one more than a tail loss probe (RFC 8985) alone.
const IN_VAIN: u32 = 2;

impl Conversation {
    /// How it ended, as far as it was seen.
    pub(super) fn closed(&self, client: usize) -> Close {
        let spoke = |side: usize| self.directions[side].counters.payload_bytes > 0;
        let was_tried = self.handshake[0].is_some() && self.handshake[1].is_none();
        let never_began = was_tried && !spoke(0) && !spoke(1);
        match (self.close, self.failure) {
            (_, Some(("refused", _))) if never_began => Close::Refused,
            (_, Some(("reset", _))) if never_began => Close::ServerReset,
            (_, Some(_)) if never_began => Close::Unanswered,
            (Some((side, true)), _) if side == client => Close::ClientReset,
            (Some((_, true)), _) if never_began => Close::Refused,
            (Some((_, true)), _) => Close::ServerReset,
            (Some((side, false)), _) if side == client => Close::ClientFin,
            (Some((_, false)), _) => Close::ServerFin,
            (None, _) if never_began && self.is_silent(1 - client) => Close::Unanswered,
            (None, _) if self.spoke_in_vain(client) => Close::ServerSilent,
            (None, _) if self.spoke_in_vain(1 - client) => Close::ClientSilent,
            (None, _) => Close::Open,
        }
    }

    fn is_silent(&self, side: usize) -> bool {
        self.directions[side].counters.packets == 0
    }

    /// Whether this side's last data was sent again and again, to one who had answered before. A point on one direction's way alone
    /// can't tell.
    fn spoke_in_vain(&self, side: usize) -> bool {
        self.paces.in_vain(side) >= IN_VAIN && !self.is_silent(1 - side)
    }

    /// A connect that came to nothing is a call too.
    pub(super) fn failed_attempt(&self, client: usize) -> Option<Span> {
        let asked = self.handshake[0].filter(|_| self.handshake[1].is_none())?;
        if self.directions.iter().any(|d| d.counters.payload_bytes > 0) {
            return None;
        }
        let refused = self.directions[1 - client].counters.resets > 0;
        let aborted = self.directions[client].counters.resets > 0;
        let silent = self.directions[1 - client].counters.packets == 0;
        let retried = self.directions[client].counters.syn_retransmissions > 0;
        let (status, answered) = match (refused, aborted, silent, retried) {
            _ if self.failure.is_some() => self.failure?,
            (true, ..) => ("refused", self.reset_ns),
            (_, true, ..) => ("reset", self.reset_ns),
            (_, _, true, true) => ("timeout", None),
            (_, _, true, false) => ("no-answer", None),
            _ => return None,
        };
        let state = if answered.is_some() { CallState::Complete } else { CallState::Open };
        Some(Span {
            flow: 0,
            protocol: "tcp",
            asked_by: Side::Client,
            times: Times {
                request_first: Some(asked),
                request_last: Some(asked),
                response_first: answered,
                response_last: answered,
            },
            state,
            request_sequence: self.initial_sequence[client],
            response_sequence: None,
            head_hash: 0,
            body_hash: [0; 2],
            correlation: None,
            bytes: [0; 2],
            retransmissions: self.directions[client].counters.syn_retransmissions as u32,
            missing_bytes: 0,
            facts: Box::new(Facts {
                request_type: "CONNECT".into(),
                status: status.into(),
                outcome: Some(Outcome::ServerError),
                ..Facts::default()
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::talk::{Talk, dissect};

    const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const TELL: &[u8] = b"HTTP/1.1 204 \r\n\r\n";

    fn check(talk: &Talk, expected: Close) {
        assert_eq!(dissect(&talk.frames).flows[0].close, expected);
    }

    fn asked() -> Talk {
        let mut talk = Talk::open();
        talk.say(0, ASK);
        talk
    }

    #[test]
    fn who_ends_first_ended_it() {
        check(&asked(), Close::Open);
        check(asked().close(0).close(1), Close::ClientFin);
        check(asked().say(1, TELL).close(1).close(0), Close::ServerFin);
        check(asked().reset(0), Close::ClientReset);
        check(asked().close(0).reset(1), Close::ClientFin);
        check(asked().reset(1).close(0), Close::ServerReset);
    }

    #[test]
    fn what_never_began_was_refused_or_unanswered() {
        let mut talk = Talk::open();
        talk.frames.truncate(1);
        check(&talk, Close::Unanswered);
        check(talk.again(0), Close::Unanswered);
        check(talk.reset(1), Close::Refused);
        let mut talk = Talk::open();
        talk.frames.truncate(1);
        check(talk.reset(0), Close::ClientReset);
    }

    #[test]
    fn who_is_told_again_and_again_was_silent() {
        check(asked().again(3), Close::Open);
        check(asked().again(3).again(3), Close::ServerSilent);
        check(asked().again(3).again(3).say(1, b""), Close::Open);
        check(asked().say(1, TELL).again(4).again(4), Close::ClientSilent);
        let mut one_way = asked();
        one_way.again(3).again(3);
        one_way.frames.remove(1);
        check(&one_way, Close::Open);
    }

    #[test]
    fn windows_of_nothing_are_counted_per_side() {
        let mut talk = asked();
        talk.say_full(1).say_full(1).say_full(0);
        let zero = dissect(&talk.frames).flows[0].counters.map(|c| c.zero_windows);
        assert_eq!(zero, [1, 2]);
    }
}
