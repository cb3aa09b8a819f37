//! How probable parents are, in milli-nats: by what does not depend on what else they do, and as stories, requests with all of their
//! calls. Never decides.

use super::LinkKind;
use super::assignment::Assignment;
use super::background::Prior;
use super::evidence::Kind;
use super::narrowing::Narrowed;
use super::pair::{Busy, Pair, Whole, count};
use super::threads::{Cause, Way};
use super::unit::{Unit, UnitIndex};
use super::usual::{Usual, milli, tempered};
use crate::call::CallIndex;

/// A request is passed on once, but for this share of cases.
const AGAIN: f64 = 0.02;
/// A subscriber that gets everything gets it in order, but for losses.
const IN_ORDER: f64 = 0.95;

impl Assignment<'_> {
    /// How probable each parent of a group is by what does not depend on what else the parent does, in milli-nats: threads and what
    /// is of each child. Only differences mean something.
    pub(super) fn fixed_weights(&self, group: &[Narrowed]) -> Vec<i64> {
        let Some(Narrowed { child, parents, .. }) = group.first() else { return Vec::new() };
        let is_of_each = |usual: &dyn Usual| usual.is_of_each();
        let of_each = |parent: &CallIndex| {
            // How many were made matters to none of these.
            let pair = |child| Pair {
                among: self,
                parent: *parent,
                child,
                busy: self.busy(*parent),
                n_made: 0,
            };
            let pairs = group.iter().map(|narrowed| pair(narrowed.child));
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
    pub(super) fn next_delivered(&self, narrowed: &Narrowed) -> Option<CallIndex> {
        let is_delivery = narrowed.kind == LinkKind::Queue && self.evidence.uses(Kind::Queues);
        let queues = &self.roles.queues;
        let subscription =
            queues.complete(self.roles.calls, narrowed.child).filter(|_| is_delivery)?;
        self.delivered.next(subscription, &narrowed.parents)
    }

    /// How probable a parent of a unit is by what depends on its other calls. The first of a group is decided on; what the others
    /// follow is the group itself.
    pub(super) fn moving_weight(&self, of: &impl Decided, pair: &Pair<'_>) -> i64 {
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
                count(&mut made, kind);
            }
        }
        weight + self.beliefs.usual.whole(&Whole { among: self, parent, busy: &busy, made: &made })
    }

    /// Whether a kind of evidence is asked.
    pub(super) fn is_heard(&self, of: &impl Decided, kind: Kind) -> bool {
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
    pub(super) fn none(&self, unit: &Unit, best: CallIndex) -> Option<(f64, Prior)> {
        if !self.evidence.uses(Kind::Background) || unit.kind != LinkKind::Work {
            return None;
        }
        let kind = self.roles.kind(best, unit.first()).1;
        let pair = self.pair(best, unit.first());
        let prior = self.beliefs.background.prior(unit.asked_at, kind, pair.asked_from())?;
        let is_named = |cause: &&Cause| cause.parents.contains(&best);
        let holds = self.cause(unit.first()).filter(is_named);
        let holds = holds.map_or(0.5, |cause| self.beliefs.reliability.of(cause));
        let usual = self.beliefs.usual.each().filter(|usual| self.is_heard(unit, usual.kind()));
        let speaks: i64 = usual.map(|usual| tempered(usual.against_chance(&pair))).sum();
        let odds = prior.share / (1.0 - prior.share) * (1.0 - holds) / holds
            * libm::exp(-speaks as f64 / 1_000.0);
        Some((odds / (1.0 + odds), prior))
    }
}

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
