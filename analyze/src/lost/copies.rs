//! How often each byte of one direction passed each point, and what that says of its copies. Frames may be cut and merged on the way, so
//! bytes are counted, never frames. Never decides for a point that had not seen this direction before.

use super::Given;
use super::doubt::Doubts;
use super::passing::{Copied, Passing};
use super::segments::Segment;
use super::witness::Witness;
use crate::call::{Fate, FlowIndex, LossDoubt, LostPacket};
use crate::protocol::Side;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Retransmissions of one direction that are looked at.
const MOST: usize = 10_000;
/// Pieces that a retransmission is looked at in, by where others begin in it.
const MOST_PIECES: usize = 64;
/// Whoever got a segment acknowledges it sooner (RFC 9293: half a second at most; Linux: 40 ms).
const ACKNOWLEDGED_NS: i64 = 100_000_000;

/// What was lost of what `sender` sent; `flows` in the order that it passes them, `reaches` if the last one is the receiver's own.
pub(super) fn lost(
    given: &Given<'_>,
    flows: &[FlowIndex],
    by_flow: &BTreeMap<FlowIndex, Vec<&Segment>>,
    sender: Side,
    (reaches, unsure): (bool, &[FlowIndex]),
) -> Vec<LostPacket> {
    let from_client = sender == Side::Client;
    let first = flows
        .iter()
        .find_map(|flow| by_flow[flow].iter().find(|segment| segment.from_client == from_client));
    let Some(first) = first.map(|segment| segment.sequence) else { return Vec::new() };
    // Boxes may rewrite numbers: each point counts from what it saw the connection begin with.
    let began = |flow: FlowIndex| given.facts[flow as usize].initial_sequence[sender as usize];
    let common = flows.iter().find_map(|&flow| began(flow)).unwrap_or(first);
    let base = |flow: FlowIndex| began(flow).unwrap_or(common);
    let each = flows.iter();
    let passing: Vec<Passing> =
        each.map(|&flow| Passing::of(flow, &by_flow[&flow], from_client, base(flow))).collect();
    let mut found: Vec<LostPacket> = Vec::new();
    for again in sent_again(&passing) {
        let judge = Judge { given, passing: &passing, sender, reaches, unsure, byte: again };
        found.extend(judge.judge());
    }
    merge(found)
}

/// The first bytes of what passed some point twice: of each piece that all points saw whole.
fn sent_again(passing: &[Passing]) -> Vec<i64> {
    let mut bytes: BTreeSet<i64> = BTreeSet::new();
    for here in passing {
        let mut highest = i64::MIN;
        for copy in &here.copies {
            // One byte of what was acknowledged, or just sent, asks whether the other side is there.
            let is_probe = copy.end - copy.begin <= 1 && !copy.is_syn && copy.end <= highest;
            if copy.begin < highest && !is_probe && bytes.len() < MOST {
                bytes.insert(copy.begin);
                let to = copy.end.min(highest);
                let more = passing.iter().flat_map(|at| at.begins_between(copy.begin, to));
                bytes.extend(more.take(MOST_PIECES));
            }
            highest = highest.max(copy.end);
        }
    }
    bytes.into_iter().collect()
}

struct Judge<'a> {
    given: &'a Given<'a>,
    passing: &'a [Passing],
    sender: Side,
    reaches: bool,
    /// Flows whose places in this order are not known.
    unsure: &'a [FlowIndex],
    byte: i64,
}

impl Judge<'_> {
    fn copies(&self, at: usize) -> Vec<Copied> {
        self.passing[at].covering(self.byte)
    }

    /// What became of each copy of this byte that did not get through.
    fn judge(&self) -> Vec<LostPacket> {
        let counts: Vec<usize> = (0..self.passing.len()).map(|at| self.copies(at).len()).collect();
        let mut found = Vec::new();
        let Some(first) = counts.iter().position(|n| *n > 0) else { return found };
        let sent = self.copies(first);
        let mut left: Vec<usize> = (0..sent.len()).collect();
        let mut at = first;
        while at + 1 < self.passing.len() && !left.is_empty() {
            // The next point that saw as many as any behind it: a point in between that saw fewer was passed by.
            let next = at + 1;
            let best_behind = counts[next..].iter().copied().max().unwrap_or(0);
            if counts[next] < best_behind {
                let missed = left.len().min(best_behind) - counts[next].min(left.len());
                for &copy in left.iter().take(missed) {
                    let doubt = self.is_unsure(next).then_some(LossDoubt::OrderUndecided);
                    let fate = doubt.map_or(Fate::Bypassed, |_| Fate::Unknown);
                    found.push(self.packet(first, at, Some(next), &sent, copy, (fate, doubt)));
                }
                at = next;
                continue;
            }
            let n_lost = left.len().saturating_sub(counts[next]);
            for copy in self.missing(&sent, &left, next, n_lost) {
                left.retain(|other| *other != copy);
                let doubt = self.doubt(first, (at, next), &sent, copy);
                let fate = doubt.map_or(Fate::Dropped, |_| Fate::Unknown);
                found.push(self.packet(first, at, Some(next), &sent, copy, (fate, doubt)));
            }
            at = next;
        }
        found.extend(self.behind_the_last(first, &sent, &left));
        // What got through is the last copy that nothing is told of.
        let gone: BTreeSet<i64> = found.iter().map(|lost| lost.at_first_ns).collect();
        let through = sent.iter().rev().find(|copy| !gone.contains(&copy.at_ns));
        for lost in &mut found {
            let later = through.filter(|copy| copy.at_ns > lost.at_first_ns);
            lost.repaired_ns = match lost.fate {
                Fate::Spurious => Some(0),
                _ => later.map(|copy| copy.at_ns.saturating_sub(lost.at_first_ns)),
            };
        }
        found
    }

    /// Which of the copies left did not reach a point: by their ids, else the first ones: they had to be sent again.
    fn missing(&self, sent: &[Copied], left: &[usize], next: usize, n_lost: usize) -> Vec<usize> {
        let there = self.copies(next);
        let known = |&copy: &usize| sent[copy].id.is_some() && there.iter().all(|c| c.id.is_some());
        let is_there = |&copy: &usize| there.iter().any(|other| other.id == sent[copy].id);
        if left.iter().all(known) {
            let gone: Vec<usize> = left.iter().copied().filter(|copy| !is_there(copy)).collect();
            if gone.len() == n_lost {
                return gone;
            }
        }
        left.iter().copied().take(n_lost).collect()
    }

    /// Why nothing can be said of a copy that passed one point and was not seen at the next.
    fn doubt(
        &self,
        first: usize,
        (at, next): (usize, usize),
        sent: &[Copied],
        copy: usize,
    ) -> Option<LossDoubt> {
        let one = &sent[copy];
        let point = |at: usize| self.given.flows[self.passing[at].flow as usize].point;
        let domain = |at: usize| self.given.points[point(at) as usize].domain;
        let alive = self.given.alive.get(point(next) as usize).copied().unwrap_or((0, 0));
        let is_alive = domain(at) != domain(next) || (alive.0..=alive.1).contains(&one.at_ns);
        let has_seen = match one.is_syn {
            // Before a SYN there is nothing: that a later one passed there must do.
            true => !self.passing[next].copies.is_empty(),
            false => self.passing[next].first.is_some_and(|begin| begin < self.byte),
        };
        let again_ns = sent.get(copy + 1).map_or(i64::MAX, |again| again.at_ns);
        match () {
            () if self.is_unsure(at) || self.is_unsure(next) => Some(LossDoubt::OrderUndecided),
            () if self.doubtful(at, next, one.at_ns) => Some(LossDoubt::RecorderLost),
            () if !is_alive => Some(LossDoubt::NotRecording),
            () if !has_seen => Some(LossDoubt::NotSeenBefore),
            () if self.passing[first].acknowledged.is_empty() && !one.is_syn => {
                Some(LossDoubt::OneWay)
            }
            () if self.acknowledged_between(first, one.at_ns, again_ns)
                && sent.len() > copy + 1 =>
            {
                Some(LossDoubt::Acknowledged)
            }
            () => None,
        }
    }

    fn is_unsure(&self, at: usize) -> bool {
        self.unsure.contains(&self.passing[at].flow)
    }

    /// All points saw it: either its receiver got it, or it was lost inside the receiver's own host.
    fn behind_the_last(&self, first: usize, sent: &[Copied], left: &[usize]) -> Vec<LostPacket> {
        let Some(last) = self.passing.len().checked_sub(1) else { return Vec::new() };
        let here = self.copies(last);
        let mut found = Vec::new();
        for (place, &copy) in left.iter().enumerate() {
            let (Some(one), again) = (here.get(place), here.get(place + 1)) else { continue };
            let Some(again) = again else { continue };
            let waited_ns = again.at_ns.saturating_sub(one.at_ns);
            let was_got = self.acknowledged_between(last, one.at_ns, again.at_ns);
            let unknown = |doubt: LossDoubt| (Fate::Unknown, Some(doubt));
            let fate = match () {
                () if was_got => (Fate::Spurious, None),
                () if self.is_unsure(last) => unknown(LossDoubt::OrderUndecided),
                () if !self.reaches => unknown(LossDoubt::BehindLastPoint),
                () if self.doubtful(last, last, one.at_ns) => unknown(LossDoubt::RecorderLost),
                () if self.passing[last].acknowledged.is_empty() && !one.is_syn => {
                    unknown(LossDoubt::OneWay)
                }
                () if waited_ns >= ACKNOWLEDGED_NS
                    || self.asked_for(last, one.at_ns, again.at_ns) =>
                {
                    (Fate::Dropped, None)
                }
                () => unknown(LossDoubt::TooSoon),
            };
            found.push(self.packet(first, last, None, sent, copy, fate));
        }
        found
    }

    /// Whether this byte was acknowledged at a point between two instants there.
    fn acknowledged_between(&self, at: usize, from_ns: i64, to_ns: i64) -> bool {
        let here = self.passing[at].acknowledged_in(from_ns, to_ns);
        here.iter().any(|(_, number)| *number > self.byte)
    }

    /// Whether the receiver, when it had got what came behind, said that it waits for this byte.
    fn asked_for(&self, at: usize, from_ns: i64, to_ns: i64) -> bool {
        let here = &self.passing[at];
        let Some(got_ns) = here.first_behind(self.byte, from_ns) else { return false };
        here.acknowledged_in(got_ns, to_ns).iter().any(|(_, number)| *number <= self.byte)
    }

    fn doubtful(&self, at: usize, next: usize, about_ns: i64) -> bool {
        let doubts: &Doubts = self.given.doubts;
        [at, next].iter().any(|&at| {
            let flow = &self.given.flows[self.passing[at].flow as usize];
            doubts.at(&self.given.points[flow.point as usize], about_ns)
        })
    }

    fn packet(
        &self,
        first: usize,
        at: usize,
        next: Option<usize>,
        sent: &[Copied],
        copy: usize,
        (fate, doubt): (Fate, Option<LossDoubt>),
    ) -> LostPacket {
        let one = sent[copy];
        let here = self.copies(at);
        let same = here.iter().find(|other| other.id.is_some() && other.id == one.id);
        let at_ns = same.or(here.get(copy)).or(here.first()).map_or(one.at_ns, |copy| copy.at_ns);
        let place = self.passing[at].flow;
        let sequence = self.passing[at].base.wrapping_add(self.byte as u32);
        let length = (one.end - self.byte).clamp(0, i64::from(u32::MAX)) as u32;
        let witness =
            self.given.witnesses.of(self.given, place, self.sender, at_ns, sequence, length);
        let is_told = witness.is_some() && fate == Fate::Unknown;
        LostPacket {
            first: self.passing[first].flow,
            from: place,
            to: next.map(|next| self.passing[next].flow),
            sender: self.sender,
            at_ns,
            at_first_ns: one.at_ns,
            repaired_ns: None,
            sequence,
            length,
            fate: if is_told { Fate::Dropped } else { fate },
            doubt: doubt.filter(|_| !is_told),
            reason: witness.map(Witness::words).unwrap_or_default(),
            slowed: Vec::new(),
        }
    }
}

/// Neighbouring bytes of one copy that met one fate are one packet.
fn merge(mut found: Vec<LostPacket>) -> Vec<LostPacket> {
    found.sort_by_key(|lost| {
        (lost.at_first_ns, lost.from, lost.to, lost.fate, Reverse(lost.length))
    });
    found.dedup_by(|later, earlier| {
        let key = |l: &LostPacket| (l.at_first_ns, l.from, l.to, l.fate);
        let is_same = key(later) == key(earlier);
        if is_same {
            earlier.repaired_ns = earlier.repaired_ns.max(later.repaired_ns);
        }
        is_same
    });
    found
}
