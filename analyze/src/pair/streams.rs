//! Parts of messages → spans: exchanges that go on at the same time on one connection, each known by its number (HTTP/2's streams).
//! What is inside a message (the messages of a stream of messages, stalls) is counted and timed. Never waits for a part that
//! can't come: a response that is over ends its exchange, and so does a reset.

use super::TimedMessage;
use super::span::{Span, answered, half, orphan, unanswered};
use crate::call::CallState;
use crate::issue::Issue;
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
        whole.missing_bytes = whole.missing_bytes.saturating_add(timed.missing_bytes);
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
mod tests;
