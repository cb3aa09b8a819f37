//! WebSocket (RFC 6455), after an upgrade: heads of frames are kept, payloads are texts, the client's under their mask. What is compressed is
//! overwritten: under the mask, too, so that it reads as stars. It never keeps a byte of which it does not
//! know the frame.

use super::pen::{Pen, STAR};
use super::text::Text;

/// The longest head: two bytes, a length of eight, a key of four.
const HEAD: usize = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head { n: u8 },
    Payload { left: u64, at: u64 },
    Lost,
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(super) struct Websocket {
    state: State,
    head: [u8; HEAD],
    key: [u8; 4],
    /// Of the message whose fragments follow, and of a control frame between them.
    text: Text,
    control: Text,
    is_opaque: bool,
}

impl Websocket {
    /// Before a frame.
    pub(super) fn new() -> Self {
        Self {
            state: State::Head { n: 0 },
            head: [0; HEAD],
            key: [0; 4],
            text: Text::default(),
            control: Text::default(),
            is_opaque: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = match self.state {
                State::Head { n } => self.head_byte(n, rest, pen),
                State::Payload { left, at } => {
                    let n = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    self.payload(&mut rest[..n], at, pen);
                    self.passed(left, at, n as u64);
                    n
                }
                State::Lost => {
                    pen.withhold(rest);
                    rest.len()
                }
            };
            rest = &mut rest[n..];
        }
    }

    /// Unseen bytes: inside of a payload they leave its end known.
    pub(super) fn skip(&mut self, n: u64) {
        match self.state {
            State::Payload { left, at } if n <= left => {
                let text = if self.is_control() { &mut self.control } else { &mut self.text };
                *text = Text::lost();
                self.passed(left, at, n);
            }
            _ => self.state = State::Lost,
        }
    }

    fn passed(&mut self, left: u64, at: u64, n: u64) {
        self.state = match left - n {
            0 => State::Head { n: 0 },
            left => State::Payload { left, at: at + n },
        };
    }

    fn is_control(&self) -> bool {
        self.head[0] & 8 != 0
    }

    fn head_byte(&mut self, n: u8, bytes: &[u8], pen: &mut Pen) -> usize {
        self.head[usize::from(n)] = bytes[0];
        let known = &self.head[..=usize::from(n)];
        if !is_possible(known) {
            self.state = State::Lost;
            return 0;
        }
        pen.keep(1);
        self.state = State::Head { n: n + 1 };
        let [_, second, ..] = self.head;
        if n > 0 && known.len() == head_length(second) {
            self.begin();
        }
        1
    }

    fn begin(&mut self) {
        let second = self.head[1];
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        let left = match second & 0x7f {
            126 => number(&self.head[2..4]),
            127 => number(&self.head[2..10]),
            short => u64::from(short),
        };
        let end = head_length(second);
        self.key = match second & 0x80 {
            0 => [0; 4],
            _ => [self.head[end - 4], self.head[end - 3], self.head[end - 2], self.head[end - 1]],
        };
        match self.head[0] & 0x0f {
            0 => {}
            8.. => self.control = Text::default(),
            _ => (self.text, self.is_opaque) = (Text::default(), self.head[0] & 0x70 != 0),
        }
        self.state = if left == 0 { State::Head { n: 0 } } else { State::Payload { left, at: 0 } };
    }

    fn payload(&mut self, bytes: &mut [u8], at: u64, pen: &mut Pen) {
        self.turn(bytes, at);
        match self.is_control() {
            _ if pen.heads_only => pen.fill(bytes, STAR),
            // A code, then words.
            true => {
                let n_code = if self.head[0] & 0x0f == 8 { 2_u64.saturating_sub(at) } else { 0 };
                let (code, words) = bytes.split_at_mut(bytes.len().min(n_code as usize));
                pen.keep(code.len());
                self.control.feed(words, pen);
            }
            false if self.is_opaque => pen.fill(bytes, STAR),
            false => self.text.feed(bytes, pen),
        }
        self.turn(bytes, at);
    }

    /// Takes the mask off, or puts it on again.
    fn turn(&self, bytes: &mut [u8], at: u64) {
        if self.key != [0; 4] {
            for (n, byte) in bytes.iter_mut().enumerate() {
                *byte ^= self.key[(at as usize).wrapping_add(n) % 4];
            }
        }
    }
}

fn head_length(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

/// Whether a head may begin so.
pub(super) fn is_possible(head: &[u8]) -> bool {
    let is_kind = matches!(head[0] & 0x0f, 0..=2 | 8..=10);
    let is_control = head[0] & 8 != 0;
    let is_short = head.get(1).is_none_or(|second| second & 0x7f < 126);
    // No payload is so long that its length has a bit set here.
    let is_length = head.get(1).is_none_or(|second| second & 0x7f != 127)
        || head.iter().skip(2).take(3).all(|byte| *byte == 0);
    is_kind && (!is_control || is_short) && is_length && head[0] & 0x30 == 0
}

#[cfg(test)]
mod tests {
    use super::super::laws::check_bytes;

    const UPGRADE: &[u8] = b"GET /s HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0xf4];

    fn frame(first: u8, is_masked: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, payload.len() as u8 | if is_masked { 0x80 } else { 0 }];
        if is_masked {
            bytes.extend(KEY);
        }
        let key = if is_masked { KEY } else { [0; 4] };
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    #[test]
    fn payloads_are_masked_as_texts_under_the_clients_mask_too() {
        let said = |secret: &[u8], other: &[u8], is_masked| {
            let text = [b"{\"token\":\"".as_slice(), secret, b"\",\"a\":1}"].concat();
            [
                frame(0x01, is_masked, &text[..14]),
                frame(0x89, is_masked, b"beat"),
                frame(0x80, is_masked, &text[14..]),
                frame(0xc1, is_masked, other),
                frame(0x88, is_masked, b"\x03\xe8bye"),
            ]
            .concat()
        };
        let answer: &[u8] = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n";
        for (head, is_masked) in [(UPGRADE, true), (answer, false)] {
            check_bytes(
                &[head, &said(b"hunter2", b"\x7fdeflated", is_masked)].concat(),
                &[head, &said(b"*******", b"*********", is_masked)].concat(),
            );
        }
    }
}
