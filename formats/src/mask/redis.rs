//! Redis (RESP2 and RESP3): the arguments of AUTH, of `ACL SETUSER`, and whatever follows an argument that names a credential
//! (`HELLO 3 AUTH …`, `CONFIG SET requirepass …`, `HSET user password …`, and replies alike); all else is text, element by
//! element. It never decodes a value.

use super::names;
use super::pen::{Pen, STAR};
use super::text::Text;

/// Bytes of an element that are looked at as a name; of a longer one, its first.
const NAME: usize = 32;
/// `n_name` of what is no name.
const NO_NAME: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Type,
    /// A count or length; `kind` is its type byte.
    Number {
        kind: u8,
        value: u64,
        n: u8,
        is_null: bool,
    },
    /// A simple string, error, number: the rest of the line.
    Line,
    Bulk {
        left: u64,
    },
    BulkEnd {
        n: u8,
    },
    Lost,
}

/// What is done with elements to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    No,
    Next,
    Rest,
    /// Unseen bytes may have named a credential.
    Unknown,
}

/// One direction of a Redis connection.
#[derive(Clone, Debug)]
pub(super) struct Redis {
    state: State,
    text: Text,
    secret: Secret,
    /// Elements left of the command or reply, and how many came.
    left: u64,
    index: u32,
    is_acl: bool,
    /// No array began since this connection was joined.
    is_joined: bool,
    name: [u8; NAME],
    /// Bytes of this element so far, at most `NAME`; or [`NO_NAME`].
    n_name: u8,
}

impl Redis {
    pub(super) fn new() -> Self {
        Self {
            state: State::Type,
            text: Text::default(),
            secret: Secret::No,
            left: 0,
            index: 0,
            is_acl: false,
            is_joined: false,
            name: [0; NAME],
            n_name: 0,
        }
    }

    /// Before an element whose place is not known. A string by itself may belong to something whose names were not seen: it is
    /// overwritten, until a command or an array begins.
    pub(super) fn joined() -> Self {
        Self { is_joined: true, ..Self::new() }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            let n = match self.state {
                State::Bulk { left } => {
                    let left = usize::try_from(left).unwrap_or(usize::MAX);
                    let n = left.min(bytes.len() - at);
                    self.bulk(&mut bytes[at..at + n], pen);
                    n
                }
                State::Line => self.line(&mut bytes[at..], pen),
                State::Lost => {
                    pen.withhold(&mut bytes[at..]);
                    bytes.len() - at
                }
                _ => self.sign(bytes[at], pen),
            };
            at += n;
        }
    }

    /// Unseen bytes: inside of an element they leave its end known, not its content.
    pub(super) fn skip(&mut self, n: u64) {
        match self.state {
            State::Bulk { left } if n <= left => {
                self.text = Text::lost();
                self.n_name = NO_NAME;
                if self.secret != Secret::Rest {
                    self.secret = Secret::Unknown;
                }
                self.bulk_left(left - n);
            }
            _ => self.state = State::Lost,
        }
    }

    /// A byte of the framing.
    fn sign(&mut self, byte: u8, pen: &mut Pen) -> usize {
        let next = match (self.state, byte) {
            (State::Type, b'*' | b'$' | b'%' | b'~' | b'>' | b'=' | b'|' | b'!') => {
                State::Number { kind: byte, value: 0, n: 0, is_null: false }
            }
            (State::Type, b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(') => {
                self.begin_top_element();
                State::Line
            }
            (State::Number { kind, n: 0, .. }, b'-') => {
                State::Number { kind, value: 0, n: 1, is_null: true }
            }
            (State::Number { kind, value, n, is_null }, b'0'..=b'9') if n < 12 => State::Number {
                kind,
                value: value * 10 + u64::from(byte - b'0'),
                n: n + 1,
                is_null,
            },
            (State::Number { .. }, b'\r') => self.state,
            (State::Number { kind, value, n: 1.., is_null }, b'\n') => {
                self.number(kind, value, is_null)
            }
            (State::BulkEnd { n: 0 }, b'\r') => State::BulkEnd { n: 1 },
            (State::BulkEnd { n: 1 }, b'\n') => {
                self.end_element();
                State::Type
            }
            _ => {
                self.state = State::Lost;
                return 0;
            }
        };
        self.state = next;
        pen.keep(1);
        1
    }

    /// A count or length was read.
    fn number(&mut self, kind: u8, value: u64, is_null: bool) -> State {
        let is_bulk = matches!(kind, b'$' | b'=' | b'!');
        if is_bulk || is_null {
            self.begin_top_element();
            if is_null {
                self.end_element();
                return State::Type;
            }
            return if value == 0 { State::BulkEnd { n: 0 } } else { State::Bulk { left: value } };
        }
        let n = if matches!(kind, b'%' | b'|') { value * 2 } else { value };
        if self.left == 0 {
            (self.left, self.index, self.secret, self.is_acl) = (n, 0, Secret::No, false);
            self.is_joined = false;
        } else {
            // Within an array: its elements count as elements of the outer one.
            self.left = self.left - 1 + n;
        }
        State::Type
    }

    /// By itself, it may be what follows a name that was not seen.
    fn begin_top_element(&mut self) {
        let is_alone = self.left == 0;
        self.begin_element();
        if is_alone && self.is_joined {
            self.secret = Secret::Next;
        }
    }

    fn begin_element(&mut self) {
        if self.left == 0 {
            (self.left, self.index, self.secret, self.is_acl) = (1, 0, Secret::No, false);
        }
        self.text = Text::default();
        self.n_name = 0;
    }

    fn bulk(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        if self.n_name != NO_NAME {
            let n_known = usize::from(self.n_name);
            let n_more = (NAME - n_known).min(bytes.len());
            self.name[n_known..n_known + n_more].copy_from_slice(&bytes[..n_more]);
            self.n_name = (n_known + n_more) as u8;
        }
        let is_command = self.index == 0;
        match self.secret {
            Secret::Next | Secret::Rest => pen.fill(bytes, STAR),
            Secret::Unknown => pen.withhold(bytes),
            Secret::No if pen.heads_only && !is_command => pen.fill(bytes, STAR),
            Secret::No => self.text.feed(bytes, pen),
        }
        if let State::Bulk { left } = self.state {
            self.bulk_left(left - bytes.len() as u64);
        }
    }

    fn bulk_left(&mut self, left: u64) {
        self.state = if left == 0 { State::BulkEnd { n: 0 } } else { State::Bulk { left } };
    }

    fn line(&mut self, bytes: &mut [u8], pen: &mut Pen) -> usize {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let n = end.map_or(bytes.len(), |end| end + 1);
        self.n_name = NO_NAME;
        match self.secret {
            Secret::Unknown => pen.withhold(&mut bytes[..n]),
            Secret::No => self.text.feed(&mut bytes[..n], pen),
            Secret::Next | Secret::Rest => pen.overwrite(&mut bytes[..n]),
        }
        if end.is_some() {
            self.end_element();
            self.state = State::Type;
        }
        n
    }

    /// What the element that ended says of those to come.
    fn end_element(&mut self) {
        let name = self.name.get(..usize::from(self.n_name)).unwrap_or(b"");
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        self.secret = match self.secret {
            Secret::Rest => Secret::Rest,
            Secret::Unknown => Secret::Unknown,
            Secret::Next => Secret::No,
            Secret::No if is("AUTH") || is("AUTH2") => Secret::Rest,
            Secret::No if self.is_acl && is("SETUSER") => Secret::Rest,
            // Keys are paths: `session:17`, `user/17/token`.
            Secret::No if name.split(|b| b":/{}|".contains(b)).any(names::is_credential) => {
                Secret::Next
            }
            Secret::No => Secret::No,
        };
        self.is_acl = self.index == 0 && is("ACL");
        self.index = self.index.saturating_add(1);
        self.left = self.left.saturating_sub(1);
    }
}

/// Whether a command or a reply certainly begins here: an array whose first element is a short string, or one whole element.
pub(super) fn begins(bytes: &[u8], wire_length: u64) -> bool {
    let Some((kind, _, rest)) = counted(bytes) else {
        let is_line = match (bytes.first(), bytes.get(1)) {
            (Some(b'+' | b'-'), Some(second)) => second.is_ascii_uppercase(),
            (Some(b':'), Some(second)) => second.is_ascii_digit() || *second == b'-',
            _ => false,
        };
        let is_whole = wire_length == bytes.len() as u64 && bytes.ends_with(b"\r\n");
        return is_line && is_whole && bytes.iter().filter(|&&byte| byte == b'\n').count() == 1;
    };
    match kind {
        b'$' => {
            let head = (bytes.len() - rest.len()) as u64;
            counted(bytes).is_some_and(|(_, length, _)| head + length + 2 == wire_length)
        }
        _ => counted(rest).is_some_and(|(kind, length, rest)| {
            let end = usize::try_from(length).unwrap_or(usize::MAX);
            kind == b'$' && rest.get(end..end.saturating_add(2)) == Some(b"\r\n") && length <= 256
        }),
    }
}

/// Type, count and the rest behind a `*N\r\n` or `$N\r\n`.
fn counted(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let n = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_counted =
        matches!(kind, b'*' | b'$') && (1..10).contains(&n) && rest[n..].starts_with(b"\r\n");
    let value = rest[..n]
        .iter()
        .take(10)
        .fold(0, |value, &digit| value * 10 + u64::from(digit.wrapping_sub(b'0')));
    is_counted.then(|| (kind, value, &rest[n + 2..]))
}

#[cfg(test)]
mod tests {
    use super::super::laws::{check, resp};

    /// Words of a command.
    #[track_caller]
    fn check_command(words: &str, expected: &str) {
        check(&resp(words), &resp(expected));
    }

    #[test]
    fn credentials_of_commands() {
        check_command("AUTH hunter2", "AUTH *******");
        check_command("auth bob hunter2", "auth *** *******");
        check_command("HELLO 3 AUTH bob hunter2", "HELLO 3 AUTH *** *******");
        check_command("CONFIG SET requirepass abc", "CONFIG SET requirepass ***");
        check_command("CONFIG SET maxmemory 100", "CONFIG SET maxmemory 100");
        check_command("ACL SETUSER bob >pw", "ACL SETUSER *** ***");
        check_command("HSET u:1 password abc name bob", "HSET u:1 password *** name bob");
        check_command("SET k v", "SET k v");
        check_command("SET k {\"password\":\"ab\"}", "SET k {\"password\":\"**\"}");
    }

    #[test]
    fn one_command_after_another() {
        let commands = |words: [&str; 3]| words.map(resp).concat();
        check(
            &commands(["AUTH a", "GET k", "SET token x"]),
            &commands(["AUTH *", "GET k", "SET token *"]),
        );
    }

    #[test]
    fn replies() {
        check(
            "+OK\r\n$8\r\na=b&c=de\r\n:1\r\n$-1\r\n-ERR x\r\n",
            "+OK\r\n$8\r\na=b&c=de\r\n:1\r\n$-1\r\n-ERR x\r\n",
        );
        check("*2\r\n$8\r\npassword\r\n$2\r\nab\r\n", "*2\r\n$8\r\npassword\r\n$2\r\n**\r\n");
    }
}
