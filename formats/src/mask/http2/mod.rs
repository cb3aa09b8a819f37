//! HTTP/2 (RFC 9113): frame by frame. Header blocks go through `hpack`, the data of each stream is a text as long as its
//! frames follow one another from its beginning; data that is compressed, interleaved, or whose beginning was not seen is
//! overwritten. It never keeps a byte where it does not know the frame's boundaries.

mod hpack;
mod huffman;

use super::pen::{Pen, STAR};
use super::text::Text;
use hpack::Hpack;
pub use huffman::{CANONICAL as HUFFMAN, Canonical};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

/// Longest frame believed. ASCII text read as a length is longer.
const LONGEST: u32 = 1 << 20;

/// Highest stream believed where a beginning is looked for: connections are renewed long before.
const LIKELY: u32 = 1 << 24;

/// Streams whose data is awaited.
const AWAITED: usize = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preface { n: u8 },
    Head { n: u8 },
    Payload,
    Lost,
}

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Numbers: kept.
    Signs,
    /// A part of a header block.
    Block,
    /// Data of the stream whose text is at hand.
    Text,
    /// Overwritten.
    Opaque,
    /// A part of it was not seen.
    Unknown,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Frame {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn of(head: &[u8; HEAD]) -> Self {
        let number =
            |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
        Self {
            length: number(&head[..3]),
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
        }
    }

    /// Whether a frame can be so (RFC 9113, 6).
    fn is_possible(self) -> bool {
        let (flags, is_on_stream) = match self.kind {
            0 => (END_STREAM | PADDED, true),
            1 => (END_STREAM | END_HEADERS | PADDED | PRIORITY, true),
            2 | 3 | 8 => (0, true),
            4 | 6 => (1, false),
            5 => (END_HEADERS | PADDED, true),
            7 | 16 => (0, false),
            9 => (END_HEADERS, true),
            _ => return false,
        };
        let is_length = match self.kind {
            2 => self.length == 5,
            3 | 8 => self.length == 4,
            4 => self.length.is_multiple_of(6) && (self.flags == 0 || self.length == 0),
            6 => self.length == 8,
            7 => self.length >= 8,
            _ => true,
        };
        self.flags & !flags == 0
            && self.length <= LONGEST
            && self.stream < 1 << 31
            && (is_on_stream == (self.stream != 0) || self.kind == 8)
            && is_length
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A header block: HEADERS or PUSH_PROMISE, and the CONTINUATIONs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    stream: u32,
    ends_stream: bool,
    is_promise: bool,
}

/// One direction of an HTTP/2 connection.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    state: State,
    head: [u8; HEAD],
    frame: Frame,
    content: Content,
    left: u32,
    /// Bytes of the payload before its content, and whether the first of them is the padding's length.
    lead: u32,
    is_padding_awaited: bool,
    padding: u32,
    hpack: Hpack,
    /// The block that goes on.
    block: Option<Block>,
    is_block_broken: bool,
    awaited: [u32; AWAITED],
    current: u32,
    text: Text,
}

impl Http2 {
    /// At a frame's beginning; a client's first stream begins with the preface.
    pub(super) fn new(has_preface: bool) -> Self {
        Self {
            state: if has_preface { State::Preface { n: 0 } } else { State::Head { n: 0 } },
            head: [0; HEAD],
            frame: Frame::default(),
            content: Content::Opaque,
            left: 0,
            lead: 0,
            is_padding_awaited: false,
            padding: 0,
            hpack: Hpack::new(),
            block: None,
            is_block_broken: false,
            awaited: [0; AWAITED],
            current: 0,
            text: Text::default(),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Preface { n } => {
                    if bytes[at] != PREFACE[usize::from(n)] {
                        self.state = State::Lost;
                        continue;
                    }
                    let is_over = usize::from(n) + 1 == PREFACE.len();
                    self.state =
                        if is_over { State::Head { n: 0 } } else { State::Preface { n: n + 1 } };
                    pen.keep(1);
                    at += 1;
                }
                State::Head { n } => {
                    self.head[usize::from(n)] = bytes[at];
                    self.state = State::Head { n: n + 1 };
                    pen.keep(1);
                    at += 1;
                    if usize::from(n) + 1 == HEAD {
                        self.begin_frame();
                    }
                }
                State::Payload => at += self.payload(&mut bytes[at..], pen),
                State::Lost => {
                    pen.withhold(&mut bytes[at..]);
                    return;
                }
            }
        }
    }

    /// Unseen bytes: inside of a frame they leave its end known.
    pub(super) fn skip(&mut self, n: u64) {
        let is_inside = self.state == State::Payload && n <= u64::from(self.left);
        if !is_inside || (self.is_padding_awaited && n < u64::from(self.left)) {
            self.state = State::Lost;
            return;
        }
        match self.content {
            Content::Block => self.is_block_broken = true,
            Content::Text => {
                self.current = 0;
                self.content = Content::Unknown;
            }
            _ => {}
        }
        self.left -= n as u32;
        self.lead = self.lead.saturating_sub(n as u32);
        if self.left == 0 {
            self.end_frame();
        }
    }

    fn begin_frame(&mut self) {
        let frame = Frame::of(&self.head);
        let goes_on = frame.kind == 9;
        let is_in_order = match self.block {
            Some(block) => goes_on && block.stream == frame.stream,
            None => !goes_on,
        };
        if !frame.is_possible() || !is_in_order {
            self.state = State::Lost;
            return;
        }
        self.frame = frame;
        self.left = frame.length;
        self.is_padding_awaited = frame.has(PADDED) && matches!(frame.kind, 0 | 1 | 5);
        self.padding = 0;
        self.lead = match frame.kind {
            1 if frame.has(PRIORITY) => 5,
            5 => 4,
            7 => 8,
            _ => 0,
        };
        self.content = self.content_of(frame);
        self.state = State::Payload;
        if self.left == 0 {
            self.end_frame();
        }
    }

    fn content_of(&mut self, frame: Frame) -> Content {
        match frame.kind {
            0 => {
                if let Some(place) =
                    self.awaited.iter_mut().find(|awaited| **awaited == frame.stream)
                {
                    *place = 0;
                    self.current = frame.stream;
                    self.text = Text::default();
                }
                if self.current == frame.stream { Content::Text } else { Content::Opaque }
            }
            1 | 5 => {
                self.block = Some(Block {
                    stream: frame.stream,
                    ends_stream: frame.kind == 1 && frame.has(END_STREAM),
                    is_promise: frame.kind == 5,
                });
                Content::Block
            }
            9 => Content::Block,
            7 | 16 => Content::Opaque,
            _ => Content::Signs,
        }
    }

    /// A piece of the payload: what is before the content, the content, the padding.
    fn payload(&mut self, bytes: &mut [u8], pen: &mut Pen) -> usize {
        let most = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let n = if self.is_padding_awaited {
            self.is_padding_awaited = false;
            self.padding = u32::from(bytes[0]);
            if self.padding + self.lead >= self.left {
                self.state = State::Lost;
                return 0;
            }
            pen.keep(1);
            1
        } else if self.lead > 0 {
            let n = self.lead.min(self.left).min(most);
            self.lead -= n;
            pen.keep(n as usize);
            n
        } else if self.left > self.padding {
            let n = (self.left - self.padding).min(most);
            self.put(&mut bytes[..n as usize], pen);
            n
        } else {
            // Padding must be zero, and is so whatever was in it.
            let n = self.left.min(most);
            pen.fill(&mut bytes[..n as usize], 0);
            n
        };
        self.left -= n;
        if self.left == 0 {
            self.end_frame();
        }
        n as usize
    }

    fn put(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        match self.content {
            Content::Signs => pen.keep(bytes.len()),
            Content::Block if self.is_block_broken => pen.withhold(bytes),
            Content::Block => self.hpack.feed(bytes, pen),
            Content::Text if !pen.heads_only => self.text.feed(bytes, pen),
            Content::Text | Content::Opaque => pen.fill(bytes, STAR),
            Content::Unknown => pen.withhold(bytes),
        }
    }

    fn end_frame(&mut self) {
        self.state = State::Head { n: 0 };
        match self.frame.kind {
            0 if self.frame.has(END_STREAM) && self.current == self.frame.stream => {
                self.current = 0
            }
            1 | 5 | 9 if self.frame.has(END_HEADERS) => self.end_block(),
            _ => {}
        }
    }

    fn end_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        let is_encoded = if std::mem::take(&mut self.is_block_broken) {
            self.hpack.forget();
            true
        } else if let Some(is_encoded) = self.hpack.end_block() {
            is_encoded
        } else {
            self.state = State::Lost;
            return;
        };
        if block.is_promise {
            return;
        }
        self.awaited
            .iter_mut()
            .filter(|place| **place == block.stream)
            .for_each(|place| *place = 0);
        if block.ends_stream {
            self.current = if self.current == block.stream { 0 } else { self.current };
        } else if !is_encoded && self.current != block.stream {
            self.awaited.rotate_right(1);
            self.awaited[0] = block.stream;
        }
    }
}

/// Whether a client's first stream begins here.
pub(super) fn is_preface(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFACE)
}

/// Whether this is the head of a SETTINGS frame, with which every server begins; None: too short to say.
pub(super) fn is_settings(bytes: &[u8]) -> Option<bool> {
    const SETTINGS: [Option<u8>; HEAD] =
        [Some(0), Some(0), None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];
    let so_far =
        bytes.iter().zip(SETTINGS).all(|(&byte, expected)| expected.is_none_or(|it| it == byte));
    if !so_far || bytes.get(2).is_some_and(|length| length % 6 != 0) {
        return Some(false);
    }
    (bytes.len() >= HEAD).then_some(true)
}

/// Whether frames certainly begin here: one after the other up to the end of the chunk, or two at least.
pub(super) fn begins(bytes: &[u8], wire_length: u64) -> bool {
    let mut at = 0_u64;
    let mut n = 0;
    while let Some(head) = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.first_chunk()) {
        let frame = Frame::of(head);
        if !frame.is_possible() || frame.stream > LIKELY || (n == 0 && frame.kind == 9) {
            return false;
        }
        at += HEAD as u64 + u64::from(frame.length);
        n += 1;
    }
    n > 0 && (at == wire_length || n > 1)
}

#[cfg(test)]
mod tests {
    use super::super::laws::{Field, check_bytes, fields, frame, masked, request};
    use super::*;

    /// The decoded fields of the blocks of a masked stream of these requests.
    fn decoded(blocks: &[Vec<u8>]) -> Vec<Vec<(String, String)>> {
        let masked = masked(&request(blocks, b""));
        let mut at = PREFACE.len();
        let mut decoder = loona_hpack::Decoder::new();
        let (mut decoded, mut block) = (Vec::new(), Vec::new());
        while let Some(head) = masked[at..].first_chunk() {
            let frame = Frame::of(head);
            let payload = &masked[at + HEAD..at + HEAD + frame.length as usize];
            block.extend_from_slice(if matches!(frame.kind, 1 | 9) { payload } else { b"" });
            if matches!(frame.kind, 1 | 9) && frame.has(END_HEADERS) {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let block = decoder.decode(&std::mem::take(&mut block)).unwrap();
                decoded.push(block.iter().map(|(name, value)| (text(name), text(value))).collect());
            }
            at += HEAD + frame.length as usize;
        }
        assert_eq!(at, masked.len());
        decoded
    }

    #[track_caller]
    fn check(sent: &[Field], expected: &[(&str, &str)]) {
        for is_huffman in [false, true] {
            let decoded = decoded(&[fields(sent, is_huffman)]);
            let decoded: Vec<_> =
                decoded[0].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(decoded.len(), expected.len());
            for (&(name, value), &(expected_name, expected)) in decoded.iter().zip(expected) {
                assert_eq!(name, expected_name);
                if is_huffman && expected.contains('*') {
                    // Behind the last byte kept anything may stand that fills it up.
                    let kept = expected.split('*').next().unwrap_or("");
                    assert!(value.starts_with(kept) && !value.contains("hunter2"), "{value}");
                } else {
                    assert_eq!(value, expected);
                }
            }
        }
    }

    #[test]
    fn header_values() {
        check(
            &[
                Field::Literal("authorization", "Bearer hunter2"),
                Field::Literal(":path", "/p?token=hunter2"),
                Field::Literal("x-request-id", "abc-def"),
                Field::Literal("x-api-key", "hunter2hunter2"),
                Field::Never("x-other", "hunter2"),
            ],
            &[
                ("authorization", "**************"),
                (":path", "/p?token=*******"),
                ("x-request-id", "abc-def"),
                ("x-api-key", "**************"),
                ("x-other", "*******"),
            ],
        );
    }

    #[test]
    fn names_by_index() {
        // Both names are inserted, then named by their place in the dynamic table: 62 is the last.
        let first = fields(
            &[Field::Literal("x-request-id", "abc"), Field::Literal("x-api-key", "hunter2")],
            true,
        );
        let second = fields(&[Field::Named(63, "def"), Field::Named(63, "hunter2x")], false);
        let decoded = decoded(&[first, second]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(decoded[1], [pair("x-request-id", "def"), pair("x-api-key", "********")]);
    }

    #[test]
    fn data() {
        let with = |sent: &[Field], data: &str| request(&[fields(sent, true)], data.as_bytes());
        let path = Field::Literal(":path", "/");
        let gzip = Field::Literal("content-encoding", "gzip");
        check_bytes(
            &with(&[path], "{\"password\":\"abc\"}"),
            &with(&[path], "{\"password\":\"***\"}"),
        );
        check_bytes(&with(&[path, gzip], "abc"), &with(&[path, gzip], "***"));
    }

    #[test]
    fn a_stream_that_is_interleaved_is_overwritten_when_it_goes_on() {
        let block = fields(&[Field::Literal(":path", "/")], true);
        let stream = |end: &str| {
            [
                PREFACE.to_vec(),
                frame(1, END_HEADERS, 1, &block),
                frame(1, END_HEADERS, 3, &block),
                frame(0, 0, 1, b"\"password\": \""),
                frame(0, 0, 3, b"other"),
                frame(0, END_STREAM, 1, end.as_bytes()),
            ]
            .concat()
        };
        check_bytes(&stream("hunter2\""), &stream("********"));
    }
}
