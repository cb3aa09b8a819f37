//! One direction of a connection at one point: which bytes passed when, how often, and what the other side said of them. Never knows of
//! another point.

use super::segments::Segment;
use crate::flow::FlowIndex;
use std::ops::Range;

/// Captured twice at one point rather than sent twice: nobody sends again so soon what he has no answer to.
const CAPTURED_TWICE_NS: i64 = 100_000;
/// Packets of one time stamp and no identification are one this soon: what was sent in one tick of the clock no two points tell apart alike
/// (Linux's SYN-ACKs: one by the timer, one that answers a SYN sent again).
const SAME_TICK_NS: i64 = 10_000_000;
/// One IPv4 identification this soon names one packet.
const SAME_ID_NS: i64 = 1_000_000_000;
/// Copies before it that one is compared with.
const RECENT: usize = 8;
/// Answers that are looked at in one time.
const MOST_ANSWERS: usize = 1_000;

/// A copy of some bytes at a point. Places count from the sender's first number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) begin: i64,
    pub(super) end: i64,
    pub(super) at_ns: i64,
    pub(super) is_syn: bool,
    is_fin: bool,
    id: Option<u32>,
    timestamp: Option<u32>,
}

impl Copied {
    /// Whether this is the other's transmission at another point; `None`: nothing tells. Cutting gives further pieces further
    /// identifications, so the time stamp is asked first.
    pub(super) fn is(&self, other: &Copied) -> Option<bool> {
        let stamps = self.timestamp.zip(other.timestamp);
        stamps.or(self.id.zip(other.id)).map(|(one, another)| one == another)
    }

    /// Whether a second capture of this one is `other`.
    fn is_captured_twice(&self, other: &Copied) -> bool {
        let apart_ns = other.at_ns.saturating_sub(self.at_ns);
        let within_ns = match (self.id, self.timestamp) {
            (Some(_), _) => SAME_ID_NS,
            (None, Some(_)) => SAME_TICK_NS,
            (None, None) => CAPTURED_TWICE_NS,
        };
        Copied { at_ns: 0, ..*self } == Copied { at_ns: 0, ..*other } && apart_ns < within_ns
    }
}

/// What the other side said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) at_ns: i64,
    /// It has everything before this place.
    pub(super) place: i64,
    /// Its own number and length.
    pub(super) sequence: u32,
    pub(super) length: u32,
    twice: Option<(i64, i64)>,
    blocks: [Option<(i64, i64)>; 2],
    is_full: bool,
}

/// One direction at one point.
pub(super) struct Passing {
    pub(super) flow: FlowIndex,
    /// The sequence number of place 0.
    pub(super) base: u32,
    /// In order of time.
    pub(super) copies: Vec<Copied>,
    /// In order of time.
    pub(super) answers: Vec<Answer>,
    /// The lowest place that was seen, of packets without bytes too.
    pub(super) lowest: Option<i64>,
    /// Both ends told that they understand selective acknowledgments, or used them.
    pub(super) tells_twice: bool,
    /// Indices of copies by where they begin, and their greatest length.
    by_begin: Vec<u32>,
    longest: i64,
    /// What was acknowledged up to each answer.
    highest: Vec<i64>,
}

impl Passing {
    /// Of one flow's segments in order of time; `base` is the number of place 0.
    pub(super) fn of(
        flow: FlowIndex,
        segments: &[&Segment],
        from_client: bool,
        base: u32,
    ) -> Passing {
        let mut here = Passing {
            flow,
            base,
            copies: Vec::new(),
            answers: Vec::new(),
            lowest: None,
            tells_twice: false,
            by_begin: Vec::new(),
            longest: 0,
            highest: Vec::new(),
        };
        let mut top = 0;
        let mut permits = [false; 2];
        for segment in segments {
            permits[usize::from(segment.from_client)] |= segment.told.permits_sack;
            match segment.from_client == from_client {
                true => here.add_copy(segment, &mut top),
                false => here.add_answer(segment, top),
            }
        }
        let used = here.answers.iter().any(|answer| answer.blocks[0].is_some());
        here.tells_twice = used || permits == [true; 2];
        here.by_begin = (0..here.copies.len() as u32).collect();
        let copies = &here.copies;
        here.by_begin.sort_by_key(|&i| copies[i as usize].begin);
        here
    }

    /// The place of a number near `top`: streams are longer than numbers.
    fn place(&self, number: u32, top: i64) -> i64 {
        let near = self.base.wrapping_add(top as u32);
        top.saturating_add(i64::from(number.wrapping_sub(near) as i32))
    }

    fn add_copy(&mut self, segment: &Segment, top: &mut i64) {
        let begin = self.place(segment.sequence, *top);
        self.lowest = Some(self.lowest.map_or(begin, |lowest| lowest.min(begin)));
        if segment.length == 0 {
            return;
        }
        let end = begin.saturating_add(i64::from(segment.length));
        *top = (*top).max(end);
        let Segment { at_ns, id, timestamp, is_syn, is_fin, .. } = *segment;
        let copy = Copied { begin, end, at_ns, id, timestamp, is_syn, is_fin };
        let mut recent = self.copies.iter().rev().take(RECENT);
        if !recent.any(|other| other.is_captured_twice(&copy)) && !self.is_probe(&copy) {
            self.longest = self.longest.max(end.saturating_sub(begin));
            self.copies.push(copy);
        }
    }

    fn add_answer(&mut self, segment: &Segment, top: i64) {
        let Some(number) = segment.acknowledgment else { return };
        let place = self.place(number, top);
        let block = |(from, to): (u32, u32)| (self.place(from, top), self.place(to, top));
        let twice = segment.told.twice(number).map(block);
        let blocks = segment.told.blocks.map(|each| each.map(block));
        let Segment { at_ns, sequence, length, is_full, .. } = *segment;
        self.answers.push(Answer { at_ns, place, sequence, length, twice, blocks, is_full });
        let before = self.highest.last().copied().unwrap_or(i64::MIN);
        self.highest.push(before.max(place));
    }

    /// One byte that was acknowledged, or that finds no room, asks whether the other side is there.
    fn is_probe(&self, copy: &Copied) -> bool {
        let (answered, full) = (self.highest.last(), self.answers.last().map(|a| a.is_full));
        copy.end.saturating_sub(copy.begin) <= 1
            && !copy.is_syn
            && !copy.is_fin
            && (answered.is_some_and(|place| *place > copy.begin) || full == Some(true))
    }

    /// The copies of a byte, in order of time.
    pub(super) fn covering(&self, byte: i64) -> Vec<Copied> {
        let from = self.first_from(byte.saturating_sub(self.longest));
        let mut found: Vec<u32> = self.by_begin[from..self.first_from(byte.saturating_add(1))]
            .iter()
            .copied()
            .filter(|&i| self.copies[i as usize].end > byte)
            .collect();
        found.sort_unstable();
        found.into_iter().map(|i| self.copies[i as usize]).collect()
    }

    /// Where copies begin inside a range.
    pub(super) fn begins(&self, within: Range<i64>) -> impl Iterator<Item = i64> {
        let range = self.first_from(within.start)..self.first_from(within.end.max(within.start));
        self.by_begin[range].iter().map(|&i| self.copies[i as usize].begin)
    }

    fn first_from(&self, place: i64) -> usize {
        self.by_begin.partition_point(|&i| self.copies[i as usize].begin < place)
    }

    /// All bytes that passed, as ranges in order.
    pub(super) fn seen(&self) -> Vec<Range<i64>> {
        let mut seen: Vec<Range<i64>> = Vec::new();
        for &i in &self.by_begin {
            let copy = &self.copies[i as usize];
            match seen.last_mut().filter(|last| last.end >= copy.begin) {
                Some(last) => last.end = last.end.max(copy.end),
                None => seen.push(copy.begin..copy.end),
            }
        }
        seen
    }

    /// When this byte was first acknowledged.
    pub(super) fn acknowledged_at(&self, byte: i64) -> Option<i64> {
        let first = self.highest.partition_point(|place| *place <= byte);
        self.answers.get(first).map(|answer| answer.at_ns)
    }

    /// What the other side said in some time, the beginning of it.
    pub(super) fn answers(&self, from_ns: i64, to_ns: i64) -> impl Iterator<Item = &Answer> {
        let from = self.answers.partition_point(|answer| answer.at_ns < from_ns);
        let some = self.answers[from..].iter().take(MOST_ANSWERS);
        some.take_while(move |answer| answer.at_ns < to_ns)
    }

    /// Whether the receiver, when it had got what came behind, said that it waits for this byte.
    pub(super) fn asked_for(&self, byte: i64, from_ns: i64, to_ns: i64) -> bool {
        let from = self.copies.partition_point(|copy| copy.at_ns < from_ns);
        let some = self.copies[from..].iter().take(MOST_ANSWERS);
        let behind = some.take_while(|copy| copy.at_ns < to_ns).find(|copy| copy.begin > byte);
        let Some(behind) = behind else { return false };
        self.answers(behind.at_ns, to_ns).any(|answer| answer.place <= byte)
    }

    /// Whether the receiver said meanwhile that it has this byte.
    pub(super) fn has(&self, byte: i64, from_ns: i64, to_ns: i64) -> bool {
        let acknowledged = self.acknowledged_at(byte).is_some_and(|at_ns| at_ns < to_ns);
        let holds = |(from, to): (i64, i64)| (from..to).contains(&byte);
        let mut answers = self.answers(from_ns, to_ns);
        acknowledged || answers.any(|answer| answer.blocks.into_iter().flatten().any(holds))
    }

    /// Whether the receiver said meanwhile that it got this byte once more.
    pub(super) fn got_twice(&self, byte: i64, from_ns: i64, to_ns: i64) -> bool {
        let holds = |(from, to): (i64, i64)| (from..to).contains(&byte);
        self.answers(from_ns, to_ns).any(|answer| answer.twice.is_some_and(holds))
    }
}
