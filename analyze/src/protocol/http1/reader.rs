//! One half of a dialog: from head to body to the next head, by steps. Never waits for a byte it does not need.

use std::collections::VecDeque;

use super::super::{Half, IdFields, Message, Role, Side, Stretch};
use super::body::{Chunks, Framing, Inside, Walk, framing};
use super::head::{self, Head, Reading, Start};
use super::search::Search;
use super::{Asked, MAX_OUTSTANDING, Outstanding};
use crate::issue::Issue;
use crate::protocol::websocket::Upgrade;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It moved.
    On,
    /// It can't go on without more bytes.
    Stuck,
    /// The server took up another protocol. Where the client does is unknown if the request is.
    Switched { client_at: Option<u64>, server_at: u64, to: Option<&'static str> },
}

/// Where a half stands.
#[derive(Default)]
enum State {
    /// Before the first stretch.
    #[default]
    Fresh,
    /// Before a head; what its message has to say of the way there.
    Head(Option<Issue>),
    /// In a body that ends where the message does.
    Length(Message, Inside),
    /// In a chunked body.
    Chunked(Message, Chunks, Inside),
    /// In a body that ends with the half.
    UntilClose(Message),
    /// On the look-out for the next head, where the message before ends.
    Lost { message: Option<Message>, search: Search, since: u64, why: Option<Issue> },
}

/// The reader of one half.
pub(super) struct Reader {
    side: Side,
    /// Everything before is done with.
    pub(super) position: u64,
    /// What the last request that asked for another protocol was about.
    pub(super) upgrade: Upgrade,
    state: State,
    id_fields: IdFields,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            side: Side::Client,
            position: 0,
            upgrade: Upgrade::default(),
            state: State::Fresh,
            id_fields: IdFields::BUILT_IN,
        }
    }
}

impl Reader {
    /// Takes up the next stretch.
    pub(super) fn go_on(&mut self, side: Side, stretch: &Stretch<'_>) {
        (self.side, self.position) = (side, stretch.half(side).start);
        if matches!(self.state, State::Fresh) {
            self.state = State::Head(None);
            self.id_fields = stretch.id_fields.clone();
            if !stretch.from_start {
                self.lose(None, Search::at_a_start(), Some(Issue::MissedStart));
            }
        }
    }

    /// Whether the next byte begins a message, as far as known.
    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Lost { .. })
    }

    /// One step on: a head, or a body as far as it goes.
    pub(super) fn step(
        &mut self,
        half: &Half<'_>,
        outstanding: &mut VecDeque<Outstanding>,
        messages: &mut Vec<Message>,
    ) -> Step {
        match std::mem::replace(&mut self.state, State::Head(None)) {
            State::Fresh => Step::Stuck,
            State::Head(why) => self.head(half, outstanding, messages, why),
            State::Length(message, inside) => self.length(half, message, inside, messages),
            State::Chunked(message, chunks, inside) => {
                self.chunked(half, message, (chunks, inside), messages)
            }
            State::UntilClose(mut message) => {
                (self.position, message.end) = (half.end, half.end);
                if half.last {
                    messages.push(message);
                } else {
                    self.state = State::UntilClose(message);
                }
                Step::Stuck
            }
            State::Lost { message, mut search, since, why } => {
                let found = search.walk(self.side, half, &mut self.position);
                if !found && !half.last {
                    self.state = State::Lost { message, search, since, why };
                    return Step::Stuck;
                }
                messages.extend(message.map(|m| Message { end: self.position, ..m }));
                match why.filter(|_| self.position > since) {
                    _ if !found => Step::Stuck,
                    why => self.head(half, outstanding, messages, why),
                }
            }
        }
    }

    /// Gives up the message at hand: the protocol ends at `end`.
    pub(super) fn leave(&mut self, end: u64) -> Option<Message> {
        match std::mem::replace(&mut self.state, State::Head(None)) {
            State::Fresh | State::Head(_) => None,
            State::Length(message, _) => Some(message),
            State::Chunked(message, ..) | State::UntilClose(message) => {
                Some(Message { end: end.max(message.begin), ..message })
            }
            State::Lost { message, .. } => message.map(|m| Message { end: end.max(m.begin), ..m }),
        }
    }

    fn lose(&mut self, message: Option<Message>, search: Search, why: Option<Issue>) {
        self.state = State::Lost { message, search, since: self.position, why };
    }

    fn length(
        &mut self,
        half: &Half<'_>,
        mut message: Message,
        mut inside: Inside,
        out: &mut Vec<Message>,
    ) -> Step {
        let to = half.end.min(message.end);
        inside.pass(half, self.position, to);
        self.position = to;
        let whole = message.end <= half.end;
        if whole || half.last {
            message.issues.extend((!whole).then_some(Issue::Truncated));
            inside.tell(&mut message);
            out.push(message);
            return if whole { Step::On } else { Step::Stuck };
        }
        self.state = State::Length(message, inside);
        Step::Stuck
    }

    fn chunked(
        &mut self,
        half: &Half<'_>,
        mut message: Message,
        (mut chunks, mut inside): (Chunks, Inside),
        out: &mut Vec<Message>,
    ) -> Step {
        match chunks.walk(half, &mut self.position, &mut inside) {
            Walk::Over => {
                inside.tell(&mut message);
                out.push(Message { end: self.position, ..message });
            }
            Walk::Stuck if half.last => {
                message.issues.push(Issue::Truncated);
                inside.tell(&mut message);
                out.push(Message { end: self.position, ..message });
                return Step::Stuck;
            }
            Walk::Stuck => {
                self.state = State::Chunked(message, chunks, inside);
                return Step::Stuck;
            }
            Walk::Lost(issue) => {
                message.issues.push(issue);
                self.lose(Some(message), Search::within_bytes(), None);
            }
        }
        Step::On
    }

    fn head(
        &mut self,
        half: &Half<'_>,
        outstanding: &mut VecDeque<Outstanding>,
        messages: &mut Vec<Message>,
        why: Option<Issue>,
    ) -> Step {
        // RFC 9112 §2.2: empty lines before a start line are to be ignored.
        let blank = half.at(self.position).iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        self.position += blank.count() as u64;
        let bytes = half.at(self.position);
        if bytes.is_empty() {
            if self.position == half.end {
                self.state = State::Head(why);
                return Step::Stuck;
            }
            self.lose(None, Search::within_bytes(), why);
            return Step::On;
        }
        match head::read(self.side, bytes, half.cut_after(self.position)) {
            Reading::Wait => {
                self.state = State::Head(why);
                Step::Stuck
            }
            Reading::NotAHead => {
                self.lose(None, Search::within_bytes(), Some(Issue::Malformed));
                self.position += 1;
                Step::On
            }
            Reading::Part(head, issue) => {
                let mut message = head.message(self.side, self.position, &self.id_fields);
                message.issues.extend(why);
                message.issues.push(issue);
                self.exchange(&head, outstanding, message.end, false);
                self.position = message.end;
                self.lose(Some(message), Search::within_bytes(), None);
                Step::On
            }
            Reading::Whole(head) => {
                let mut message = head.message(self.side, self.position, &self.id_fields);
                message.issues.extend(why);
                self.whole_head(&head, message, outstanding, messages)
            }
        }
    }

    fn whole_head(
        &mut self,
        head: &Head<'_>,
        mut message: Message,
        outstanding: &mut VecDeque<Outstanding>,
        messages: &mut Vec<Message>,
    ) -> Step {
        self.position = message.end;
        let interim = matches!(head.start, Start::Status(code) if is_interim(code));
        let of_request = if interim { None } else { outstanding.front().copied() };
        let asked = of_request.map_or(Asked::Plain, |o| o.asked);
        let (framing, doubt) = framing(head, asked);
        message.issues.extend(doubt);
        if let Framing::Length(length) = framing {
            message.end = message.end.saturating_add(length);
        }
        self.exchange(head, outstanding, message.end, true);
        if self.side == Side::Client && head.asked(true) == Asked::Upgrade {
            let (resource, host) = (message.resource.clone(), message.host.clone());
            self.upgrade = Upgrade { resource, host };
        }
        if self.side == Side::Server && switches(head.start, asked) {
            message.end = self.position;
            let to = upgraded(head);
            if to == Some("http2") {
                // Its request is answered there.
                message.role = Role::Interim;
            }
            messages.push(message);
            return Step::Switched {
                client_at: of_request.map(|o| o.end),
                server_at: self.position,
                to,
            };
        }
        self.state = match framing {
            Framing::Length(_) => State::Length(message, Inside::of(head)),
            Framing::Chunked => State::Chunked(message, Chunks::Size, Inside::of(head)),
            Framing::UntilClose => State::UntilClose(message),
            Framing::Unknown => {
                self.lose(Some(message), Search::within_bytes(), None);
                return Step::On;
            }
        };
        Step::On
    }

    /// A request joins the queue, a final response takes its request off.
    fn exchange(
        &self,
        head: &Head<'_>,
        outstanding: &mut VecDeque<Outstanding>,
        end: u64,
        whole: bool,
    ) {
        match head.start {
            Start::Request { .. } if outstanding.len() < MAX_OUTSTANDING => {
                outstanding.push_back(Outstanding { asked: head.asked(whole), end });
            }
            Start::Request { .. } => {}
            Start::Status(code) if is_interim(code) => {}
            Start::Status(_) => drop(outstanding.pop_front()),
        }
    }
}

/// RFC 9110 §15.2; 101 is the last the old protocol says.
fn is_interim(code: u16) -> bool {
    (100..200).contains(&code) && code != 101
}

/// The protocol that a 101 names, if it is one of ours (RFC 7540 §3.2: h2c).
fn upgraded(head: &Head<'_>) -> Option<&'static str> {
    let is_101 = matches!(head.start, Start::Status(101));
    let named =
        |token: &str| head.values("upgrade").any(|v| v.eq_ignore_ascii_case(token.as_bytes()));
    [("h2c", "http2"), ("websocket", "websocket")]
        .into_iter()
        .find(|(token, _)| is_101 && named(token))
        .map(|(_, to)| to)
}

/// RFC 9110 §7.8 and §9.3.6.
fn switches(start: Start<'_>, asked: Asked) -> bool {
    match start {
        Start::Status(101) => true,
        Start::Status(200..300) => asked == Asked::Connect,
        _ => false,
    }
}
