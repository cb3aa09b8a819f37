//! Assigns children to parents, one after the other: each to the most probable of its possible parents, given what these were given
//! before. What that got wrong, which only the whole shows, is mended afterwards (`improvement.rs`).

use super::background::Background;
use super::candidates::Candidates;
use super::evidence::{Evidence, Kind};
use super::narrowing::Narrowed;
use super::pair::{Busy, Pair, Whole};
use super::queues::Delivered;
use super::reliability::Reliability;
use super::roles::{Roles, Together};
use super::threads::{Cause, Way};
use super::unit::{Unit, UnitIndex};
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
/// A reply to a call that was given with more confidence than that was read for its parent.
const PROBABLE: f64 = 0.5;
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
}

/// What came of an assignment.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) settled: Vec<Settled>,
    /// Children that more probably have no recorded parent.
    pub(super) no_parent: Vec<(CallIndex, NoParent)>,
}

/// What was given so far.
pub(super) struct Assignment<'a> {
    pub(super) roles: &'a Roles<'a>,
    pub(super) beliefs: &'a Beliefs<'a>,
    pub(super) evidence: Evidence,
    /// Children that are given together, in the order in which they were.
    pub(super) units: Vec<Unit>,
    /// Per parent: what it was given.
    pub(super) units_of: Vec<Vec<UnitIndex>>,
    /// Per parent: when its children so far keep it waiting, by their start.
    busy: Vec<Vec<Busy>>,
    /// Per child: the parent it was given.
    parent_of: Vec<Option<CallIndex>>,
    /// What subscribers were delivered.
    delivered: Delivered<'a>,
    /// How many changes were made, and per parent the last.
    n_changes: u32,
    changed: Vec<u32>,
    /// Per parent how much it is as requests are, where that was asked since.
    stories: Vec<Option<i64>>,
}

impl<'a> Assignment<'a> {
    pub(super) fn new(
        roles: &'a Roles<'a>,
        beliefs: &'a Beliefs<'a>,
        evidence: Evidence,
    ) -> Assignment<'a> {
        let n = roles.calls.len();
        Assignment {
            roles,
            beliefs,
            evidence,
            units: Vec::new(),
            units_of: vec![Vec::new(); n],
            busy: vec![Vec::new(); n],
            parent_of: vec![None; n],
            delivered: Delivered::default(),
            n_changes: 0,
            changed: vec![0; n],
            stories: vec![None; n],
        }
    }

    /// All children: first what proxies pass on, then the others, those with one possible parent before those with several, since
    /// they show when the others had to wait.
    pub(super) fn assign(&mut self, candidates: &[Candidates]) {
        let is_relayed =
            |c: &&Candidates| c.parents.iter().any(|&p| self.roles.same_request(p, c.child));
        let (relayed, others): (Vec<_>, Vec<_>) = candidates.iter().partition(is_relayed);
        for candidates in relayed {
            let narrowed = self.relayed(candidates);
            self.settle(vec![narrowed]);
        }
        let proxies = self.roles.proxies(|call| !self.busy(call).is_empty());
        let mut narrowed = Vec::new();
        for candidates in others {
            match self.delivered(candidates) {
                Some(delivered) => self.settle(vec![delivered]),
                None => narrowed.push(self.worked(candidates, &proxies)),
            }
        }
        let (certain, doubtful): (Vec<_>, Vec<_>) = self
            .together(narrowed)
            .into_iter()
            .partition(|group| group.iter().any(|narrowed| narrowed.parents.len() == 1));
        for group in certain.into_iter().chain(doubtful) {
            self.settle_group(group);
        }
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
    fn settle_group(&mut self, mut group: Vec<Narrowed>) {
        let is_common =
            |parent: &CallIndex| group.iter().all(|n| n.parents.binary_search(parent).is_ok());
        let common: Vec<CallIndex> = group[0].parents.iter().copied().filter(is_common).collect();
        if common.is_empty() {
            group.into_iter().for_each(|narrowed| self.settle(vec![narrowed]));
        } else {
            group.iter_mut().for_each(|narrowed| narrowed.parents.clone_from(&common));
            self.settle(group);
        }
    }

    /// Gives children that have the same possible parents to the most probable of these.
    fn settle(&mut self, group: Vec<Narrowed>) {
        let fixed = self.fixed_weights(&group);
        let Some(first) = group.first() else { return };
        let weight = |(parent, fixed): (&CallIndex, &i64)| {
            fixed + self.moving_weight(first, &self.pair(*parent, first.child))
        };
        let weights: Vec<i64> = first.parents.iter().zip(&fixed).map(weight).collect();
        let mut unit = Unit::new(group, fixed, &weights);
        let Some(parent) = unit.parent() else { return };
        let is_background = self.none(&unit, parent).is_some_and(|(none, _)| none > 0.5);
        if is_background {
            unit.given = None;
        }
        let index = self.units.len() as UnitIndex;
        self.units.push(unit);
        if !is_background {
            self.give(index, parent);
        }
    }

    /// Writes down that a unit is a parent's.
    fn give(&mut self, index: UnitIndex, parent: CallIndex) {
        self.units_of[parent as usize].push(index);
        let unit = &self.units[index as usize];
        for &child in &unit.children {
            self.parent_of[child as usize] = Some(parent);
            if let Some(subscription) = self.roles.queues.complete(self.roles.calls, child) {
                self.delivered.delivers(subscription, parent);
            }
        }
        let mut busy = std::mem::take(&mut self.busy[parent as usize]);
        for &child in &unit.children {
            let asked = self.busy_of(parent, child);
            let at = busy.partition_point(|(from, ..)| *from <= asked.0);
            busy.insert(at, asked);
        }
        self.busy[parent as usize] = busy;
    }

    /// Writes down that a parent has these units now, and no others.
    pub(super) fn give_all(&mut self, parent: CallIndex, units: Vec<UnitIndex>) {
        let mut busy = Vec::new();
        for &index in &units {
            let unit = &mut self.units[index as usize];
            unit.given = unit.place(parent);
            for &child in &unit.children {
                self.parent_of[child as usize] = Some(parent);
            }
            let unit = &self.units[index as usize];
            busy.extend(unit.children.iter().map(|&child| self.busy_of(parent, child)));
        }
        busy.sort_unstable();
        self.busy[parent as usize] = busy;
        self.units_of[parent as usize] = units;
        self.n_changes += 1;
        self.changed[parent as usize] = self.n_changes;
        self.stories[parent as usize] = None;
    }

    /// How much a request is as requests are now.
    pub(super) fn story_now(&mut self, parent: CallIndex) -> i64 {
        if let Some(story) = self.stories[parent as usize] {
            return story;
        }
        let story = self.story(parent, &self.units_of[parent as usize]);
        self.stories[parent as usize] = Some(story);
        story
    }

    /// The number of the last change of a parent's units; and of all.
    pub(super) fn changed(&self, parent: CallIndex) -> u32 {
        self.changed[parent as usize]
    }

    pub(super) fn now(&self) -> u32 {
        self.n_changes
    }

    /// When a call keeps a parent waiting, on their common clock.
    pub(super) fn busy_of(&self, parent: CallIndex, child: CallIndex) -> Busy {
        let asked = self.roles.beside(parent, child).1;
        (asked.from, asked.to, self.roles.edge(parent, child).1)
    }

    /// How probable each parent of a group is by what does not depend on what else the parent does, in milli-nats: threads and what
    /// is of each child. Only differences mean something.
    fn fixed_weights(&self, group: &[Narrowed]) -> Vec<i64> {
        let Some(Narrowed { child, parents, .. }) = group.first() else { return Vec::new() };
        let is_of_each = |usual: &dyn Usual| usual.is_of_each();
        let of_each = |parent: &CallIndex| {
            let pairs = group.iter().map(|narrowed| self.pair(*parent, narrowed.child));
            pairs.map(|pair| self.beliefs.usual.weight(&pair, is_of_each)).sum()
        };
        let mut weights: Vec<i64> = parents.iter().map(of_each).collect();
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

    /// How probable a parent of a unit is by what depends on its other calls. The first of a group is decided on; what the others
    /// follow is the group itself.
    fn moving_weight(&self, of: &impl Decided, pair: &Pair<'_>) -> i64 {
        let again = match of.kind() {
            LinkKind::Relay if pair.busy.iter().any(|busy| busy.0 < pair.asked_from()) => {
                tempered(milli(AGAIN))
            }
            _ => 0,
        };
        let is_heard = |usual: &dyn Usual| !usual.is_of_each() && self.is_heard(of, usual.kind());
        again + self.beliefs.usual.weight(pair, is_heard)
    }

    /// By what depends on a parent's other calls, as these are now.
    pub(super) fn weight_beside(&self, unit: UnitIndex, parent: CallIndex) -> i64 {
        let unit = &self.units[unit as usize];
        self.moving_weight(unit, &self.pair(parent, unit.first()))
    }

    /// When the first of a unit was asked, on the clock nearest to its client.
    pub(super) fn start(&self, unit: UnitIndex) -> i64 {
        self.roles.asked_from(self.units[unit as usize].first())
    }

    /// How much a request is as requests are if it has these units, in milli-nats.
    pub(super) fn story(&self, parent: CallIndex, units: &[UnitIndex]) -> i64 {
        let children = |unit: &UnitIndex| self.units[*unit as usize].children.iter().copied();
        let mut busy: Vec<Busy> =
            units.iter().flat_map(children).map(|child| self.busy_of(parent, child)).collect();
        busy.sort_unstable();
        let mut in_order: Vec<(i64, UnitIndex)> = units
            .iter()
            .map(|&unit| (self.busy_of(parent, self.units[unit as usize].first()).0, unit))
            .collect();
        in_order.sort_unstable();
        let (mut made, mut weight) = (Vec::<(u32, u32)>::new(), 0);
        for (_, index) in in_order {
            let unit = &self.units[index as usize];
            let place = unit.place(parent);
            weight += place.map_or(0, |place| unit.fixed[place]);
            let kind = self.roles.kind(parent, unit.first()).1;
            let n_made = made.iter().find(|(made, _)| *made == kind).map_or(0, |(_, n)| *n);
            let pair = Pair { among: self, parent, child: unit.first(), busy: &busy, n_made };
            weight += self.moving_weight(unit, &pair);
            for &child in &unit.children {
                let kind = self.roles.kind(parent, child).1;
                match made.iter_mut().find(|(made, _)| *made == kind) {
                    Some((_, n)) => *n += 1,
                    None => made.push((kind, 1)),
                }
            }
        }
        weight + self.beliefs.usual.whole(&Whole { among: self, parent, busy: &busy, made: &made })
    }

    /// Whether a kind of evidence is asked.
    fn is_heard(&self, of: &impl Decided, kind: Kind) -> bool {
        match kind {
            // Whoever handed over to a writing task just now is whoever was active last: delays would say it twice.
            Kind::Delays => !self
                .cause(of.first())
                .is_some_and(|cause| matches!(cause.way, Way::HandedOver(0 | 1, _))),
            // What is passed on and handed on is not counted by kind.
            Kind::Counts => of.kind() == LinkKind::Work,
            _ => true,
        }
    }

    /// How probable it is that a call has no recorded parent, if `best` is the most probable of those that have been.
    fn none(&self, unit: &Unit, best: CallIndex) -> Option<(f64, String)> {
        if !self.evidence.uses(Kind::Background) || unit.kind != LinkKind::Work {
            return None;
        }
        let kind = self.roles.kind(best, unit.first()).1;
        let (share, n_alone) = self.beliefs.background.share(unit.asked_at, kind)?;
        let is_named = |cause: &&Cause| cause.parents.contains(&best);
        let holds = self.cause(unit.first()).filter(is_named);
        let holds = holds.map_or(0.5, |cause| self.beliefs.reliability.of(cause));
        let pair = self.pair(best, unit.first());
        let usual = self.beliefs.usual.each().filter(|usual| self.is_heard(unit, usual.kind()));
        let speaks: i64 = usual.map(|usual| tempered(usual.against_chance(&pair))).sum();
        let odds =
            share / (1.0 - share) * (1.0 - holds) / holds * libm::exp(-speaks as f64 / 1_000.0);
        let reason = format!("{n_alone} such calls while nothing was being served");
        Some((odds / (1.0 + odds), reason))
    }

    /// All links, each with its confidence: the share of its parent among all that were possible, as the rest is.
    pub(super) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        for index in 0..self.units.len() as UnitIndex {
            let unit = &self.units[index as usize];
            let Some(parent) = unit.parent().or_else(|| unit.parents.first().copied()) else {
                continue;
            };
            let none = self.none(unit, parent);
            if unit.given.is_none() || none.as_ref().is_some_and(|(none, _)| *none > 0.5) {
                outcome.no_parent.extend(none.into_iter().flat_map(|why| unit.no_parent(why)));
                continue;
            }
            let mut shares = vec![(1.0, parent)];
            let gains = &unit.gains;
            shares.extend(
                gains
                    .iter()
                    .map(|(gain, to)| (libm::exp((*gain).min(9_200) as f64 / 1_000.0), *to)),
            );
            let total: f64 = shares.iter().map(|(share, _)| share).sum();
            let n_possible = shares.iter().filter(|(share, _)| share / total >= LEAST_SHARE);
            let candidates = n_possible.count().max(1) as u32;
            let next = gains.iter().max_by_key(|(gain, to)| (*gain, *to)).map(|(_, to)| *to);
            let some = 1.0 - none.as_ref().map_or(0.0, |(none, _)| *none);
            let confidence = some / total;
            for (i, &child) in unit.children.iter().enumerate() {
                let evidence = self.reasons(unit, i, parent, next, none.as_ref());
                let link = Link { parent, kind: unit.kind, confidence, candidates, evidence };
                outcome.settled.push(Settled { child, link });
            }
        }
        outcome
    }

    /// What speaks for a child's parent, in words.
    fn reasons(
        &self,
        unit: &Unit,
        i: usize,
        parent: CallIndex,
        next: Option<CallIndex>,
        none: Option<&(f64, String)>,
    ) -> Vec<String> {
        let child = unit.children[i];
        let mut reasons = Vec::new();
        if let Some(cause) = self.cause(child).filter(|cause| cause.parents.contains(&parent)) {
            reasons.push(cause.reason.clone());
        }
        reasons.extend(unit.reasons[i].iter().cloned());
        reasons.extend(next.into_iter().flat_map(|next| self.against(unit, parent, next)));
        let how = if unit.outlives { "began inside, outlived it" } else { "contained" };
        reasons.push(match unit.n_parents {
            1 => format!("{how}, 1 candidate"),
            k => format!("{how}, {k} candidates"),
        });
        if let Some((none, reason)) = none.filter(|(none, _)| *none >= LEAST_SHARE) {
            reasons.push(format!("{reason}: {none:.2} that it has no recorded parent"));
        }
        reasons
    }

    /// What is usual and speaks for a parent against the next.
    fn against(&self, unit: &Unit, parent: CallIndex, next: CallIndex) -> Vec<String> {
        let [best, next] = [parent, next].map(|parent| self.pair(parent, unit.first()));
        let heard = self.beliefs.usual.each().filter(|usual| self.is_heard(unit, usual.kind()));
        let reason = |usual: &dyn Usual| {
            let more = tempered(usual.weight(&best).saturating_sub(usual.weight(&next)));
            let times = libm::exp(more.min(9_200) as f64 / 1_000.0);
            (more >= TELLING)
                .then(|| format!("{} ({times:.0} times the next's weight)", usual.reason(&best)))
        };
        heard.filter_map(reason).collect()
    }

    /// A child beside a parent, after all else that this was given.
    fn pair(&self, parent: CallIndex, child: CallIndex) -> Pair<'_> {
        let kind = self.roles.kind(parent, child).1;
        let children =
            self.units_of[parent as usize].iter().flat_map(|u| &self.units[*u as usize].children);
        let is_such =
            |other: &&CallIndex| **other != child && self.roles.kind(parent, **other).1 == kind;
        let n_made = children.take(MOST_CHILDREN).filter(is_such).count() as u32;
        Pair { among: self, parent, child, busy: self.busy(parent), n_made }
    }

    /// When a parent's children keep it waiting, by their start.
    pub(super) fn busy(&self, parent: CallIndex) -> &[Busy] {
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
    pub(super) fn given(&self, outcome: &Outcome) -> Vec<Option<CallIndex>> {
        let mut given = vec![None; self.roles.calls.len()];
        let probable = outcome.settled.iter().filter(|s| s.link.confidence > PROBABLE);
        for Settled { child, link, .. } in probable {
            given[*child as usize] = Some(link.parent);
        }
        given
    }

    /// What was usual in all that was assigned.
    pub(super) fn learn(&self, outcome: &Outcome) -> Learnt {
        let mut learnt = Learnt::nothing(self.evidence);
        let mut is_sure = vec![false; self.roles.calls.len()];
        let sure = outcome.settled.iter().filter(|s| s.link.confidence >= TEACHES);
        sure.for_each(|s| is_sure[s.child as usize] = true);
        for unit in &self.units {
            for &child in unit.children.iter().filter(|child| is_sure[**child as usize]) {
                for &parent in &unit.parents {
                    let is_parent = unit.parent() == Some(parent);
                    let lesson = if is_parent { Lesson::Sure } else { Lesson::Other };
                    learnt.learn(&self.pair(parent, child), lesson);
                }
            }
        }
        self.learn_wholes(&mut learnt);
        learnt.settle();
        learnt
    }

    /// Of requests to those who make calls at all.
    fn learn_wholes(&self, learnt: &mut Learnt) {
        let n_kinds = self.roles.n_kinds();
        let mut makes_calls = vec![false; n_kinds];
        let kind_of = |call: CallIndex| self.roles.kind(call, call).0;
        for (call, units) in (0..).zip(&self.units_of) {
            makes_calls[kind_of(call) as usize] |= !units.is_empty();
        }
        for (parent, units) in (0..).zip(&self.units_of) {
            if !makes_calls[kind_of(parent) as usize] {
                continue;
            }
            let mut made: Vec<(u32, u32)> = Vec::new();
            for &child in units.iter().flat_map(|u| &self.units[*u as usize].children) {
                let kind = self.roles.kind(parent, child).1;
                match made.iter().position(|(made, _)| *made == kind) {
                    Some(place) => made[place].1 += 1,
                    None if made.len() < MOST_CHILDREN => made.push((kind, 1)),
                    None => {}
                }
            }
            let busy = self.busy(parent);
            learnt.learn_whole(&Whole { among: self, parent, busy, made: &made });
        }
    }
}

/// So many children of a parent, and kinds of them, are counted: one that is open all the time may have made any number.
const MOST_CHILDREN: usize = 64;

/// What was decided on as one.
pub(super) trait Decided {
    fn first(&self) -> CallIndex;
    fn kind(&self) -> LinkKind;
}

impl Decided for Narrowed {
    fn first(&self) -> CallIndex {
        self.child
    }

    fn kind(&self) -> LinkKind {
        self.kind
    }
}

impl Decided for Unit {
    fn first(&self) -> CallIndex {
        Unit::first(self)
    }

    fn kind(&self) -> LinkKind {
        self.kind
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
