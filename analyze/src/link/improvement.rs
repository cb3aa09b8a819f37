//! What giving children one after the other got wrong, mended: a child is moved, exchanged for one of another parent, or with all that
//! follows it, as long as requests with all of their calls become more probable by it. Every step makes the whole more probable, so that
//! it ends; so many rounds are made at most. Never gives a child to a parent that was not possible.

use super::LinkKind;
use super::assignment::Assignment;
use super::unit::UnitIndex;
use crate::call::CallIndex;
use std::collections::BTreeMap;

/// So many rounds at most. Where nothing changed in the last, no single step makes the whole more probable.
const ROUNDS: usize = 8;
/// A parent with more units than that is left as it is: one that is open all the time.
const MOST_UNITS: usize = 32;

/// Two parents with other units than before.
struct Change {
    gain: i64,
    units: [(CallIndex, Vec<UnitIndex>); 2],
}

impl Assignment<'_> {
    /// Mends what can be, and finds what speaks against each link. Returns whether nothing was left that a single step would have made
    /// more probable.
    pub(super) fn improve(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let mut has_changed = false;
            for unit in 0..self.units.len() as UnitIndex {
                if !self.is_looked_at(unit) {
                    has_changed |= self.look_at(unit);
                }
            }
            if !has_changed {
                return true;
            }
        }
        false
    }

    /// Whether nothing changed at its possible parents since.
    fn is_looked_at(&self, unit: UnitIndex) -> bool {
        let of = &self.units[unit as usize];
        let changed = of.parents.iter().map(|&parent| self.changed(parent)).max();
        of.looked_at.is_some_and(|at| changed.is_none_or(|changed| changed <= at))
    }

    /// Finds what would become of the whole if a unit were another parent's; and makes it so, where that is more probable.
    fn look_at(&mut self, unit: UnitIndex) -> bool {
        let changes = self.changes(unit);
        let of = &self.units[unit as usize];
        let (own, is_movable) = (of.parent(), self.is_movable(unit));
        let others = of.parents.iter().copied().filter(|&parent| Some(parent) != own);
        let gain = |parent: CallIndex| match changes.get(&parent) {
            Some(change) => (change.gain, parent),
            // Too many units to be looked at as a whole: by what does not depend on them.
            None => (self.gain_alone(unit, parent), parent),
        };
        let gains = others.map(gain).collect();
        let best = changes.into_values().max_by_key(|change| (change.gain, change.units[1].0));
        let best = best.filter(|change| change.gain > 0 && is_movable);
        let now = self.now();
        let of = &mut self.units[unit as usize];
        (of.gains, of.looked_at) = (gains, Some(now));
        let Some(change) = best else { return false };
        change.units.into_iter().for_each(|(parent, units)| self.give_all(parent, units));
        true
    }

    fn gain_alone(&self, unit: UnitIndex, to: CallIndex) -> i64 {
        let of = &self.units[unit as usize];
        let fixed = |place: Option<usize>| place.map_or(0, |place| of.fixed[place]);
        let Some(own) = of.parent() else { return 0 };
        let alone = |parent| self.weight_beside(unit, parent);
        fixed(of.place(to)) + alone(to) - fixed(of.given) - alone(own)
    }

    fn is_movable(&self, unit: UnitIndex) -> bool {
        let unit = &self.units[unit as usize];
        unit.parents.len() > 1 && unit.given.is_some() && unit.kind != LinkKind::Queue
    }

    /// Per other possible parent the best way to give it a unit.
    fn changes(&mut self, unit: UnitIndex) -> BTreeMap<CallIndex, Change> {
        let own = self.units[unit as usize].parent().filter(|_| self.is_movable(unit));
        let is_small = |parent: CallIndex| self.units_of[parent as usize].len() <= MOST_UNITS;
        let Some(own) = own.filter(|own| is_small(*own)) else { return BTreeMap::new() };
        let others = self.units[unit as usize].parents.iter().copied();
        let others: Vec<CallIndex> =
            others.filter(|&parent| parent != own && is_small(parent)).collect();
        let mut changes = BTreeMap::new();
        for to in others {
            let now = self.story_now(own) + self.story_now(to);
            changes.extend(self.best_change(unit, own, to, now).map(|change| (to, change)));
        }
        changes
    }

    /// A unit of one parent moves to another: alone, for one of the same kind, or with all that follows both.
    fn best_change(
        &self,
        unit: UnitIndex,
        own: CallIndex,
        to: CallIndex,
        now: i64,
    ) -> Option<Change> {
        let [mine, theirs] = [own, to].map(|parent| &self.units_of[parent as usize][..]);
        let start = |unit: UnitIndex| self.start(unit);
        let kind = |unit: UnitIndex| {
            let first = self.units[unit as usize].first();
            self.roles.kind(first, first).1
        };
        let mut ways = vec![exchanged(mine, theirs, |u| u == unit, |_| false)];
        let alike = theirs.iter().copied().filter(|other| kind(*other) == kind(unit));
        for other in alike.clone() {
            ways.push(exchanged(mine, theirs, |u| u == unit, |u| u == other));
        }
        let from = start(unit);
        let their_from = alike.map(start).min_by_key(|start| start.abs_diff(from)).unwrap_or(from);
        let follows = |u: UnitIndex| start(u) >= from;
        let theirs_follows = |u: UnitIndex| start(u) >= their_from;
        let count = |of: &[UnitIndex], is_so: &dyn Fn(UnitIndex) -> bool| {
            of.iter().filter(|u| is_so(**u)).take(2).count()
        };
        // Of one each, that is one of the ways above.
        if count(mine, &follows) + count(theirs, &theirs_follows) > 2 {
            ways.push(exchanged(mine, theirs, follows, theirs_follows));
        }
        let is_possible = |parent: CallIndex, units: &[UnitIndex]| {
            units.iter().all(|unit| self.units[*unit as usize].place(parent).is_some())
        };
        let changes = ways.into_iter().filter_map(|[a, b]| {
            (is_possible(own, &a) && is_possible(to, &b)).then(|| {
                let gain = self.story(own, &a) + self.story(to, &b) - now;
                Change { gain, units: [(own, a), (to, b)] }
            })
        });
        changes.max_by_key(|change| change.gain)
    }
}

/// What two have after some of either went to the other.
fn exchanged(
    mine: &[UnitIndex],
    theirs: &[UnitIndex],
    gives: impl Fn(UnitIndex) -> bool,
    takes: impl Fn(UnitIndex) -> bool,
) -> [Vec<UnitIndex>; 2] {
    let of = |from: &[UnitIndex], goes: &dyn Fn(UnitIndex) -> bool, does: bool| -> Vec<UnitIndex> {
        from.iter().copied().filter(|unit| goes(*unit) == does).collect()
    };
    let (mut a, mut b) = (of(mine, &gives, false), of(theirs, &takes, false));
    a.extend(of(theirs, &takes, true));
    b.extend(of(mine, &gives, true));
    [a, b]
}
