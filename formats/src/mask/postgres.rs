//! PostgreSQL's protocol, version 3: password and SASL messages and cancellation keys are overwritten, SQL and rows are text,
//! message by message. It never parses SQL, and never keeps a message whose beginning it did not see.

use super::pen::{Pen, STAR};
use super::text::Text;

/// Longest message believed: the server's own limit is 1 GiB.
const LONGEST: u32 = 1 << 30;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Text,
    Secret,
    /// Four bytes stay (the process id), then comes a key.
    Key {
        n: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client's first message: length and code.
    Startup {
        n: u8,
    },
    /// The server's one byte about encryption, if it comes.
    Answer,
    /// The byte was yes.
    Agreed,
    Head {
        n: u8,
    },
    Body {
        left: u32,
        body: Body,
    },
    /// TLS took over.
    Encrypted,
    Lost,
}

/// One direction of a PostgreSQL connection.
#[derive(Clone, Debug)]
pub(super) struct Postgres {
    state: State,
    head: [u8; 8],
    text: Text,
}

impl Postgres {
    /// Before the client's first message.
    pub(super) fn client() -> Self {
        Self { state: State::Startup { n: 0 }, ..Self::joined() }
    }

    /// Before the server's first byte.
    pub(super) fn server() -> Self {
        Self { state: State::Answer, ..Self::joined() }
    }

    /// Before any later message, of either side.
    pub(super) fn joined() -> Self {
        Self { state: State::Head { n: 0 }, head: [0; 8], text: Text::default() }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                State::Body { left, body } => {
                    let n = (bytes.len() - at).min(left as usize);
                    self.content(body, &mut bytes[at..at + n], pen)
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
                    let n = usize::from(self.head_byte(bytes[at]));
                    pen.keep(n);
                    n
                }
            };
        }
    }

    /// Unseen bytes: inside of a message they leave its end known.
    pub(super) fn skip(&mut self, n: u64) {
        match self.state {
            State::Encrypted => {}
            State::Body { left, body } if n <= u64::from(left) => {
                self.text = Text::lost();
                let body = if body == Body::Text { body } else { Body::Secret };
                self.left(left - n as u32, body);
            }
            _ => self.state = State::Lost,
        }
    }

    /// A byte of a message's type and length; false: it was not looked at, the state changed.
    fn head_byte(&mut self, byte: u8) -> bool {
        match self.state {
            State::Startup { n: 0 } if byte == 0x16 => self.state = State::Encrypted,
            State::Startup { n } => {
                self.head[usize::from(n)] = byte;
                self.state = State::Startup { n: n + 1 };
                if n == 7 {
                    self.startup();
                }
            }
            State::Answer if byte == b'N' => {}
            State::Answer if matches!(byte, b'S' | b'G') => self.state = State::Agreed,
            State::Agreed if byte == 0x16 => self.state = State::Encrypted,
            State::Answer | State::Agreed => {
                self.state = State::Head { n: 0 };
                return false;
            }
            State::Head { n } => {
                self.head[usize::from(n)] = byte;
                self.state = State::Head { n: n + 1 };
                if n == 4 {
                    self.message();
                }
            }
            _ => return false,
        }
        true
    }

    fn startup(&mut self) {
        let (length, code) = (number(&self.head[..4]), number(&self.head[4..]));
        match code {
            _ if !is_startup(length, code) => self.state = State::Lost,
            SSL_REQUEST | GSS_REQUEST => self.state = State::Startup { n: 0 },
            CANCEL => self.left(length - 8, Body::Key { n: 0 }),
            _ => self.left(length - 8, Body::Text),
        }
    }

    fn message(&mut self) {
        let (kind, length) = (self.head[0], number(&self.head[1..5]));
        if !is_message(kind, length) {
            self.state = State::Lost;
            return;
        }
        self.text = Text::default();
        let body = match kind {
            b'p' => Body::Secret,
            b'K' => Body::Key { n: 0 },
            _ => Body::Text,
        };
        self.left(length - 4, body);
    }

    fn content(&mut self, body: Body, bytes: &mut [u8], pen: &mut Pen) -> usize {
        let State::Body { left, .. } = self.state else { return 0 };
        let mut next = body;
        let mut used = bytes.len();
        match body {
            Body::Key { n } if n < 4 => {
                used = used.min(4 - usize::from(n));
                pen.keep(used);
                next = Body::Key { n: n + used as u8 };
            }
            Body::Secret | Body::Key { .. } => pen.fill(bytes, STAR),
            Body::Text if pen.heads_only => pen.fill(bytes, STAR),
            Body::Text => self.text.feed(bytes, pen),
        }
        self.left(left - used as u32, next);
        used
    }

    fn left(&mut self, left: u32, body: Body) {
        self.state = if left == 0 { State::Head { n: 0 } } else { State::Body { left, body } };
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// A type of either side, and a length that can be.
fn is_message(kind: u8, length: u32) -> bool {
    b"123ABCDEFGHIKNPQRSTVWXZcdfnpstv".contains(&kind) && (4..=LONGEST).contains(&length)
}

/// Whether the first bytes of a stream are a client's first message.
pub(super) fn is_startup(length: u32, code: u32) -> bool {
    match code {
        SSL_REQUEST | GSS_REQUEST => length == 8,
        CANCEL => (12..300).contains(&length),
        _ => code >> 16 == 3 && (8..=10_000).contains(&length),
    }
}

/// Whether messages certainly begin here: one after the other up to the end of the chunk, or two at least.
pub(super) fn begins(bytes: &[u8], wire_length: u64) -> bool {
    let mut at = 0_u64;
    let mut n = 0;
    while let Some(head) = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(5)?))
    {
        let length = number(&head[1..]);
        if !is_message(head[0], length) {
            return false;
        }
        at += 1 + u64::from(length);
        n += 1;
    }
    n > 0 && (at == wire_length || (n > 1 && at <= wire_length))
}

#[cfg(test)]
mod tests {
    use super::super::laws::{check_bytes, postgres_message, postgres_startup};

    #[test]
    fn a_clients_messages() {
        let stream = |password: &str, text: &str| {
            let sql = format!("ALTER ROLE x PASSWORD '{text}'\0");
            [
                postgres_startup(),
                postgres_message(b'p', password.as_bytes()),
                postgres_message(b'Q', sql.as_bytes()),
                postgres_message(b'X', b""),
            ]
            .concat()
        };
        check_bytes(&stream("hunter2\0", "abc"), &stream("********", "***"));
    }

    #[test]
    fn a_servers_messages() {
        let stream = |key: &[u8], row: &[u8]| {
            let first = postgres_message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
            let key = postgres_message(b'K', &[&[0, 0, 0, 9], key].concat());
            [b"N".to_vec(), first, key, postgres_message(b'D', row), postgres_message(b'Z', b"I")]
                .concat()
        };
        check_bytes(
            &stream(&[1, 2, 3, 4], b"\0\x01\0\0\0\x05pwd=x"),
            &stream(b"****", b"\0\x01\0\0\0\x05pwd=*"),
        );
    }
}
