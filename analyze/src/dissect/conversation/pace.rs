//! How soon each side of a TCP connection reacts, packet by packet, in constant state: acknowledgments by the stack, answers by the
//! program, and data held back until an acknowledgment came (Nagle against delayed ones, RFC 896, RFC 1122 4.2.3.2 and 4.2.3.4). Never
//! takes a time from what was sent twice (Karn).

use crate::call::Pace;

/// An acknowledgment was delayed if it took this long (Linux: 40 ms, 200 ms elsewhere) …
const DELAYED_NS: i64 = 30_000_000;
/// … and no longer than RFC 1122 allows.
const MOST_DELAYED_NS: i64 = 500_000_000;
/// What was held back for it leaves this soon.
const AT_ONCE_NS: i64 = 2_000_000;
/// A smaller segment is not full: Nagle's algorithm holds the next one back.
const SMALL: i64 = 1_000;

/// The oldest data of a side that nobody acknowledged.
#[derive(Debug, Clone, Copy)]
struct Pending {
    end: i64,
    at_ns: i64,
    /// Small, and nothing behind it.
    is_alone: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Side {
    pending: Option<Pending>,
    /// When its last data passed.
    last_ns: Option<i64>,
    /// A small segment of it was acknowledged late: when, and after how long.
    late: Option<(i64, i64)>,
    pace: Pace,
}

/// Both sides of one connection at one point.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paces {
    sides: [Side; 2],
    last: Option<usize>,
}

impl Paces {
    /// Data of a side passed: its stream places, and whether it is new.
    pub(super) fn data(&mut self, from: usize, now_ns: i64, [begin, end]: [i64; 2], is_new: bool) {
        let other = self.sides[1 - from].last_ns.filter(|_| self.last == Some(1 - from));
        self.sides[1 - from].late = None;
        let side = &mut self.sides[from];
        if !is_new {
            (side.pending, side.late) = (None, None);
            return;
        }
        if let Some(other_ns) = other {
            side.pace.turn.add(now_ns.saturating_sub(other_ns));
        }
        if let Some((at_ns, waited_ns)) = side.late.take()
            && now_ns.saturating_sub(at_ns) <= AT_ONCE_NS
        {
            side.pace.held_back.add(waited_ns);
        }
        match &mut side.pending {
            Some(pending) => pending.is_alone = false,
            None => {
                let is_alone = end.saturating_sub(begin) < SMALL;
                side.pending = Some(Pending { end, at_ns: now_ns, is_alone });
            }
        }
        side.last_ns = Some(now_ns);
        self.last = Some(from);
    }

    /// A side acknowledged what the other one sent, up to this place of its stream.
    pub(super) fn acknowledgment(&mut self, from: usize, now_ns: i64, place: i64, has_data: bool) {
        let side = &mut self.sides[1 - from];
        let Some(pending) = side.pending.filter(|pending| place >= pending.end) else { return };
        let waited_ns = now_ns.saturating_sub(pending.at_ns);
        side.pace.acknowledged.add(waited_ns);
        side.pending = None;
        let is_late = (DELAYED_NS..=MOST_DELAYED_NS).contains(&waited_ns);
        if is_late && pending.is_alone && !has_data {
            side.late = Some((now_ns, waited_ns));
        }
    }

    /// Of what a side sent.
    pub(super) fn of(&self, side: usize) -> Pace {
        self.sides[side].pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Latency;

    const MS: i64 = 1_000_000;

    enum Did {
        /// Side, when, places.
        Data(usize, i64, i64, i64),
        /// Side, when, up to where.
        Ack(usize, i64, i64),
        /// Data sent again.
        Again(usize, i64, i64, i64),
    }
    use Did::{Ack, Again, Data};

    fn paces(did: &[Did]) -> Paces {
        let mut paces = Paces::default();
        for one in did {
            match *one {
                Data(side, at, from, to) => paces.data(side, at * MS, [from, to], true),
                Again(side, at, from, to) => paces.data(side, at * MS, [from, to], false),
                Ack(side, at, to) => paces.acknowledgment(side, at * MS, to, false),
            }
        }
        paces
    }

    fn latency(count: u64, sum: i64, max: i64) -> Latency {
        Latency { count, sum_ns: sum * MS, max_ns: max * MS }
    }

    #[test]
    fn stacks_acknowledge_and_programs_answer() {
        let paces = paces(&[
            Data(0, 0, 0, 100),
            Ack(1, 1, 100),
            Data(1, 9, 0, 200),
            Ack(0, 10, 200),
            Data(0, 50, 100, 150),
            Data(1, 53, 200, 300),
        ]);
        assert_eq!(paces.of(0).acknowledged, latency(1, 1, 1), "srt");
        assert_eq!(paces.of(1).turn, latency(2, 12, 9), "art");
        assert_eq!(paces.of(0).turn, latency(1, 41, 41), "cit");
        assert_eq!(paces.of(1).held_back, Latency::default());
    }

    #[test]
    fn what_was_sent_twice_gives_no_time() {
        let paces = paces(&[Data(0, 0, 0, 100), Again(0, 200, 0, 100), Ack(1, 201, 100)]);
        assert_eq!(paces.of(0).acknowledged, Latency::default());
    }

    fn check_held_back(did: &[Did], expected: Latency) {
        assert_eq!(paces(did).of(1).held_back, expected);
    }

    #[test]
    fn small_writes_wait_for_a_late_acknowledgment() {
        let late = latency(1, 40, 40);
        check_held_back(&[Data(1, 0, 0, 200), Ack(0, 40, 200), Data(1, 41, 200, 900)], late);
        // A full segment is not held back, nor what comes later of itself, nor what was answered at once.
        let none = Latency::default();
        check_held_back(&[Data(1, 0, 0, 1448), Ack(0, 40, 1448), Data(1, 41, 1448, 1500)], none);
        check_held_back(&[Data(1, 0, 0, 200), Ack(0, 40, 200), Data(1, 60, 200, 900)], none);
        check_held_back(&[Data(1, 0, 0, 200), Ack(0, 2, 200), Data(1, 3, 200, 900)], none);
        // The other side spoke in between: this is an answer.
        let answer =
            [Data(1, 0, 0, 200), Ack(0, 40, 200), Data(0, 40, 0, 9), Data(1, 41, 200, 900)];
        check_held_back(&answer, none);
    }
}
