//! A call and a request that may have caused it, as the evidence looks at them. Never decides.

use super::assignment::Assignment;
use super::roles::{CallKind, Edge};
use crate::call::{Call, CallIndex};

/// So many of a parent's latest calls are looked at: one that is open all the time may have made any number.
const MOST_CALLS: usize = 64;

/// A possible parent and a child, at a moment of the assignment.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) among: &'a Assignment<'a>,
    pub(super) parent: CallIndex,
    pub(super) child: CallIndex,
    /// How many such calls the parent had been given, where that was written down; else, so far.
    pub(super) had_made: Option<u32>,
}

impl<'a> Pair<'a> {
    /// The child itself.
    pub(super) fn child_call(&self) -> &'a Call {
        &self.among.roles.calls[self.child as usize]
    }

    /// Who serves the parent, and what the child asks of whom.
    pub(super) fn edge(&self) -> Edge {
        self.among.roles.edge(self.parent, self.child)
    }

    /// Who serves the parent, and which kind of call the child is.
    pub(super) fn kind(&self) -> CallKind {
        self.among.roles.kind(self.parent, self.child)
    }

    /// How many calls of this kind the parent was given before.
    pub(super) fn n_made(&self) -> u32 {
        self.had_made.unwrap_or_else(|| self.among.n_made(self.parent, self.kind().1))
    }

    /// How rare the rarest word is that both bear, as a class; 0: none.
    pub(super) fn words(&self) -> usize {
        self.among.beliefs.words.shared(self.parent, self.child)
    }

    /// How long before the child was asked something happened to the parent last: it was read, or a call of it was answered; and whether
    /// another call of it was still out.
    pub(super) fn since(&self) -> (bool, i64) {
        let (served, asked) = self.among.roles.beside(self.parent, self.child);
        let (mut is_beside, mut last) = (false, served.request_last);
        let busy = self.among.busy(self.parent);
        let before = busy.partition_point(|&(from, _)| from <= asked.from);
        for &(from, to) in busy[..before].iter().rev().take(MOST_CALLS) {
            if (from, to) == (asked.from, asked.to) {
                continue;
            }
            match to > asked.from {
                true => is_beside = true,
                false => last = last.max(to),
            }
        }
        (is_beside, asked.from.saturating_sub(last))
    }
}
