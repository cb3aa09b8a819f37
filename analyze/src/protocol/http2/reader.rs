//! The frames of one half, across gaps, and what they are to its streams. Never holds a body, never sees the other half.
//! Long: one state machine over one half, and how it finds its place again.

use super::frame::{self, Frame, HEAD, PREFACE};
use super::head::{Head, is_placeholder};
use super::hpack;
use super::search::{begins, least_insertion};
use super::window::{Granted, Standing};
use crate::issue::Issue;
use crate::protocol::seek::{Look, seek};
use crate::protocol::{Half, IdFields, Message, Outcome, Part, Role, Side, Stretch, grpc};
use std::collections::BTreeMap;

/// Streams that are followed at a time; of further ones only heads and ends are told.
const MAX_STREAMS: usize = 10_000;
/// Longest header block that is waited for.
const MAX_BLOCK: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Preface,
    Head,
    Data { frame: Frame, begin: u64, content_end: u64, is_padding_awaited: bool },
    Skip { until: u64 },
    Lost { at_boundary: bool },
}

/// One more step can be made, or more bytes are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    On,
    Stuck,
}

/// What is known of a stream's bytes of this half.
#[derive(Debug, Default)]
struct Stream {
    body: Option<grpc::Body>,
    /// Of all frames.
    bytes: u64,
    /// Of DATA, as flow control counts them.
    sent: u64,
    last_end: u64,
}

/// Where a half stands.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    pub(super) position: u64,
    state: State,
    /// What is doubtful of what comes next.
    doubt: Option<Issue>,
    /// Where the frame should begin that fell into a gap.
    lost_at: Option<u64>,
    hpack: hpack::Decoder,
    id_fields: IdFields,
    /// The rest of a block that was cut follows.
    is_block_cut: bool,
    streams: BTreeMap<u32, Stream>,
    /// Those of them that ended, since last asked.
    ended: Vec<u32>,
    sent: u64,
    last_end: u64,
    /// What this side lets the other send.
    pub(super) granted: Granted,
    /// Where this side may have stood, since last asked.
    pub(super) standings: Vec<Standing>,
    /// A head was seen that only this side sends; one that only the other does.
    pub(super) is_own: bool,
    pub(super) is_others: bool,
}

impl Reader {
    pub(super) fn new(side: Side) -> Reader {
        Reader {
            side,
            position: 0,
            state: State::Fresh,
            doubt: None,
            lost_at: None,
            hpack: hpack::Decoder::new(),
            id_fields: IdFields::BUILT_IN,
            is_block_cut: false,
            streams: BTreeMap::new(),
            ended: Vec::new(),
            sent: 0,
            last_end: 0,
            granted: Granted::new(),
            standings: Vec::new(),
            is_own: false,
            is_others: false,
        }
    }

    /// Reads as far as it goes.
    pub(super) fn read(&mut self, stretch: &Stretch<'_>, out: &mut Vec<Message>) {
        let (half, from_start) = (stretch.half(self.side), stretch.from_start);
        if self.state == State::Fresh {
            self.position = half.start;
            self.id_fields = stretch.id_fields.clone();
            self.state = match (from_start, self.side) {
                (true, Side::Client) => State::Preface,
                (true, Side::Server) => State::Head,
                (false, _) => State::Lost { at_boundary: true },
            };
            if !from_start {
                self.doubt = Some(Issue::MissedStart);
                self.hpack.joined_late();
                self.granted.lose(true);
            }
        }
        while self.step(half, out) == Step::On {}
    }

    /// Whether frames were found.
    pub(super) fn is_found(&self) -> bool {
        !matches!(self.state, State::Fresh | State::Preface | State::Lost { .. })
    }

    /// Tells where this side stood because it had used up what the other granted, out of order.
    pub(super) fn stalls(&mut self, granted: &mut Granted, out: &mut Vec<Message>) {
        for standing in self.standings.drain(..) {
            if let Some(since) = granted.used_up(&standing) {
                let (begin, end) = (since.saturating_sub(1), standing.until + 1);
                out.push(part(self.side, standing.stream, Part::Stall, begin, end));
            }
        }
        granted.prune(self.sent, self.ended.drain(..));
    }

    fn step(&mut self, half: &Half<'_>, out: &mut Vec<Message>) -> Step {
        match self.state {
            State::Fresh => Step::Stuck,
            State::Preface => self.preface(half, out),
            State::Head => self.head(half, out),
            State::Data { .. } => self.data(half, out),
            State::Skip { until } => {
                self.position = until.min(half.end);
                if until > half.end {
                    return Step::Stuck;
                }
                self.state = State::Head;
                Step::On
            }
            State::Lost { at_boundary } => self.seek(half, at_boundary),
        }
    }

    fn preface(&mut self, half: &Half<'_>, out: &mut Vec<Message>) -> Step {
        let bytes = half.at(self.position);
        if bytes.starts_with(PREFACE) {
            self.position += PREFACE.len() as u64;
            self.state = State::Head;
            return Step::On;
        }
        if PREFACE.starts_with(bytes) && !half.cut_after(self.position) {
            return Step::Stuck;
        }
        if bytes.is_empty() && self.position >= half.end {
            return Step::Stuck;
        }
        let why = if PREFACE.starts_with(bytes) { Issue::HeadCut } else { Issue::Malformed };
        self.lose(why, bytes.is_empty(), out);
        Step::On
    }

    /// Nobody knows where the next frame begins.
    fn lose(&mut self, why: Issue, at_boundary: bool, out: &mut Vec<Message>) {
        self.state = State::Lost { at_boundary };
        self.doubt.get_or_insert(why);
        self.is_block_cut = false;
        match at_boundary {
            true => self.lost_at = Some(self.position),
            false => self.hpack.forget(),
        }
        self.granted.lose(false);
        self.streams.values_mut().filter_map(|s| s.body.as_mut()).for_each(|b| b.skip(u64::MAX));
        out.push(part(self.side, 0, Part::Lost, self.position, self.position));
    }

    fn head(&mut self, half: &Half<'_>, out: &mut Vec<Message>) -> Step {
        let bytes = half.at(self.position);
        let Some(frame) = Frame::read(bytes) else {
            if bytes.is_empty() && self.position >= half.end {
                return Step::Stuck;
            }
            if !half.cut_after(self.position) {
                return Step::Stuck;
            }
            if half.last && self.position + bytes.len() as u64 >= half.end {
                self.position = half.end;
                return Step::Stuck;
            }
            self.lose(Issue::HeadCut, true, out);
            self.position += bytes.len() as u64;
            return Step::On;
        };
        let is_awaited = frame.kind != frame::CONTINUATION || self.is_block_cut;
        if !frame.is_possible() || !is_awaited {
            self.lose(Issue::Malformed, false, out);
            self.position += 1;
            return Step::On;
        }
        match frame.kind {
            frame::DATA => {
                let begin = self.position;
                self.position += HEAD as u64;
                self.begin_data(frame, begin);
                Step::On
            }
            frame::HEADERS | frame::PUSH_PROMISE => self.block(half, frame, out),
            frame::CONTINUATION => {
                self.is_block_cut = !frame.has(frame::END_HEADERS);
                self.skip(frame)
            }
            frame::RST_STREAM | frame::SETTINGS | frame::GOAWAY | frame::WINDOW_UPDATE => {
                let payload = &bytes[HEAD..bytes.len().min(frame.size() as usize)];
                let is_whole = payload.len() as u64 == u64::from(frame.length);
                if !is_whole && !half.cut_after(self.position) {
                    return Step::Stuck;
                }
                self.control(frame, payload, out);
                self.skip(frame)
            }
            _ => self.skip(frame),
        }
    }

    fn skip(&mut self, frame: Frame) -> Step {
        self.state = State::Skip { until: self.position + frame.size() };
        Step::On
    }

    fn control(&mut self, frame: Frame, payload: &[u8], out: &mut Vec<Message>) {
        let number = |at: usize| {
            let bytes = payload.get(at..at + 4)?;
            Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let (begin, end) = (self.position, self.position + frame.size());
        match frame.kind {
            frame::SETTINGS => {
                const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
                for setting in payload.chunks_exact(6).filter(|s| s[..2] == INITIAL_WINDOW_SIZE) {
                    let value = [setting[2], setting[3], setting[4], setting[5]];
                    self.granted.initial(u32::from_be_bytes(value));
                }
            }
            frame::WINDOW_UPDATE => match number(0) {
                Some(increment) => self.granted.update(frame.stream, increment & 0x7fff_ffff),
                None => self.granted.lose(false),
            },
            // A client's good-bye is a connection's end like another.
            frame::GOAWAY if self.side == Side::Client && number(4) == Some(0) => {}
            frame::GOAWAY => {
                let mut message = Message::new(self.side, Role::OneWay, begin, end);
                message.request_type = "GOAWAY".to_string();
                message.version = "2".to_string();
                if let (Some(last), Some(code)) = (number(0), number(4)) {
                    message.status = frame::error_name(code);
                    message.outcome = Some(match (code, self.side) {
                        (0, _) => Outcome::Ok,
                        (_, Side::Client) => Outcome::ServerError,
                        (_, Side::Server) => Outcome::ClientError,
                    });
                    message.attributes.push(("last_stream", (last & 0x7fff_ffff).to_string()));
                }
                message.issues.extend(self.doubt.take());
                out.push(message);
            }
            _ => {
                let bytes = self.end(frame.stream).map_or(0, |stream| stream.bytes);
                if frame.stream.is_multiple_of(2) {
                    return;
                }
                let reset = Part::Reset { bytes: bytes + frame.size() };
                let mut message = part(self.side, frame.stream, reset, begin, end);
                message.version = "2".to_string();
                if let Some(code) = number(0) {
                    message.status = frame::error_name(code);
                    message.attributes.push(("reset", message.status.clone()));
                }
                message.outcome = Some(match self.side {
                    Side::Client => Outcome::ClientError,
                    Side::Server => Outcome::ServerError,
                });
                out.push(message);
            }
        }
    }

    fn begin_data(&mut self, frame: Frame, begin: u64) {
        let end = self.position + u64::from(frame.length);
        let is_padding_awaited = frame.has(frame::PADDED) && frame.length > 0;
        self.state = State::Data { frame, begin, content_end: end, is_padding_awaited };
        let is_known = self.streams.contains_key(&frame.stream);
        if !is_known && self.streams.len() < MAX_STREAMS && !self.is_pushed(frame.stream) {
            self.streams.insert(frame.stream, Stream { last_end: begin, ..Stream::default() });
        }
        let Some(stream) = self.streams.get_mut(&frame.stream) else { return };
        if frame.length > 0 {
            self.standings.push(Standing {
                stream: frame.stream,
                of_connection: self.sent,
                of_stream: stream.sent,
                since_connection: self.last_end.max(stream.last_end.min(begin)),
                since_stream: stream.last_end,
                until: begin,
            });
        }
    }

    fn data(&mut self, half: &Half<'_>, out: &mut Vec<Message>) -> Step {
        let State::Data { frame, begin, content_end, is_padding_awaited } = self.state else {
            return Step::Stuck;
        };
        let end = begin + frame.size();
        let (mut content_end, mut is_padding_awaited) = (content_end, is_padding_awaited);
        let id = frame.stream;
        while self.position < end {
            let bytes = half.at(self.position);
            if bytes.is_empty() {
                if self.position >= half.end {
                    self.state = State::Data { frame, begin, content_end, is_padding_awaited };
                    return Step::Stuck;
                }
                let next = half.next_known(self.position).unwrap_or(half.end).min(half.end);
                let to = next.min(end);
                if let Some(body) = self.streams.get_mut(&id).and_then(|s| s.body.as_mut()) {
                    let n = to.min(content_end).saturating_sub(self.position);
                    // Padding whose length is not known may be part of what is missing.
                    body.skip(if is_padding_awaited { u64::MAX } else { n });
                }
                (self.position, is_padding_awaited) = (to, false);
            } else if is_padding_awaited {
                content_end = end.saturating_sub(u64::from(bytes[0])).max(self.position + 1);
                (self.position, is_padding_awaited) = (self.position + 1, false);
            } else {
                let n = bytes.len().min((end - self.position) as usize);
                let content = n.min(content_end.saturating_sub(self.position) as usize);
                let (side, from) = (self.side, self.position);
                if let Some(body) = self.streams.get_mut(&id).and_then(|s| s.body.as_mut()) {
                    body.feed(&bytes[..content], |at| {
                        let ended = from + at as u64;
                        out.push(part(side, id, Part::Item, ended - 1, ended));
                    });
                }
                self.position += n as u64;
            }
        }
        self.end_data(frame, end, out);
        self.state = State::Head;
        Step::On
    }

    fn end_data(&mut self, frame: Frame, end: u64, out: &mut Vec<Message>) {
        self.sent += u64::from(frame.length);
        self.last_end = end;
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.sent += u64::from(frame.length);
            stream.bytes += frame.size();
            stream.last_end = end;
        }
        if frame.has(frame::END_STREAM) && !self.is_pushed(frame.stream) {
            let stream = self.end(frame.stream).unwrap_or_default();
            let begin = end - frame.size();
            let ended = Part::End { bytes: stream.bytes.max(frame.size()) };
            let mut message = part(self.side, frame.stream, ended, begin, end);
            if let Some(body) = stream.body {
                body.tell(&mut message);
            }
            message.issues.extend(self.doubt.take());
            out.push(message);
        }
    }

    fn end(&mut self, stream: u32) -> Option<Stream> {
        self.ended.push(stream);
        self.streams.remove(&stream)
    }

    /// What the server sends unasked: told by its promise alone.
    fn is_pushed(&self, stream: u32) -> bool {
        self.side == Side::Server && stream.is_multiple_of(2)
    }

    /// A header block: HEADERS or PUSH_PROMISE, and the CONTINUATIONs.
    fn block(&mut self, half: &Half<'_>, first: Frame, out: &mut Vec<Message>) -> Step {
        let begin = self.position;
        let (mut at, mut pieces) = (begin, Vec::with_capacity(1));
        let mut promised = None;
        let is_cut = loop {
            let bytes = half.at(at);
            let may_wait = !half.cut_after(at) && at - begin < MAX_BLOCK;
            let Some(frame) = Frame::read(bytes) else {
                if may_wait {
                    return Step::Stuck;
                }
                break true;
            };
            if at > begin && (frame.kind != frame::CONTINUATION || frame.stream != first.stream) {
                break true;
            }
            let payload = &bytes[HEAD..bytes.len().min(frame.size() as usize)];
            let is_whole = payload.len() as u64 == u64::from(frame.length);
            if !is_whole && may_wait {
                return Step::Stuck;
            }
            let (fragment, promise) = fragment(frame, payload);
            promised = promised.or(promise);
            pieces.push(fragment);
            at += frame.size();
            if frame.has(frame::END_HEADERS) || !is_whole {
                self.is_block_cut = !frame.has(frame::END_HEADERS);
                break !is_whole;
            }
        };
        let joined;
        let block: &[u8] = match &pieces[..] {
            [one] => one,
            several => {
                joined = several.concat();
                &joined
            }
        };
        let mut head = Head::default();
        let ids = &self.id_fields;
        let is_good = self.hpack.block(block, is_cut, ids, |field| head.take(field, ids));
        let age = self.hpack.age();
        if is_cut || !is_good {
            self.hpack.forget();
        }
        let issue = match (is_good, is_cut) {
            (false, _) => Some(Issue::Malformed),
            (_, true) => Some(Issue::HeadCut),
            _ => None,
        };
        self.state = State::Skip { until: at };
        self.headers(first, promised, head, age, [begin, at], issue, out);
        Step::On
    }

    #[allow(clippy::too_many_arguments, reason = "a block with all that is known of it, once")]
    fn headers(
        &mut self,
        frame: Frame,
        promised: Option<u32>,
        head: Head,
        age: u32,
        [begin, end]: [u64; 2],
        issue: Option<Issue>,
        out: &mut Vec<Message>,
    ) {
        let is_client = self.side == Side::Client;
        self.is_own |= if is_client { head.method.is_some() } else { head.status.is_some() };
        let is_promise = frame.kind == frame::PUSH_PROMISE;
        self.is_others |=
            if is_client { head.status.is_some() } else { head.method.is_some() && !is_promise };
        self.doubt = self.doubt.or(issue);
        if is_promise {
            let mut message = Message::new(self.side, Role::OneWay, begin, end);
            head.request(&mut message, age);
            let id = promised.unwrap_or(0).to_string();
            message.attributes.push(("promised_stream", id));
            message.issues.extend(self.doubt.take());
            out.push(message);
            return;
        }
        if self.is_pushed(frame.stream) {
            return;
        }
        let ends = frame.has(frame::END_STREAM);
        if head.status.is_some_and(|code| (100..200).contains(&code)) && !is_client {
            let mut message = Message::new(self.side, Role::Interim, begin, end);
            message.correlation = Some(u64::from(frame.stream));
            head.response(&mut message, false, false);
            out.push(message);
            return;
        }
        let is_open = self.streams.contains_key(&frame.stream);
        let is_trailers = is_open || (ends && !head.may_begin());
        let stream = if ends { self.end(frame.stream) } else { None };
        let bytes = stream.as_ref().map_or(0, |stream| stream.bytes) + (end - begin);
        let what = match (is_trailers, ends) {
            (true, true) => Part::End { bytes },
            // Trailers end their stream; these are a second head, which can't be.
            (true, false) => {
                self.doubt = Some(Issue::Malformed);
                return;
            }
            (false, true) => Part::Whole,
            (false, false) => Part::Begin,
        };
        let mut message = part(self.side, frame.stream, what, begin, end);
        let is_named = if is_client {
            let framing = head.framing;
            head.request(&mut message, age);
            self.open(frame.stream, ends, framing, [begin, end]);
            !is_placeholder(&message.resource)
        } else {
            let (framing, has_unknown) = (head.framing, head.has_unknown);
            head.response(&mut message, ends, issue.is_some());
            self.open(frame.stream, ends || is_trailers, framing, [begin, end]);
            !message.status.is_empty() || !has_unknown
        };
        if let Some(body) = stream.and_then(|stream| stream.body) {
            body.tell(&mut message);
        }
        message.issues.extend((!is_named).then_some(Issue::MissedStart));
        message.issues.extend(self.doubt.take());
        message.issues.extend(issue);
        message.issues.sort_unstable();
        message.issues.dedup();
        out.push(message);
    }

    fn open(
        &mut self,
        id: u32,
        is_over: bool,
        framing: Option<grpc::Framing>,
        [begin, end]: [u64; 2],
    ) {
        if !is_over && self.streams.len() < MAX_STREAMS {
            let body = framing.map(grpc::Body::new);
            let stream = Stream { body, bytes: end - begin, sent: 0, last_end: end };
            self.streams.insert(id, stream);
        }
    }

    /// Goes to where a frame begins.
    fn seek(&mut self, half: &Half<'_>, at_boundary: bool) -> Step {
        let mut at_boundary = at_boundary;
        let found =
            seek(half, &mut self.position, &mut at_boundary, |bytes, is_cut, is_boundary| {
                for nth in 0..bytes.len() {
                    match begins(&bytes[nth..], is_cut, is_boundary && nth == 0) {
                        Some(true) => return Look::At(nth),
                        None => return Look::Wait(nth),
                        Some(false) => {}
                    }
                }
                Look::Nowhere
            });
        if !found {
            self.state = State::Lost { at_boundary };
            return Step::Stuck;
        }
        self.state = State::Head;
        let bytes = half.at(self.position);
        if bytes.starts_with(PREFACE) {
            self.position += PREFACE.len() as u64;
            self.hpack = hpack::Decoder::new();
            self.granted = Granted::new();
            self.doubt = self.doubt.filter(|doubt| *doubt != Issue::MissedStart);
        }
        self.is_block_cut = bytes.get(3) == Some(&frame::CONTINUATION);
        let unseen = self.lost_at.take().map(|at| self.position - at);
        if unseen.is_some_and(|n| n >= least_insertion(self.side)) {
            self.hpack.forget();
        }
        Step::On
    }
}

/// What a frame holds of its block, without padding, and the stream that it promises.
fn fragment(frame: Frame, payload: &[u8]) -> (&[u8], Option<u32>) {
    let is_padded = frame.has(frame::PADDED) && frame.kind != frame::CONTINUATION;
    let padding = if is_padded { payload.first().copied().unwrap_or(0) } else { 0 };
    let mut lead = usize::from(is_padded);
    let mut promised = None;
    match frame.kind {
        frame::HEADERS if frame.has(frame::PRIORITY) => lead += 5,
        frame::PUSH_PROMISE => {
            let id = payload.get(lead..lead + 4);
            promised = id.map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) & 0x7fff_ffff);
            lead += 4;
        }
        _ => {}
    }
    let content_end = (frame.length as usize).saturating_sub(usize::from(padding));
    let content_end = content_end.min(payload.len()).max(lead.min(payload.len()));
    (payload.get(lead..content_end).unwrap_or(&[]), promised)
}

fn part(side: Side, stream: u32, what: Part, begin: u64, end: u64) -> Message {
    let role = if side == Side::Client { Role::Request } else { Role::Response };
    let mut message = Message::new(side, role, begin, end);
    (message.correlation, message.part) = (Some(u64::from(stream)), Some(what));
    message
}
