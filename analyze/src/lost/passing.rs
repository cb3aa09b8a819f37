//! One direction of a connection at one point: what passed there, by place and by time, and what the other side acknowledged. Never
//! compares two points.

use super::segments::Segment;
use crate::call::FlowIndex;

/// Captured twice at one point rather than sent twice: nobody sends again so soon what he has no answer to.
const CAPTURED_TWICE_NS: i64 = 100_000;
/// A second capture comes among so many packets behind the first.
const CAPTURED_TWICE_WITHIN: usize = 8;

/// A copy of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Place of its first byte.
    pub(super) begin: i64,
    /// Behind its last.
    pub(super) end: i64,
    /// When it passed.
    pub(super) at_ns: i64,
    /// What tells it from other copies.
    pub(super) id: Option<u32>,
    /// It opens the connection.
    pub(super) is_syn: bool,
}

/// One direction at one point. Places count from the number that the connection began with there.
pub(super) struct Passing {
    /// Of which flow.
    pub(super) flow: FlowIndex,
    /// The sequence number of place 0.
    pub(super) base: u32,
    /// In order of time.
    pub(super) copies: Vec<Copied>,
    /// When the other side acknowledged up to which place, in order of time.
    pub(super) acknowledged: Vec<(i64, i64)>,
    /// The lowest place of any packet of this direction, those without bytes too.
    pub(super) first: Option<i64>,
    /// Indices of copies by where they begin.
    by_begin: Vec<u32>,
    /// The longest copy.
    longest: i64,
}

impl Passing {
    /// Of a flow's segments, in order of time.
    pub(super) fn of(
        flow: FlowIndex,
        segments: &[&Segment],
        from_client: bool,
        base: u32,
    ) -> Passing {
        let place = |sequence: u32| i64::from(sequence.wrapping_sub(base) as i32);
        let mut here = Passing {
            flow,
            base,
            copies: Vec::new(),
            acknowledged: Vec::new(),
            first: None,
            by_begin: Vec::new(),
            longest: 0,
        };
        for segment in segments {
            if segment.from_client != from_client {
                let number = segment.acknowledgment.map(place);
                here.acknowledged.extend(number.map(|number| (segment.at_ns, number)));
                continue;
            }
            let begin = place(segment.sequence);
            here.first = Some(here.first.map_or(begin, |first| first.min(begin)));
            if segment.length > 0 {
                let end = begin + i64::from(segment.length);
                let Segment { at_ns, id, is_syn, .. } = **segment;
                here.add(Copied { begin, end, at_ns, id, is_syn });
            }
        }
        here.by_begin = (0..here.copies.len() as u32).collect();
        here.by_begin.sort_by_key(|&i| here.copies[i as usize].begin);
        here
    }

    fn add(&mut self, copy: Copied) {
        let is_same = |other: &Copied| {
            let soon = copy.at_ns.saturating_sub(other.at_ns) < CAPTURED_TWICE_NS;
            (other.begin, other.end, other.id) == (copy.begin, copy.end, copy.id)
                && (soon || copy.id.is_some() && !copy.is_syn)
        };
        if !self.copies.iter().rev().take(CAPTURED_TWICE_WITHIN).any(is_same) {
            self.longest = self.longest.max(copy.end - copy.begin);
            self.copies.push(copy);
        }
    }

    /// The copies of the byte at this place, in order of time.
    pub(super) fn covering(&self, place: i64) -> Vec<Copied> {
        let copy = |&i: &u32| self.copies[i as usize];
        let until = self.by_begin.partition_point(|i| copy(i).begin <= place);
        let near = self.by_begin[..until].iter().rev();
        let near = near.take_while(|i| copy(i).begin > place - self.longest);
        let mut found: Vec<u32> = near.filter(|i| copy(i).end > place).copied().collect();
        found.sort_unstable();
        found.iter().map(copy).collect()
    }

    /// Where copies begin between two places, both left out, in order.
    pub(super) fn begins_between(&self, from: i64, to: i64) -> impl Iterator<Item = i64> + '_ {
        let begin = |&i: &u32| self.copies[i as usize].begin;
        let first = self.by_begin.partition_point(|i| begin(i) <= from);
        self.by_begin[first..].iter().map(begin).take_while(move |begin| *begin < to)
    }

    /// What was acknowledged from one instant on, before another.
    pub(super) fn acknowledged_in(&self, from_ns: i64, to_ns: i64) -> &[(i64, i64)] {
        let at = |ns: i64| self.acknowledged.partition_point(|(at_ns, _)| *at_ns < ns);
        let from = at(from_ns);
        &self.acknowledged[from..at(to_ns).max(from)]
    }

    /// When the first copy passed, behind an instant, that begins behind a place.
    pub(super) fn first_behind(&self, place: i64, from_ns: i64) -> Option<i64> {
        let later = self.copies.partition_point(|copy| copy.at_ns <= from_ns);
        self.copies[later..].iter().find(|copy| copy.begin > place).map(|copy| copy.at_ns)
    }
}
