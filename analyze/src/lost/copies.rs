//! How often each byte of one direction passed each point, and what that says of its copies. Frames may be cut and merged on the way, so
//! bytes are counted, never frames. Never decides for a point that had not seen this direction before, nor against what TCP says.

use super::passing::{Copied, Passing};
use super::segments::Segment;
use super::suspects::suspects;
use super::witness::{Dropped, Witness};
use super::{Found, Given, Path};
use crate::flow::FlowIndex;
use crate::loss::{Fate, LossDoubt, LostPacket};
use crate::point::PointIndex;
use crate::protocol::Side;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever got a segment acknowledges it sooner (RFC 9293: half a second at most; Linux: 40 ms).
const ACKNOWLEDGED_NS: i64 = 100_000_000;
/// So long after a segment arrived for the second time it is told at the latest.
const TOLD_NS: i64 = 5_000_000_000;
/// What was not sent again in this time will not be.
const LONG_NS: i64 = 1_000_000_000;

/// What was lost of what `sender` sent.
pub(super) fn lost(
    given: &Given<'_>,
    path: &Path,
    by_flow: &BTreeMap<FlowIndex, Vec<&Segment>>,
    sender: Side,
) -> Found {
    let (passing, place) = way(given, path, by_flow, sender);
    let mut ends = path.is_whole;
    if sender == Side::Server {
        ends.reverse();
    }
    let last = path.flows.len().saturating_sub(1);
    let judge = Judge {
        given,
        unsure: passing.iter().map(|point| path.unsure.contains(&point.flow)).collect(),
        is_from_home: ends[0] && place.first() == Some(&0),
        reaches: ends[1] && place.last() == Some(&last),
        passing,
        sender,
    };
    let (bytes, n_left_out) = suspects(&judge.passing);
    let mut found: Vec<(i64, LostPacket)> = Vec::new();
    for byte in bytes {
        found.extend(judge.byte(byte).into_iter().map(|lost| (byte, lost)));
    }
    Found { packets: merge(found), n_left_out }
}

/// The points that this direction passes, in its order, and their places on the path.
fn way(
    given: &Given<'_>,
    path: &Path,
    by_flow: &BTreeMap<FlowIndex, Vec<&Segment>>,
    sender: Side,
) -> (Vec<Passing>, Vec<usize>) {
    let from_client = sender == Side::Client;
    let mut flows = path.flows.clone();
    if !from_client {
        flows.reverse();
    }
    // A point whose packets were not found a second time saw as much as one that isn't there.
    let segments = |flow: FlowIndex| by_flow.get(&flow).map_or(&[][..], Vec::as_slice);
    let mut all = flows.iter().flat_map(|&flow| segments(flow));
    let first = all.find(|segment| segment.from_client == from_client);
    // Boxes may rewrite numbers: each point counts from what it saw the connection begin with.
    let began = |flow: FlowIndex| given.facts[flow as usize].initial_sequence[sender as usize];
    let common = flows.iter().find_map(|&flow| began(flow)).or(first.map(|s| s.sequence));
    let (mut passing, mut places) = (Vec::new(), Vec::new());
    for (place, &flow) in flows.iter().enumerate() {
        let Some(base) = began(flow).or(common) else { continue };
        let here = Passing::of(flow, segments(flow), from_client, base);
        // One that never saw this direction is not on its way.
        if here.lowest.is_some() {
            passing.push(here);
            places.push(place);
        }
    }
    (passing, places)
}

struct Judge<'a> {
    given: &'a Given<'a>,
    /// In the order that they are passed.
    passing: Vec<Passing>,
    /// Whether a point's place in this order is not known.
    unsure: Vec<bool>,
    sender: Side,
    /// The first point is its sender's own.
    is_from_home: bool,
    /// The last point is its receiver's own.
    reaches: bool,
}

/// One byte's copies at each point.
struct Byte {
    place: i64,
    copies: Vec<Vec<Copied>>,
}

impl Judge<'_> {
    /// What became of each copy of this byte that did not get through.
    fn byte(&self, place: i64) -> Vec<LostPacket> {
        let copies: Vec<_> = self.passing.iter().map(|point| point.covering(place)).collect();
        let byte = Byte { place, copies };
        let mut found = Vec::new();
        let Some(mut at) = byte.copies.iter().position(|copies| !copies.is_empty()) else {
            return found;
        };
        for next in at + 1..self.passing.len() {
            let (here, there) = (byte.copies[at].len(), byte.copies[next].len());
            let behind = byte.copies[next..].iter().map(Vec::len).max().unwrap_or(0).min(here);
            if there < behind {
                // Bytes that points behind it saw went past this one.
                for copy in byte.missing(at, next, behind - there) {
                    let doubt = self.doubt(&byte, at, next, copy);
                    let fate = if doubt.is_some() { Fate::Unknown } else { Fate::Bypassed };
                    found.push(self.packet(&byte, at, Some(next), copy, (fate, doubt)));
                }
                continue;
            }
            for copy in byte.missing(at, next, here.saturating_sub(there)) {
                let doubt = self.doubt(&byte, at, next, copy).or_else(|| self.tcp(&byte, at, copy));
                let fate = if doubt.is_some() { Fate::Unknown } else { Fate::Dropped };
                found.push(self.packet(&byte, at, Some(next), copy, (fate, doubt)));
            }
            if there == 0 {
                return self.repaired(&byte, found);
            }
            at = next;
        }
        for copy in 0..byte.copies[at].len() {
            let fate = self.behind(&byte, at, copy);
            found.extend(fate.map(|fate| self.packet(&byte, at, None, copy, fate)));
        }
        let mut found = self.repaired(&byte, found);
        found.extend(self.lost_answers(&byte));
        found
    }

    /// Why nothing can be said of a copy that passed one point and was not seen at the next.
    fn doubt(&self, byte: &Byte, at: usize, next: usize, copy: usize) -> Option<LossDoubt> {
        let one = &byte.copies[at][copy];
        let (here, there) = (self.point(at), self.point(next));
        let lost_then = |point| self.given.doubts.at(point, one.at_ns);
        let point = self.given.flows[self.passing[next].flow as usize].point;
        let alive = self.given.alive.get(point as usize).copied().unwrap_or((0, 0));
        let is_one_clock = here.domain == there.domain;
        let lowest = self.passing[next].lowest;
        match () {
            () if self.unsure[at] || self.unsure[next] => Some(LossDoubt::OrderUndecided),
            () if lost_then(here) || lost_then(there) => Some(LossDoubt::RecorderLost),
            () if is_one_clock && !(alive.0..=alive.1).contains(&one.at_ns) => {
                Some(LossDoubt::NotRecording)
            }
            // Before a SYN there is nothing: that a later one passed there must do.
            () if lowest.is_none_or(|lowest| lowest >= byte.place && !one.is_syn) => {
                Some(LossDoubt::NotSeenBefore)
            }
            () => None,
        }
    }

    /// Whether TCP disagrees that a copy was lost: its receiver had it before it was sent again.
    fn tcp(&self, byte: &Byte, at: usize, copy: usize) -> Option<LossDoubt> {
        let hears = |point: &&usize| !self.passing[**point].answers.is_empty();
        let candidates = [at, 0];
        let Some(&point) = candidates.iter().find(hears) else { return Some(LossDoubt::OneWay) };
        let one = self.origin(byte, at, copy, point);
        let copies = &byte.copies[point];
        let again = copies.iter().find(|other| other.at_ns > one.at_ns);
        let until_ns = again.map_or(i64::MAX, |again| again.at_ns);
        let here = &self.passing[point];
        let arrived = byte.copies.last().map_or(0, Vec::len);
        let told_ns = one.at_ns.saturating_add(TOLD_NS);
        match again {
            _ if here.has(byte.place, one.at_ns, until_ns) => Some(LossDoubt::Acknowledged),
            Some(_) if arrived <= 1 && here.got_twice(byte.place, one.at_ns, told_ns) => {
                Some(LossDoubt::Acknowledged)
            }
            None if !self.goes_on(point, one.at_ns) => Some(LossDoubt::NotRecording),
            _ => None,
        }
    }

    /// All points saw it: either its receiver got it, or it was lost inside the receiver's own host.
    fn behind(&self, byte: &Byte, at: usize, copy: usize) -> Option<(Fate, Option<LossDoubt>)> {
        let here = &self.passing[at];
        let one = byte.copies[at][copy];
        let unknown = |doubt| Some((Fate::Unknown, Some(doubt)));
        let flow = &self.given.flows[here.flow as usize];
        let Some(again) = byte.copies[at].get(copy + 1) else {
            // The last one that was sent, and never acknowledged.
            let is_over = here.acknowledged_at(byte.place).is_some()
                || here.answers.is_empty()
                || flow.counters.iter().any(|side| side.resets > 0);
            let is_lost = !is_over && copy > 0 && self.reaches && self.goes_on(at, one.at_ns);
            let is_known = is_lost && !self.unsure[at];
            let is_sure = is_known && !self.given.doubts.at(self.point(at), one.at_ns);
            return is_sure.then_some((Fate::Dropped, None));
        };
        let next = byte.copies[at].get(copy + 2);
        let told_ns =
            next.map_or(again.at_ns.saturating_add(TOLD_NS), |next| next.at_ns.max(again.at_ns));
        let was_got = here.has(byte.place, one.at_ns, again.at_ns)
            || here.got_twice(byte.place, again.at_ns, told_ns);
        let would_tell = here.tells_twice && here.acknowledged_at(byte.place).is_some();
        let is_missed = again.at_ns.saturating_sub(one.at_ns) >= ACKNOWLEDGED_NS
            || here.asked_for(byte.place, one.at_ns, again.at_ns)
            || would_tell;
        match () {
            () if was_got => Some((Fate::Spurious, None)),
            () if self.unsure[at] => unknown(LossDoubt::OrderUndecided),
            () if !self.reaches => unknown(LossDoubt::BehindLastPoint),
            () if self.given.doubts.at(self.point(at), one.at_ns) => {
                unknown(LossDoubt::RecorderLost)
            }
            () if here.answers.is_empty() => unknown(LossDoubt::OneWay),
            () if !is_missed => unknown(LossDoubt::TooSoon),
            () => Some((Fate::Dropped, None)),
        }
    }

    /// Acknowledgments that reached their receiver's own interface, while it went on waiting until it sent again: they were lost behind it.
    fn lost_answers(&self, byte: &Byte) -> Vec<LostPacket> {
        let here = &self.passing[0];
        let point = self.point(0);
        if !self.is_from_home || self.unsure[0] {
            return Vec::new();
        }
        let mut found = Vec::new();
        for pair in byte.copies[0].windows(2) {
            let waited_ns = pair[1].at_ns.saturating_sub(pair[0].at_ns);
            // One that came just before may have met the other on its way.
            let until_ns = pair[0].at_ns.saturating_add(waited_ns / 2);
            let acknowledged = here.acknowledged_at(byte.place);
            if waited_ns < ACKNOWLEDGED_NS || acknowledged.is_none_or(|at_ns| at_ns >= until_ns) {
                continue;
            }
            for answer in here.answers(pair[0].at_ns, until_ns) {
                if answer.place <= byte.place
                    || answer.length > 0
                    || self.given.doubts.at(point, answer.at_ns)
                {
                    continue;
                }
                let heard = here.answers(pair[1].at_ns, i64::MAX).next();
                let dropped =
                    Dropped { flow: here.flow, at_ns: answer.at_ns, sequence: answer.sequence };
                found.push(LostPacket {
                    first: here.flow,
                    from: here.flow,
                    to: None,
                    sender: other(self.sender),
                    at_ns: answer.at_ns,
                    at_first_ns: answer.at_ns,
                    repaired_ns: heard.map(|next| next.at_ns.saturating_sub(answer.at_ns)),
                    sequence: answer.sequence,
                    length: 0,
                    fate: Fate::Dropped,
                    doubt: None,
                    reason: self.reason(dropped, other(self.sender), 0).unwrap_or_default(),
                    slowed: Vec::new(),
                });
            }
        }
        found
    }

    /// The same transmission at an earlier point: by its name, else by its place among the copies.
    fn origin(&self, byte: &Byte, at: usize, copy: usize, point: usize) -> Copied {
        let one = byte.copies[at][copy];
        let copies = &byte.copies[point];
        let same: Vec<&Copied> =
            copies.iter().filter(|other| other.is(&one) == Some(true)).collect();
        match (&same[..], copies.get(copy)) {
            ([only], _) => **only,
            (_, Some(other)) if copies.len() >= byte.copies[at].len() => *other,
            _ => one,
        }
    }

    fn packet(
        &self,
        byte: &Byte,
        at: usize,
        next: Option<usize>,
        copy: usize,
        (fate, doubt): (Fate, Option<LossDoubt>),
    ) -> LostPacket {
        let one = byte.copies[at][copy];
        let again = byte.copies[at].get(copy + 1);
        let end = again.map_or(one.end, |again| again.end.min(one.end));
        let first = byte.copies.iter().position(|copies| !copies.is_empty()).unwrap_or(at);
        let here = &self.passing[at];
        let sequence = here.base.wrapping_add(byte.place as u32);
        let length = end.saturating_sub(byte.place).clamp(1, i64::from(u32::MAX)) as u32;
        let dropped = Dropped { flow: here.flow, at_ns: one.at_ns, sequence };
        let is_lost = matches!(fate, Fate::Dropped | Fate::Unknown);
        let reason = self.reason(dropped, self.sender, length).filter(|_| is_lost);
        let is_told = reason.is_some();
        LostPacket {
            first: self.passing[first].flow,
            from: here.flow,
            to: next.map(|next| self.passing[next].flow),
            sender: self.sender,
            at_ns: one.at_ns,
            at_first_ns: self.origin(byte, at, copy, first).at_ns,
            repaired_ns: None,
            sequence,
            length,
            fate: if is_told { Fate::Dropped } else { fate },
            doubt: doubt.filter(|_| !is_told),
            reason: reason.unwrap_or_default(),
            slowed: Vec::new(),
        }
    }

    fn reason(&self, dropped: Dropped, sender: Side, length: u32) -> Option<String> {
        self.given.witnesses.of(self.given, dropped, sender, length).map(Witness::words)
    }

    /// How long until a copy got through: the first one behind it of which nothing is told.
    fn repaired(&self, byte: &Byte, mut found: Vec<LostPacket>) -> Vec<LostPacket> {
        let gone: BTreeSet<i64> = found.iter().map(|lost| lost.at_first_ns).collect();
        let first = byte.copies.iter().find(|copies| !copies.is_empty());
        for lost in &mut found {
            let mut sent = first.into_iter().flatten();
            let through = sent.find(|c| c.at_ns > lost.at_first_ns && !gone.contains(&c.at_ns));
            lost.repaired_ns = match lost.fate {
                Fate::Spurious | Fate::Bypassed => Some(0),
                _ => through.map(|copy| copy.at_ns.saturating_sub(lost.at_first_ns)),
            };
        }
        found
    }

    fn point(&self, at: usize) -> &crate::point::Point {
        let point: PointIndex = self.given.flows[self.passing[at].flow as usize].point;
        &self.given.points[point as usize]
    }

    /// Whether the point recorded long enough behind an instant that a copy would have been seen.
    fn goes_on(&self, at: usize, at_ns: i64) -> bool {
        let point = self.given.flows[self.passing[at].flow as usize].point;
        let alive = self.given.alive.get(point as usize);
        alive.is_some_and(|alive| alive.1 >= at_ns.saturating_add(LONG_NS))
    }
}

impl Byte {
    /// Which `n` copies that passed one point did not pass the next: by their names; else the first ones, they had to be sent again.
    fn missing(&self, at: usize, next: usize, n: usize) -> Vec<usize> {
        let there = &self.copies[next];
        let is_there = |copy: &Copied| there.iter().any(|other| copy.is(other).unwrap_or(false));
        let here = self.copies[at].iter().enumerate();
        let mut order: Vec<(bool, usize)> = here.map(|(i, copy)| (is_there(copy), i)).collect();
        order.sort_unstable();
        let mut missing: Vec<usize> = order.into_iter().take(n).map(|(_, i)| i).collect();
        missing.sort_unstable();
        missing
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// Neighbouring bytes of one copy that met one fate are one packet.
fn merge(mut found: Vec<(i64, LostPacket)>) -> Vec<LostPacket> {
    let key = |l: &LostPacket| (l.at_first_ns, l.from, l.to, l.fate, l.sender as usize);
    found.sort_by_key(|(place, lost)| (key(lost), *place));
    let mut merged: Vec<(i64, LostPacket)> = Vec::new();
    for (place, lost) in found {
        let end = place.saturating_add(i64::from(lost.length));
        // An acknowledgment is found at each byte that it acknowledges.
        let before = merged.last_mut().filter(|(begin, earlier)| {
            let touches = begin.saturating_add(earlier.length.into()) >= place;
            let is_answer = earlier.length == 0 && lost.length == 0;
            key(earlier) == key(&lost) && (touches || is_answer)
        });
        let Some((begin, earlier)) = before else {
            merged.push((place, lost));
            continue;
        };
        if earlier.length > 0 {
            let length = end.saturating_sub(*begin).clamp(0, i64::from(u32::MAX)) as u32;
            earlier.length = earlier.length.max(length);
        }
        earlier.repaired_ns = earlier.repaired_ns.max(lost.repaired_ns);
    }
    merged.into_iter().map(|(_, lost)| lost).collect()
}
