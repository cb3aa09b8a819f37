//! The client's messages grouped into requests. Never shows a parameter, a password or copied data.
//!
//! Source: PostgreSQL documentation, 54.2 "Message Flow".

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::text::bounded;
use crate::protocol::{Message, Role, Side};

use super::epochs::{Epochs, Place};
use super::frame::{CANCEL_REQUEST, Frame, GSS_REQUEST, OPENING, SSL_REQUEST};
use crate::protocol::sql::{Dialect, Statement, statement};

const NAMES_MAX: usize = 1000;

/// The client's side of the dialog.
#[derive(Debug, Default)]
pub(super) struct Client {
    place: Place,
    /// Statements and portals are known from their beginning on.
    names_missed: bool,
    statements: BTreeMap<Vec<u8>, Arc<Statement>>,
    portals: BTreeMap<Vec<u8>, Arc<Statement>>,
    /// Messages that belong to the next request.
    group: Option<Group>,
    /// A request whose last byte the next message decides.
    held: Option<Held>,
}

#[derive(Debug)]
struct Group {
    begin: u64,
    /// It has more than Close messages.
    prepares: bool,
    statement: Option<Arc<Statement>>,
}

#[derive(Debug)]
struct Held {
    message: Message,
    copies_in: bool,
    /// Its end waits for a Sync.
    extended: bool,
    synced: bool,
}

impl Client {
    /// Joined late, or messages were lost: nothing can be counted from here on.
    pub(super) fn lose(&mut self, issue: Issue, at: u64, out: &mut Vec<Message>) {
        self.close(out);
        if let Some(group) = self.group.take() {
            let mut message = self.prepare(group, at);
            message.issues.push(issue);
            out.push(message);
        }
        self.place.lose();
        self.names_missed = true;
    }

    /// The first epoch that may have been counted wrongly.
    pub(super) fn doubtful_from(&self) -> Option<u64> {
        self.place.doubtful_from()
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, end: u64, out: &mut Vec<Message>) {
        self.close(out);
        if let Some(group) = self.group.take() {
            let mut message = self.prepare(group, end);
            message.issues.push(Issue::Truncated);
            out.push(message);
        }
    }

    /// Takes one message. `true`: copy data that follow are not to be read before the server has answered.
    pub(super) fn take(
        &mut self,
        frame: &Frame,
        epochs: &mut Epochs,
        out: &mut Vec<Message>,
    ) -> bool {
        if self.continues_held(frame, epochs, out) {
            return false;
        }
        self.close(out);
        match frame.kind {
            OPENING => self.opening(frame, epochs, out),
            b'Q' => return self.query(frame, epochs, out),
            b'F' => self.whole(
                Message::new(Side::Client, Role::Request, frame.begin, frame.end),
                "FunctionCall",
                frame,
                epochs,
                out,
            ),
            b'P' => self.parse(frame),
            b'B' => self.bind(frame),
            b'D' => self.describe(frame),
            b'C' => self.forget(frame),
            b'E' => return self.execute(frame),
            b'S' => self.sync(frame, epochs, out),
            b'p' => out.push(self.message(frame, Role::Interim)),
            b'X' => {
                let mut message = self.message(frame, Role::OneWay);
                message.request_type = "Terminate".to_string();
                out.push(message);
            }
            _ => {}
        }
        false
    }

    /// Whether a message only lengthens the request held: copied data, and the Sync behind an Execute.
    fn continues_held(
        &mut self,
        frame: &Frame,
        epochs: &mut Epochs,
        out: &mut Vec<Message>,
    ) -> bool {
        let Some(held) = &mut self.held else { return false };
        match frame.kind {
            b'S' if held.extended && !held.synced => {
                held.synced = true;
                self.place.end_epoch(epochs);
            }
            b'd' | b'c' | b'f' if held.copies_in => {
                if held.synced {
                    // While copying the server ignores this Sync: it awaits another behind the data.
                    held.synced = false;
                    self.place.resume_epoch(epochs);
                }
            }
            _ => return false,
        }
        held.message.end = frame.end;
        held.message.issues.extend(&frame.issues);
        let more = if frame.kind == b'S' { held.copies_in } else { frame.kind == b'd' };
        if !more {
            self.close(out);
        }
        true
    }

    fn close(&mut self, out: &mut Vec<Message>) {
        out.extend(self.held.take().map(|held| held.message));
    }

    fn message(&self, frame: &Frame, role: Role) -> Message {
        let mut message = Message::new(Side::Client, role, frame.begin, frame.end);
        message.issues.clone_from(&frame.issues);
        message
    }

    fn opening(&mut self, frame: &Frame, epochs: &mut Epochs, out: &mut Vec<Message>) {
        let mut cursor = Cursor::new(&frame.head);
        let code = cursor.u32_be().unwrap_or_default();
        let mut message = self.message(frame, Role::Request);
        match code {
            CANCEL_REQUEST => {
                (message.role, message.request_type) = (Role::OneWay, "CancelRequest".to_string());
            }
            SSL_REQUEST | GSS_REQUEST => {
                let name = if code == SSL_REQUEST { "SSLRequest" } else { "GSSENCRequest" };
                message.request_type = name.to_string();
            }
            _ => {
                message.version = format!("{}.{}", code >> 16, code & 0xffff);
                startup_parameters(&mut cursor, &mut message);
                return self.whole(message, "Startup", frame, epochs, out);
            }
        }
        out.push(message);
    }

    /// A request that is an epoch of its own.
    fn whole(
        &mut self,
        mut message: Message,
        name: &str,
        frame: &Frame,
        epochs: &mut Epochs,
        out: &mut Vec<Message>,
    ) {
        message.issues.clone_from(&frame.issues);
        message.request_type = name.to_string();
        self.place.count_one();
        self.place.end_epoch(epochs);
        out.push(message);
    }

    fn query(&mut self, frame: &Frame, epochs: &mut Epochs, out: &mut Vec<Message>) -> bool {
        self.group = None;
        let statement = statement(until_nul(&frame.head), Dialect::Postgres);
        let mut message = self.message(frame, Role::Request);
        describe(&mut message, &statement);
        self.place.count_one();
        self.place.end_epoch(epochs);
        let copies_in = statement.copies_in;
        if copies_in {
            self.held = Some(Held { message, copies_in, extended: false, synced: false });
        } else {
            out.push(message);
        }
        replicates(&statement)
    }

    fn group(&mut self, frame: &Frame) -> &mut Group {
        let begin = frame.begin;
        self.group.get_or_insert(Group { begin, prepares: false, statement: None })
    }

    fn parse(&mut self, frame: &Frame) {
        let mut cursor = Cursor::new(&frame.head);
        let name = cursor.until(0).unwrap_or_default();
        let mut statement = statement(until_nul(cursor.rest()), Dialect::Postgres);
        // What has a name is executed again, for others.
        statement.traceparent.take_if(|_| !name.is_empty());
        let statement = Arc::new(statement);
        remember(&mut self.statements, name, &statement);
        let group = self.group(frame);
        (group.prepares, group.statement) = (true, Some(statement));
    }

    fn bind(&mut self, frame: &Frame) {
        let mut cursor = Cursor::new(&frame.head);
        let portal = cursor.until(0).unwrap_or_default();
        let name = cursor.until(0).unwrap_or_default();
        let statement = self.statements.get(name).cloned();
        let statement = statement.unwrap_or_else(|| Arc::new(unknown("prepared", name)));
        remember(&mut self.portals, portal, &statement);
        let group = self.group(frame);
        (group.prepares, group.statement) = (true, Some(statement));
    }

    /// A described statement is a request of its own: some drivers wait for the answer before they bind.
    fn describe(&mut self, frame: &Frame) {
        let Some((b'S', name)) = frame.head.split_first() else {
            self.group(frame).prepares = true;
            return;
        };
        let name = until_nul(name);
        let statement = self.statements.get(name).cloned();
        let statement = statement.unwrap_or_else(|| Arc::new(unknown("prepared", name)));
        let group = self.group(frame);
        (group.prepares, group.statement) = (true, Some(statement));
        if let Some(group) = self.group.take() {
            let message = self.prepare(group, frame.end);
            self.held = Some(Held { message, copies_in: false, extended: true, synced: false });
        }
    }

    fn forget(&mut self, frame: &Frame) {
        self.group(frame);
        match frame.head.split_first() {
            Some((b'S', name)) => drop(self.statements.remove(until_nul(name))),
            Some((_, name)) => drop(self.portals.remove(until_nul(name))),
            None => {}
        }
    }

    fn execute(&mut self, frame: &Frame) -> bool {
        let portal = until_nul(&frame.head);
        let statement = self.portals.get(portal).cloned();
        let statement = statement.unwrap_or_else(|| Arc::new(unknown("portal", portal)));
        let mut message = self.message(frame, Role::Request);
        message.begin = self.group.take().map_or(frame.begin, |group| group.begin);
        self.told_of(&mut message, &statement);
        self.place.count_one();
        let copies_in = statement.copies_in;
        self.held = Some(Held { message, copies_in, extended: true, synced: false });
        replicates(&statement)
    }

    fn sync(&mut self, frame: &Frame, epochs: &mut Epochs, out: &mut Vec<Message>) {
        if let Some(group) = self.group.take()
            && (group.prepares || self.place.count() == 0)
        {
            out.push(self.prepare(group, frame.end));
        }
        self.place.end_epoch(epochs);
    }

    fn prepare(&mut self, group: Group, end: u64) -> Message {
        let mut message = Message::new(Side::Client, Role::Request, group.begin, end);
        if let Some(statement) = &group.statement {
            self.told_of(&mut message, statement);
        }
        message.request_type = if group.prepares { "PREPARE" } else { "CLOSE" }.to_string();
        self.place.count_one();
        message
    }

    fn told_of(&self, message: &mut Message, statement: &Statement) {
        describe(message, statement);
        if self.names_missed && statement.keyword == UNKNOWN {
            message.issues.push(Issue::MissedStart);
        }
    }
}

const UNKNOWN: &str = "EXECUTE";

/// What stands for a statement whose text was never seen.
fn unknown(what: &str, name: &[u8]) -> Statement {
    let text = format!("<{what} {}>", bounded(name, 512));
    let keyword = UNKNOWN.to_string();
    Statement { keyword, text, n_statements: 1, ..Statement::default() }
}

fn describe(message: &mut Message, statement: &Statement) {
    message.request_type.clone_from(&statement.keyword);
    message.resource.clone_from(&statement.text);
    message.ids.extend(statement.ids());
    if statement.n_statements > 1 {
        message.attributes.push(("statements", statement.n_statements.to_string()));
    }
}

fn replicates(statement: &Statement) -> bool {
    statement.keyword == "START_REPLICATION"
}

fn remember(
    names: &mut BTreeMap<Vec<u8>, Arc<Statement>>,
    name: &[u8],
    statement: &Arc<Statement>,
) {
    if names.len() >= NAMES_MAX && !names.contains_key(name) {
        names.pop_first();
    }
    names.insert(name.to_vec(), Arc::clone(statement));
}

fn startup_parameters(cursor: &mut Cursor<'_>, message: &mut Message) {
    let mut user = String::new();
    while let (Some(name), Some(value)) =
        (cursor.until(0).filter(|n| !n.is_empty()), cursor.until(0))
    {
        match name {
            b"database" => message.host = bounded(value, 256),
            b"user" => user = bounded(value, 256),
            b"application_name" => {
                message.attributes.push(("application_name", bounded(value, 256)));
            }
            _ => {}
        }
    }
    if message.host.is_empty() {
        message.host.clone_from(&user);
    }
    if !user.is_empty() {
        message.attributes.push(("user", user));
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}
