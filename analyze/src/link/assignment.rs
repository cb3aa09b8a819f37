//! Assigns children to parents, one after the other: each to the most probable of its possible parents, given what these were given
//! before. Never revises what it gave within a round.

use super::candidates::Candidates;
use super::content::{Shared, Words};
use super::counts::Counts;
use super::delays::{Delays, milli};
use super::reliability::Reliability;
use super::roles::{Roles, Together};
use super::threads::{Cause, Way};
use super::{Evidence, Link, LinkKind};
use crate::call::CallIndex;
use std::collections::{BTreeMap, BTreeSet};

/// A request is passed on once, but for this share of cases.
const AGAIN: f64 = 0.02;
/// What is usual counts for so many thousandths of itself: delays, words and counts of the same calls say much the same, and were learnt from
/// links that were found by them. Chosen by the calibration that the testbed's scorer shows (`score --kept`), on both topologies.
const USUAL_WORTH: i64 = 300;
/// Parents with less than this share of the probability were not really possible.
const LEAST_SHARE: f64 = 0.01;
/// A reply to a call that was given with so much confidence was read for its parent.
const PROBABLE: f64 = 0.5;
/// So many of a parent's latest calls, and kinds of call, are looked at: one that is open all the time may have made any number.
const MOST_CALLS: usize = 64;
/// So many of those that were possible are asked what words others share.
const MOST_OTHERS: usize = 32;
/// Links that are at least so sure teach what is usual.
const TEACHES: f64 = 0.8;

/// What is believed of threads, delays and words.
pub(super) struct Beliefs<'a> {
    pub(super) causes: &'a BTreeMap<CallIndex, Cause>,
    pub(super) reliability: &'a Reliability,
    pub(super) words: &'a Words,
    pub(super) usual: &'a Usual,
}

/// What was usual in the round before.
#[derive(Debug, Default)]
pub(super) struct Usual {
    delays: Delays,
    shared: Shared,
    counts: Counts,
}

/// A child that was given its parent.
pub(super) struct Settled {
    pub(super) child: CallIndex,
    pub(super) link: Link,
    /// Who else was possible.
    others: Vec<CallIndex>,
}

/// What was given so far.
pub(super) struct Assignment<'a> {
    roles: &'a Roles<'a>,
    beliefs: &'a Beliefs<'a>,
    evidence: &'a Evidence,
    /// Per parent: when its children so far keep it waiting, by their start.
    busy: Vec<Vec<(i64, i64)>>,
    /// Per parent: how many calls of which kind it was given.
    made: Vec<Vec<(u32, u32)>>,
    /// Per child: the parent it was given.
    parent_of: Vec<Option<CallIndex>>,
}

/// A child with its narrowed parents, in rising order, and why they were narrowed.
struct Narrowed {
    child: CallIndex,
    parents: Vec<CallIndex>,
    kind: LinkKind,
    reasons: Vec<String>,
}

/// A parent among those possible.
struct Chosen {
    place: usize,
    confidence: f64,
    candidates: u32,
}

impl<'a> Assignment<'a> {
    pub(super) fn new(
        roles: &'a Roles<'a>,
        beliefs: &'a Beliefs<'a>,
        evidence: &'a Evidence,
    ) -> Assignment<'a> {
        let n = roles.calls.len();
        let (busy, made, parent_of) = (vec![Vec::new(); n], vec![Vec::new(); n], vec![None; n]);
        Assignment { roles, beliefs, evidence, busy, made, parent_of }
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
        let proxies = self.roles.proxies(|call| !self.busy[call as usize].is_empty());
        let narrowed = others.into_iter().map(|candidates| {
            self.delivered(candidates).unwrap_or_else(|| self.worked(candidates, &proxies))
        });
        let (certain, doubtful): (Vec<_>, Vec<_>) = self
            .together(narrowed.collect())
            .into_iter()
            .partition(|group| group.iter().any(|narrowed| narrowed.parents.len() == 1));
        for group in certain.into_iter().chain(doubtful) {
            settled.extend(self.settle_group(group));
        }
        settled
    }

    /// Children that have one parent, in the order of the first of them.
    fn together(&self, narrowed: Vec<Narrowed>) -> Vec<Vec<Narrowed>> {
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

    /// A proxy passes the request on: the parent says the same.
    fn relayed(&self, Candidates { child, parents }: &Candidates) -> Narrowed {
        let mut parents = parents.clone();
        parents.retain(|&parent| self.roles.same_request(parent, *child));
        let mut reasons = vec!["same request passed on".to_string()];
        self.narrow_by_ids(*child, &mut parents, &mut reasons);
        self.drop_ancestors(&mut parents);
        Narrowed { child: *child, parents, kind: LinkKind::Relay, reasons }
    }

    /// A broker hands on what was published.
    fn delivered(&self, Candidates { child, parents }: &Candidates) -> Option<Narrowed> {
        let mut parents = parents.clone();
        parents.retain(|&parent| self.roles.delivers(parent, *child));
        let reasons = vec!["published under the same name".to_string()];
        (!parents.is_empty()).then_some(Narrowed {
            child: *child,
            parents,
            kind: LinkKind::Queue,
            reasons,
        })
    }

    /// A service works on the parent: any call it has open there, but not one that a proxy in the same place holds open.
    fn worked(&self, Candidates { child, parents }: &Candidates, proxies: &[bool]) -> Narrowed {
        let (mut parents, mut reasons) = (parents.clone(), Vec::new());
        self.narrow_by_ids(*child, &mut parents, &mut reasons);
        let is_service = |parent: &CallIndex| !self.roles.is_proxied(*parent, proxies);
        if parents.iter().any(is_service) {
            parents.retain(is_service);
        }
        self.drop_ancestors(&mut parents);
        Narrowed { child: *child, parents, kind: LinkKind::Work, reasons }
    }

    fn narrow_by_ids(
        &self,
        child: CallIndex,
        parents: &mut Vec<CallIndex>,
        reasons: &mut Vec<String>,
    ) {
        if self.evidence.ignore_ids {
            return;
        }
        let shared = |parent: &CallIndex| self.roles.shared_id(*parent, child);
        let Some(id) = parents.iter().find_map(shared) else { return };
        parents.retain(|parent| shared(parent).is_some());
        reasons.insert(0, id);
    }

    /// Where a call and its own child both contain this one, the inner one is the nearer cause.
    fn drop_ancestors(&self, parents: &mut Vec<CallIndex>) {
        let above = |&parent: &CallIndex| self.parent_of[parent as usize];
        let ancestors: BTreeSet<CallIndex> = parents
            .iter()
            .filter_map(above)
            .filter(|ancestor| parents.binary_search(ancestor).is_ok())
            .collect();
        parents.retain(|parent| !ancestors.contains(parent));
    }

    /// Gives children that have the same possible parents to the most probable of these.
    fn settle(&mut self, group: Vec<Narrowed>) -> Vec<Settled> {
        let weights = self.weights(&group);
        let best = weights.iter().enumerate().max_by_key(|(i, weight)| (**weight, *i));
        let Some((best, most)) = best else { return Vec::new() };
        let shares = weights.iter().map(|weight| libm::exp((weight - most) as f64 / 1_000.0));
        let total: f64 = shares.clone().sum();
        let possible = shares.filter(|share| share / total >= LEAST_SHARE).count().max(1);
        let chosen = Chosen { place: best, confidence: 1.0 / total, candidates: possible as u32 };
        group.into_iter().map(|narrowed| self.give(narrowed, &chosen)).collect()
    }

    /// Writes a link down.
    fn give(&mut self, narrowed: Narrowed, chosen: &Chosen) -> Settled {
        let Narrowed { child, parents, kind, mut reasons } = narrowed;
        let parent = parents[chosen.place];
        if let Some(cause) = self.cause(child).filter(|cause| cause.parents.contains(&parent)) {
            reasons.insert(0, cause.reason.clone());
        }
        reasons.push(match parents.len() {
            1 => "contained, 1 candidate".to_string(),
            k => format!("contained, {k} candidates"),
        });
        let asked = *self.roles.beside(parent, child).1;
        let busy = &mut self.busy[parent as usize];
        let at = busy.partition_point(|&(from, _)| from <= asked.from);
        busy.insert(at, (asked.from, asked.to));
        let kind_of_call = self.roles.kind(parent, child).1;
        let made = &mut self.made[parent as usize];
        match made.iter().position(|(kind, _)| *kind == kind_of_call) {
            Some(place) => made[place].1 += 1,
            None if made.len() < MOST_CALLS => made.push((kind_of_call, 1)),
            None => {}
        }
        self.parent_of[child as usize] = Some(parent);
        let Chosen { place, confidence, candidates } = *chosen;
        let link = Link { parent, kind, confidence, candidates, evidence: reasons };
        let mut others = parents;
        others.swap_remove(place);
        others.truncate(MOST_OTHERS);
        others.shrink_to_fit();
        Settled { child, link, others }
    }

    /// How probable each parent of a group is, in milli-nats: only differences mean something. The first of the group was decided
    /// on; what the others follow is the group itself, so that only their words say more.
    fn weights(&self, group: &[Narrowed]) -> Vec<i64> {
        let Some(Narrowed { child, parents, kind, .. }) = group.first() else { return Vec::new() };
        let mut weights: Vec<i64> =
            parents.iter().map(|&parent| self.weight(parent, *child, *kind)).collect();
        for Narrowed { child, .. } in group.iter().filter(|_| !self.evidence.ignore_content) {
            for (weight, &parent) in weights.iter_mut().zip(parents) {
                let class = self.beliefs.words.shared(parent, *child);
                *weight += self.beliefs.usual.shared.log(self.roles.edge(parent, *child), class);
            }
        }
        weights.iter_mut().for_each(|weight| *weight = *weight * USUAL_WORTH / 1_000);
        if let Some(cause) = self.cause(*child) {
            let holds = self.beliefs.reliability.of(cause);
            named(&mut weights, parents, |parent| cause.parents.contains(&parent), holds);
        }
        weights
    }

    /// By what is usual.
    fn weight(&self, parent: CallIndex, child: CallIndex, kind: LinkKind) -> i64 {
        let kind_of_call = self.roles.kind(parent, child);
        let n_made = self.n_made(parent, kind_of_call.1);
        let usual = self.beliefs.usual;
        let again = match kind {
            LinkKind::Relay if !self.busy[parent as usize].is_empty() => milli(AGAIN),
            LinkKind::Relay | LinkKind::Queue => 0,
            LinkKind::Work => usual.counts.one_more(kind_of_call, n_made),
        };
        // Whoever handed over to a writing task just now is whoever was active last: delays would say it twice.
        let says_it = |cause: &Cause| matches!(cause.way, Way::HandedOver(0 | 1, _));
        if self.evidence.ignore_delays || self.cause(child).is_some_and(says_it) {
            return again;
        }
        let (is_beside, delay_ns) = self.since(parent, child);
        again + usual.delays.log(self.roles.edge(parent, child), is_beside, delay_ns)
    }

    /// How many calls of a kind a parent was given.
    fn n_made(&self, parent: CallIndex, kind: u32) -> u32 {
        let made = self.made[parent as usize].iter().find(|(made, _)| *made == kind);
        made.map_or(0, |(_, n)| *n)
    }

    fn cause(&self, child: CallIndex) -> Option<&'a Cause> {
        self.beliefs.causes.get(&child)
    }

    /// How long before the child was asked something happened to the parent last: it was read, or a call of it was answered; and whether
    /// another call of it was still out.
    fn since(&self, parent: CallIndex, child: CallIndex) -> (bool, i64) {
        let (served, asked) = self.roles.beside(parent, child);
        let (mut is_beside, mut last) = (false, served.request_last);
        let busy = &self.busy[parent as usize];
        let before = busy.partition_point(|&(from, _)| from <= asked.from);
        for &(from, to) in busy[..before].iter().rev().take(MOST_CALLS) {
            if (from, to) == (asked.from, asked.to) {
                continue;
            }
            match to > asked.from {
                true => is_beside = true,
                false => last = last.max(to),
            }
        }
        (is_beside, asked.from.saturating_sub(last))
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

    /// What was usual in all that was assigned with some certainty.
    pub(super) fn usual(&self, settled: &[Settled]) -> Usual {
        let mut usual = Usual::default();
        for (parent, made) in (0..).zip(&self.made) {
            for (kind, n) in made {
                usual.counts.count((self.roles.listener(parent), *kind), *n);
            }
        }
        for Settled { child, link, others } in
            settled.iter().filter(|s| s.link.confidence >= TEACHES)
        {
            let edge = self.roles.edge(link.parent, *child);
            let (is_beside, delay_ns) = self.since(link.parent, *child);
            usual.delays.count(edge, is_beside, delay_ns);
            usual.shared.count(edge, self.beliefs.words.shared(link.parent, *child), true);
            for other in others {
                let edge = self.roles.edge(*other, *child);
                usual.shared.count(edge, self.beliefs.words.shared(*other, *child), false);
            }
        }
        usual
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
