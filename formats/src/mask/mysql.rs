//! MySQL's protocol, the client's side: the authentication data of the handshake's answer and all that is sent until the first
//! command are overwritten, as is COM_CHANGE_USER; other commands are text, packet by packet. It never parses SQL.
//! A server's side is text.

use super::pen::{Pen, STAR};
use super::text::Text;

/// Bytes of the handshake's answer before the user's name: packet head, capabilities, longest packet, character set, 23 zeros.
const FIXED: u8 = 36;

const QUERY: u8 = 0x03;
const CHANGE_USER: u8 = 0x11;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The handshake's answer, and how many of its fixed bytes were seen.
    Fixed {
        n: u8,
    },
    /// In it, the user's name.
    User,
    Head {
        n: u8,
    },
    Payload {
        is_first: bool,
    },
    /// The answer was a request for TLS.
    Encrypted,
    Lost,
}

/// A client's direction.
#[derive(Clone, Debug)]
pub(super) struct Mysql {
    state: State,
    head: [u8; 4],
    left: u32,
    is_secret: bool,
    text: Text,
}

impl Mysql {
    /// Before the handshake's answer.
    pub(super) fn new() -> Self {
        Self { state: State::Fixed { n: 0 }, ..Self::joined() }
    }

    /// Before a later packet.
    pub(super) fn joined() -> Self {
        Self {
            state: State::Head { n: 0 },
            head: [0; 4],
            left: 0,
            is_secret: false,
            text: Text::default(),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                State::Payload { is_first: false } => {
                    let n = (self.left as usize).min(bytes.len() - at);
                    self.payload(&mut bytes[at..at + n], pen);
                    n
                }
                State::Encrypted => {
                    pen.keep(bytes.len() - at);
                    bytes.len() - at
                }
                State::Lost => {
                    pen.withhold(&mut bytes[at..]);
                    bytes.len() - at
                }
                _ => {
                    pen.keep(1);
                    self.sign(bytes[at]);
                    1
                }
            };
        }
    }

    /// Unseen bytes: inside of a packet they leave its end known.
    pub(super) fn skip(&mut self, n: u64) {
        match self.state {
            State::Encrypted => {}
            State::Payload { is_first: false } if n <= u64::from(self.left) => {
                self.text = Text::lost();
                self.used(n as u32);
            }
            _ => self.state = State::Lost,
        }
    }

    /// A byte that is kept.
    fn sign(&mut self, byte: u8) {
        match self.state {
            State::Fixed { n } => {
                if n < 4 {
                    self.head[usize::from(n)] = byte;
                    self.left = length(&self.head);
                } else {
                    self.left = self.left.saturating_sub(1);
                }
                self.state = match n + 1 {
                    FIXED if self.left == 0 => State::Encrypted,
                    FIXED => State::User,
                    n => State::Fixed { n },
                };
            }
            State::User => {
                self.left -= 1;
                self.is_secret = true;
                self.state = match (self.left, byte) {
                    (0, _) => State::Head { n: 0 },
                    // All that follows: the data, the database, the plugin's name, attributes.
                    (_, 0) => State::Payload { is_first: false },
                    _ => State::User,
                };
            }
            State::Head { n } => {
                self.head[usize::from(n)] = byte;
                self.state = State::Head { n: n + 1 };
                if n == 3 {
                    self.left = length(&self.head);
                    // A sequence that goes on belongs to the handshake; a command begins another.
                    self.is_secret &= self.head[3] != 0;
                    self.text = Text::default();
                    let is_first = self.head[3] == 0;
                    self.state = if self.left == 0 {
                        State::Head { n: 0 }
                    } else {
                        State::Payload { is_first }
                    };
                }
            }
            State::Payload { .. } => {
                self.is_secret = byte == CHANGE_USER;
                self.state = State::Payload { is_first: false };
                self.used(1);
            }
            State::Encrypted | State::Lost => {}
        }
    }

    fn payload(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        if self.is_secret || pen.heads_only {
            pen.fill(bytes, STAR);
        } else {
            self.text.feed(bytes, pen);
        }
        self.used(bytes.len() as u32);
    }

    fn used(&mut self, n: u32) {
        self.left -= n;
        if self.left == 0 {
            self.state = State::Head { n: 0 };
        }
    }
}

/// A packet's length.
fn length(head: &[u8]) -> u32 {
    u32::from_le_bytes([head[0], head[1], head[2], 0])
}

/// Whether a stream's first bytes are the handshake's answer: packet 1, protocol 4.1, zeros. None: too short to say.
pub(super) fn is_first(bytes: &[u8]) -> Option<bool> {
    let may = |at: usize, is_so: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| is_so(byte));
    let may_be = may(2, |high| high == 0)
        && may(3, |sequence| sequence == 1)
        && may(5, |capabilities| capabilities & 2 != 0)
        && bytes.iter().skip(13).take(23).all(|&byte| byte == 0);
    if !may_be {
        return Some(false);
    }
    (bytes.len() >= 22).then_some(true)
}

/// Whether commands certainly begin here: one after the other up to the end of the chunk, one of them longer than chance makes
/// it: a statement, or the execution of one.
pub(super) fn begins(bytes: &[u8], wire_length: u64) -> bool {
    let mut at = 0_u64;
    let mut is_certain = false;
    while let Some((head, rest)) =
        usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.split_at_checked(5))
    {
        let is_command = head[3] == 0 && (1..=0x1f).contains(&head[4]);
        if !is_command || length(head) == 0 {
            return false;
        }
        is_certain |= match (head[4], length(head)) {
            (QUERY | PREPARE, 6..) => rest.iter().take(5).all(|b| matches!(b, b' '..=b'~' | b'\n')),
            (EXECUTE, 10..) => true,
            _ => false,
        };
        at += 4 + u64::from(length(head));
    }
    is_certain && at == wire_length
}

#[cfg(test)]
mod tests {
    use super::super::laws::{check_bytes, mysql_handshake, mysql_packet};

    #[test]
    fn a_clients_packets() {
        let stream = |data: &str, password: &str, text: &str, user: &str| {
            [
                mysql_handshake(data.as_bytes()),
                mysql_packet(3, password.as_bytes()),
                mysql_packet(0, format!("\x03CREATE USER x IDENTIFIED BY '{text}'").as_bytes()),
                mysql_packet(0, format!("\x11{user}").as_bytes()),
                mysql_packet(0, b"\x03select 1"),
            ]
            .concat()
        };
        check_bytes(
            &stream("\x05abcdedb\0plugin\0", "hunter2\0", "ab", "bob\0xyz"),
            &stream("****************", "********", "**", "*******"),
        );
    }
}
