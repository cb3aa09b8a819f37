//! Assigns children to parents, one after the other: each to the most probable of its possible parents, given what these were given
//! before. Never revises what it gave within a round.

use super::background::Background;
use super::candidates::Candidates;
use super::evidence::{Evidence, Kind};
use super::narrowing::Narrowed;
pub(super) use super::pair::Pair;
use super::queues::Delivered;
use super::reliability::Reliability;
use super::roles::{Roles, Together};
use super::threads::{Cause, Way};
use super::usual::{Learnt, Lesson, Usual, Words, milli, tempered};
use super::{Link, LinkKind, NoParent};
use crate::call::CallIndex;
use std::collections::BTreeMap;

/// A request is passed on once, but for this share of cases.
const AGAIN: f64 = 0.02;
/// A subscriber that gets everything gets it in order, but for losses.
const IN_ORDER: f64 = 0.95;
/// Parents with less than this share of the probability were not really possible.
const LEAST_SHARE: f64 = 0.01;
/// A reply to a call that was given with so much confidence was read for its parent.
const PROBABLE: f64 = 0.5;
/// So many kinds of call of a parent are counted.
const MOST_KINDS: usize = 64;
/// So many of those that were possible teach what others are like.
const MOST_OTHERS: usize = 32;
/// Links that are at least so sure teach what is usual.
const TEACHES: f64 = 0.8;
/// What makes a parent twice as probable as the next is told as a reason, in milli-nats.
const TELLING: i64 = 693;

/// What is believed of threads and of what is usual.
pub(super) struct Beliefs<'a> {
    pub(super) causes: &'a BTreeMap<CallIndex, Cause>,
    pub(super) reliability: &'a Reliability,
    pub(super) words: &'a Words,
    pub(super) usual: &'a Learnt,
    pub(super) background: &'a Background,
}

/// A child that was given its parent.
pub(super) struct Settled {
    pub(super) child: CallIndex,
    pub(super) link: Link,
    /// Who else was possible.
    others: Vec<CallIndex>,
    /// How many such calls the parent had been given before.
    had_made: u32,
}

/// What was given so far.
pub(super) struct Assignment<'a> {
    pub(super) roles: &'a Roles<'a>,
    pub(super) beliefs: &'a Beliefs<'a>,
    pub(super) evidence: Evidence,
    /// Per parent: when its children so far keep it waiting, by their start.
    busy: Vec<Vec<(i64, i64)>>,
    /// Per parent: how many calls of which kind it was given.
    made: Vec<Vec<(u32, u32)>>,
    /// Per child: the parent it was given.
    parent_of: Vec<Option<CallIndex>>,
    /// Children that more probably have no recorded parent.
    pub(super) no_parent: Vec<(CallIndex, NoParent)>,
    /// What subscribers were delivered.
    delivered: Delivered<'a>,
}

/// A parent among those possible.
struct Chosen {
    place: usize,
    confidence: f64,
    candidates: u32,
    reasons: Vec<String>,
    /// How probable it is that no recorded call is the parent, and why, where that is possible.
    none: Option<(f64, String)>,
}

impl<'a> Assignment<'a> {
    pub(super) fn new(
        roles: &'a Roles<'a>,
        beliefs: &'a Beliefs<'a>,
        evidence: Evidence,
    ) -> Assignment<'a> {
        let n = roles.calls.len();
        let (busy, made, parent_of) = (vec![Vec::new(); n], vec![Vec::new(); n], vec![None; n]);
        Assignment {
            roles,
            beliefs,
            evidence,
            busy,
            made,
            parent_of,
            no_parent: Vec::new(),
            delivered: Delivered::default(),
        }
    }

    /// All children: first what proxies pass on, then the others, those with one possible parent before those with several, since
    /// they show when the others had to wait.
    pub(super) fn assign(&mut self, candidates: &[Candidates]) -> Vec<Settled> {
        let is_relayed =
            |c: &&Candidates| c.parents.iter().any(|&p| self.roles.same_request(p, c.child));
        let (relayed, others): (Vec<_>, Vec<_>) = candidates.iter().partition(is_relayed);
        let mut settled: Vec<Settled> = Vec::with_capacity(candidates.len());
        for candidates in relayed {
            let narrowed = self.relayed(candidates);
            settled.extend(self.settle(vec![narrowed]));
        }
        let proxies = self.roles.proxies(|call| !self.busy(call).is_empty());
        let mut narrowed = Vec::new();
        for candidates in others {
            match self.delivered(candidates) {
                Some(delivered) => settled.extend(self.settle(vec![delivered])),
                None => narrowed.push(self.worked(candidates, &proxies)),
            }
        }
        let (certain, doubtful): (Vec<_>, Vec<_>) = self
            .together(narrowed)
            .into_iter()
            .partition(|group| group.iter().any(|narrowed| narrowed.parents.len() == 1));
        for group in certain.into_iter().chain(doubtful) {
            settled.extend(self.settle_group(group));
        }
        settled
    }

    /// Children that have one parent, in the order of the first of them.
    fn together(&self, narrowed: Vec<Narrowed>) -> Vec<Vec<Narrowed>> {
        if !self.evidence.uses(Kind::Transactions) {
            return narrowed.into_iter().map(|narrowed| vec![narrowed]).collect();
        }
        let mut place_of: BTreeMap<Together, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<Narrowed>> = Vec::new();
        for narrowed in narrowed {
            let together = self.roles.together(narrowed.child);
            let place = *place_of.entry(together).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.push(narrowed),
                None => groups.push(vec![narrowed]),
            }
        }
        groups
    }

    /// Those of a group go to one parent, if one was possible for all of them.
    fn settle_group(&mut self, mut group: Vec<Narrowed>) -> Vec<Settled> {
        let is_common =
            |parent: &CallIndex| group.iter().all(|n| n.parents.binary_search(parent).is_ok());
        let common: Vec<CallIndex> = group[0].parents.iter().copied().filter(is_common).collect();
        if !common.is_empty() {
            group.iter_mut().for_each(|narrowed| narrowed.parents.clone_from(&common));
            return self.settle(group);
        }
        group.into_iter().flat_map(|narrowed| self.settle(vec![narrowed])).collect()
    }

    /// Gives children that have the same possible parents to the most probable of these.
    fn settle(&mut self, group: Vec<Narrowed>) -> Vec<Settled> {
        let Some(chosen) = self.choose(&group) else { return Vec::new() };
        if let Some((none, reason)) =
            chosen.none.as_ref().filter(|(none, _)| *none > chosen.confidence)
        {
            let no_parent = |n: Narrowed| {
                let candidates = n.parents.len() as u32;
                (
                    n.child,
                    NoParent { confidence: *none, candidates, evidence: vec![reason.clone()] },
                )
            };
            self.no_parent.extend(group.into_iter().map(no_parent));
            return Vec::new();
        }
        group.into_iter().map(|narrowed| self.give(narrowed, &chosen)).collect()
    }

    /// The most probable parent of a group, and why.
    fn choose(&self, group: &[Narrowed]) -> Option<Chosen> {
        let weights = self.weights(group);
        let (place, most) = weights.iter().enumerate().max_by_key(|(i, weight)| (**weight, *i))?;
        let shares = weights.iter().map(|weight| libm::exp((weight - most) as f64 / 1_000.0));
        let total: f64 = shares.clone().sum();
        let possible = shares.filter(|share| share / total >= LEAST_SHARE).count().max(1);
        let others = weights.iter().enumerate().filter(|(i, _)| *i != place);
        let next = others.max_by_key(|(i, weight)| (**weight, *i)).map(|(i, _)| i);
        let none = self.none(&group[0], group[0].parents[place]);
        let some = 1.0 - none.as_ref().map_or(0.0, |(none, _)| *none);
        Some(Chosen {
            place,
            confidence: some / total,
            candidates: possible as u32,
            reasons: next.map_or_else(Vec::new, |next| self.reasons(group, place, next)),
            none,
        })
    }

    /// How probable it is that a call has no recorded parent, if `best` is the most probable of those that have been.
    fn none(&self, narrowed: &Narrowed, best: CallIndex) -> Option<(f64, String)> {
        if !self.evidence.uses(Kind::Background) || narrowed.kind != LinkKind::Work {
            return None;
        }
        let kind = self.roles.kind(best, narrowed.child).1;
        let (share, n_alone) = self.beliefs.background.share(narrowed.place, kind)?;
        let is_named = |cause: &&Cause| cause.parents.contains(&best);
        let holds = self.cause(narrowed.child).filter(is_named);
        let holds = holds.map_or(0.5, |cause| self.beliefs.reliability.of(cause));
        let pair = self.pair(best, narrowed.child);
        let usual = self.beliefs.usual.each().filter(|usual| self.is_heard(narrowed, usual.kind()));
        let speaks: i64 = usual.map(|usual| tempered(usual.against_chance(&pair))).sum();
        let odds =
            share / (1.0 - share) * (1.0 - holds) / holds * libm::exp(-speaks as f64 / 1_000.0);
        let reason = format!("{n_alone} such calls while nothing was being served");
        Some((odds / (1.0 + odds), reason))
    }

    /// Writes a link down.
    fn give(&mut self, narrowed: Narrowed, chosen: &Chosen) -> Settled {
        let is_in_order = self.next_delivered(&narrowed) == Some(narrowed.parents[chosen.place]);
        let Narrowed { child, parents, kind, mut reasons, outlives, .. } = narrowed;
        let parent = parents[chosen.place];
        if is_in_order {
            reasons.push("next in the order of publication".to_string());
        }
        if let Some(cause) = self.cause(child).filter(|cause| cause.parents.contains(&parent)) {
            reasons.insert(0, cause.reason.clone());
        }
        reasons.extend(chosen.reasons.iter().cloned());
        let how = if outlives { "began inside, outlived it" } else { "contained" };
        reasons.push(match parents.len() {
            1 => format!("{how}, 1 candidate"),
            k => format!("{how}, {k} candidates"),
        });
        if let Some((none, reason)) = chosen.none.as_ref().filter(|(none, _)| *none >= LEAST_SHARE)
        {
            reasons.push(format!("{reason}: {none:.2} that it has no recorded parent"));
        }
        let had_made = self.pair(parent, child).n_made();
        let asked = *self.roles.beside(parent, child).1;
        let busy = &mut self.busy[parent as usize];
        let at = busy.partition_point(|&(from, _)| from <= asked.from);
        busy.insert(at, (asked.from, asked.to));
        let kind_of_call = self.roles.kind(parent, child).1;
        let made = &mut self.made[parent as usize];
        match made.iter().position(|(kind, _)| *kind == kind_of_call) {
            Some(place) => made[place].1 += 1,
            None if made.len() < MOST_KINDS => made.push((kind_of_call, 1)),
            None => {}
        }
        self.parent_of[child as usize] = Some(parent);
        if let Some(subscription) = self.roles.queues.complete(self.roles.calls, child) {
            self.delivered.delivers(subscription, parent);
        }
        let Chosen { place, confidence, candidates, .. } = *chosen;
        let link = Link { parent, kind, confidence, candidates, evidence: reasons };
        let mut others = parents;
        others.swap_remove(place);
        others.truncate(MOST_OTHERS);
        others.shrink_to_fit();
        Settled { child, link, others, had_made }
    }

    /// How probable each parent of a group is, in milli-nats: only differences mean something.
    fn weights(&self, group: &[Narrowed]) -> Vec<i64> {
        let Some(Narrowed { child, parents, .. }) = group.first() else { return Vec::new() };
        let usual = |parent: &CallIndex| self.usual_weight(group, *parent);
        let mut weights: Vec<i64> = parents.iter().map(usual).collect();
        if let Some(cause) = self.cause(*child) {
            let holds = self.beliefs.reliability.of(cause);
            named(&mut weights, parents, |parent| cause.parents.contains(&parent), holds);
        }
        if let Some(next) = self.next_delivered(&group[0]) {
            named(&mut weights, parents, |parent| parent == next, IN_ORDER);
        }
        weights
    }

    /// What a subscriber is delivered next, where it gets everything.
    fn next_delivered(&self, narrowed: &Narrowed) -> Option<CallIndex> {
        let is_delivery = narrowed.kind == LinkKind::Queue && self.evidence.uses(Kind::Queues);
        let queues = &self.roles.queues;
        let subscription =
            queues.complete(self.roles.calls, narrowed.child).filter(|_| is_delivery)?;
        self.delivered.next(subscription, &narrowed.parents)
    }

    /// By what is usual. The first of a group was decided on; what the others follow is the group itself, so that only what is of
    /// each says more.
    fn usual_weight(&self, group: &[Narrowed], parent: CallIndex) -> i64 {
        let Some((first, others)) = group.split_first() else { return 0 };
        let usual = self.beliefs.usual;
        let pair = self.pair(parent, first.child);
        let again = match first.kind {
            LinkKind::Relay if !self.busy(parent).is_empty() => tempered(milli(AGAIN)),
            _ => 0,
        };
        let is_heard = |usual: &dyn Usual| self.is_heard(first, usual.kind());
        let is_of_each = |usual: &dyn Usual| usual.is_of_each();
        let of_each = |other: &Narrowed| usual.weight(&self.pair(parent, other.child), is_of_each);
        again + usual.weight(&pair, is_heard) + others.iter().map(of_each).sum::<i64>()
    }

    /// Whether a kind of evidence is asked.
    fn is_heard(&self, narrowed: &Narrowed, kind: Kind) -> bool {
        match kind {
            // Whoever handed over to a writing task just now is whoever was active last: delays would say it twice.
            Kind::Delays => !self
                .cause(narrowed.child)
                .is_some_and(|cause| matches!(cause.way, Way::HandedOver(0 | 1, _))),
            // What is passed on and handed on is not counted by kind.
            Kind::Counts => narrowed.kind == LinkKind::Work,
            _ => true,
        }
    }

    /// What speaks for a parent against the next, beside its thread, in words.
    fn reasons(&self, group: &[Narrowed], place: usize, next: usize) -> Vec<String> {
        let Some(first) = group.first() else { return Vec::new() };
        let [best, next] = [place, next].map(|i| self.pair(first.parents[i], first.child));
        let heard = self.beliefs.usual.each().filter(|usual| self.is_heard(first, usual.kind()));
        let reason = |usual: &dyn Usual| {
            let more = tempered(usual.weight(&best).saturating_sub(usual.weight(&next)));
            let times = libm::exp(more.min(9_200) as f64 / 1_000.0);
            (more >= TELLING)
                .then(|| format!("{} ({times:.0} times the next's weight)", usual.reason(&best)))
        };
        heard.filter_map(reason).collect()
    }

    pub(super) fn pair(&self, parent: CallIndex, child: CallIndex) -> Pair<'_> {
        Pair { among: self, parent, child, had_made: None }
    }

    /// How many calls of a kind a parent was given.
    pub(super) fn n_made(&self, parent: CallIndex, kind: u32) -> u32 {
        let made = self.made[parent as usize].iter().find(|(made, _)| *made == kind);
        made.map_or(0, |(_, n)| *n)
    }

    /// When a parent's children keep it waiting, by their start.
    pub(super) fn busy(&self, parent: CallIndex) -> &[(i64, i64)] {
        &self.busy[parent as usize]
    }

    /// Who a call was given to.
    pub(super) fn parent_of(&self, child: CallIndex) -> Option<CallIndex> {
        self.parent_of[child as usize]
    }

    fn cause(&self, child: CallIndex) -> Option<&'a Cause> {
        self.beliefs.causes.get(&child)
    }

    /// Per call the parent that it was given, where that is more probable than not.
    pub(super) fn given(&self, settled: &[Settled]) -> Vec<Option<CallIndex>> {
        let mut given = vec![None; self.roles.calls.len()];
        for Settled { child, link, .. } in settled.iter().filter(|s| s.link.confidence >= PROBABLE)
        {
            given[*child as usize] = Some(link.parent);
        }
        given
    }

    /// What was usual in all that was assigned.
    pub(super) fn learn(&self, settled: &[Settled]) -> Learnt {
        let mut learnt = Learnt::nothing(self.evidence);
        for Settled { child, link, others, had_made } in settled {
            let is_sure = link.confidence >= TEACHES;
            let pair = Pair { had_made: Some(*had_made), ..self.pair(link.parent, *child) };
            learnt.learn(&pair, if is_sure { Lesson::Sure } else { Lesson::Likely });
            for other in others.iter().filter(|_| is_sure) {
                learnt.learn(&self.pair(*other, *child), Lesson::Other);
            }
        }
        learnt
    }
}

/// Weighs a statement that the parent is among those `is_named`, which holds with a probability; one that names nobody says nothing.
fn named(
    weights: &mut [i64],
    parents: &[CallIndex],
    is_named: impl Fn(CallIndex) -> bool,
    holds: f64,
) {
    let n_named = parents.iter().filter(|parent| is_named(**parent)).count();
    let n_others = parents.len() - n_named;
    if n_named == 0 || n_others == 0 {
        return;
    }
    let [inside, outside] = [holds / n_named as f64, (1.0 - holds) / n_others as f64].map(milli);
    for (weight, parent) in weights.iter_mut().zip(parents) {
        *weight += if is_named(*parent) { inside } else { outside };
    }
}
