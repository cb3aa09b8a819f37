//! A call and a request that may have caused it, as the evidence looks at them. Never decides.

use super::assignment::Assignment;
use super::roles::{CallKind, Edge};
use crate::call::{Call, CallIndex};

/// So many of a parent's latest calls are looked at: one that is open all the time may have made any number.
const MOST_CALLS: usize = 64;

/// A call that keeps its parent waiting: from its first byte to its answer's last, and what is asked of whom, by number.
pub(super) type Busy = (i64, i64, u32);

/// The last thing that happened to a request before something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Since {
    /// How long before.
    pub(super) delay_ns: i64,
    /// What was asked of whom in the call that was answered then; `None`: the request was read.
    pub(super) after: Option<u32>,
    /// Whether another call of it was still out.
    pub(super) is_beside: bool,
}

/// A possible parent and a child, after other calls of the parent.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) among: &'a Assignment<'a>,
    pub(super) parent: CallIndex,
    pub(super) child: CallIndex,
    /// The parent's calls, by their start.
    pub(super) busy: &'a [Busy],
    /// How many such calls the parent made before.
    pub(super) n_made: u32,
}

impl<'a> Pair<'a> {
    /// The child itself.
    pub(super) fn child_call(&self) -> &'a Call {
        &self.among.roles.calls[self.child as usize]
    }

    /// The request that it may be of.
    pub(super) fn parent_call(&self) -> &'a Call {
        &self.among.roles.calls[self.parent as usize]
    }

    /// Who serves the parent, and what the child asks of whom.
    pub(super) fn edge(&self) -> Edge {
        self.among.roles.edge(self.parent, self.child)
    }

    /// The parent's kind, and the child's.
    pub(super) fn kind(&self) -> CallKind {
        self.among.roles.kind(self.parent, self.child)
    }

    /// How rare the rarest word is that both bear, as a class; 0: none.
    pub(super) fn words(&self) -> usize {
        self.among.beliefs.words.shared(self.parent, self.child)
    }

    /// When the child was asked, on a clock that the parent was seen on, too.
    pub(super) fn asked_from(&self) -> i64 {
        self.among.roles.beside(self.parent, self.child).1.from
    }

    /// What happened to the parent before the child was asked.
    pub(super) fn since(&self) -> Since {
        let (served, asked) = self.among.roles.beside(self.parent, self.child);
        let before = self.busy.partition_point(|&(from, ..)| from <= asked.from);
        let others = self.busy[..before].iter().rev().take(MOST_CALLS);
        let others = others.filter(|&&(from, to, _)| (from, to) != (asked.from, asked.to));
        since(served.request_last, others, asked.from)
    }
}

/// What happened to a request, which was read at `read_ns` and made these calls, until an instant.
fn since<'b>(read_ns: i64, busy: impl Iterator<Item = &'b Busy>, until_ns: i64) -> Since {
    let (mut is_beside, mut last_ns, mut after) = (false, read_ns, None);
    for &(_, to, asked) in busy {
        match to > until_ns {
            true => is_beside = true,
            false if to > last_ns || after.is_none() && to == last_ns => {
                (last_ns, after) = (to, Some(asked));
            }
            false => {}
        }
    }
    Since { delay_ns: until_ns.saturating_sub(last_ns), after, is_beside }
}

/// A request with all of its calls.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) among: &'a Assignment<'a>,
    pub(super) parent: CallIndex,
    /// Its calls, by their start.
    pub(super) busy: &'a [Busy],
    /// How many calls of which kind it made.
    pub(super) made: &'a [(u32, u32)],
}

impl Whole<'_> {
    /// Who serves it.
    pub(super) fn listener(&self) -> u32 {
        self.among.roles.edge(self.parent, self.parent).0
    }

    /// Its kind.
    pub(super) fn kind(&self) -> u32 {
        self.among.roles.kind(self.parent, self.parent).1
    }

    /// What happened to it before it was answered, if it was.
    pub(super) fn since(&self) -> Option<Since> {
        let served = self.among.roles.served(self.parent);
        let others = self.busy.iter().rev().take(MOST_CALLS);
        Some(since(served.request_last, others, served.answered?))
    }
}

/// So many kinds of call of a request are told apart.
const MOST_KINDS: usize = 64;

/// Counts one more call of a kind.
pub(super) fn count(made: &mut Vec<(u32, u32)>, kind: u32) {
    match made.iter().position(|(made, _)| *made == kind) {
        Some(place) => made[place].1 += 1,
        None if made.len() < MOST_KINDS => made.push((kind, 1)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thing_that_happened() {
        let check = |busy: &[Busy], delay_ns, after, is_beside| {
            let expected = Since { delay_ns, after, is_beside };
            assert_eq!(since(100, busy.iter(), 1_000), expected, "{busy:?}");
        };
        check(&[], 900, None, false);
        check(&[(200, 400, 7)], 600, Some(7), false);
        check(&[(200, 400, 7), (300, 350, 8)], 600, Some(7), false);
        check(&[(200, 1_001, 7), (300, 350, 8)], 650, Some(8), true);
        check(&[(200, i64::MAX, 7)], 900, None, true);
    }
}
