//! The way along a half until a parser finds its place again: over gaps, byte run by byte run. What a beginning looks like, the protocols say.

use super::stretch::Half;

/// What a look at contiguous bytes found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// So many bytes further something begins.
    At(usize),
    /// There, maybe: bytes that may come will tell.
    Wait(usize),
    /// Nowhere in these bytes.
    Nowhere,
}

/// Goes to the first place that `look` finds, which is given bytes, whether nothing follows them, and whether they begin where the capture shows
/// that something may begin (behind a gap, at its start). True: `position` is there. False: more bytes are needed, from `position` on.
pub(super) fn seek(
    half: &Half<'_>,
    position: &mut u64,
    at_boundary: &mut bool,
    mut look: impl FnMut(&[u8], bool, bool) -> Look,
) -> bool {
    loop {
        let bytes = half.at(*position);
        if bytes.is_empty() {
            if *position >= half.end {
                return false;
            }
            *position = half.next_known(*position).unwrap_or(half.end).min(half.end);
            *at_boundary = true;
            continue;
        }
        match look(bytes, half.cut_after(*position), *at_boundary) {
            Look::At(n) => {
                *position += n as u64;
                return true;
            }
            Look::Wait(n) => {
                *position += n as u64;
                *at_boundary &= n == 0;
                return false;
            }
            Look::Nowhere => {
                *position += bytes.len() as u64;
                *at_boundary = false;
            }
        }
    }
}
