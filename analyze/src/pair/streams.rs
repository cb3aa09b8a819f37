//! Parts of messages → spans: exchanges that go on at the same time on one connection, each known by its number (HTTP/2's streams).
//! What is inside a message (the messages of a stream of messages, stalls) is counted and timed. Never waits for a part that
//! can't come: a response that is over ends its exchange, and so does a reset.

use super::{TimedMessage, answered, half, orphan, unanswered};
use crate::call::CallState;
use crate::issue::Issue;
use crate::pair::Span;
use crate::protocol::{Outcome, Part, Role};
use std::collections::{BTreeMap, VecDeque};

/// Exchanges remembered that ended before all their parts had passed.
const REMEMBERED: usize = 1_024;

/// One direction of an exchange, as far as it has passed.
#[derive(Debug)]
struct Side {
    message: TimedMessage,
    bytes: u64,
    is_over: bool,
    n_items: u64,
    /// When the first and the last item had passed.
    items_ns: Option<[i64; 2]>,
    n_stalls: u64,
    stalled_ns: i64,
}

#[derive(Debug, Default)]
struct Exchange {
    request: Option<Side>,
    response: Option<Side>,
    /// Parts of the connection were lost since.
    is_doubtful: bool,
}

/// The exchanges of one connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<u64, Exchange>,
    /// Ended before all parts had passed; the oldest is forgotten first.
    ended: VecDeque<u64>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A request that is answered as number `id`.
    pub(super) fn adopt(&mut self, id: u64, request: TimedMessage) {
        let mut side = Side::new(request);
        side.is_over = true;
        self.open.entry(id).or_default().request = Some(side);
    }

    /// Takes the parts of one stretch. The two sides' are told apart in time by when they passed.
    pub(super) fn take(
        &mut self,
        protocol: &'static str,
        mut parts: Vec<TimedMessage>,
        most: usize,
        spans: &mut Vec<Span>,
    ) {
        let mut before = [i64::MIN; 2];
        let mut order: Vec<(i64, usize)> = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let before = &mut before[usize::from(part.message.role != Role::Request)];
            *before = part.last_ns.map_or(*before, |at| at.max(*before));
            order.push((*before, index));
        }
        order.sort_unstable();
        let mut parts: Vec<Option<TimedMessage>> = parts.drain(..).map(Some).collect();
        for (_, index) in order {
            if let Some(timed) = parts[index].take() {
                self.part(protocol, timed, most, spans);
            }
        }
    }

    fn part(
        &mut self,
        protocol: &'static str,
        timed: TimedMessage,
        most: usize,
        spans: &mut Vec<Span>,
    ) {
        let (Some(id), Some(part)) = (timed.message.correlation, timed.message.part) else {
            return;
        };
        if part == Part::Lost {
            self.open.values_mut().for_each(|exchange| exchange.is_doubtful = true);
            return;
        }
        let is_request = timed.message.role == Role::Request;
        if !self.open.contains_key(&id) {
            // What was over before it was given up says nothing new.
            if matches!(part, Part::Reset { .. }) || self.ended.contains(&id) {
                return;
            }
            if self.open.len() >= most {
                spans.push(match is_request {
                    true => unanswered(protocol, timed, Issue::LimitExceeded),
                    false => orphan(protocol, timed),
                });
                return;
            }
        }
        let exchange = self.open.entry(id).or_default();
        let side = if is_request { &mut exchange.request } else { &mut exchange.response };
        match side {
            Some(side) => side.add(part, timed),
            None => *side = Some(Side::new(timed)),
        }
        let is_over = |side: &Option<Side>| side.as_ref().is_some_and(|side| side.is_over);
        let is_given_up = is_request && matches!(part, Part::Reset { .. });
        if is_over(&exchange.response) || is_given_up {
            let is_whole = is_over(&exchange.request) && is_over(&exchange.response);
            if let Some(exchange) = self.open.remove(&id) {
                spans.extend(exchange.span(protocol, None));
            }
            if !is_whole {
                self.ended.push_back(id);
                if self.ended.len() > REMEMBERED {
                    self.ended.pop_front();
                }
            }
        }
    }

    /// Nothing follows: what is open stays so.
    pub(super) fn finish(&mut self, protocol: &'static str, spans: &mut Vec<Span>) {
        for exchange in std::mem::take(&mut self.open).into_values() {
            let why = match exchange.is_doubtful {
                true => Issue::ResponseMissing,
                false => Issue::OpenAtEnd,
            };
            spans.extend(exchange.span(protocol, Some(why)));
        }
        self.ended.clear();
    }
}

impl Side {
    fn new(message: TimedMessage) -> Side {
        let mut side = Side {
            bytes: message.message.end.saturating_sub(message.message.begin),
            is_over: false,
            n_items: 0,
            items_ns: None,
            n_stalls: 0,
            stalled_ns: 0,
            message,
        };
        if let Some(part) = side.message.message.part {
            side.count(part, side.message.first_ns, side.message.last_ns);
            if !matches!(part, Part::Whole | Part::Begin | Part::Reset { .. }) {
                // What began it was not seen, nor when.
                (side.message.first_ns, side.message.sequence) = (None, None);
                side.message.message.issues.push(Issue::MissedStart);
            }
        }
        side
    }

    /// A further part: what it says is added to what is known.
    fn add(&mut self, part: Part, timed: TimedMessage) {
        let was_over = self.is_over;
        self.count(part, timed.first_ns, timed.last_ns);
        let whole = &mut self.message;
        // What is given up after it was all said was said no later for that.
        if !was_over {
            whole.last_ns = whole.last_ns.max(timed.last_ns);
        }
        whole.retransmissions += timed.retransmissions;
        whole.message.end = whole.message.end.max(timed.message.end);
        let more = timed.message;
        let is_end_unknown = matches!(part, Part::End { .. })
            && more.status.is_empty()
            && more.issues.contains(&Issue::MissedStart);
        if !more.status.is_empty() || is_end_unknown {
            (whole.message.status, whole.message.outcome) = (more.status, more.outcome);
        }
        whole.message.inner = whole.message.inner.or(more.inner);
        whole.message.attributes.extend(more.attributes);
        whole.message.ids.extend(more.ids);
        whole.message.issues.extend(more.issues);
    }

    fn count(&mut self, part: Part, first_ns: Option<i64>, last_ns: Option<i64>) {
        match part {
            Part::Begin | Part::Lost => {}
            Part::Whole => self.is_over = true,
            Part::Item => {
                self.n_items += 1;
                if let Some(at) = last_ns {
                    self.items_ns = Some([self.items_ns.map_or(at, |[first, _]| first), at]);
                }
            }
            Part::Stall => {
                let stood_ns = first_ns.zip(last_ns).map_or(0, |(from, to)| (to - from).max(0));
                self.n_stalls += u64::from(stood_ns > 0);
                self.stalled_ns += stood_ns;
            }
            Part::Reset { .. } if self.is_over => {}
            Part::End { bytes } | Part::Reset { bytes } => {
                (self.bytes, self.is_over) = (bytes, true);
            }
        }
    }

    /// The message with what was counted; times are told since `since_ns`.
    fn counted(self, since_ns: Option<i64>) -> (TimedMessage, u64) {
        let mut message = self.message;
        let attributes = &mut message.message.attributes;
        if self.n_items > 0 {
            attributes.push(("messages", self.n_items.to_string()));
        }
        if let (Some([first, last]), Some(since)) = (self.items_ns, since_ns) {
            attributes.push(("first_message_ns", (first - since).to_string()));
            attributes.push(("last_message_ns", (last - since).to_string()));
        }
        if self.n_stalls > 0 {
            attributes.push(("window_stalls", self.n_stalls.to_string()));
            attributes.push(("window_stalled_ns", self.stalled_ns.to_string()));
        }
        (message, self.bytes)
    }
}

impl Exchange {
    /// `why`: nothing follows although it was not over.
    fn span(self, protocol: &'static str, why: Option<Issue>) -> Option<Span> {
        let known = self.request.as_ref().or(self.response.as_ref());
        let since_ns = known.and_then(|side| side.message.first_ns);
        let is_answered = self.response.as_ref().is_some_and(|side| side.is_over);
        let request = self.request.map(|side| side.counted(since_ns));
        let response = self.response.map(|side| side.counted(since_ns));
        match (request, response) {
            (Some((request, asked)), Some((response, told))) => {
                let end_ns = response.last_ns;
                let given_up = (request.message.status.clone(), request.message.outcome);
                let mut span = answered(protocol, request, response);
                span.bytes = [asked, told];
                // An answer that nobody waited for to its end is none.
                if !is_answered && !given_up.0.is_empty() {
                    (span.facts.status, span.facts.outcome) = given_up;
                }
                if !is_answered {
                    // How it ends may change what it means.
                    span.facts.outcome = span.facts.outcome.filter(|it| *it != Outcome::Ok);
                    span.times.response_last = end_ns.filter(|_| why.is_none());
                    span.state = if why.is_some() { CallState::Open } else { CallState::Complete };
                    span.facts.issues.extend(why);
                }
                Some(span)
            }
            (Some((request, asked)), None) => {
                let mut span = half(protocol, request, CallState::Open, why);
                span.bytes[0] = asked;
                Some(span)
            }
            (None, Some((response, told))) => {
                let mut span = orphan(protocol, response);
                span.bytes[1] = told;
                span.facts.issues.extend(why.filter(|_| !is_answered));
                Some(span)
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::call::CallState::{self, Complete, Open, ResponseOnly};
    use crate::issue::Issue;
    use crate::pair::{Pairing, Span, TimedMessage};
    use crate::protocol::{Message, Part, Role, Side};

    const END: Part = Part::End { bytes: 20 };
    const RESET: Part = Part::Reset { bytes: 20 };

    /// A part of stream 1 that passed at `at`.
    fn part(role: Role, part: Part, at: i64) -> TimedMessage {
        let from = if role == Role::Request { Side::Client } else { Side::Server };
        let begin = at as u64 * 10;
        let mut message = Message::new(from, role, begin, begin + 10);
        (message.correlation, message.part) = (Some(1), Some(part));
        if let (Part::Reset { .. }, Role::Request) = (part, role) {
            message.status = "CANCEL".to_string();
        }
        let first_ns = if part == Part::Stall { at - 3 } else { at };
        TimedMessage {
            message,
            first_ns: Some(first_ns),
            last_ns: Some(at),
            sequence: Some(at as u32),
            acked: 0,
            head_hash: 1,
            body_hash: 1,
            retransmissions: 0,
        }
    }

    fn asked(what: Part, at: i64) -> TimedMessage {
        part(Role::Request, what, at)
    }

    fn told(what: Part, at: i64) -> TimedMessage {
        part(Role::Response, what, at)
    }

    /// Spans, whatever stretches the parts come in.
    #[track_caller]
    fn check(parts: &[TimedMessage], expected: &[(CallState, [Option<i64>; 4])]) -> Vec<Span> {
        let mut spans = Vec::new();
        for cut in 0..=parts.len() {
            let mut pairing = Pairing::default();
            pairing.take("http2", parts[..cut].to_vec());
            pairing.take("http2", parts[cut..].to_vec());
            pairing.finish("http2");
            spans = pairing.spans;
            let found: Vec<_> = spans
                .iter()
                .map(|s| {
                    let t = s.times;
                    let times =
                        [t.request_first, t.request_last, t.response_first, t.response_last];
                    (s.state, times)
                })
                .collect();
            assert_eq!(found, expected, "cut at {cut}");
        }
        spans
    }

    fn attributes(span: &Span) -> String {
        let attributes = span.facts.attributes.iter();
        attributes.map(|(name, value)| format!("{name}={value} ")).collect()
    }

    #[test]
    fn parts_are_put_together_and_items_and_stalls_counted() {
        let spans = check(
            &[
                asked(Part::Begin, 1),
                asked(Part::Item, 2),
                told(Part::Begin, 3),
                asked(END, 4),
                told(Part::Item, 5),
                told(Part::Stall, 9),
                told(Part::Item, 10),
                told(END, 11),
            ],
            &[(Complete, [Some(1), Some(4), Some(3), Some(11)])],
        );
        assert_eq!(
            attributes(&spans[0]),
            "messages=1 first_message_ns=1 last_message_ns=1 response.messages=2 response.first_message_ns=4 \
             response.last_message_ns=9 response.window_stalls=1 response.window_stalled_ns=3 "
        );
        assert_eq!(spans[0].bytes, [20, 20]);
    }

    #[test]
    fn a_response_that_is_over_ends_an_exchange_whose_request_is_not() {
        let parts =
            [asked(Part::Begin, 1), told(Part::Whole, 3), asked(Part::Item, 4), asked(RESET, 5)];
        check(&parts, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
    }

    #[test]
    fn given_up_by_the_client_it_stays_open_unless_answered() {
        let spans = check(
            &[asked(Part::Whole, 1), asked(RESET, 5)],
            &[(Open, [Some(1), Some(1), None, None])],
        );
        assert_eq!(spans[0].facts.status, "CANCEL");
        assert_eq!(spans[0].facts.issues, []);
        let parts = [asked(Part::Whole, 1), told(Part::Begin, 3), asked(RESET, 5), told(END, 6)];
        check(&parts, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
        let late = [asked(Part::Whole, 1), told(Part::Whole, 3), asked(RESET, 5)];
        check(&late, &[(Complete, [Some(1), Some(1), Some(3), Some(3)])]);
    }

    #[test]
    fn what_is_not_over_at_the_end_is_open() {
        let spans = check(
            &[asked(Part::Whole, 1), told(Part::Begin, 3), told(Part::Item, 4)],
            &[(Open, [Some(1), Some(1), Some(3), None])],
        );
        assert_eq!(spans[0].facts.issues, [Issue::OpenAtEnd]);
    }

    #[test]
    fn where_parts_were_lost_nobody_claims_that_no_answer_came() {
        let mut lost = told(Part::Lost, 4);
        lost.message.correlation = Some(0);
        let spans =
            check(&[asked(Part::Whole, 1), lost], &[(Open, [Some(1), Some(1), None, None])]);
        assert_eq!(spans[0].facts.issues, [Issue::ResponseMissing]);
    }

    #[test]
    fn what_began_before_the_capture_has_no_first_time() {
        let spans = check(
            &[asked(END, 1), told(Part::Item, 2), told(END, 3)],
            &[(Complete, [None, Some(1), None, Some(3)])],
        );
        assert_eq!(spans[0].facts.issues, [Issue::MissedStart]);
        check(&[told(END, 3)], &[(ResponseOnly, [None, None, None, Some(3)])]);
    }
}
