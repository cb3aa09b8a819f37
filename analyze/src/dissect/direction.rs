//! One direction of a TCP conversation at one point: sequence numbers → stream offsets, reassembly with gaps, what was
//! retransmitted or came out of order, and when each byte first passed. Never looks into the bytes.

use crate::flow::DirectionCounters;
use crate::issue::Issue;
use crate::protocol::Piece;

/// Holes and remembered transmissions are bounded: a stream with more is damaged beyond use.
const MAX_HOLES: usize = 4096;
/// Arrival times kept per direction; messages spanning more segments lose the time of their first byte.
const MAX_ARRIVALS: usize = 1 << 20;
/// Transmissions remembered for telling capture duplicates from retransmissions.
const RECENT: usize = 64;

/// When a stretch of bytes was first seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Stream offset of the first byte.
    pub(crate) offset: u64,
    /// Offset after the last byte on the wire.
    pub(crate) end: u64,
    /// Capture time.
    pub(crate) time_ns: i64,
    /// How much of the other direction its sender had acknowledged (offset there).
    pub(crate) acked: u64,
}

/// What names one transmission of a segment: a second capture of the same bears the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Transmission {
    /// Sequence number.
    pub(crate) sequence: u32,
    /// Acknowledgment number.
    pub(crate) acknowledgment: u32,
    /// Payload length on the wire.
    pub(crate) length: u32,
    /// Flags.
    pub(crate) flags: u8,
    /// IPv4 identification, for IPv6 the TSval; `None`: undecidable, never a duplicate.
    pub(crate) id: Option<u32>,
}

/// What a segment brought to its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// The very next bytes, all of them new.
    Next,
    /// Nothing: all of it had been seen.
    Again,
    /// Nothing: it only asks whether the other end is there.
    KeepAlive,
    /// Bytes behind a gap, late ones, or new ones beside others seen before.
    Apart,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    begin: usize,
    length: usize,
}

/// Reassembly state of one direction.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// Sequence number of stream offset 0.
    base: Option<u32>,
    /// Offset after the highest byte seen.
    pub(crate) next: u64,
    /// Highest offset of this direction that the other end acknowledged.
    pub(crate) acked: u64,
    /// What is before this was handed to the parser and done with.
    pub(crate) consumed: u64,
    /// Counters of the flow.
    pub(crate) counters: DirectionCounters,
    /// Offset at which FIN stands.
    pub(crate) fin: Option<u64>,
    arena: Vec<u8>,
    segments: Vec<Segment>,
    unsorted: bool,
    holes: Vec<(u64, u64)>,
    arrivals: Vec<Arrival>,
    retransmitted: Vec<u64>,
    recent: Vec<Transmission>,
    recent_at: usize,
    /// Doubts about the whole direction.
    pub(crate) issues: Vec<Issue>,
}

impl Direction {
    /// A direction that keeps its bytes in `arena`, which another is done with.
    pub(crate) fn reusing(mut arena: Vec<u8>) -> Direction {
        arena.clear();
        Direction { arena, ..Direction::default() }
    }

    /// Room for another direction's bytes; nothing is kept of this one.
    pub(crate) fn into_arena(self) -> Vec<u8> {
        self.arena
    }

    /// Names the sequence number of the stream's first byte (that after SYN).
    pub(crate) fn begin_at(&mut self, sequence: u32) {
        self.base = Some(sequence);
    }

    /// Whether the stream's first byte is known by number.
    pub(crate) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// The sequence number of a stream offset.
    pub(crate) fn sequence_of(&self, offset: u64) -> Option<u32> {
        self.base.map(|base| base.wrapping_add(offset as u32))
    }

    /// The stream offset of a sequence number near the highest byte seen; negative before the stream's start.
    pub(crate) fn offset_of(&self, sequence: u32) -> Option<i64> {
        let expected = self.base?.wrapping_add(self.next as u32);
        Some(self.next as i64 + i64::from(sequence.wrapping_sub(expected) as i32))
    }

    /// Notes an acknowledgment number sent by the other end.
    pub(crate) fn acknowledge(&mut self, acknowledgment: u32) {
        if self.base.is_none() {
            self.base = Some(acknowledgment);
        }
        if let Some(offset) = self.offset_of(acknowledgment) {
            let beyond_fin = self.fin.is_some_and(|fin| offset > fin as i64);
            let offset = if beyond_fin { offset - 1 } else { offset };
            self.acked = self.acked.max(offset.max(0) as u64);
        }
    }

    /// Whether this very transmission was seen at this point before (a capture duplicate). Remembers it.
    pub(crate) fn is_duplicate(&mut self, transmission: Transmission) -> bool {
        if transmission.id.is_some() && self.recent.contains(&transmission) {
            self.counters.capture_duplicates += 1;
            return true;
        }
        if self.recent.len() < RECENT {
            self.recent.push(transmission);
        } else {
            self.recent[self.recent_at] = transmission;
            self.recent_at = (self.recent_at + 1) % RECENT;
        }
        false
    }

    /// Takes a segment's payload: `captured` bytes of `wire_length`, whose sender had acknowledged `acked`. Says what it brought.
    pub(crate) fn receive(
        &mut self,
        sequence: u32,
        captured: &[u8],
        wire_length: u32,
        time_ns: i64,
        acked: u64,
    ) -> Brought {
        if self.base.is_none() {
            self.base = Some(sequence);
        }
        let Some(signed) = self.offset_of(sequence) else { return Brought::Apart };
        let wire_length = u64::from(wire_length);
        self.counters.payload_bytes += wire_length;
        let before_start = (-signed).max(0) as u64;
        if before_start >= wire_length {
            self.counters.retransmissions += 1;
            return Brought::Again;
        }
        let offset = signed.max(0) as u64;
        let end = offset + (wire_length - before_start);
        let captured = captured.get(before_start as usize..).unwrap_or(&[]);
        if offset < self.next {
            return self.fill(offset, end, captured, time_ns, acked);
        }
        let is_next = offset == self.next && before_start == 0;
        self.append(offset, end, captured, time_ns, acked);
        if is_next { Brought::Next } else { Brought::Apart }
    }

    fn append(&mut self, offset: u64, end: u64, captured: &[u8], time_ns: i64, acked: u64) {
        if offset > self.next && self.holes.len() < MAX_HOLES {
            self.holes.push((self.next, offset));
        }
        self.next = end;
        self.store(offset, captured);
        self.arrivals.push(Arrival { offset, end, time_ns, acked });
        if self.arrivals.len() > MAX_ARRIVALS {
            self.arrivals.drain(..MAX_ARRIVALS / 2);
        }
    }

    /// A segment that begins before the highest byte seen: fills holes, repeats, or both.
    fn fill(
        &mut self,
        offset: u64,
        end: u64,
        captured: &[u8],
        time_ns: i64,
        acked: u64,
    ) -> Brought {
        let keep_alive = end - offset <= 1 && end == self.next;
        let (mut was_new, mut i) = (false, 0);
        while i < self.holes.len() {
            let (low, high) = self.holes[i];
            let (from, to) = (low.max(offset), high.min(end));
            if from >= to {
                i += 1;
                continue;
            }
            was_new = true;
            self.holes.remove(i);
            for rest in [(low, from), (to, high)] {
                if rest.0 < rest.1 {
                    self.holes.insert(i, rest);
                    i += 1;
                }
            }
            let bytes = slice_from(captured, from - offset, to - from);
            self.insert(from, to, bytes, time_ns, acked);
        }
        if was_new {
            self.counters.out_of_order += 1;
        } else if !keep_alive {
            self.counters.retransmissions += 1;
            let at = self.retransmitted.partition_point(|&o| o <= offset);
            self.retransmitted.insert(at, offset);
            self.check_overlap(offset, captured);
        }
        if end > self.next {
            let tail = slice_from(captured, self.next - offset, u64::MAX);
            self.append(self.next, end, tail, time_ns, acked);
            return Brought::Apart;
        }
        match (was_new, keep_alive) {
            (true, _) => Brought::Apart,
            (false, true) => Brought::KeepAlive,
            (false, false) => Brought::Again,
        }
    }

    fn insert(&mut self, offset: u64, end: u64, bytes: &[u8], time_ns: i64, acked: u64) {
        if offset < self.consumed {
            return; // its stretch went by without it
        }
        self.unsorted = true;
        self.store(offset, bytes);
        let at = self.arrivals.partition_point(|a| a.offset < offset);
        self.arrivals.insert(at, Arrival { offset, end, time_ns, acked });
    }

    fn store(&mut self, offset: u64, captured: &[u8]) {
        if captured.is_empty() {
            return;
        }
        let begin = self.arena.len();
        self.arena.extend_from_slice(captured);
        if let Some(last) = self.segments.last_mut()
            && last.offset + last.length as u64 == offset
            && last.begin + last.length == begin
        {
            last.length += captured.len();
            return;
        }
        self.segments.push(Segment { offset, begin, length: captured.len() });
    }

    /// Repeated bytes must equal the first ones; the first ones win either way.
    fn check_overlap(&mut self, offset: u64, captured: &[u8]) {
        let differs = self.segments.iter().any(|segment| {
            let from = offset.max(segment.offset);
            let to = (offset + captured.len() as u64).min(segment.offset + segment.length as u64);
            from < to && {
                let old = &self.arena[segment.begin + (from - segment.offset) as usize..];
                let new = &captured[(from - offset) as usize..];
                let length = (to - from) as usize;
                old[..length] != new[..length]
            }
        });
        if differs && !self.issues.contains(&Issue::OverlapConflict) {
            self.issues.push(Issue::OverlapConflict);
        }
    }

    /// Whether bytes below the highest are still missing.
    pub(crate) fn has_holes(&self) -> bool {
        self.holes.last().is_some_and(|&(_, high)| high > self.consumed)
    }

    /// Captured bytes not yet consumed.
    pub(crate) fn buffered(&self) -> usize {
        self.arena.len()
    }

    /// Offset after everything known to have been on the wire.
    pub(crate) fn end(&self) -> u64 {
        self.next.max(self.acked)
    }

    /// The captured bytes that are not consumed, as pieces in offset order.
    pub(crate) fn pieces(&mut self) -> Vec<Piece<'_>> {
        if self.unsorted {
            self.sort();
        }
        let arena = &self.arena;
        self.segments
            .iter()
            .map(|s| Piece {
                offset: s.offset,
                bytes: &arena[s.begin..s.begin + s.length],
                wire_length: s.length as u32,
            })
            .collect()
    }

    fn sort(&mut self) {
        let (old_arena, mut old) =
            (std::mem::take(&mut self.arena), std::mem::take(&mut self.segments));
        old.sort_by_key(|s| s.offset);
        for s in old {
            self.store(s.offset, &old_arena[s.begin..s.begin + s.length]);
        }
        self.unsorted = false;
    }

    /// Forgets the bytes before `offset`.
    pub(crate) fn consume(&mut self, offset: u64) {
        self.consumed = self.consumed.max(offset);
        let consumed = self.consumed;
        if self.segments.iter().all(|s| s.offset + s.length as u64 <= consumed) {
            self.segments.clear();
            self.arena.clear();
            return;
        }
        let (old_arena, old) =
            (std::mem::take(&mut self.arena), std::mem::take(&mut self.segments));
        for s in old {
            let skip = consumed.saturating_sub(s.offset).min(s.length as u64) as usize;
            self.store(s.offset + skip as u64, &old_arena[s.begin + skip..s.begin + s.length]);
        }
    }

    /// Arrivals in offset order from `offset` on.
    pub(crate) fn arrivals_from(&self, offset: u64) -> &[Arrival] {
        &self.arrivals[self.arrivals.partition_point(|a| a.end <= offset)..]
    }

    /// Forgets when the bytes before `offset` came; only where no message can begin there any more.
    pub(crate) fn forget_arrivals(&mut self, offset: u64) {
        let n = self.arrivals.partition_point(|a| a.end <= offset);
        self.arrivals.drain(..n);
    }

    /// Retransmitted segments that begin in `begin..end`.
    pub(crate) fn retransmissions_in(&self, begin: u64, end: u64) -> u32 {
        let below = |limit| self.retransmitted.partition_point(|&o| o < limit);
        below(end.max(begin)).saturating_sub(below(begin)) as u32
    }

    /// Bytes of `begin..end` that were on the wire and never captured here: those of holes, and acknowledged ones behind the last seen.
    pub(crate) fn missing_in(&self, begin: u64, end: u64) -> u64 {
        let first = self.holes.partition_point(|&(_, high)| high <= begin);
        let holes = self.holes[first..].iter().take_while(|&&(low, _)| low < end);
        let tail = [(self.next, self.acked)];
        let overlap = |&(low, high): &(u64, u64)| high.min(end).saturating_sub(low.max(begin));
        holes.chain(&tail).map(overlap).sum()
    }

    /// Bytes that were on the wire and never captured here.
    pub(crate) fn missing_bytes(&self) -> u64 {
        let in_holes: u64 = self.holes.iter().map(|(low, high)| high - low).sum();
        in_holes + self.acked.saturating_sub(self.next)
    }
}

fn slice_from(bytes: &[u8], skip: u64, length: u64) -> &[u8] {
    let from = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len() - from);
    &bytes[from..from + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(segments: &[(u32, &str)], expected: &[(u64, &str)], counters: (u64, u64)) {
        let mut direction = Direction::default();
        direction.begin_at(1000);
        for (i, (offset, text)) in segments.iter().enumerate() {
            let sequence = 1000u32.wrapping_add(*offset);
            direction.receive(sequence, text.as_bytes(), text.len() as u32, i as i64, 0);
        }
        let pieces: Vec<(u64, String)> = direction
            .pieces()
            .iter()
            .map(|p| (p.offset, String::from_utf8_lossy(p.bytes).into_owned()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(o, t)| (*o, t.to_string())).collect();
        assert_eq!(pieces, expected);
        let seen = (direction.counters.retransmissions, direction.counters.out_of_order);
        assert_eq!(seen, counters);
    }

    #[test]
    fn in_order_bytes_are_one_piece() {
        check(&[(0, "ab"), (2, "cd")], &[(0, "abcd")], (0, 0));
    }

    #[test]
    fn a_hole_is_filled_by_what_comes_late() {
        check(&[(0, "ab"), (4, "ef"), (2, "cd")], &[(0, "abcdef")], (0, 1));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        check(&[(0, "ab"), (4, "ef")], &[(0, "ab"), (4, "ef")], (0, 0));
    }

    #[test]
    fn repeated_bytes_are_retransmissions_and_the_first_win() {
        check(&[(0, "abcd"), (0, "abXd"), (2, "cdef")], &[(0, "abcdef")], (2, 0));
    }

    #[test]
    fn what_a_message_lacks_lies_inside_it() {
        let mut direction = Direction::default();
        direction.begin_at(1000);
        for sequence in [1000, 1020, 1040] {
            direction.receive(sequence, &[7; 10], 10, 0, 0);
        }
        direction.acked = 60;
        let missing = |begin, end| direction.missing_in(begin, end);
        assert_eq!(
            [missing(0, 10), missing(0, 15), missing(12, 18), missing(5, 45)],
            [0, 5, 6, 20]
        );
        // Behind what was seen, what was acknowledged was sent.
        assert_eq!([missing(45, 55), missing(45, 90), missing(20, 20)], [5, 10, 0]);
        assert_eq!(missing(0, 90), direction.missing_bytes());
    }

    #[test]
    fn one_segment_over_two_holes() {
        check(&[(0, "ab"), (4, "ef"), (8, "ij"), (1, "bcdefghi")], &[(0, "abcdefghij")], (0, 1));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut direction = Direction::default();
        direction.begin_at(u32::MAX - 1);
        direction.receive(u32::MAX - 1, b"abcd", 4, 1, 0);
        direction.receive(2, b"ef", 2, 2, 0);
        assert_eq!(direction.pieces()[0].bytes, b"abcdef");
        assert_eq!(direction.sequence_of(4), Some(2));
    }

    #[test]
    fn consumed_bytes_leave_and_the_rest_stays() {
        let mut direction = Direction::default();
        direction.begin_at(0);
        direction.receive(0, b"abcdef", 6, 1, 0);
        direction.consume(4);
        assert_eq!(direction.pieces()[0], Piece { offset: 4, bytes: b"ef", wire_length: 2 });
    }
}
