//! How a conversation ended, and what it is when it never began: a failed connect. Never tells who is to blame.

use super::Conversation;
use crate::call::{CallState, Close, Times};
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
            facts: Box::new(Facts {
                request_type: "CONNECT".into(),
                status: status.into(),
                outcome: Some(Outcome::ServerError),
                ..Facts::default()
            }),
        })
    }
}
