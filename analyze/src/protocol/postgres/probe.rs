//! Whether a stretch is PostgreSQL: a start-up packet, or messages that follow one another in both halves.
//! Never looks into more than the first messages.

use crate::protocol::cursor::Cursor;
use crate::protocol::{Half, Match, Side, Stretch};

use super::frame::{Chain, Reader, chained, opens};

/// Asks both halves.
pub(super) fn probe(stretch: &Stretch<'_>) -> Match {
    let (client, server) = (stretch.client.pieces.first(), stretch.server.pieces.first());
    if let Some(client) = client {
        match opening(client.bytes) {
            Match::No => {}
            sure => {
                let answered = server.is_none_or(|s| {
                    matches!(s.bytes, [b'S' | b'N' | b'G' | b'R' | b'E' | b'v', ..])
                });
                return if answered { sure } else { Match::No };
            }
        }
    }
    let typed = [(&stretch.client, Side::Client), (&stretch.server, Side::Server)];
    let found = typed.map(|(half, side)| messages(half, side));
    match found {
        [Some(Match::No), _] | [_, Some(Match::No)] if stretch.from_start => Match::No,
        [Some(Match::Yes), Some(Match::Yes)] => Match::Yes,
        [None, None] => Match::No,
        _ if stretch.from_start => Match::Maybe,
        _ if typed.iter().all(|(half, side)| half.pieces.is_empty() || occurs(half, *side)) => {
            Match::Maybe
        }
        _ => Match::No,
    }
}

fn opening(bytes: &[u8]) -> Match {
    let mut cursor = Cursor::new(bytes);
    match (cursor.u32_be(), cursor.u32_be()) {
        (Some(length), Some(code)) if opens(length, code) => Match::Yes,
        (Some(length), None) if (8..10_000).contains(&length) => Match::Maybe,
        _ => Match::No,
    }
}

/// What a half's first bytes say; `None`: nothing was captured.
fn messages(half: &Half<'_>, side: Side) -> Option<Match> {
    let piece = half.pieces.first()?;
    Some(match chained(side, piece.bytes) {
        Chain::Yes => Match::Yes,
        Chain::TooShort { .. } => Match::Maybe,
        Chain::No => Match::No,
    })
}

/// Whether messages follow one another anywhere in the half.
fn occurs(half: &Half<'_>, side: Side) -> bool {
    let mut reader = Reader::new(side);
    reader.resume(half, true);
    reader.next(half).is_some()
}
