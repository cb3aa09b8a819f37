//! Which bytes of one direction are looked at: those that passed some point twice, and those that one point saw and another did not. Never
//! says what became of them.

use super::passing::Passing;
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of one direction that are looked at.
pub(super) const MOST: usize = 10_000;
/// Pieces of one copy that are told apart.
const MOST_PIECES: usize = 64;

/// The first byte of each piece that all points saw whole, and how many were left out.
pub(super) fn suspects(passing: &[Passing]) -> (Vec<i64>, u64) {
    let mut bytes: BTreeSet<i64> = BTreeSet::new();
    let mut n_left_out = 0;
    let mut add = |range: Range<i64>| {
        if bytes.len() >= MOST {
            n_left_out += u64::from(!bytes.contains(&range.start));
            return;
        }
        bytes.insert(range.start);
        let inside = range.start.saturating_add(1)..range.end;
        for point in passing {
            bytes.extend(point.begins(inside.clone()).take(MOST_PIECES));
        }
    };
    for point in passing {
        let mut highest = i64::MIN;
        for copy in &point.copies {
            if copy.begin < highest {
                add(copy.begin..copy.end.min(highest));
            }
            highest = highest.max(copy.end);
        }
    }
    for range in holes(passing) {
        add(range);
    }
    (bytes.into_iter().collect(), n_left_out)
}

/// What the first point saw and another did not, though it had seen what came before.
fn holes(passing: &[Passing]) -> Vec<Range<i64>> {
    let Some((first, others)) = passing.split_first() else { return Vec::new() };
    let sent = first.seen();
    let mut holes = Vec::new();
    for other in others {
        let Some(lowest) = other.lowest else { continue };
        let mut seen = other.seen().into_iter().peekable();
        for range in &sent {
            let mut from = range.start.max(lowest);
            while from < range.end {
                while seen.next_if(|next| next.end <= from).is_some() {}
                match seen.peek() {
                    Some(next) if next.start <= from => from = next.end,
                    Some(next) => {
                        holes.push(from..next.start.min(range.end));
                        from = next.start.min(range.end);
                    }
                    None => {
                        holes.push(from..range.end);
                        break;
                    }
                }
            }
        }
    }
    holes
}
