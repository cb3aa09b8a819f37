//! The frames of one half, fragments put together, payloads skipped by length across gaps. Never holds a payload but a control frame's.

use crate::issue::Issue;
use crate::protocol::cursor::Cursor;
use crate::protocol::seek::{Look, seek};
use crate::protocol::{Half, Match, Side};

/// A control frame's payload at most (RFC 6455, 5.5).
const MAX_CONTROL: u64 = 125;
/// A longer payload is not waited for where it is not needed.
const MAX_FRAME: u64 = 1 << 40;
/// Frames that lead from one to the next prove that they are frames.
const PROOF: usize = 3;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Data {
        is_text: bool,
        is_compressed: bool,
        n_fragments: u64,
    },
    /// The rest of one whose beginning was not seen.
    Rest,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// A message.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) issues: Vec<Issue>,
}

/// A frame's head.
#[derive(Debug, Clone, Copy)]
struct Frame {
    flags: u8,
    kind: u8,
    key: [u8; 4],
    head: u64,
    length: u64,
}

enum Read {
    Frame(Frame),
    More,
    No,
}

/// The head that `bytes` begin with (RFC 6455, 5.2); the client's frames are masked, the server's never (5.1).
fn read(side: Side, bytes: &[u8]) -> Read {
    let mut cursor = Cursor::new(bytes);
    let Some(first) = cursor.u8() else { return Read::More };
    let (flags, kind) = (first & 0xf0, first & 0x0f);
    let is_control = kind >= CLOSE;
    let is_kind = matches!(kind, CONTINUATION..=BINARY | CLOSE..=PONG);
    let is_flags = if is_control { flags == FIN } else { flags & 0x30 == 0 };
    if !is_kind || !is_flags {
        return Read::No;
    }
    let Some(second) = cursor.u8() else { return Read::More };
    let is_masked = second & 0x80 != 0;
    let short = u64::from(second & 0x7f);
    if is_masked != (side == Side::Client) || (is_control && short > MAX_CONTROL) {
        return Read::No;
    }
    let length = match short {
        126 => cursor.u16_be().map(u64::from),
        127 => cursor.u32_be().zip(cursor.u32_be()).map(|(a, b)| u64::from(a) << 32 | u64::from(b)),
        short => Some(short),
    };
    let Some(length) = length else { return Read::More };
    // The shortest form is the only one.
    let least = match short {
        126 => 126,
        127 => 1 << 16,
        _ => 0,
    };
    if length < least || length > MAX_FRAME {
        return Read::No;
    }
    let key = if is_masked { cursor.take(4) } else { Some(&[0; 4][..]) };
    let Some(key) = key else { return Read::More };
    let key = [key[0], key[1], key[2], key[3]];
    Read::Frame(Frame { flags, kind, key, head: cursor.position() as u64, length })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Skip { until: u64 },
    Lost { at_boundary: bool },
}

/// Where a half stands.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    position: u64,
    state: State,
    /// A message whose last fragment has not come.
    open: Option<Item>,
    /// Whole, not handed out yet.
    whole: Option<Item>,
    doubt: Option<Issue>,
}

impl Reader {
    pub(super) fn new(side: Side) -> Reader {
        Reader { side, position: 0, state: State::Head, open: None, whole: None, doubt: None }
    }

    pub(super) fn start(&mut self, half: &Half<'_>, from_start: bool) {
        self.position = half.start;
        if !from_start {
            self.state = State::Lost { at_boundary: true };
            self.doubt = Some(Issue::MissedStart);
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next message that is whole, or that will never be.
    pub(super) fn next(&mut self, half: &Half<'_>) -> Option<Item> {
        loop {
            if let State::Skip { until } = self.state {
                self.position = until.min(half.end);
                if until > half.end && !half.last {
                    return None;
                }
                if until > half.end {
                    let whole = self.whole.take().or_else(|| self.open.take());
                    return whole.map(truncated);
                }
                self.state = State::Head;
                if let Some(item) = self.whole.take() {
                    return Some(item);
                }
            }
            if let State::Lost { at_boundary } = self.state
                && !self.seek(half, at_boundary)
            {
                return None;
            }
            let bytes = half.at(self.position);
            match read(self.side, bytes) {
                Read::Frame(frame) => {
                    if let Some(item) = self.frame(frame, half)? {
                        return Some(item);
                    }
                }
                Read::More if bytes.is_empty() && self.position >= half.end => {
                    return if half.last { self.open.take().map(truncated) } else { None };
                }
                Read::More if !half.cut_after(self.position) => return None,
                Read::More => {
                    self.position += bytes.len() as u64;
                    if let Some(item) = self.lose(Issue::HeadCut, true) {
                        return Some(item);
                    }
                }
                Read::No => {
                    self.position += 1;
                    if let Some(item) = self.lose(Issue::Malformed, false) {
                        return Some(item);
                    }
                }
            }
        }
    }

    /// Goes on behind a frame. `None`: more bytes are needed; an item: one that this frame cut off.
    fn frame(&mut self, frame: Frame, half: &Half<'_>) -> Option<Option<Item>> {
        let (begin, end) = (self.position, self.position + frame.head + frame.length);
        if frame.kind >= CLOSE {
            let payload_at = begin + frame.head;
            let payload = half.at(payload_at);
            let is_whole = payload.len() as u64 >= frame.length;
            if !is_whole && !half.cut_after(payload_at) {
                return None;
            }
            let n = payload.len().min(frame.length as usize);
            let clear = (payload[..n].iter().zip(frame.key.iter().cycle())).map(|(b, k)| b ^ k);
            let payload: Vec<u8> = clear.collect();
            let kind = match frame.kind {
                PING => Kind::Ping(payload),
                PONG => Kind::Pong(payload),
                _ => Kind::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            };
            let mut issues: Vec<Issue> = self.doubt.take().into_iter().collect();
            issues.extend((!is_whole).then_some(Issue::Truncated));
            self.state = State::Skip { until: end };
            self.whole = Some(Item { kind, begin, end, issues });
            let is_close = frame.kind == CLOSE;
            return Some(self.open.take_if(|_| is_close).map(truncated));
        }
        let mut cut_off = None;
        match &mut self.open {
            Some(open) if frame.kind == CONTINUATION => {
                open.end = end;
                if let Kind::Data { n_fragments, .. } = &mut open.kind {
                    *n_fragments += 1;
                }
            }
            _ => {
                // A new message before the last fragment of the one before.
                cut_off = self.open.take().map(truncated);
                let kind = match frame.kind {
                    CONTINUATION => Kind::Rest,
                    kind => Kind::Data {
                        is_text: kind == TEXT,
                        is_compressed: frame.flags & RSV1 != 0,
                        n_fragments: 1,
                    },
                };
                let mut issues: Vec<Issue> = self.doubt.take().into_iter().collect();
                if kind == Kind::Rest && !issues.contains(&Issue::MissedStart) {
                    issues.push(Issue::HeadCut);
                }
                self.open = Some(Item { kind, begin, end, issues });
            }
        }
        if frame.flags & FIN != 0 {
            self.whole = self.open.take();
        }
        self.state = State::Skip { until: end };
        Some(cut_off)
    }

    /// Nobody knows where the next frame begins; what was open never ends.
    fn lose(&mut self, why: Issue, at_boundary: bool) -> Option<Item> {
        self.state = State::Lost { at_boundary };
        self.doubt.get_or_insert(why);
        self.open.take().map(truncated)
    }

    /// Goes to where a frame begins: only at a boundary that the capture shows, since anything may look like a frame. False: more is needed.
    fn seek(&mut self, half: &Half<'_>, at_boundary: bool) -> bool {
        let (side, mut at_boundary) = (self.side, at_boundary);
        let found =
            seek(half, &mut self.position, &mut at_boundary, |bytes, is_cut, is_boundary| {
                match is_boundary.then(|| follows(side, bytes, is_cut)) {
                    Some(Match::Yes) => Look::At(0),
                    Some(Match::Maybe) => Look::Wait(0),
                    Some(Match::No) | None => Look::Nowhere,
                }
            });
        self.state = if found { State::Head } else { State::Lost { at_boundary } };
        found
    }
}

/// Whether frames follow one another here; maybe: bytes that may come will tell. What is cut must do with one whole head.
fn follows(side: Side, bytes: &[u8], is_cut: bool) -> Match {
    let (mut at, mut n) = (0_usize, 0);
    while n < PROOF {
        match read(side, bytes.get(at..).unwrap_or(&[])) {
            Read::Frame(frame) => {
                let next = at as u64 + frame.head + frame.length;
                (at, n) = (usize::try_from(next).unwrap_or(usize::MAX), n + 1);
            }
            Read::No => return Match::No,
            Read::More if !is_cut => return Match::Maybe,
            Read::More if n > 0 => return Match::Yes,
            Read::More => return Match::No,
        }
    }
    Match::Yes
}

/// Whether a half that was joined late is frames from its first byte on.
pub(super) fn chain(side: Side, half: &Half<'_>) -> Match {
    let Some(piece) = half.pieces.first() else { return Match::Maybe };
    let (mut at, mut n) = (0_usize, 0);
    loop {
        match read(side, piece.bytes.get(at..).unwrap_or(&[])) {
            Read::Frame(frame) => {
                let next = at as u64 + frame.head + frame.length;
                (at, n) = (usize::try_from(next).unwrap_or(usize::MAX), n + 1);
            }
            Read::No => return Match::No,
            Read::More if n >= PROOF => return Match::Yes,
            // Ends exactly with what was seen.
            Read::More if n > 0 && at == piece.bytes.len() => return Match::Maybe,
            Read::More if half.last => return Match::No,
            Read::More => return Match::Maybe,
        }
    }
}

fn truncated(mut item: Item) -> Item {
    item.issues.push(Issue::Truncated);
    item
}
