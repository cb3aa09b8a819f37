//! What a client sends: its handshake response, then commands, each beginning with sequence number 0. Never sees the server's half.

use super::packet::{self, Next, Packet};
use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::seek::{Look, seek};
use crate::protocol::sql::{Dialect, statement};
use crate::protocol::{Half, Match, Message, Naming, Role, Side, text};

/// Bytes of a command that are waited for: its text is cut at 1,024 bytes, but comments may come before.
const WANTED: usize = 16 << 10;

const CLIENT_CONNECT_WITH_DB: u32 = 1 << 3;
const CLIENT_COMPRESS: u32 = 1 << 5;
const CLIENT_PROTOCOL_41: u32 = 1 << 9;
const CLIENT_SSL: u32 = 1 << 11;
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;
const CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA: u32 = 1 << 21;
const CLIENT_QUERY_ATTRIBUTES: u32 = 1 << 27;
const CLIENT_ZSTD: u32 = 1 << 26;

/// Commands by their first byte: name, and whether the server answers.
const COMMANDS: [(u8, &str, bool); 25] = [
    (0x01, "QUIT", false),
    (0x02, "INIT_DB", true),
    (0x04, "FIELD_LIST", true),
    (0x05, "CREATE_DB", true),
    (0x06, "DROP_DB", true),
    (0x07, "REFRESH", true),
    (0x08, "SHUTDOWN", true),
    (0x09, "STATISTICS", true),
    (0x0a, "PROCESS_INFO", true),
    (0x0c, "PROCESS_KILL", true),
    (0x0d, "DEBUG", true),
    (0x0e, "PING", true),
    (0x11, "CHANGE_USER", true),
    (0x12, "BINLOG_DUMP", true),
    (0x15, "REGISTER_SLAVE", true),
    (0x16, "PREPARE", true),
    (0x17, "EXECUTE", true),
    (0x18, "LONG_DATA", false),
    (0x19, "CLOSE", false),
    (0x1a, "RESET", true),
    (0x1b, "SET_OPTION", true),
    (0x1c, "FETCH", true),
    (0x1e, "BINLOG_DUMP_GTID", true),
    (0x1f, "RESET_CONNECTION", true),
    (0xfa, "EXECUTE", true),
];
const QUERY: u8 = 0x03;

fn command(first: u8) -> Option<(&'static str, bool)> {
    let found = COMMANDS.iter().find(|(byte, ..)| *byte == first);
    found.map(|(_, name, is_answered)| (*name, *is_answered))
}

/// What a login settles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login {
    pub(super) is_compressed: bool,
    has_attributes: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the handshake response.
    #[default]
    Login,
    Commands,
    /// Inside of packets that are done with.
    Skip {
        until: u64,
    },
    Lost {
        at_boundary: bool,
    },
}

/// Where the client's half stands.
#[derive(Default)]
pub(super) struct Client {
    pub(super) position: u64,
    place: Place,
    pub(super) login: Option<Login>,
    pub(super) wants_tls: bool,
    doubt: Option<Issue>,
    /// A command of several packets.
    open: Option<Message>,
    goes_on: bool,
}

impl Client {
    pub(super) fn start(&mut self, half: &Half<'_>, from_start: bool) {
        self.position = half.start;
        if !from_start {
            self.place = Place::Lost { at_boundary: true };
            self.doubt = Some(Issue::MissedStart);
        }
    }

    pub(super) fn read(&mut self, half: &Half<'_>, out: &mut Vec<Message>) {
        loop {
            match self.place {
                Place::Skip { until } => {
                    self.position = until.min(half.end);
                    if until > half.end {
                        self.leave(half.last, out);
                        return;
                    }
                    if !self.goes_on {
                        out.extend(self.open.take());
                    }
                    self.place = Place::Commands;
                    continue;
                }
                Place::Lost { at_boundary } => {
                    if !self.seek(half, at_boundary) {
                        return;
                    }
                }
                Place::Commands if self.wants_tls => return,
                Place::Login | Place::Commands => {}
            }
            match packet::next(half, self.position, WANTED) {
                Next::More => return self.leave(half.last, out),
                Next::Lost(why) => {
                    self.position += half.at(self.position).len() as u64;
                    self.lose(why, true, out);
                }
                Next::Packet(packet) => {
                    // What is compressed from here on is none of ours.
                    let is_command = packet.sequence == 0 && !self.goes_on;
                    if is_command && self.login.is_some_and(|login| login.is_compressed) {
                        return;
                    }
                    self.packet(packet, out);
                }
            }
        }
    }

    /// Whether TLS follows: what asked for it has passed.
    pub(super) fn begins_tls(&self) -> bool {
        self.wants_tls && self.place == Place::Commands
    }

    /// Nothing follows in this stretch.
    fn leave(&mut self, last: bool, out: &mut Vec<Message>) {
        if last && let Some(mut open) = self.open.take() {
            open.issues.push(Issue::Truncated);
            out.push(open);
        }
    }

    fn lose(&mut self, why: Issue, at_boundary: bool, out: &mut Vec<Message>) {
        self.place = Place::Lost { at_boundary };
        self.doubt.get_or_insert(why);
        self.goes_on = false;
        self.leave(true, out);
    }

    fn packet(&mut self, packet: Packet<'_>, out: &mut Vec<Message>) {
        self.place = match self.place {
            Place::Login if packet.sequence == 1 => {
                self.open = self.log_in(packet);
                Place::Skip { until: packet.end }
            }
            _ if self.goes_on => {
                self.open.iter_mut().for_each(|open| open.end = packet.end);
                Place::Skip { until: packet.end }
            }
            // Proofs of identity, files that the server asked for.
            _ if packet.sequence != 0 => Place::Skip { until: packet.end },
            _ => match self.command(packet) {
                Some(message) => {
                    self.open = Some(message);
                    Place::Skip { until: packet.end }
                }
                None => {
                    self.position += 1;
                    return self.lose(Issue::Malformed, false, out);
                }
            },
        };
        self.goes_on = packet.goes_on;
    }

    fn message(&mut self, packet: Packet<'_>, what: &str) -> Message {
        let mut message = Message::new(Side::Client, Role::Request, packet.begin, packet.end);
        message.request_type = what.to_string();
        message.issues.extend(self.doubt.take());
        message
    }

    /// HandshakeResponse41, or the request for TLS that comes before it.
    fn log_in(&mut self, packet: Packet<'_>) -> Option<Message> {
        let mut cursor = Cursor::new(packet.payload);
        let flags = cursor.take(4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        if flags & CLIENT_SSL != 0 && packet.length == 32 {
            self.wants_tls = true;
            return None;
        }
        let is_compressed = flags & (CLIENT_COMPRESS | CLIENT_ZSTD) != 0;
        let has_attributes = flags & CLIENT_QUERY_ATTRIBUTES != 0;
        self.login = Some(Login { is_compressed, has_attributes });
        let mut message = self.message(packet, "LOGIN");
        if flags & CLIENT_PROTOCOL_41 == 0 {
            message.issues.push(Issue::Malformed);
            return Some(message);
        }
        cursor.take(28);
        if let Some(user) = cursor.until(0) {
            message.attributes.push(("user", text::bounded(user, 256)));
        }
        let proof = match flags {
            _ if flags & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA != 0 => {
                length_encoded(&mut cursor).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
            }
            _ if flags & CLIENT_SECURE_CONNECTION != 0 => cursor.u8().map(usize::from),
            _ => cursor.until(0).map(|_| 0),
        };
        let is_known = proof.and_then(|n| cursor.take(n)).is_some();
        if is_known && flags & CLIENT_CONNECT_WITH_DB != 0 {
            message.host = cursor.until(0).map(|name| text::bounded(name, 256)).unwrap_or_default();
        }
        Some(message)
    }

    fn command(&mut self, packet: Packet<'_>) -> Option<Message> {
        let (first, rest) = packet.payload.split_first()?;
        let mut message = match *first {
            QUERY => self.query(packet, rest),
            other => {
                let (name, is_answered) = command(other)?;
                let mut message = self.message(packet, name);
                message.role = if is_answered { Role::Request } else { Role::OneWay };
                let number = rest.first_chunk().map(|id| u64::from(u32::from_le_bytes(*id)));
                match (name, number) {
                    ("PREPARE", _) => {
                        let told = statement(rest, Dialect::Mysql);
                        message.resource = told.text;
                        message.naming = Some(Box::new(Naming::Asks(told.keyword)));
                    }
                    ("EXECUTE" | "FETCH" | "RESET" | "CLOSE" | "LONG_DATA", Some(number)) => {
                        message.resource = format!("#{number}");
                        message.naming = Some(Box::new(Naming::Refers(number)));
                        if name == "EXECUTE" {
                            message.naming = Some(Box::new(Naming::Executes(number)));
                            message.attributes.push(("prepared", "true".to_string()));
                        }
                    }
                    ("INIT_DB" | "CREATE_DB" | "DROP_DB", _) => {
                        message.resource = text::bounded(rest, 256);
                    }
                    ("CHANGE_USER", _) => {
                        let user = rest.split(|b| *b == 0).next().unwrap_or_default();
                        message.attributes.push(("user", text::bounded(user, 256)));
                    }
                    _ => {}
                }
                message
            }
        };
        let is_cut = packet.payload.len() < (packet.length as usize).min(WANTED);
        message.issues.extend(is_cut.then_some(Issue::HeadCut));
        Some(message)
    }

    fn query(&mut self, packet: Packet<'_>, rest: &[u8]) -> Message {
        let mut message = self.message(packet, "QUERY");
        let mut sql = rest;
        // Attributes of the query come before its text: how many, and always one set of them.
        let may_have = self.login.is_none_or(|login| login.has_attributes);
        if may_have && let [n, 1, text @ ..] = rest {
            match n {
                0 => sql = text,
                n if self.login.is_some() => {
                    message.attributes.push(("query_attributes", n.to_string()));
                    return message;
                }
                _ => {}
            }
        }
        let told = statement(sql, Dialect::Mysql);
        message.ids.extend(told.ids());
        if !told.keyword.is_empty() {
            message.request_type = told.keyword;
        }
        message.resource = told.text;
        if told.n_statements > 1 {
            message.attributes.push(("statements", told.n_statements.to_string()));
        }
        message
    }

    /// Goes to where a command begins: only at a boundary that the capture shows. False: more bytes are needed.
    fn seek(&mut self, half: &Half<'_>, at_boundary: bool) -> bool {
        let mut at_boundary = at_boundary;
        let found =
            seek(half, &mut self.position, &mut at_boundary, |bytes, is_cut, is_boundary| {
                match is_boundary.then(|| begins(bytes, is_cut)) {
                    Some(Match::Yes) => Look::At(0),
                    Some(Match::Maybe) => Look::Wait(0),
                    Some(Match::No) | None => Look::Nowhere,
                }
            });
        self.place = if found { Place::Commands } else { Place::Lost { at_boundary } };
        found
    }
}

/// A number in one, three, four or nine bytes.
pub(super) fn length_encoded(cursor: &mut Cursor<'_>) -> Option<u64> {
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    match cursor.u8()? {
        0xfc => cursor.take(2).map(little),
        0xfd => cursor.take(3).map(little),
        0xfe => cursor.take(8).map(little),
        0xfb | 0xff => None,
        short => Some(u64::from(short)),
    }
}

/// Whether a command begins here, and another one, or nothing, behind it. Maybe: bytes that may come will tell.
fn begins(bytes: &[u8], is_cut: bool) -> Match {
    let plausible = |bytes: &[u8]| {
        let (length, sequence) = packet::head(bytes)?;
        let first = *bytes.get(4)?;
        let is_command = first == QUERY || command(first).is_some();
        Some(sequence == 0 && length > 0 && is_command)
    };
    match plausible(bytes) {
        Some(false) => return Match::No,
        None if is_cut => return Match::No,
        None => return Match::Maybe,
        Some(true) => {}
    }
    let end = packet::head(bytes).map_or(0, |(length, _)| length as usize + 4);
    let behind = bytes.get(end..).unwrap_or(&[]);
    match plausible(behind) {
        Some(true) => Match::Yes,
        Some(false) => Match::No,
        // It runs into a gap, or ends with what was seen.
        None if is_cut && behind.is_empty() => Match::Yes,
        None if is_cut => Match::No,
        None => Match::Maybe,
    }
}

/// Whether a client begins with a handshake response: packet 1, protocol 4.1, zeros.
pub(super) fn logs_in(half: &Half<'_>) -> Match {
    let bytes = half.at(half.start);
    let is_so = |at: usize, is_so: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| is_so(byte));
    let may_be = is_so(2, |high| high == 0)
        && is_so(3, |sequence| sequence == 1)
        && is_so(5, |flags| flags & 2 != 0)
        && bytes.iter().skip(13).take(19).all(|&byte| byte == 0);
    match may_be {
        false => Match::No,
        true if bytes.len() >= 36 => Match::Yes,
        true => Match::Maybe,
    }
}

/// Whether a query, or a statement to prepare, fills its packet.
pub(super) fn is_query(bytes: &[u8]) -> bool {
    let Some((length, 0)) = packet::head(bytes) else { return false };
    let payload = &bytes[4..bytes.len().min(4 + length as usize)];
    let [QUERY | 0x16, sql @ ..] = payload else { return false };
    let sql = sql.strip_prefix(&[0, 1]).unwrap_or(sql);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x80..);
    let behind = bytes.get(4 + length as usize..).unwrap_or(&[]);
    let goes_on = behind.get(3).is_none_or(|sequence| *sequence == 0);
    sql.len() >= 5 && sql.iter().all(is_text) && goes_on
}

/// Whether these bytes begin with a command that fills its packet, or two.
pub(super) fn is_command(bytes: &[u8]) -> bool {
    begins(bytes, true) == Match::Yes
}
