//! HPACK (RFC 7541), byte by byte: values whose name is a credential, is not known, or that the sender marked as sensitive are
//! overwritten; all others are text. Of the dynamic table it remembers of each insertion what its name was, nothing else: an
//! index counts insertions back, so evictions need not be known. It never stores a name or value.

use super::super::names;
use super::super::pen::{Pen, STAR, STAR_IN_HUFFMAN};
use super::super::text::Text;
use super::huffman::{self, Decoder};

/// Longest name, as encoded, that is looked at; a longer one is taken for a credential's.
const NAME: usize = 64;

/// Entries of the static table.
const STATIC: u32 = 61;

/// Insertions remembered: all that a table of 4,096 bytes can hold.
const REMEMBERED: u32 = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Field,
    Integer { what: What, value: u32, shift: u8 },
    NameLength,
    Name { left: u32, is_huffman: bool },
    ValueLength,
    Value { left: u32, is_huffman: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Indexed,
    Literal,
    TableSize,
    NameLength { is_huffman: bool },
    ValueLength { is_huffman: bool },
}

/// What a name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Name {
    is_credential: bool,
    /// `content-encoding`, `grpc-encoding`: the body can't be read.
    is_encoding: bool,
}

/// A name that nobody saw.
const UNKNOWN: Name = Name { is_credential: true, is_encoding: true };

/// How a value in Huffman code is overwritten from some bit on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    None,
    From(&'static [u8]),
}

/// The block and the table of one direction.
#[derive(Clone, Debug)]
pub(super) struct Hpack {
    state: State,
    name: Name,
    is_inserted: bool,
    is_sensitive: bool,
    /// The insertions, the latest in the lowest bit.
    credentials: u128,
    encodings: u128,
    n_known: u32,
    /// The block has a field that says that the body can't be read.
    is_encoded: bool,
    is_malformed: bool,
    letters: [u8; NAME],
    n_letters: usize,
    decoder: Decoder,
    fill: Fill,
    text: Text,
}

impl Hpack {
    pub(super) fn new() -> Self {
        Self {
            state: State::Field,
            name: Name::default(),
            is_inserted: false,
            is_sensitive: false,
            credentials: 0,
            encodings: 0,
            n_known: 0,
            is_encoded: false,
            is_malformed: false,
            letters: [0; NAME],
            n_letters: 0,
            decoder: Decoder::default(),
            fill: Fill::None,
            text: Text::default(),
        }
    }

    /// The block was not seen whole: what it inserted is not known.
    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }

    /// The block ended: whether its body can't be read; None: it was none.
    pub(super) fn end_block(&mut self) -> Option<bool> {
        let is_whole = self.state == State::Field && !self.is_malformed;
        is_whole.then(|| std::mem::take(&mut self.is_encoded))
    }

    /// Goes on through a block.
    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_malformed {
                pen.withhold(&mut bytes[at..]);
                return;
            }
            match self.state {
                State::Name { left, is_huffman } => {
                    let n = (left as usize).min(bytes.len() - at);
                    self.name_piece(&bytes[at..at + n]);
                    pen.keep(n);
                    at += n;
                    self.name_left(left - n as u32, is_huffman);
                }
                State::Value { left, is_huffman } => {
                    let n = (left as usize).min(bytes.len() - at);
                    self.value_piece(&mut bytes[at..at + n], left, is_huffman, pen);
                    at += n;
                    self.value_left(left - n as u32, is_huffman);
                }
                _ => {
                    pen.keep(1);
                    self.sign(bytes[at]);
                    at += 1;
                }
            }
        }
    }

    /// A byte of an index or a length.
    fn sign(&mut self, byte: u8) {
        match self.state {
            State::Field => self.field(byte),
            State::NameLength => {
                self.integer(What::NameLength { is_huffman: byte & 0x80 != 0 }, byte, 7)
            }
            State::ValueLength => {
                self.integer(What::ValueLength { is_huffman: byte & 0x80 != 0 }, byte, 7)
            }
            State::Integer { shift: 22.., .. } => self.is_malformed = true,
            State::Integer { what, value, shift } => {
                let value = value + (u32::from(byte & 0x7f) << shift);
                if byte & 0x80 == 0 {
                    self.number(what, value);
                } else {
                    self.state = State::Integer { what, value, shift: shift + 7 };
                }
            }
            State::Name { .. } | State::Value { .. } => {}
        }
    }

    fn field(&mut self, byte: u8) {
        self.is_inserted = byte & 0xc0 == 0x40;
        self.is_sensitive = byte & 0xf0 == 0x10;
        match byte {
            0x80.. => self.integer(What::Indexed, byte, 7),
            0x40.. => self.integer(What::Literal, byte, 6),
            0x20.. => self.integer(What::TableSize, byte, 5),
            _ => self.integer(What::Literal, byte, 4),
        }
    }

    /// An integer's first byte (RFC 7541, 5.1).
    fn integer(&mut self, what: What, byte: u8, n_bits: u8) {
        let most = (1 << n_bits) - 1;
        let value = u32::from(byte) & most;
        if value == most {
            self.state = State::Integer { what, value, shift: 0 };
        } else {
            self.number(what, value);
        }
    }

    fn number(&mut self, what: What, value: u32) {
        match what {
            What::TableSize => self.state = State::Field,
            What::Indexed => {
                self.is_malformed |= value == 0;
                self.is_encoded |= self.indexed(value).is_encoding && value > STATIC;
                self.state = State::Field;
            }
            What::Literal if value == 0 => {
                self.n_letters = 0;
                self.state = State::NameLength;
            }
            What::Literal => {
                self.name = self.indexed(value);
                self.state = State::ValueLength;
            }
            What::NameLength { is_huffman } => self.name_left(value, is_huffman),
            What::ValueLength { is_huffman } => {
                (self.decoder, self.fill, self.text) =
                    (Decoder::default(), Fill::None, Text::default());
                self.value_left(value, is_huffman);
            }
        }
    }

    /// What the name of this entry is.
    fn indexed(&self, index: u32) -> Name {
        if index <= STATIC {
            return Name {
                is_credential: names::STATIC_CREDENTIALS.contains(&index),
                is_encoding: index == names::STATIC_CONTENT_ENCODING,
            };
        }
        let nth = index - STATIC - 1;
        if nth >= self.n_known {
            return UNKNOWN;
        }
        let is_in = |entries: u128| entries >> nth & 1 == 1;
        Name { is_credential: is_in(self.credentials), is_encoding: is_in(self.encodings) }
    }

    fn name_piece(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().take(NAME + 1) {
            if let Some(letter) = self.letters.get_mut(self.n_letters) {
                *letter = byte;
            }
            self.n_letters = (self.n_letters + 1).min(NAME + 1);
        }
    }

    fn name_left(&mut self, left: u32, is_huffman: bool) {
        if left > 0 {
            self.state = State::Name { left, is_huffman };
            return;
        }
        let mut decoded = [0; 2 * NAME];
        let name = match self.letters.get(..self.n_letters) {
            Some(letters) if is_huffman => huffman::decode(letters, &mut decoded),
            letters => letters,
        };
        self.name = name.map_or(UNKNOWN, |name| Name {
            is_credential: names::is_credential(name),
            is_encoding: matches!(name, b"content-encoding" | b"grpc-encoding"),
        });
        self.state = State::ValueLength;
    }

    fn value_piece(&mut self, bytes: &mut [u8], left: u32, is_huffman: bool, pen: &mut Pen) {
        match (self.name.is_credential || self.is_sensitive, is_huffman) {
            (true, true) => pen.fill(bytes, STAR_IN_HUFFMAN),
            (true, false) => pen.fill(bytes, STAR),
            (false, false) => self.text.feed(bytes, pen),
            (false, true) => {
                for (n, byte) in bytes.iter_mut().enumerate() {
                    self.huffman_byte(byte, left - n as u32 - 1, pen);
                }
            }
        }
    }

    /// A byte of a value in Huffman code, `left` bytes before its end: from the first bit of a credential on it is filled.
    fn huffman_byte(&mut self, byte: &mut u8, left: u32, pen: &mut Pen) {
        if let Fill::From(next) = self.fill {
            let filler = next.first().copied().unwrap_or(STAR_IN_HUFFMAN);
            self.fill = Fill::From(next.get(1..).unwrap_or(&[]));
            return pen.fill(std::slice::from_mut(byte), filler);
        }
        for n_bits in (0..8).rev() {
            match self.decoder.bit(*byte >> n_bits & 1 == 1) {
                Ok(Some(letter)) => self.text.feed(&mut [letter], &mut Pen::default()),
                Ok(None) => continue,
                Err(()) => {
                    self.fill = Fill::From(&[]);
                    return pen.fill(std::slice::from_mut(byte), STAR_IN_HUFFMAN);
                }
            }
            if self.text.is_in_value() {
                let filler = huffman::filler(n_bits, left);
                self.fill = Fill::From(filler.next);
                let kept = (0xff_u16 << n_bits) as u8;
                let filled = *byte & kept | filler.bits;
                return if n_bits == 0 {
                    pen.keep(1)
                } else {
                    pen.fill(std::slice::from_mut(byte), filled)
                };
            }
        }
        pen.keep(1);
    }

    fn value_left(&mut self, left: u32, is_huffman: bool) {
        if left > 0 {
            self.state = State::Value { left, is_huffman };
            return;
        }
        self.is_encoded |= self.name.is_encoding;
        if self.is_inserted {
            self.credentials = self.credentials << 1 | u128::from(self.name.is_credential);
            self.encodings = self.encodings << 1 | u128::from(self.name.is_encoding);
            self.n_known = (self.n_known + 1).min(REMEMBERED);
        }
        self.state = State::Field;
    }
}
