//! Finding the next head after bytes that could not be followed: a gap, a late start, nonsense. Never looks at a byte
//! more than a bounded number of times.

use super::super::{Half, Side};
use super::head::{Begins, METHODS, begins, probe};

const MAX_TARGET: usize = 8 << 10;
/// What may belong to a request line still incomplete.
const KEPT_OF_REQUEST: usize = MAX_TARGET + 64;
/// What may belong to a status line still incomplete.
const KEPT_OF_RESPONSE: usize = 16;

/// How much of a half joined late is looked at for the probe.
const MAX_LOOK: usize = 1 << 20;

/// Whether a head begins anywhere in the first bytes of a half joined late: at the start of a piece a beginning will do,
/// elsewhere it takes a whole start line.
pub(super) fn occurs(side: Side, half: &Half<'_>) -> bool {
    let mut left = MAX_LOOK;
    for piece in half.pieces {
        let bytes = &piece.bytes[..piece.bytes.len().min(left)];
        if probe(side, bytes) == Begins::Yes || find(side, bytes).is_some() {
            return true;
        }
        left -= bytes.len();
        if left == 0 {
            break;
        }
    }
    false
}

/// A search in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    /// The byte before the position was not captured: a packet may begin here, so the beginning of a head will do.
    after_gap: bool,
}

impl Search {
    /// A search among bytes that go on from known ones.
    pub(super) fn within_bytes() -> Self {
        Search { after_gap: false }
    }

    /// A search at a place where a message may begin.
    pub(super) fn at_a_start() -> Self {
        Search { after_gap: true }
    }

    /// Moves `position` to the next head and tells whether there is one; else to where the search has to go on.
    pub(super) fn walk(&mut self, side: Side, half: &Half<'_>, position: &mut u64) -> bool {
        loop {
            let bytes = half.at(*position);
            if bytes.is_empty() {
                let next = half.next_known(*position).filter(|&known| known < half.end);
                self.after_gap |= *position < half.end;
                *position = next.unwrap_or(half.end);
                if next.is_none() {
                    return false;
                }
                continue;
            }
            let goes_on = !half.cut_after(*position);
            if self.after_gap {
                match begins(side, bytes, true) {
                    Begins::Yes => return true,
                    Begins::More if goes_on => return false,
                    Begins::More | Begins::No => self.after_gap = false,
                }
            }
            if let Some(at) = find(side, bytes) {
                *position += at as u64;
                return true;
            }
            let kept = if goes_on { kept(side).min(bytes.len()) } else { 0 };
            *position += (bytes.len() - kept) as u64;
            if goes_on {
                return false;
            }
        }
    }
}

fn kept(side: Side) -> usize {
    match side {
        Side::Client => KEPT_OF_REQUEST,
        Side::Server => KEPT_OF_RESPONSE,
    }
}

/// The first whole start line in `bytes`, wherever a line begins: bodies need not end with a line break.
fn find(side: Side, bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(7).position(|w| w == b"HTTP/1.") {
        let version = from + at;
        let found = match side {
            Side::Client => request_before(bytes, version),
            Side::Server => response_at(bytes, version),
        };
        if found.is_some() {
            return found;
        }
        from = version + 7;
    }
    None
}

fn response_at(bytes: &[u8], at: usize) -> Option<usize> {
    let line = bytes.get(at..at + 13)?;
    let whole = matches!(line[12], b' ' | b'\r' | b'\n');
    (whole && begins(Side::Server, line, true) == Begins::Yes).then_some(at)
}

/// The start of the request line whose version is at `version`: `METHOD SP target SP`, read backwards.
fn request_before(bytes: &[u8], version: usize) -> Option<usize> {
    let ends = bytes.get(version + 7).is_some_and(u8::is_ascii_digit);
    let target_end = version.checked_sub(1).filter(|&i| ends && bytes[i] == b' ')?;
    let window = &bytes[target_end.saturating_sub(MAX_TARGET)..target_end];
    let target_length = window.iter().rev().position(|b| b.is_ascii_whitespace())?;
    let method_end = (target_end - target_length).checked_sub(1)?;
    if target_length == 0 || bytes[method_end] != b' ' {
        return None;
    }
    let before = &bytes[..method_end];
    let methods = METHODS.iter().filter(|m| before.ends_with(m.as_bytes()));
    methods.map(|m| method_end - m.len()).min()
}
