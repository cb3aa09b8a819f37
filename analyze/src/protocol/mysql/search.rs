//! Where packets of a server begin, in the midst of other bytes or at a boundary, and whether bytes are a server's at all. Never reads on from there.

use super::packet::{self, Packet};
use super::server::{DEFINITION, EOF, EOF_LENGTH, ERROR, OK, Stage, n_columns};
use crate::protocol::{Half, Match};

/// What begins here: a response whose first packet proves itself, or the rest of one, two packets in their order at least.
pub(super) fn begins(bytes: &[u8], is_cut: bool) -> Option<Stage> {
    let (length, sequence) = packet::head(bytes)?;
    let payload = bytes.get(4..)?;
    let behind = payload.get(length as usize..).unwrap_or_default();
    let next = packet::head(behind);
    if sequence != 1 {
        let follows = next.is_some_and(|(_, next)| next == sequence.wrapping_add(1));
        return (sequence > 1 && length > 0 && follows).then_some(Stage::Stray);
    }
    let payload = &payload[..payload.len().min(length as usize)];
    let ends = |behind: &[u8]| behind.is_empty() && is_cut;
    let is_new = next.is_some_and(|(_, sequence)| sequence <= 2) || ends(behind);
    let is_first = match *payload.first()? {
        OK => length >= 7 && is_new,
        ERROR => payload.get(3).is_none_or(|b| *b == b'#') && length > 8 && is_new,
        EOF => length == EOF_LENGTH && is_new,
        _ => {
            let packet = Packet { begin: 0, end: 0, sequence, length, payload, goes_on: false };
            n_columns(packet).is_some() && behind.get(4..8) == Some(&DEFINITION)
        }
    };
    is_first.then_some(Stage::Start)
}

/// Whether a response begins in the midst of other bytes: with the number of columns and the first of them, an error with its SQLSTATE, an OK
/// before another response (`is_first`). `None`: bytes that may come will tell.
pub(super) fn proves(bytes: &[u8], is_cut: bool, is_first: bool) -> Option<bool> {
    let more = if is_cut { Some(false) } else { None };
    let at = |nth: usize| bytes.get(nth).copied();
    // A length of less than 64 KiB, sequence number 1.
    if at(2).is_some_and(|high| high != 0) || at(3).is_some_and(|sequence| sequence != 1) {
        return Some(false);
    }
    let (Some((length, _)), Some(first)) = (packet::head(bytes), at(4)) else { return more };
    let length = length as usize;
    match first {
        ERROR => {
            let is_state = bytes.iter().skip(8).take(5).all(u8::is_ascii_alphanumeric);
            match (length, at(7), at(12)) {
                (9.., None | Some(b'#'), None) if is_state => more,
                (9.., Some(b'#'), Some(_)) => Some(is_state),
                _ => Some(false),
            }
        }
        OK if length == 7 && is_first => proves(bytes.get(11..).unwrap_or_default(), is_cut, false),
        OK => Some(length >= 7 && !is_first),
        1..=0xfa if length == 1 => {
            let behind = [Some(0), Some(2), Some(3), Some(b'd'), Some(b'e'), Some(b'f')];
            let fits =
                |(nth, byte): (usize, &Option<u8>)| at(7 + nth).is_none() || at(7 + nth) == *byte;
            match behind.iter().enumerate().all(fits) {
                true if at(12).is_none() => more,
                is_so => Some(is_so),
            }
        }
        _ => Some(false),
    }
}

/// Whether no bytes that may come make a packet of these.
pub(super) fn is_hopeless(bytes: &[u8]) -> bool {
    match packet::head(bytes) {
        None => false,
        Some((length, sequence)) => {
            let is_whole = bytes.len() > 4 + length as usize + 8;
            sequence == 0 || length == 0 || length > 1 << 16 || is_whole
        }
    }
}

/// Whether a server begins with a greeting of protocol 10 (or an error): version, number of the connection, eight bytes, zero.
pub(super) fn greets(half: &Half<'_>) -> Match {
    let bytes = half.at(half.start);
    let Some((length, sequence)) = packet::head(bytes) else {
        return if bytes.len() < 4 { Match::Maybe } else { Match::No };
    };
    if sequence != 0 || length > 1_024 {
        return Match::No;
    }
    match bytes.get(4) {
        None => Match::Maybe,
        Some(&ERROR) => Match::Maybe,
        Some(10) => {
            let Some(n) = bytes[5..].iter().position(|byte| *byte == 0) else {
                return Match::Maybe;
            };
            let is_version =
                n > 2 && bytes[5..5 + n].iter().all(|byte| (b' '..=b'~').contains(byte));
            match bytes.get(5 + n + 13) {
                _ if !is_version => Match::No,
                Some(0) => Match::Yes,
                Some(_) => Match::No,
                None => Match::Maybe,
            }
        }
        Some(_) => Match::No,
    }
}

/// Whether packets of a result stand here.
pub(super) fn is_result(bytes: &[u8]) -> bool {
    match begins(bytes, false) {
        Some(Stage::Start) => {
            let (length, _) = packet::head(bytes).unwrap_or_default();
            bytes.get(length as usize + 8..).is_some_and(|rest| rest.starts_with(&DEFINITION))
        }
        _ => false,
    }
}

/// Whether these bytes begin with an OK that says nothing more, as most do.
pub(super) fn is_ok(bytes: &[u8]) -> bool {
    packet::head(bytes) == Some((7, 1)) && bytes.get(4) == Some(&OK)
}
