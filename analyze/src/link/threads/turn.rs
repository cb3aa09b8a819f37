//! What an event loop has read and not worked on: it reads several sockets, then works on what it read in that order. Whether a
//! loop does is seen by its answers, whose requests are known. Never weighs.

use crate::call::CallIndex;
use std::collections::VecDeque;

/// So many reads are kept; a loop that has more before it is not in order anyway.
const MOST_PENDING: usize = 256;
/// A loop works in order where it answered so in at least this many percent of the cases that could show it, if there were enough …
const ORDERLY: u64 = 80;
const ENOUGH: u64 = 8;
/// … and in so many percent where there were fewer: most loops do.
const LIKELY: u64 = 50;

/// A message that nothing was written for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    /// Of which call.
    of: CallIndex,
    /// What may come of it is caused by one of these.
    pub(super) causes: Vec<CallIndex>,
    pub(super) at_ns: i64,
}

/// What was read, first things first.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pending: VecDeque<Pending>,
}

impl Turn {
    /// Reads the (last piece so far of a) message.
    pub(super) fn read(&mut self, of: CallIndex, causes: Vec<CallIndex>, at_ns: i64) {
        self.pending.retain(|pending| pending.of != of);
        if self.pending.len() == MOST_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { of, causes, at_ns });
    }

    /// It had nothing to do and waited until then: what it had read before led to nothing.
    pub(super) fn ends_before(&mut self, waited_ns: i64) {
        self.pending.retain(|pending| pending.at_ns > waited_ns);
    }

    /// The first read that may have caused what is written, and how many others may have.
    pub(super) fn next(
        &self,
        is_possible: impl Fn(CallIndex) -> bool,
    ) -> Option<(&Pending, usize)> {
        let mut possible =
            self.pending.iter().filter(|p| p.causes.iter().any(|cause| is_possible(*cause)));
        Some((possible.next()?, possible.count()))
    }

    /// Something was written that one of `causes` may have led to: whatever was read before led to nothing.
    pub(super) fn wrote(&mut self, is_cause: impl Fn(CallIndex) -> bool) {
        let place = self.pending.iter().position(|p| p.causes.iter().any(|cause| is_cause(*cause)));
        if let Some(place) = place {
            self.pending.drain(..=place);
        }
    }

    /// Whether a request that is answered now stands first, where there are several and it is one of them.
    pub(super) fn is_in_order(&self, answered: CallIndex) -> Option<bool> {
        let has = |pending: &Pending| pending.causes == [answered];
        let is_among = self.pending.iter().any(has);
        let has_others = self.pending.iter().any(|pending| !has(pending));
        (is_among && has_others).then(|| self.pending.front().is_some_and(has))
    }
}

/// In how many cases a process's loop answered in the order in which it read, and did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::link) struct Order {
    pub(in crate::link) held: u64,
    pub(in crate::link) broken: u64,
}

impl Order {
    pub(super) fn count(&mut self, held: bool) {
        self.held += u64::from(held);
        self.broken += u64::from(!held);
    }

    pub(super) fn is_kept(self) -> bool {
        let all = self.held + self.broken;
        let share = if all < ENOUGH { LIKELY } else { ORDERLY };
        self.held * 100 >= share * all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A turn of reads, each of a request of the same number.
    fn turn(reads: &[u32]) -> Turn {
        let mut turn = Turn::default();
        reads.iter().for_each(|read| turn.read(*read, vec![*read], 1));
        turn
    }

    #[test]
    fn what_was_read_first_is_worked_on_first() {
        let mut turn = turn(&[3, 4, 5]);
        let next = |turn: &Turn, possible: &[u32]| {
            turn.next(|cause| possible.contains(&cause)).map(|(p, behind)| (p.of, behind))
        };
        assert_eq!(next(&turn, &[3, 4, 5]), Some((3, 2)));
        assert_eq!(next(&turn, &[4, 5]), Some((4, 1)));
        assert_eq!(next(&turn, &[7]), None);
        turn.wrote(|cause| cause == 4);
        assert_eq!(next(&turn, &[3, 4, 5]), Some((5, 0)), "3 led to nothing");
        turn.ends_before(1);
        assert_eq!(next(&turn, &[3, 4, 5]), None);
    }

    #[test]
    fn the_last_piece_of_a_message_counts() {
        let turn = turn(&[3, 4, 3]);
        assert_eq!(turn.next(|_| true).map(|(p, _)| p.of), Some(4));
        assert_eq!(turn.pending.len(), 2);
    }

    #[test]
    fn answers_show_whether_order_is_kept() {
        assert_eq!(turn(&[3]).is_in_order(3), None, "there is no order in one");
        assert_eq!(turn(&[3, 4]).is_in_order(3), Some(true));
        assert_eq!(turn(&[3, 4]).is_in_order(4), Some(false));
        assert_eq!(turn(&[3, 4]).is_in_order(5), None);
        assert!(Order { held: 8, broken: 2 }.is_kept());
        assert!(Order { held: 2, broken: 2 }.is_kept(), "too few to say otherwise");
        assert!(!Order { held: 1, broken: 2 }.is_kept());
        assert!(!Order { held: 70, broken: 30 }.is_kept());
    }

    #[test]
    fn endless_reads_stay_bounded() {
        let all: Vec<u32> = (0..10_000).collect();
        assert_eq!(turn(&all).pending.len(), MOST_PENDING);
    }
}
