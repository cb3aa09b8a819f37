//! What a server sends: its greeting, the end of a login, and responses, each beginning with sequence number 1. What a response is, its packets tell; of
//! rows only the first byte is looked at. Never sees the client's half.
//! Long: one state machine over one half, and how it finds its place again.

use super::client::length_encoded;
use super::packet::{self, Next, Packet};
use super::search::{begins, is_hopeless, proves};
use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::seek::{Look, seek};
use crate::protocol::{Half, Message, Naming, Outcome, Role, Side, text};

/// Bytes of a packet that are waited for.
const WANTED: usize = 64;

pub(super) const OK: u8 = 0x00;
const INFILE: u8 = 0xfb;
pub(super) const EOF: u8 = 0xfe;
pub(super) const ERROR: u8 = 0xff;
/// An EOF packet: warnings and status. Where it is longer, it is an OK that stands in its place.
pub(super) const EOF_LENGTH: u32 = 5;
const FULL: u32 = 0xff_ffff;
/// Not an error but how far a statement is (MariaDB).
const PROGRESS: u16 = 0xffff;
/// A column's definition begins with its catalog's name.
pub(super) const DEFINITION: [u8; 4] = *b"\x03def";

const SERVER_MORE_RESULTS_EXISTS: u16 = 8;
const SERVER_STATUS_CURSOR_EXISTS: u16 = 0x40;

/// What the next packet is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Greeting,
    /// A login goes on until an OK or an error.
    Login,
    /// The first of a response.
    Start,
    /// The first of a further result, or of what a file that was asked for led to.
    Result {
        any_sequence: bool,
    },
    /// So many definitions of columns.
    Definitions {
        left: u64,
        then: Then,
    },
    /// An EOF may come, if the client still wants them there.
    Defined(Then),
    Rows,
    /// Definitions without a count, up to an EOF.
    FieldList,
    /// The rest of a response whose beginning was not seen, up to its end.
    Stray,
}

/// Where the server's half ends to be MySQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Never,
    /// TLS follows.
    BehindGreeting,
    /// Compressed packets follow.
    BehindLogin,
}

/// What follows definitions of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Rows,
    /// A prepared statement's columns, behind its parameters.
    Columns(u64),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Skip { until: u64 },
    Lost { at_boundary: bool },
}

/// A response, as far as it is known.
#[derive(Debug)]
struct Open {
    message: Message,
    next_sequence: u8,
    rows: u64,
    has_rows: bool,
    results: u64,
    affected: Option<u64>,
}

/// Where the server's half stands.
pub(super) struct Server {
    pub(super) position: u64,
    place: Place,
    stage: Stage,
    open: Option<Open>,
    /// Whole once its last packet has passed.
    done: Option<Message>,
    goes_on: bool,
    version: String,
    doubt: Option<Issue>,
    /// What follows is compressed.
    pub(super) is_compressed: bool,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            position: 0,
            place: Place::Head,
            stage: Stage::Greeting,
            open: None,
            done: None,
            goes_on: false,
            version: String::new(),
            doubt: None,
            is_compressed: false,
        }
    }
}

impl Server {
    pub(super) fn start(&mut self, half: &Half<'_>, from_start: bool) {
        self.position = half.start;
        if !from_start {
            (self.place, self.stage) = (Place::Lost { at_boundary: true }, Stage::Start);
            self.doubt = Some(Issue::MissedStart);
        }
    }

    /// Whether the greeting has passed.
    pub(super) fn is_greeted(&self) -> bool {
        self.stage != Stage::Greeting && self.place == Place::Head
    }

    /// `ends`: where the client said that another protocol begins.
    pub(super) fn read(&mut self, half: &Half<'_>, ends: Ends, out: &mut Vec<Message>) {
        loop {
            if let Place::Skip { until } = self.place {
                self.position = until.min(half.end);
                if until > half.end {
                    return self.leave(half.last, out);
                }
                self.place = Place::Head;
                if !self.goes_on {
                    out.extend(self.done.take());
                }
            }
            let is_logged_in = !matches!(self.stage, Stage::Greeting | Stage::Login);
            match ends {
                Ends::BehindGreeting if self.is_greeted() => return,
                Ends::BehindLogin if is_logged_in && self.doubt.is_none() => {
                    self.is_compressed = true;
                    return;
                }
                _ => {}
            }
            if let Place::Lost { at_boundary } = self.place
                && !self.seek(half, at_boundary)
            {
                return;
            }
            match packet::next(half, self.position, WANTED) {
                Next::More => return self.leave(half.last, out),
                Next::Lost(why) => {
                    self.settle(out);
                    self.position += half.at(self.position).len() as u64;
                    self.lose(why, true, out);
                }
                Next::Packet(packet) if self.goes_on => {
                    self.goes_on = packet.goes_on;
                    self.extend(packet);
                    self.place = Place::Skip { until: packet.end };
                }
                Next::Packet(packet) => self.packet(packet, out),
            }
        }
    }

    /// Nothing follows in this stretch.
    fn leave(&mut self, last: bool, out: &mut Vec<Message>) {
        if !last {
            return;
        }
        self.settle(out);
        if let Some(mut done) = self.done.take() {
            done.issues.push(Issue::Truncated);
            out.push(done);
        }
        self.cut_off(out);
    }

    /// A prepared statement is told whether an EOF follows or not.
    fn settle(&mut self, out: &mut Vec<Message>) {
        if self.stage == Stage::Defined(Then::End) {
            self.finish("OK".to_string(), Some(Outcome::Ok));
            out.extend(self.done.take());
        }
    }

    /// The response at hand will not be whole.
    fn cut_off(&mut self, out: &mut Vec<Message>) {
        if let Some(open) = self.open.take() {
            let mut message = open.message;
            message.issues.push(Issue::Truncated);
            out.push(message);
        }
    }

    fn lose(&mut self, why: Issue, at_boundary: bool, out: &mut Vec<Message>) {
        self.cut_off(out);
        out.extend(self.done.take());
        (self.place, self.stage) = (Place::Lost { at_boundary }, Stage::Start);
        self.goes_on = false;
        self.doubt.get_or_insert(why);
    }

    fn extend(&mut self, packet: Packet<'_>) {
        self.open.iter_mut().for_each(|open| open.message.end = packet.end);
        self.done.iter_mut().for_each(|done| done.end = packet.end);
    }

    fn packet(&mut self, packet: Packet<'_>, out: &mut Vec<Message>) {
        let Some(&first) = packet.payload.first() else {
            // Empty, or nobody knows what it is.
            let is_known = packet.length == 0;
            if is_known {
                self.advance(packet);
                self.place = Place::Skip { until: packet.end };
            } else {
                self.position = packet.begin + packet::HEAD;
                self.lose(Issue::HeadCut, true, out);
            }
            return;
        };
        if self.stage == Stage::Defined(Then::End) && !is_eof(packet, first) {
            self.settle(out);
        }
        if let Some(open) = &self.open
            && packet.sequence != open.next_sequence
            && !matches!(self.stage, Stage::Result { any_sequence: true })
        {
            self.cut_off(out);
            self.stage = Stage::Start;
            if packet.sequence > 1 {
                self.position += 1;
                return self.lose(Issue::Malformed, false, out);
            }
        }
        if self.stage == Stage::Greeting && (packet.sequence != 0 || !matches!(first, 10 | ERROR)) {
            self.position += 1;
            return self.lose(Issue::Malformed, false, out);
        }
        self.advance(packet);
        self.goes_on = packet.goes_on;
        self.place = Place::Skip { until: packet.end };
        self.stage(packet, first);
    }

    fn advance(&mut self, packet: Packet<'_>) {
        if let Some(open) = &mut self.open {
            open.next_sequence = packet.sequence.wrapping_add(1);
            open.message.end = packet.end;
        }
    }

    fn stage(&mut self, packet: Packet<'_>, first: u8) {
        match self.stage {
            Stage::Greeting if first == ERROR => self.unasked(packet),
            Stage::Greeting => {
                let version = packet.payload[1..].split(|byte| *byte == 0).next();
                self.version = text::bounded(version.unwrap_or_default(), 64);
                self.stage = Stage::Login;
            }
            Stage::Login => match first {
                OK | ERROR => {
                    self.open(packet);
                    if let Some(open) = &mut self.open {
                        open.message.version.clone_from(&self.version);
                    }
                    self.result(packet, first);
                    self.stage = Stage::Start;
                }
                _ => {}
            },
            Stage::Start if packet.sequence == 0 && first == ERROR => self.unasked(packet),
            // What belongs to no response: a log that is read for ever.
            Stage::Start if packet.sequence != 1 => {}
            Stage::Start => {
                self.open(packet);
                self.result(packet, first);
            }
            Stage::Result { .. } => self.result(packet, first),
            Stage::Definitions { .. } if first == ERROR => self.error(packet),
            Stage::Definitions { left, then } => self.define(left, then),
            Stage::Defined(then) => self.defined(packet, first, then),
            Stage::Rows => self.row(packet, first),
            Stage::FieldList if first == EOF || first == ERROR => self.row(packet, first),
            Stage::FieldList => {}
            Stage::Stray => {
                if (first == EOF && packet.length < 9) || first == ERROR {
                    self.stage = Stage::Start;
                }
            }
        }
    }

    /// Definitions, of which one has just passed.
    fn define(&mut self, left: u64, then: Then) {
        self.stage = match left {
            0 | 1 => Stage::Defined(then),
            left => Stage::Definitions { left: left - 1, then },
        };
    }

    /// The packet behind definitions.
    fn defined(&mut self, packet: Packet<'_>, first: u8, then: Then) {
        let is_eof = is_eof(packet, first);
        match then {
            Then::Rows
                if is_eof && status_of(packet.payload) & SERVER_STATUS_CURSOR_EXISTS != 0 =>
            {
                self.finish("OK".to_string(), Some(Outcome::Ok));
            }
            Then::Rows if is_eof => self.stage = Stage::Rows,
            Then::Rows => {
                self.stage = Stage::Rows;
                self.row(packet, first);
            }
            Then::Columns(0) | Then::End => self.finish("OK".to_string(), Some(Outcome::Ok)),
            Then::Columns(n) if is_eof => {
                self.stage = Stage::Definitions { left: n, then: Then::End };
            }
            Then::Columns(n) => self.define(n, Then::End),
        }
    }

    fn open(&mut self, packet: Packet<'_>) {
        let mut message = Message::new(Side::Server, Role::Response, packet.begin, packet.end);
        message.issues.extend(self.doubt.take());
        self.open = Some(Open {
            message,
            next_sequence: packet.sequence.wrapping_add(1),
            rows: 0,
            has_rows: false,
            results: 0,
            affected: None,
        });
    }

    /// The first packet of a result.
    fn result(&mut self, packet: Packet<'_>, first: u8) {
        match first {
            ERROR => self.error(packet),
            OK if is_prepared(packet) => {
                let number = |at: usize| {
                    u64::from(packet.payload[at]) | u64::from(packet.payload[at + 1]) << 8
                };
                let (columns, parameters) = (number(5), number(7));
                if let Some(open) = &mut self.open {
                    let number = number(1) | number(3) << 16;
                    open.message.naming = Some(Box::new(Naming::Defines(number)));
                }
                self.stage = match (parameters, columns) {
                    (0, 0) => return self.finish("OK".to_string(), Some(Outcome::Ok)),
                    (0, n) => Stage::Definitions { left: n, then: Then::End },
                    (n, 0) => Stage::Definitions { left: n, then: Then::End },
                    (n, columns) => Stage::Definitions { left: n, then: Then::Columns(columns) },
                };
            }
            OK => self.end_of_result(packet),
            EOF if packet.length < 9 => self.end_of_result(packet),
            // Another way to prove one's identity is asked for: a user is changed.
            EOF => (self.stage, self.open) = (Stage::Login, None),
            INFILE => self.stage = Stage::Result { any_sequence: true },
            _ if packet.payload.starts_with(&DEFINITION) => self.stage = Stage::FieldList,
            _ => match n_columns(packet) {
                Some(n) => self.stage = Stage::Definitions { left: n, then: Then::Rows },
                // A text (STATISTICS).
                None => self.finish("OK".to_string(), Some(Outcome::Ok)),
            },
        }
    }

    fn row(&mut self, packet: Packet<'_>, first: u8) {
        match first {
            EOF if packet.length < FULL => {
                self.open.iter_mut().for_each(|open| open.has_rows = true);
                self.end_of_result(packet);
            }
            ERROR => self.error(packet),
            _ => self.open.iter_mut().for_each(|open| open.rows += 1),
        }
    }

    /// An OK or an EOF.
    fn end_of_result(&mut self, packet: Packet<'_>) {
        let mut cursor = Cursor::new(packet.payload.get(1..).unwrap_or_default());
        let mut affected = None;
        if !(packet.payload[0] == EOF && packet.length == EOF_LENGTH) {
            affected = length_encoded(&mut cursor).filter(|n| *n > 0 && packet.payload[0] == OK);
            length_encoded(&mut cursor);
        } else {
            cursor.take(2);
        }
        let status = cursor.take(2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        if let Some(open) = &mut self.open {
            open.results += 1;
            open.affected =
                affected.map(|n| open.affected.unwrap_or(0).saturating_add(n)).or(open.affected);
        }
        if status & SERVER_MORE_RESULTS_EXISTS != 0 {
            self.stage = Stage::Result { any_sequence: false };
        } else {
            self.finish("OK".to_string(), Some(Outcome::Ok));
        }
    }

    fn error(&mut self, packet: Packet<'_>) {
        let (code, state) = error_of(packet.payload);
        if code == Some(PROGRESS) {
            return;
        }
        if let (Some(open), Some(state)) = (&mut self.open, &state) {
            open.message.attributes.push(("sqlstate", state.clone()));
        }
        self.finish(code.map(|code| code.to_string()).unwrap_or_default(), Some(blame(&state)));
    }

    /// An error that answers nothing: too many connections, a time-out, a shutdown.
    fn unasked(&mut self, packet: Packet<'_>) {
        let (code, state) = error_of(packet.payload);
        let mut message = Message::new(Side::Server, Role::OneWay, packet.begin, packet.end);
        message.request_type = "ERR".to_string();
        message.status = code.map(|code| code.to_string()).unwrap_or_default();
        message.outcome = Some(Outcome::ServerError);
        message.attributes.extend(state.map(|state| ("sqlstate", state)));
        message.issues.extend(self.doubt.take());
        self.done = Some(message);
        self.stage = Stage::Start;
    }

    fn finish(&mut self, status: String, outcome: Option<Outcome>) {
        self.stage = Stage::Start;
        let Some(open) = self.open.take() else { return };
        let mut message = open.message;
        (message.status, message.outcome) = (status, outcome);
        if open.has_rows || open.rows > 0 {
            message.attributes.push(("rows", open.rows.to_string()));
        }
        if let Some(affected) = open.affected {
            message.attributes.push(("affected_rows", affected.to_string()));
        }
        if open.results > 1 {
            message.attributes.push(("results", open.results.to_string()));
        }
        self.done = Some(message);
    }

    /// Goes to where a packet begins: any at a boundary that the capture shows, elsewhere the first of a response that proves itself. False: more
    /// bytes are needed.
    fn seek(&mut self, half: &Half<'_>, at_boundary: bool) -> bool {
        let (mut at_boundary, mut stage) = (at_boundary, Stage::Start);
        let found =
            seek(half, &mut self.position, &mut at_boundary, |bytes, is_cut, is_boundary| {
                let begun = if is_boundary { begins(bytes, is_cut) } else { None };
                if let Some(begun) = begun {
                    stage = begun;
                    return Look::At(0);
                }
                if is_boundary && !is_cut && bytes.len() <= 1 << 16 && !is_hopeless(bytes) {
                    return Look::Wait(0);
                }
                for nth in 0..bytes.len() {
                    match proves(&bytes[nth..], is_cut, true) {
                        Some(true) => return Look::At(nth),
                        None => return Look::Wait(nth),
                        Some(false) => {}
                    }
                }
                Look::Nowhere
            });
        if found {
            (self.place, self.stage) = (Place::Head, stage);
        } else {
            self.place = Place::Lost { at_boundary };
        }
        found
    }
}

fn is_eof(packet: Packet<'_>, first: u8) -> bool {
    first == EOF && packet.length == EOF_LENGTH
}

/// Status flags of an EOF.
fn status_of(payload: &[u8]) -> u16 {
    payload.get(3..5).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// Whether an OK is that of a prepared statement: twelve bytes of which the tenth is reserved. Read as another OK it would have no status.
fn is_prepared(packet: Packet<'_>) -> bool {
    let has_status = || {
        let mut cursor = Cursor::new(&packet.payload[1..]);
        let skipped = length_encoded(&mut cursor).and(length_encoded(&mut cursor));
        skipped.and_then(|_| cursor.take(2)).is_none_or(|status| status != [0, 0])
    };
    let n_named = || packet.payload[5..9].iter().any(|byte| *byte != 0);
    packet.length == 12
        && packet.payload.get(9) == Some(&0)
        && packet.payload.len() == 12
        && (n_named() || !has_status())
}

/// The number of columns that a packet tells, and nothing else but whether their definitions follow (MariaDB).
pub(super) fn n_columns(packet: Packet<'_>) -> Option<u64> {
    let mut cursor = Cursor::new(packet.payload);
    let n = length_encoded(&mut cursor).filter(|n| (1..=4_096).contains(n))?;
    let rest = packet.length as usize - cursor.position();
    (rest == 0 || (rest == 1 && packet.payload.get(cursor.position()) == Some(&1))).then_some(n)
}

/// An error's number and SQLSTATE.
fn error_of(payload: &[u8]) -> (Option<u16>, Option<String>) {
    let code = payload.get(1..3).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let state = payload.get(3..9).filter(|state| state[0] == b'#');
    (code, state.map(|state| text::bounded(&state[1..], 5)))
}

/// Connections, resources, locks, and what has no class of its own (HY) are the server's; all else was asked wrongly.
fn blame(state: &Option<String>) -> Outcome {
    let is_servers =
        |state: &String| ["08", "40", "70", "HY", "XA"].iter().any(|s| state.starts_with(s));
    match state.as_ref().is_none_or(is_servers) {
        true => Outcome::ServerError,
        false => Outcome::ClientError,
    }
}
