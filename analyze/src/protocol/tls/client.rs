//! The client's side of a handshake: hello, maybe a second one, and up to its Finished. Never waits for the server: its
//! caller does.

use super::super::{Half, Message, Role, Side};
use super::alert;
use super::flight::{self, Flight};
use super::hello::{CLIENT_HELLO, Hello, version_name};
use super::record::{self, Gathered, Next, Record, Shake, kind};
use crate::issue::Issue;

/// Where the client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Hello,
    /// Behind its hello.
    Keys,
    /// Behind its ChangeCipherSpec.
    Changed,
    /// At its last record of the handshake, or lost.
    Over,
}

/// The client's side.
#[derive(Debug, Default)]
pub(super) struct ClientSide {
    pub(super) position: u64,
    phase: Phase,
    /// Where it goes on if that lies beyond the stretch.
    next: u64,
    pub(super) hello: Option<Hello>,
    pub(super) finished: bool,
    pub(super) alert: Option<&'static str>,
}

impl ClientSide {
    /// Whether nothing more of the handshake can come.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over && self.next <= self.position
    }

    /// The request, once its hello is there.
    pub(super) fn first_hello(&mut self, half: &Half<'_>) -> Option<Message> {
        self.move_on(half);
        if self.phase != Phase::Hello {
            return None;
        }
        match record::gather(half, self.position) {
            Gathered::Shake(shake) if shake.bytes.first() == Some(&CLIENT_HELLO) => {
                self.phase = Phase::Keys;
                let message = request(Role::Request, self.position, &shake);
                self.hello = Some(Hello::read(&shake.bytes));
                self.go_to(half, shake.end);
                Some(message)
            }
            Gathered::Wait => None,
            Gathered::Shake(_) | Gathered::Lost => {
                let at_end = half.at(self.position).is_empty() && self.position >= half.end;
                self.phase = if at_end { Phase::Hello } else { Phase::Over };
                None
            }
        }
    }

    /// Reads on behind the hello; gives the second hello, if there is one.
    pub(super) fn read(&mut self, half: &Half<'_>, server: Option<&Hello>) -> Option<Message> {
        let mut second = None;
        self.move_on(half);
        while matches!(self.phase, Phase::Keys | Phase::Changed) && self.next <= self.position {
            match record::at(half, self.position) {
                Next::Wait => break,
                Next::Lost => self.phase = Phase::Over,
                Next::Record(record) if record.is_growing(half) && record.length <= 2 => break,
                Next::Record(record) if record.kind == kind::HANDSHAKE => {
                    match self.shake(half, record, server) {
                        Some(message) => second = second.or(message),
                        None => break,
                    }
                }
                Next::Record(record) if record.kind == kind::DATA => {
                    match flight::read(Side::Client, half, record, server) {
                        Flight::Ends(end) => self.finish(half, end),
                        Flight::Alert => self.alert = Some(alert::ENCRYPTED),
                        Flight::Wait => break,
                    }
                    if self.alert.is_some() {
                        self.phase = Phase::Over;
                    }
                }
                Next::Record(record) => self.signal(half, &record),
            }
        }
        second
    }

    /// A handshake record: a second hello, keys, or the Finished of TLS 1.2. `None`: more bytes are needed.
    fn shake(
        &mut self,
        half: &Half<'_>,
        record: Record,
        server: Option<&Hello>,
    ) -> Option<Option<Message>> {
        let first = record.content(half).first();
        if first.is_none() && record.is_growing(half) {
            return None;
        }
        let old = server.is_some_and(|h| !h.is_1_3());
        if first == Some(&CLIENT_HELLO) && !old {
            let Gathered::Shake(shake) = record::gather(half, record.begin) else { return None };
            let message = request(Role::OneWay, record.begin, &shake);
            self.go_to(half, shake.end);
            return Some(Some(message));
        }
        match self.phase {
            Phase::Changed => self.finish(half, record.end()),
            _ => self.go_to(half, record.end()),
        }
        Some(None)
    }

    fn signal(&mut self, half: &Half<'_>, record: &Record) {
        match record.kind {
            kind::CHANGE_CIPHER_SPEC => self.phase = Phase::Changed,
            _ => self.alert = alert::fatal(half, record),
        }
        if self.alert.is_some() {
            self.phase = Phase::Over;
        }
        self.go_to(half, record.end());
    }

    fn finish(&mut self, half: &Half<'_>, end: u64) {
        (self.finished, self.phase) = (true, Phase::Over);
        self.go_to(half, end);
    }

    fn go_to(&mut self, half: &Half<'_>, offset: u64) {
        self.next = offset;
        self.move_on(half);
    }

    fn move_on(&mut self, half: &Half<'_>) {
        self.position = self.position.max(self.next.min(half.end));
    }
}

fn request(role: Role, begin: u64, shake: &Shake<'_>) -> Message {
    let hello = Hello::read(&shake.bytes);
    let mut message = Message::new(Side::Client, role, begin, shake.end);
    message.request_type = "ClientHello".to_owned();
    message.issues.extend((!shake.whole).then_some(Issue::HeadCut));
    if hello.version != 0 {
        message.attributes.push(("version_offered", version_name(hello.version)));
    }
    if !hello.alpn.is_empty() {
        message.attributes.push(("alpn", hello.alpn));
    }
    message.host = hello.server_name;
    message
}
