//! DNS messages in a TCP half: each after its length in two bytes (RFC 1035 §4.2.2). Never waits for more than one
//! message.

use super::super::Half;
use super::packet::{self, Read};

/// Where a half stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Frames {
    /// Before the first stretch.
    #[default]
    Fresh,
    /// Before a length.
    Length,
    /// In a message told already, up to this offset.
    Skip(u64),
    /// Nobody knows where the next message begins; maybe here, if after a gap.
    Lost { after_gap: bool },
}

impl Frames {
    /// Tells each message as (begin, end, bytes without length, whether they are cut), and gives the offset done with.
    pub(super) fn read(
        &mut self,
        half: &Half<'_>,
        from_start: bool,
        mut tell: impl FnMut(u64, u64, &[u8], bool),
    ) -> u64 {
        let mut at = half.start;
        if *self == Frames::Fresh {
            *self = if from_start { Frames::Length } else { Frames::Lost { after_gap: true } };
        }
        loop {
            if let Frames::Skip(to) = *self {
                at = to.min(half.end);
                if to > half.end {
                    return at;
                }
                *self = Frames::Length;
            }
            let bytes = half.at(at);
            if bytes.is_empty() {
                if at < half.end {
                    *self = Frames::Lost { after_gap: true };
                    at = half.next_known(at).map_or(half.end, |known| known.min(half.end));
                }
                if at == half.end {
                    return at;
                }
                continue;
            }
            let cut = half.cut_after(at);
            match (frame(bytes, cut), *self) {
                (Frame::Wait, Frames::Length | Frames::Lost { after_gap: true }) => return at,
                (Frame::Is { length, .. }, Frames::Length)
                | (Frame::Is { length, sure: true }, Frames::Lost { after_gap: true }) => {
                    let (end, known) = (at + 2 + length as u64, bytes.len() - 2);
                    tell(at, end, &bytes[2..2 + length.min(known)], known < length);
                    *self = Frames::Skip(end);
                }
                _ => {
                    *self = Frames::Lost { after_gap: false };
                    at += bytes.len() as u64;
                }
            }
        }
    }
}

/// What stands at a place.
enum Frame {
    Wait,
    /// A message of this length; `sure`: and nothing else.
    Is {
        length: usize,
        sure: bool,
    },
    No,
}

fn frame(bytes: &[u8], cut: bool) -> Frame {
    let [high, low, rest @ ..] = bytes else { return if cut { Frame::No } else { Frame::Wait } };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length < 12 {
        return Frame::No;
    }
    if rest.len() < length && !cut {
        return Frame::Wait;
    }
    match packet::read(&rest[..length.min(rest.len())]) {
        Read::Packet(p) => Frame::Is { length, sure: p.question.is_some() && !p.malformed },
        Read::Short if cut => Frame::Is { length, sure: false },
        Read::Short | Read::NotDns => Frame::No,
    }
}
