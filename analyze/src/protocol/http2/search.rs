//! Where frames begin in the midst of other bytes, and what a gap before them may have held. Never reads on from there.

use super::frame::{self, Frame, HEAD, PREFACE};
use crate::protocol::Side;

/// Heads that lead from one to the next prove a beginning wherever it is looked for.
const PROOF: usize = 2;

/// Whether frames begin here; `None`: that will be told by bytes that may come. What is cut must do with less.
pub(super) fn begins(bytes: &[u8], is_cut: bool, at_boundary: bool) -> Option<bool> {
    if bytes.starts_with(PREFACE) {
        return Some(true);
    }
    let (mut at, mut n) = (0_usize, 0);
    while n < PROOF {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(frame) = Frame::read(rest) else {
            let may_be = could_be(rest);
            if !is_cut {
                return if may_be { None } else { Some(false) };
            }
            let is_exact = n > 0 && at == bytes.len();
            return Some(is_exact || (n > 0 && at_boundary && may_be));
        };
        if !frame.is_likely() {
            return Some(false);
        }
        (at, n) = (at + frame.size() as usize, n + 1);
    }
    Some(true)
}

/// Whether a head may begin with so few bytes.
fn could_be(bytes: &[u8]) -> bool {
    PREFACE.starts_with(bytes)
        || (bytes.first().is_none_or(|&byte| byte == 0)
            && bytes.get(3).is_none_or(|&kind| kind <= frame::CONTINUATION))
}

/// Bytes of the shortest frame that may insert an entry: a request has four fields at least, trailers have one; an entry needs three bytes. What is shorter
/// is a WINDOW_UPDATE behind a body, more often than not.
pub(super) fn least_insertion(side: Side) -> u64 {
    HEAD as u64 + if side == Side::Client { 4 + 3 } else { 3 }
}
