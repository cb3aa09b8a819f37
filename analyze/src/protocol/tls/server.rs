//! The server's side of a handshake: from its hello to its Finished. Never looks at the client's bytes.

use super::super::{Half, Message, Role, Side};
use super::alert;
use super::flight::{self, Flight};
use super::hello::{Hello, SERVER_HELLO, version_name};
use super::record::{self, Gathered, Next, Record, Shake, kind};
use crate::issue::Issue;

/// Where the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Hello,
    /// Behind its hello.
    Keys,
    /// Behind its ChangeCipherSpec (TLS 1.2).
    Changed,
    /// At its last record of the handshake, or lost.
    Over,
}

/// The server's side.
#[derive(Debug, Default)]
pub(super) struct ServerSide {
    pub(super) position: u64,
    phase: Phase,
    /// Where it goes on if that lies beyond the stretch.
    next: u64,
    pub(super) hello: Option<Hello>,
    hello_is_cut: bool,
    resumed: bool,
    begin: Option<u64>,
    end: u64,
    pub(super) finished: bool,
    /// A fatal alert and where its record ends.
    pub(super) alert: Option<(&'static str, u64)>,
}

impl ServerSide {
    /// Whether nothing more of the handshake can come.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over && self.next <= self.position
    }

    /// Whether what it agreed to is still unknown.
    pub(super) fn awaits_hello(&self) -> bool {
        self.phase == Phase::Hello
    }

    /// Reads on; gives the request to try again, if there is one.
    pub(super) fn read(&mut self, half: &Half<'_>, client: Option<&Hello>) -> Option<Message> {
        let mut retry = None;
        self.move_on(half);
        while self.phase != Phase::Over && self.next <= self.position {
            let record = match record::at(half, self.position) {
                Next::Record(record) => record,
                Next::Wait => break,
                Next::Lost => {
                    let at_end = half.at(self.position).is_empty() && self.position >= half.end;
                    if at_end {
                        break;
                    }
                    self.phase = Phase::Over;
                    break;
                }
            };
            let went_on = match (record.kind, self.phase) {
                (kind::HANDSHAKE, Phase::Hello) => match record::gather(half, record.begin) {
                    Gathered::Wait => false,
                    Gathered::Shake(shake) if shake.bytes.first() == Some(&SERVER_HELLO) => {
                        retry = self.hello(half, record.begin, &shake, client).or(retry);
                        true
                    }
                    Gathered::Shake(_) | Gathered::Lost => self.lose(),
                },
                (kind::DATA, Phase::Hello) => self.lose(),
                (kind::DATA, _) => self.flight(half, record),
                (kind::HANDSHAKE, Phase::Changed) => self.finish(half, record.end()),
                (kind::ALERT, _) => self.alert(half, record),
                (kind::CHANGE_CIPHER_SPEC, Phase::Keys) => {
                    let old = self.hello.as_ref().is_some_and(|h| !h.is_1_3());
                    self.phase = if old { Phase::Changed } else { Phase::Keys };
                    self.extend(half, record.end())
                }
                (kind::HANDSHAKE, _) => self.extend(half, record.end()),
                _ => self.go_to(half, record.end()),
            };
            if !went_on {
                break;
            }
        }
        retry
    }

    /// The response as far as the server's side tells it.
    pub(super) fn message(&self) -> Option<Message> {
        let mut message = Message::new(Side::Server, Role::Response, self.begin?, self.end);
        let Some(hello) = &self.hello else { return Some(message) };
        message.issues.extend(self.hello_is_cut.then_some(Issue::HeadCut));
        if hello.version != 0 {
            message.version = version_name(hello.version);
        }
        let suite = hello.cipher_suite.map(|suite| ("cipher_suite", format!("{suite:#06x}")));
        let alpn = (!hello.alpn.is_empty()).then(|| ("alpn", hello.alpn.clone()));
        let resumed = self.resumed.then(|| ("resumed", "true".to_owned()));
        message.attributes = [suite, alpn, resumed].into_iter().flatten().collect();
        Some(message)
    }

    /// RFC 8446 §4.1.4: a HelloRetryRequest is a ServerHello with a certain random.
    fn hello(
        &mut self,
        half: &Half<'_>,
        begin: u64,
        shake: &Shake<'_>,
        client: Option<&Hello>,
    ) -> Option<Message> {
        let hello = Hello::read(&shake.bytes);
        if hello.is_retry {
            self.go_to(half, shake.end);
            let mut message = Message::new(Side::Server, Role::Interim, begin, shake.end);
            message.status = "hello_retry_request".to_owned();
            message.version = version_name(hello.version);
            return Some(message);
        }
        // RFC 5246 §7.3: an echoed session is resumed; in TLS 1.3 the echo means nothing.
        let echoes = |c: &Hello| !c.session_id.is_empty() && c.session_id == hello.session_id;
        self.resumed =
            if hello.is_1_3() { hello.pre_shared_key } else { client.is_some_and(echoes) };
        (self.begin, self.phase) = (Some(begin), Phase::Keys);
        self.hello_is_cut = !shake.whole;
        self.hello = Some(hello);
        self.extend(half, shake.end);
        None
    }

    fn flight(&mut self, half: &Half<'_>, first: Record) -> bool {
        match flight::read(Side::Server, half, first, self.hello.as_ref()) {
            Flight::Ends(end) => self.finish(half, end),
            Flight::Wait => false,
            Flight::Alert => self.lose(),
        }
    }

    fn alert(&mut self, half: &Half<'_>, record: Record) -> bool {
        if record.is_growing(half) {
            return false;
        }
        if let Some(name) = alert::fatal(half, &record) {
            self.alert = Some((name, record.end()));
            self.begin = self.begin.or(Some(record.begin));
            self.end = self.end.max(record.begin);
            self.phase = Phase::Over;
        }
        self.go_to(half, record.end())
    }

    fn finish(&mut self, half: &Half<'_>, end: u64) -> bool {
        (self.finished, self.phase) = (true, Phase::Over);
        self.extend(half, end)
    }

    fn lose(&mut self) -> bool {
        self.phase = Phase::Over;
        false
    }

    /// A record of the handshake ends at `offset`.
    fn extend(&mut self, half: &Half<'_>, offset: u64) -> bool {
        self.end = offset;
        self.go_to(half, offset)
    }

    fn go_to(&mut self, half: &Half<'_>, offset: u64) -> bool {
        self.next = offset;
        self.move_on(half);
        true
    }

    fn move_on(&mut self, half: &Half<'_>) {
        self.position = self.position.max(self.next.min(half.end));
    }
}
