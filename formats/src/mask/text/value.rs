//! From a key to the end of its value, byte by byte. It never withholds a byte, and leaves the signs that end a value.

use super::super::pen::Pen;
use super::{State, Text, Value, key};

/// What is done with one byte.
enum Verdict {
    /// Left as it is; the next state.
    Keep(State),
    /// Overwritten; the next state.
    Mask(State),
    /// The state ended before this byte: another looks at it.
    Again(State),
}
use Verdict::{Again, Keep, Mask};

impl Text {
    /// One byte (in a line's first words: one byte as well), and where to go on.
    pub(super) fn step(&mut self, bytes: &mut [u8], at: usize, pen: &mut Pen) -> usize {
        let byte = bytes[at];
        let verdict = match self.state {
            State::In(value) => inside(value, byte),
            State::Expect { value, level, blanks } => expected(value, level, blanks, byte),
            State::Word(n) => self.word(n, bytes, at),
            State::Bearer { n, first } => bearer(n, first, byte),
            State::Slashes(n) => match (byte, n) {
                (b'/', 0) => Keep(State::Slashes(1)),
                (b'/', _) => Keep(State::Authority),
                _ => Again(State::Idle),
            },
            State::Authority => match byte {
                b':' => Keep(State::In(Value::UserInfo)),
                _ if ends_authority(byte) || byte == b'=' => Again(State::Idle),
                _ => Keep(State::Authority),
            },
            State::PemHead => match byte {
                b'A'..=b'Z' | b' ' | b'-' => Keep(State::PemHead),
                _ => Again(State::In(Value::Pem { dashes: 0 })),
            },
            State::Fold { answers } => match byte {
                b' ' | b'\t' => Keep(State::In(Value::Line { answers })),
                _ if answers > 0 => Again(State::In(Value::Answer { answers: answers - 1 })),
                _ => Again(State::Word(0)),
            },
            State::Doubled => match byte {
                b'\'' => Keep(State::In(Value::Quoted { quote: byte, level: 0, run: 0, depth: 0 })),
                _ => Again(State::Idle),
            },
            State::Idle | State::Lost => Keep(self.state),
        };
        match verdict {
            Keep(state) => {
                pen.keep(1);
                self.state = state;
                at + 1
            }
            Mask(state) => {
                pen.overwrite(&mut bytes[at..=at]);
                self.state = state;
                at + 1
            }
            Again(state) => {
                self.state = state;
                at
            }
        }
    }

    /// A byte of a line's first words.
    fn word(&self, n_words: u8, bytes: &[u8], at: usize) -> Verdict {
        let byte = bytes[at];
        if byte == b' ' {
            let mut joined = [0; super::WINDOW];
            return Keep(key::command(self.before(&bytes[..at], &mut joined), n_words));
        }
        if !byte.is_ascii_alphanumeric() {
            return Again(State::Idle);
        }
        if super::next_trigger(&[byte]).is_none() {
            return Keep(State::Word(n_words));
        }
        match self.judge(bytes, at) {
            State::Idle => Keep(State::Word(n_words)),
            State::Bearer { n, .. } => Keep(State::Bearer { n, first: n_words == 0 }),
            state => Keep(state),
        }
    }
}

/// `bearer `, of which `n` bytes were seen.
fn bearer(n: u8, first: bool, byte: u8) -> Verdict {
    let otherwise = if first { State::Word(0) } else { State::Idle };
    match b"bearer ".get(usize::from(n)) {
        Some(expected) if byte.eq_ignore_ascii_case(expected) => {
            let is_whole = usize::from(n) + 1 == b"bearer ".len();
            Keep(if is_whole {
                State::In(Value::Token { blank: true })
            } else {
                State::Bearer { n: n + 1, first }
            })
        }
        _ => Again(otherwise),
    }
}

/// A byte before a value.
fn expected(value: Value, level: u8, blanks: bool, byte: u8) -> Verdict {
    let depth = if let Value::Json { depth } = value { depth } else { 0 };
    let is_json = matches!(value, Value::Json { .. });
    match byte {
        b' ' | b'\t' if blanks => Keep(State::Expect { value, level, blanks }),
        b'\r' | b'\n' if is_json => Keep(State::Expect { value, level, blanks }),
        _ if matches!(value, Value::Line { .. }) => Again(State::In(value)),
        b'\\' => Keep(State::Expect { value, level: level.saturating_add(1), blanks }),
        b'"' | b'\'' => Keep(State::In(Value::Quoted { quote: byte, level, run: 0, depth })),
        b'{' if depth == 0 => Keep(State::Idle),
        b'[' if is_json => Keep(State::Expect {
            value: Value::Json { depth: depth.saturating_add(1) },
            level: 0,
            blanks,
        }),
        b',' if depth > 0 => Keep(State::Expect { value, level: 0, blanks }),
        b']' if depth > 1 => {
            Keep(State::Expect { value: Value::Json { depth: depth - 1 }, level: 0, blanks })
        }
        b']' if depth == 1 => Keep(State::Idle),
        _ => Again(State::In(value)),
    }
}

/// A byte of a value, or the one behind it.
fn inside(value: Value, byte: u8) -> Verdict {
    let on = State::In(value);
    match value {
        Value::Line { answers } => match byte {
            b'\n' => Keep(State::Fold { answers }),
            _ => Mask(on),
        },
        Value::Answer { answers } => match byte {
            b'\n' => Keep(State::Fold { answers }),
            b' ' | b':' => Again(State::Idle),
            _ => Mask(on),
        },
        Value::Quoted { quote, level, run, depth } => quoted(quote, level, run, depth, byte),
        Value::Json { depth } => match byte {
            b',' | b']' if depth > 0 => Again(State::Expect { value, level: 0, blanks: true }),
            b',' | b']' | b'}' | b'"' | b' ' => Again(State::Idle),
            _ if byte < b' ' => Again(State::Idle),
            _ => Mask(on),
        },
        Value::Colon => match byte {
            b'"' | b'<' => Again(State::Idle),
            _ if byte < b' ' && byte != b'\t' => Again(State::Idle),
            _ => Mask(on),
        },
        Value::Equals => match byte {
            b'&' | b'"' | b'<' | b'>' => Again(State::Idle),
            _ if byte <= b' ' => Again(State::Idle),
            _ => Mask(on),
        },
        Value::Token { blank } => match byte {
            b' ' if blank => Keep(on),
            _ if key::is_token(byte) => Mask(State::In(Value::Token { blank: false })),
            _ => Again(State::Idle),
        },
        Value::UserInfo => match byte {
            b'@' => Keep(State::Idle),
            _ if ends_authority(byte) => Again(State::Idle),
            _ => Mask(on),
        },
        Value::Pem { dashes } => match byte {
            b'-' if dashes >= 4 => Keep(State::Idle),
            b'-' => Keep(State::In(Value::Pem { dashes: dashes + 1 })),
            b'"' | 0 => Again(State::Idle),
            _ => Mask(State::In(Value::Pem { dashes: 0 })),
        },
        Value::Xml => match byte {
            b'<' => Again(State::Idle),
            _ => Mask(on),
        },
    }
}

/// A byte of a quoted value. In JSON within JSON a quote is preceded by one backslash, a quoted one by three: at `level` l
/// a quote ends the value if the backslashes before it leave l when divided by 2 (l + 1).
fn quoted(quote: u8, level: u8, run: u8, depth: u8, byte: u8) -> Verdict {
    let on = |run| State::In(Value::Quoted { quote, level, run, depth });
    if byte == b'\\' {
        // Backslashes of a quoted quote may be those of the last one: they stay.
        let run = run.wrapping_add(1);
        return if level == 0 { Mask(on(run)) } else { Keep(on(run)) };
    }
    let ends = u16::from(run) % (2 * (u16::from(level) + 1)) == u16::from(level) || run < level;
    match byte {
        b'\n' => Again(State::Idle),
        _ if byte == quote && ends => Keep(if depth > 0 {
            State::Expect { value: Value::Json { depth }, level: 0, blanks: true }
        } else if quote == b'\'' && level == 0 {
            State::Doubled
        } else {
            State::Idle
        }),
        _ => Mask(on(0)),
    }
}

fn ends_authority(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\')
}
