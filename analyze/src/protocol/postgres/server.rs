//! The server's messages grouped into responses, without asking what was requested: BindComplete and its like tell the
//! extended protocol from the simple one. Never shows a row, or an error's text.
//!
//! Source: PostgreSQL documentation, 54.2 "Message Flow", 54.8 "Error and Notice Message Fields", appendix A.

use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::text::bounded;
use crate::protocol::{Message, Outcome, Role, Side};

use super::epochs::{Epochs, Place};
use super::frame::{ANSWER, Frame};

const LATER_MAX: usize = 1024;

/// The server's side of the dialog.
#[derive(Debug, Default)]
pub(super) struct Server {
    place: Place,
    /// The extended protocol is spoken in this epoch.
    extended: bool,
    /// The response that is coming.
    open: Option<Open>,
    /// A response that is complete but for a ReadyForQuery that may follow directly; never beside an open one.
    held: Option<Message>,
    /// Notifications that came inside the response.
    later: Vec<Message>,
    failed: bool,
}

#[derive(Debug)]
struct Open {
    message: Message,
    tag: String,
    rows: u64,
    n_data_rows: u64,
    parameters_described: bool,
    row_described: bool,
    only_closes: bool,
}

/// What the server's message means to the conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    GoesOn,
    /// Encryption was refused.
    Plain,
    /// TLS begins.
    Tls,
    /// GSSAPI encryption or a replication begins.
    Opaque,
}

impl Server {
    /// The client's requests from this epoch on could not be counted.
    pub(super) fn doubt(&mut self, epoch: Option<u64>) {
        if let Some(epoch) = epoch {
            self.place.doubt(epoch);
        }
    }

    /// Joined late, or messages were lost.
    pub(super) fn lose(&mut self, issue: Issue, at: u64, out: &mut Vec<Message>) {
        self.place.lose();
        self.end_here(issue, at, out);
        (self.extended, self.failed) = (false, false);
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, end: u64, out: &mut Vec<Message>) {
        self.end_here(Issue::Truncated, end, out);
    }

    fn end_here(&mut self, issue: Issue, at: u64, out: &mut Vec<Message>) {
        if let Some(mut open) = self.open.take() {
            if open.message.status.is_empty() {
                open.message.issues.push(issue);
                open.message.end = open.message.end.max(at);
            }
            let message = self.complete(open);
            out.push(message);
        }
        self.close(out);
    }

    /// Takes one message.
    pub(super) fn take(
        &mut self,
        frame: &Frame,
        epochs: &mut Epochs,
        out: &mut Vec<Message>,
    ) -> Turn {
        match frame.kind {
            ANSWER => return self.answer(frame, out),
            b'A' => self.notification(frame, out),
            b'N' if self.open.is_none() && self.held.is_none() => {
                out.push(message(frame, Role::Interim));
            }
            b'N' | b'S' | b'K' | b'v' => self.lengthen(frame),
            b'R' if self.asks(frame) => out.push(message(frame, Role::Interim)),
            b'Z' => self.ready(frame, epochs, out),
            b'E' if self.fails_at_sync(epochs) => {
                if let Some(held) = &mut self.held {
                    held.end = frame.end;
                    judge(held, &frame.head);
                }
            }
            _ => {
                self.close(out);
                return self.part(frame);
            }
        }
        Turn::GoesOn
    }

    /// Whether this is an authentication message that wants an answer: not AuthenticationOk or the SASL outcome.
    fn asks(&self, frame: &Frame) -> bool {
        let done = matches!(Cursor::new(&frame.head).u32_be(), Some(0 | 12));
        !done && self.place.epoch() == 0 && self.open.is_none() && self.held.is_none()
    }

    fn answer(&mut self, frame: &Frame, out: &mut Vec<Message>) -> Turn {
        let mut message = message(frame, Role::Response);
        message.status = bounded(&frame.head, 1);
        message.outcome = Some(Outcome::Ok);
        out.push(message);
        match frame.head.first() {
            Some(b'S') => Turn::Tls,
            Some(b'G') => Turn::Opaque,
            _ => Turn::Plain,
        }
    }

    fn notification(&mut self, frame: &Frame, out: &mut Vec<Message>) {
        let mut message = message(frame, Role::OneWay);
        let channel = frame.head.get(4..).unwrap_or_default();
        message.request_type = "NOTIFY".to_string();
        message.resource = bounded(channel.split(|&b| b == 0).next().unwrap_or_default(), 256);
        if self.open.is_none() && self.held.is_none() {
            out.push(message);
        } else if self.later.len() < LATER_MAX {
            self.later.push(message);
        } else if let Some(last) = self.later.last_mut() {
            last.issues = vec![Issue::LimitExceeded];
        }
    }

    fn lengthen(&mut self, frame: &Frame) {
        if let Some(open) = &mut self.open {
            open.message.end = frame.end;
        }
    }

    /// A part of a response.
    fn part(&mut self, frame: &Frame) -> Turn {
        let fresh = || Open {
            message: message(frame, Role::Response),
            tag: String::new(),
            rows: 0,
            n_data_rows: 0,
            parameters_described: false,
            row_described: false,
            only_closes: true,
        };
        let open = self.open.get_or_insert_with(fresh);
        if open.message.begin != frame.begin {
            open.message.issues.extend(&frame.issues);
        }
        open.message.end = frame.end;
        open.only_closes &= frame.kind == b'3';
        let bare_row = frame.kind == b'D' && !open.row_described;
        self.extended |= matches!(frame.kind, b'1' | b'2' | b'3' | b'n' | b't' | b's') || bare_row;
        let ends = match frame.kind {
            b'C' | b'I' => {
                open.tagged(&frame.head);
                self.extended
            }
            b's' => {
                open.tag = "PortalSuspended".to_string();
                open.rows = open.n_data_rows;
                true
            }
            b'E' => {
                judge(&mut open.message, &frame.head);
                self.failed = true;
                self.extended
            }
            b't' => {
                open.parameters_described = true;
                false
            }
            b'T' | b'n' => {
                open.row_described = true;
                open.parameters_described
            }
            b'D' => {
                open.n_data_rows += 1;
                false
            }
            // The client's data come before the response proper.
            b'G' => {
                self.open = None;
                false
            }
            b'W' => true,
            _ => false,
        };
        if ends && let Some(open) = self.open.take() {
            self.held = Some(self.complete(open));
        }
        if frame.kind == b'W' { Turn::Opaque } else { Turn::GoesOn }
    }

    fn complete(&mut self, open: Open) -> Message {
        let mut message = open.message;
        self.place.count_one();
        if message.status.is_empty() && message.issues.is_empty() {
            (message.status, message.outcome) = ("OK".to_string(), Some(Outcome::Ok));
        }
        if !open.tag.is_empty() {
            message.attributes.push(("rows", open.rows.to_string()));
            message.attributes.push(("tag", open.tag));
        }
        message
    }

    /// Everything before a Sync was answered, and then the Sync itself failed: its commit, that is.
    fn fails_at_sync(&mut self, epochs: &mut Epochs) -> bool {
        let all = epochs.n_requests(&self.place) == Some(self.place.count());
        self.held.is_some() && self.open.is_none() && self.extended && all
    }

    fn ready(&mut self, frame: &Frame, epochs: &mut Epochs, out: &mut Vec<Message>) {
        let folded =
            self.open.as_ref().is_some_and(|open| open.only_closes && self.place.count() > 0);
        if folded {
            self.open = None;
        }
        if let Some(open) = self.open.take() {
            self.held = Some(self.complete(open));
        }
        if let Some(held) = self.held.as_mut().filter(|_| !folded) {
            held.end = frame.end;
        }
        self.close(out);
        if self.failed {
            self.skipped(frame, epochs, out);
        }
        (self.extended, self.failed) = (false, false);
        self.place.begin_epoch();
    }

    /// What the client had sent behind a failed request was not executed.
    fn skipped(&mut self, frame: &Frame, epochs: &mut Epochs, out: &mut Vec<Message>) {
        for _ in self.place.count()..epochs.n_requests(&self.place).unwrap_or_default() {
            let mut message = message(frame, Role::Response);
            message.status = "skipped".to_string();
            out.push(message);
        }
    }

    fn close(&mut self, out: &mut Vec<Message>) {
        out.extend(self.held.take());
        if self.open.is_none() {
            out.append(&mut self.later);
        }
    }
}

impl Open {
    /// `INSERT 0 5`, `SELECT 12`, `BEGIN`: the last number says how many rows.
    fn tagged(&mut self, tag: &[u8]) {
        self.tag = bounded(tag.split(|&b| b == 0).next().unwrap_or_default(), 64);
        let rows: Option<u64> = self.tag.rsplit(' ').next().and_then(|word| word.parse().ok());
        self.rows = self.rows.saturating_add(rows.unwrap_or_default());
    }
}

fn message(frame: &Frame, role: Role) -> Message {
    let mut message = Message::new(Side::Server, role, frame.begin, frame.end);
    message.issues.clone_from(&frame.issues);
    message
}

fn judge(message: &mut Message, fields: &[u8]) {
    let mut fields = fields.split(|&b| b == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C")).unwrap_or_default();
    message.status = if code.is_empty() { "error".to_string() } else { bounded(code, 16) };
    let server =
        ["08", "53", "57", "58", "XX"].iter().any(|class| message.status.starts_with(class));
    message.outcome = Some(if server { Outcome::ServerError } else { Outcome::ClientError });
}
