//! Assigns children to parents, one after the other: each to the most probable of its possible parents, given what these were given
//! before. What that got wrong, which only the whole shows, is mended afterwards (`improvement.rs`).

use super::background::Background;
use super::candidates::Candidates;
use super::evidence::{Evidence, Kind};
use super::narrowing::Narrowed;
use super::pair::{Busy, Pair};
use super::queues::Delivered;
use super::reliability::Reliability;
use super::roles::{Roles, Together};
use super::threads::{Cause, Job};
use super::unit::{Unit, UnitIndex};
use super::usual::{Learnt, Words};
use crate::call::CallIndex;
use std::collections::BTreeMap;

/// What is believed of threads and of what is usual.
pub(super) struct Beliefs<'a> {
    pub(super) causes: &'a BTreeMap<CallIndex, Cause>,
    /// Calls that a worker made for one request.
    pub(super) jobs: &'a BTreeMap<CallIndex, Job>,
    pub(super) reliability: &'a Reliability,
    pub(super) words: &'a Words,
    pub(super) usual: &'a Learnt,
    pub(super) background: &'a Background<'a>,
}

/// So many children of a parent are counted: one that is open all the time may have made any number.
const MOST_CHILDREN: usize = 64;

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
    pub(super) delivered: Delivered<'a>,
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
        // Whoever passes a request on answers when it was answered.
        let is_relayed = |c: &&Candidates| {
            !c.outlives && c.parents.iter().any(|&p| self.roles.same_request(p, c.child))
        };
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
        let mut place_of: BTreeMap<Together, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<Narrowed>> = Vec::new();
        for narrowed in narrowed {
            let place = self
                .part_of(narrowed.child)
                .map_or(groups.len(), |part| *place_of.entry(part).or_insert(groups.len()));
            match groups.get_mut(place) {
                Some(group) => group.push(narrowed),
                None => groups.push(vec![narrowed]),
            }
        }
        groups
    }

    /// What a call is part of, as far as that may be known.
    fn part_of(&self, child: CallIndex) -> Option<Together> {
        let job = self.beliefs.jobs.get(&child).map(|job| Together::Job(*job));
        let uses_transactions = self.evidence.uses(Kind::Transactions);
        job.or_else(|| uses_transactions.then(|| self.roles.together(child)))
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
        unit.none = self.none(&unit, parent).filter(|(none, _)| *none > 0.5);
        let index = self.units.len() as UnitIndex;
        if unit.none.is_some() {
            unit.given = None;
            self.units.push(unit);
        } else {
            self.units.push(unit);
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

    /// When the first of a unit was asked, on the clock nearest to its client.
    pub(super) fn start(&self, unit: UnitIndex) -> i64 {
        self.roles.asked_from(self.units[unit as usize].first())
    }

    /// A child beside a parent, after all else that this was given.
    pub(super) fn pair(&self, parent: CallIndex, child: CallIndex) -> Pair<'_> {
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

    pub(super) fn cause(&self, child: CallIndex) -> Option<&'a Cause> {
        self.beliefs.causes.get(&child)
    }
}
