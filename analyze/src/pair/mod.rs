//! Messages → spans: a request and its response at one observation point, by id where the protocol has one, by order
//! where it has not. A half without its other half stays a span and says so. Never compares clocks.

use crate::issue::Issue;
use crate::protocol::{Message, Naming, Role};
use span::{answered, one_way, orphan, unanswered};
use std::collections::{BTreeMap, VecDeque};
use streams::Streams;

mod span;
mod streams;

pub use span::{Facts, Span};

/// Requests waiting for their responses in one conversation; a hostile stream can't make it longer.
const MAX_WAITING: usize = 100_000;

/// Numbers that stand for resources.
const MAX_NAMES: usize = 10_000;

/// A message with what only `dissect` knows of it.
#[derive(Debug, Clone)]
pub struct TimedMessage {
    /// The message.
    pub message: Message,
    /// When its first byte passed; absent when that byte was not captured.
    pub first_ns: Option<i64>,
    /// When its last byte passed.
    pub last_ns: Option<i64>,
    /// Sequence number of its first byte (TCP).
    pub sequence: Option<u32>,
    /// How much of the other direction its sender had received when it began.
    pub acked: u64,
    /// Hash of its first 16 bytes (fewer when it is shorter); 0: not captured.
    pub head_hash: u64,
    /// Hash of up to its first 1,024 bytes, and its length; 0: not captured whole.
    pub body_hash: u64,
    /// Retransmitted segments inside it.
    pub retransmissions: u32,
    /// Bytes of it that were not captured here.
    pub missing_bytes: u64,
}

/// Pairs the messages of one conversation; feed it stretch by stretch.
#[derive(Debug, Default)]
pub struct Pairing {
    waiting: VecDeque<TimedMessage>,
    by_id: BTreeMap<u64, VecDeque<TimedMessage>>,
    n_by_id: usize,
    last_response_end: u64,
    streams: Streams,
    /// By number: type and resource.
    names: BTreeMap<u64, (String, String)>,
    /// Finished spans, not yet told their flow.
    pub spans: Vec<Span>,
}

impl Pairing {
    /// Takes the messages of one stretch, those of each side in stream order.
    pub fn take(&mut self, protocol: &'static str, mut messages: Vec<TimedMessage>) {
        if messages.iter().any(|m| m.message.part.is_some()) {
            let (parts, others) = messages.into_iter().partition(|m| m.message.part.is_some());
            messages = others;
            let most = MAX_WAITING.saturating_sub(self.waiting.len() + self.n_by_id);
            self.streams.take(protocol, parts, most, &mut self.spans);
        }
        let (requests, answers): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|m| m.message.role == Role::Request);
        for request in requests {
            self.wait(protocol, request);
        }
        let begins: Vec<u64> = answers
            .iter()
            .filter(|m| m.message.role == Role::Response && m.message.correlation.is_none())
            .map(|m| m.message.begin)
            .collect();
        for answer in answers {
            match answer.message.role {
                Role::Response => self.answer(protocol, answer, &begins),
                Role::OneWay => self.spans.push(one_way(protocol, answer)),
                Role::Interim | Role::Request => {}
            }
        }
    }

    fn wait(&mut self, protocol: &'static str, request: TimedMessage) {
        if self.waiting.len() + self.n_by_id + self.streams.len() >= MAX_WAITING {
            self.spans.push(unanswered(protocol, request, Issue::LimitExceeded));
            return;
        }
        match request.message.correlation {
            None => self.waiting.push_back(request),
            Some(id) => {
                self.n_by_id += 1;
                self.by_id.entry(id).or_default().push_back(request);
            }
        }
    }

    /// `begins` are where the stretch's responses begin, in order.
    fn answer(&mut self, protocol: &'static str, response: TimedMessage, begins: &[u64]) {
        let request = match response.message.correlation {
            Some(id) => self.waiting_for_id(id),
            None => {
                self.drop_unheard(protocol, response.message.begin, begins);
                self.waiting_in_order(&response)
            }
        };
        self.last_response_end = response.message.end;
        let span = match request {
            Some(mut request) => {
                self.define(&request.message, &response.message);
                self.name(&mut request.message);
                answered(protocol, request, response)
            }
            None => orphan(protocol, response),
        };
        self.spans.push(span);
    }

    fn define(&mut self, request: &Message, response: &Message) {
        if let (Some(Naming::Asks(kind)), Some(Naming::Defines(number))) =
            (request.naming.as_deref(), response.naming.as_deref())
        {
            if self.names.len() >= MAX_NAMES {
                // Numbers rise.
                self.names.pop_first();
            }
            self.names.insert(*number, (kind.clone(), request.resource.clone()));
        }
    }

    fn name(&self, request: &mut Message) {
        let (number, has_type) = match request.naming.as_deref() {
            Some(Naming::Refers(number)) => (number, true),
            Some(Naming::Executes(number)) => (number, false),
            _ => return,
        };
        if let Some((kind, resource)) = self.names.get(number) {
            request.resource.clone_from(resource);
            if !has_type {
                request.request_type.clone_from(kind);
            }
        }
    }

    fn waiting_for_id(&mut self, id: u64) -> Option<TimedMessage> {
        let queue = self.by_id.get_mut(&id)?;
        let request = queue.pop_front();
        if queue.is_empty() {
            self.by_id.remove(&id);
        }
        self.n_by_id -= usize::from(request.is_some());
        request
    }

    /// A gap before a response swallowed responses. Those before the gap answered the first of the requests sent before
    /// the client heard of this one, those behind it the last: what waits in between is not answered in this capture.
    fn drop_unheard(&mut self, protocol: &'static str, begin: u64, begins: &[u64]) {
        if begin <= self.last_response_end {
            return;
        }
        let Some(asked) = self.waiting.iter().position(|r| r.acked > begin) else {
            return self.drop_heard(protocol, begin);
        };
        let heard = self.waiting[asked].acked;
        let from = begins.partition_point(|&b| b < begin);
        let answered = begins.partition_point(|&b| b < heard).saturating_sub(from);
        for _ in answered..asked {
            self.drop_first(protocol);
        }
    }

    /// When the following request was sent, its sender had received what lay before this response.
    fn drop_heard(&mut self, protocol: &'static str, begin: u64) {
        while let Some(next) = self.waiting.get(1) {
            if next.acked <= self.last_response_end || begin < next.acked {
                break;
            }
            self.drop_first(protocol);
        }
    }

    fn drop_first(&mut self, protocol: &'static str) {
        if let Some(mut lost) = self.waiting.pop_front() {
            self.name(&mut lost.message);
            self.spans.push(unanswered(protocol, lost, Issue::ResponseMissing));
        }
    }

    /// The first that waits, if the response is not of before it: whose sender had heard of it when it began answers it, whatever the stamps
    /// say (the clock was set back in between).
    fn waiting_in_order(&mut self, response: &TimedMessage) -> Option<TimedMessage> {
        let head = self.waiting.front()?;
        match (head.first_ns, response.first_ns) {
            (Some(asked), Some(answered))
                if answered < asked && response.acked <= head.message.begin =>
            {
                None
            }
            _ => self.waiting.pop_front(),
        }
    }

    /// The last request that waits asked for another protocol: there it is answered as number `id`.
    pub fn hand_over(&mut self, id: u64) {
        if let Some(request) = self.waiting.pop_back() {
            self.streams.adopt(id, request);
        }
    }

    /// Another protocol goes on: what waits stays open, but for what was handed over.
    pub fn switch(&mut self, protocol: &'static str) {
        let streams = std::mem::take(&mut self.streams);
        self.finish(protocol);
        self.streams = streams;
    }

    /// The conversation is over: what still waits stays open.
    pub fn finish(&mut self, protocol: &'static str) {
        let by_id = std::mem::take(&mut self.by_id).into_values().flatten();
        let mut open: Vec<_> = std::mem::take(&mut self.waiting).into_iter().chain(by_id).collect();
        open.iter_mut().for_each(|request| self.name(&mut request.message));
        self.n_by_id = 0;
        self.streams.finish(protocol, &mut self.spans);
        self.spans.extend(open.into_iter().map(|m| unanswered(protocol, m, Issue::OpenAtEnd)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallState;
    use crate::protocol::Side;

    fn message(role: Role, begin: u64, time: i64, acked: u64) -> TimedMessage {
        let from = if role == Role::Response { Side::Server } else { Side::Client };
        TimedMessage {
            message: Message::new(from, role, begin, begin + 10),
            first_ns: Some(time),
            last_ns: Some(time + 1),
            sequence: Some(begin as u32),
            acked,
            head_hash: 1,
            body_hash: 1,
            retransmissions: 0,
            missing_bytes: 0,
        }
    }

    fn check(messages: Vec<TimedMessage>, expected: &[(CallState, Option<i64>, Option<i64>)]) {
        let mut pairing = Pairing::default();
        pairing.take("test", messages);
        pairing.finish("test");
        let spans: Vec<_> = pairing
            .spans
            .iter()
            .map(|s| (s.state, s.times.request_first, s.times.response_first))
            .collect();
        assert_eq!(spans, expected);
    }

    #[test]
    fn pipelined_requests_pair_in_order() {
        use CallState::*;
        check(
            vec![
                message(Role::Request, 0, 1, 0),
                message(Role::Request, 10, 2, 0),
                message(Role::Response, 0, 3, 0),
                message(Role::Response, 10, 4, 0),
            ],
            &[(Complete, Some(1), Some(3)), (Complete, Some(2), Some(4))],
        );
    }

    #[test]
    fn a_lost_response_does_not_shift_the_rest() {
        use CallState::*;
        check(
            vec![
                message(Role::Request, 0, 1, 0),
                message(Role::Request, 10, 5, 10),
                message(Role::Response, 10, 6, 20),
            ],
            &[(Open, Some(1), None), (Complete, Some(5), Some(6))],
        );
    }

    #[test]
    fn in_a_pipeline_the_responses_behind_a_gap_answer_the_last() {
        use CallState::*;
        check(
            vec![
                message(Role::Request, 0, 1, 0),
                message(Role::Request, 10, 2, 0),
                message(Role::Response, 10, 3, 20),
                message(Role::Request, 20, 4, 20),
                message(Role::Response, 20, 5, 30),
            ],
            &[(Open, Some(1), None), (Complete, Some(2), Some(3)), (Complete, Some(4), Some(5))],
        );
    }

    #[test]
    fn an_answer_is_one_though_the_clock_was_set_back_before_it() {
        use CallState::*;
        check(
            vec![
                message(Role::Request, 0, 500, 0),
                message(Role::Response, 0, 400, 10),
                message(Role::Request, 10, 410, 10),
                message(Role::Response, 10, 420, 20),
            ],
            &[(Complete, Some(500), Some(400)), (Complete, Some(410), Some(420))],
        );
    }

    #[test]
    fn a_response_before_any_request_is_an_orphan() {
        use CallState::*;
        check(
            vec![message(Role::Request, 0, 5, 10), message(Role::Response, 0, 1, 0)],
            &[(ResponseOnly, None, Some(1)), (Open, Some(5), None)],
        );
    }
}
