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
    /// Mends what can be, and finds what speaks against each link.
    pub(super) fn improve(&mut self) {
        for _ in 0..ROUNDS {
            let mut has_changed = false;
            for unit in 0..self.units.len() as UnitIndex {
                if !self.is_looked_at(unit) {
                    has_changed |= self.look_at(unit, true);
                }
            }
            if !has_changed {
                return;
            }
        }
        // What the last changes left behind is looked at and left.
        for unit in 0..self.units.len() as UnitIndex {
            if !self.is_looked_at(unit) {
                self.look_at(unit, false);
            }
        }
    }

    /// Whether a unit was not held against all of its possible parents, or the rounds ended before it was where it is most probable.
    pub(super) fn is_left_open(&self, unit: UnitIndex) -> bool {
        let of = &self.units[unit as usize];
        let is_large = |&parent: &CallIndex| self.units_of[parent as usize].len() > MOST_UNITS;
        of.parents.len() < of.n_parents
            || of.gains.iter().any(|(gain, _)| *gain > 0)
            || self.is_movable(unit) && of.parents.iter().any(is_large)
    }

    /// Whether nothing changed at its possible parents since.
    fn is_looked_at(&self, unit: UnitIndex) -> bool {
        let of = &self.units[unit as usize];
        let changed = of.parents.iter().map(|&parent| self.changed(parent)).max();
        of.looked_at.is_some_and(|at| changed.is_none_or(|changed| changed <= at))
    }

    /// Finds what would become of the whole if a unit were another parent's; and, if it may, makes it so where that is more probable.
    fn look_at(&mut self, unit: UnitIndex, may_change: bool) -> bool {
        let changes = self.changes(unit);
        let of = &self.units[unit as usize];
        let own = of.parent();
        let others = of.parents.iter().copied().filter(|&parent| Some(parent) != own);
        let gain = |parent: CallIndex| match changes.get(&parent) {
            Some(change) => (change.gain, parent),
            // Too many units to be looked at as a whole: by what does not depend on them.
            None => (self.gain_alone(unit, parent), parent),
        };
        let gains = others.map(gain).collect();
        let best = changes.into_values().max_by_key(|change| (change.gain, change.units[1].0));
        let best = best.filter(|change| change.gain > 0 && may_change);
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
        // What one has is possible for it: only what comes has to be. The unit itself may go.
        let may_go = |unit: UnitIndex, to| self.units[unit as usize].place(to).is_some();
        let mut ways = vec![exchanged(mine, theirs, |u| u == unit, |_| false)];
        let of = kind(unit);
        let alike = theirs.iter().copied().filter(|other| kind(*other) == of);
        for other in alike.clone().filter(|other| may_go(*other, own)) {
            ways.push(exchanged(mine, theirs, |u| u == unit, |u| u == other));
        }
        let from = start(unit);
        let their_from = alike.map(start).min_by_key(|start| start.abs_diff(from)).unwrap_or(from);
        let follows = |u: UnitIndex| start(u) >= from;
        let theirs_follows = |u: UnitIndex| start(u) >= their_from;
        let count = |of: &[UnitIndex], is_so: &dyn Fn(UnitIndex) -> bool| {
            of.iter().filter(|u| is_so(**u)).take(2).count()
        };
        let all_may = |of: &[UnitIndex], go: &dyn Fn(UnitIndex) -> bool, to| {
            of.iter().filter(|u| go(**u)).all(|u| may_go(*u, to))
        };
        // Of one each, that is one of the ways above.
        if count(mine, &follows) + count(theirs, &theirs_follows) > 2
            && all_may(mine, &follows, to)
            && all_may(theirs, &theirs_follows, own)
        {
            ways.push(exchanged(mine, theirs, follows, theirs_follows));
        }
        let changes = ways.into_iter().map(|[a, b]| {
            let gain = self.story(own, &a) + self.story(to, &b) - now;
            Change { gain, units: [(own, a), (to, b)] }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, CallState};
    use crate::link::assignment::Beliefs;
    use crate::link::background::Background;
    use crate::link::candidates::{Possible, candidates};
    use crate::link::evidence::Evidence;
    use crate::link::reliability::Reliability;
    use crate::link::roles::Roles;
    use crate::link::threads::Told;
    use crate::link::usual::{Learnt, Words};
    use crate::link::windows::Windows;
    use crate::protocol::laws::Dice;
    use crate::report::sample::shop;

    const US: i64 = 1_000;

    /// A request of a service, or a call of it to a store, on a connection of its own.
    fn call(flow: u32, is_request: bool, from: i64, to: i64) -> Call {
        let mut call = shop().calls[0].clone();
        let service = call.server.clone();
        if !is_request {
            call.client = service;
            call.client.port = 0;
            call.server.port = 6_379;
            (call.protocol, call.resource) = ("redis".into(), "GET".into());
        }
        call.state = CallState::Complete;
        call.ids.clear();
        call.spans.truncate(1);
        let span = &mut call.spans[0];
        span.flow = flow;
        let times = &mut span.times;
        (times.request_first, times.request_last) = (Some(from), Some(from));
        (times.response_first, times.response_last) = (Some(to), Some(to));
        call
    }

    /// A request at `at`, which asks twice and answers: gaps of some 200, 100 and 50 µs.
    fn story(dice: &mut Dice, flow: u32, at: i64) -> [Call; 3] {
        let mut gap = |usual: i64| usual * US * (50 + dice.below(100) as i64) / 100;
        let first = at + gap(200);
        let first_answered = first + gap(300);
        let second = first_answered + gap(100);
        let second_answered = second + gap(300);
        let answered = second_answered + gap(50);
        [
            call(flow, true, at, answered),
            call(flow + 1, false, first, first_answered),
            call(flow + 2, false, second, second_answered),
        ]
    }

    fn in_order(mut calls: Vec<Call>) -> Vec<Call> {
        calls.sort_by_key(|call| (call.spans[0].times.request_first, call.spans[0].flow));
        calls
    }

    /// Assigns with what is usual already known; hands the assignment to `looks`.
    fn assigned<T>(
        calls: &[Call],
        usual: &Learnt,
        looks: impl FnOnce(&mut Assignment<'_>, &Possible) -> T,
    ) -> T {
        let shop = shop();
        let flows = vec![shop.flows[0].clone(); 2_000];
        let windows = Windows::of_all(calls, &shop.points, &flows);
        let possible = candidates(calls, &windows);
        let roles = Roles::of(calls, &windows);
        let (words, told) = (Words::of(calls), Told::default());
        let reliability = Reliability::learn(&possible.children, &told);
        let background = Background::learn(&possible, |call| roles.kind(call, call).1);
        let beliefs = Beliefs {
            jobs: &BTreeMap::new(),
            causes: &told.causes,
            reliability: &reliability,
            words: &words,
            usual,
            background: &background,
        };
        let mut assignment = Assignment::new(&roles, &beliefs, Evidence::WITHOUT_IDS);
        assignment.assign(&possible.children);
        looks(&mut assignment, &possible)
    }

    /// How much all requests are as requests are.
    fn sum(assignment: &Assignment<'_>, units_of: &[Vec<UnitIndex>]) -> i64 {
        (0..).zip(units_of).map(|(parent, units)| assignment.story(parent, units)).sum()
    }

    /// The best of all ways to give units to their possible parents.
    fn best(assignment: &Assignment<'_>, unit: usize, given: &mut Vec<Vec<UnitIndex>>) -> i64 {
        let Some(of) = assignment.units.get(unit) else { return sum(assignment, given) };
        let mut most = i64::MIN;
        for &parent in &of.parents {
            given[parent as usize].push(unit as UnitIndex);
            most = most.max(best(assignment, unit + 1, given));
            given[parent as usize].pop();
        }
        most
    }

    #[test]
    fn small_cases_come_out_as_the_best_of_all() {
        let mut dice = Dice::new(7);
        let alone = (0..200).flat_map(|i| story(&mut dice, 0, i64::from(i) * 10_000 * US));
        let alone = in_order(alone.collect());
        let untaught = Learnt::nothing(Evidence::WITHOUT_IDS);
        let usual = assigned(&alone, &untaught, |assignment, _| {
            assignment.improve();
            let outcome = assignment.outcome();
            assert_eq!((outcome.settled.len(), outcome.n_left_open), (400, 0));
            assignment.learn(&outcome)
        });
        let (mut n_best, mut n_better) = (0, 0);
        for _ in 0..40 {
            let at = |dice: &mut Dice| dice.below(400) as i64 * US;
            let starts = [at(&mut dice), at(&mut dice), at(&mut dice)];
            let stories = (0..3).flat_map(|i| story(&mut dice, 3 * i, starts[i as usize]));
            let calls = in_order(stories.collect());
            assigned(&calls, &usual, |assignment, possible| {
                assert!(possible.children.iter().any(|child| child.parents.len() > 1));
                let before = sum(assignment, &assignment.units_of);
                assignment.improve();
                assert_eq!(assignment.outcome().n_left_open, 0, "so few are settled");
                let found = sum(assignment, &assignment.units_of);
                let most = best(assignment, 0, &mut vec![Vec::new(); calls.len()]);
                assert!(before <= found && found <= most, "{before} {found} {most}");
                n_best += u32::from(found == most);
                n_better += u32::from(found > before);
            });
        }
        assert!(n_best >= 38 && n_better > 0, "the best of all in {n_best}, mended in {n_better}");
    }

    #[test]
    fn a_hostile_load_ends() {
        // A thousand requests that are open all the time, and as many calls that may be of any.
        let requests = (0..1_000).map(|i| call(i, true, i64::from(i), 1_000_000 * US));
        let calls = (0..1_000).map(|i| {
            let from = (1_000 + i64::from(i)) * US;
            call(1_000 + i, false, from, from + 500 * US)
        });
        let calls = in_order(requests.chain(calls).collect());
        let untaught = Learnt::nothing(Evidence::WITHOUT_IDS);
        let usual = assigned(&calls, &untaught, |assignment, _| {
            assignment.improve();
            assignment.learn(&assignment.outcome())
        });
        assigned(&calls, &usual, |assignment, _| {
            assignment.improve();
            assert!(assignment.units.iter().all(|unit| unit.parents.len() <= 32));
            let outcome = assignment.outcome();
            assert_eq!((outcome.settled.len(), outcome.n_left_open), (1_000, 1_000));
        });
    }
}
