//! What came of an assignment: links with their confidence and reasons, and what was usual in them. Never changes what was given.

use super::assignment::Assignment;
use super::evidence::Kind;
use super::pair::{Whole, count};
use super::threads::{Cause, Way};
use super::unit::{Unit, UnitIndex};
use super::usual::{Learnt, Lesson, Usual, tempered};
use super::{Link, NoParent};
use crate::call::CallIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Parents with less than this share of the probability were not really possible.
const LEAST_SHARE: f64 = 0.01;
/// A reply to a call that was given with more confidence than that was read for its parent.
const PROBABLE: f64 = 0.5;
/// Links that are at least so sure teach what is usual.
const TEACHES: f64 = 0.8;
/// A link of a call that somebody may have waited for a connection for is no surer than that, however well times fit: they fit others, too.
const MOST_OF_CONTENDED: f64 = 0.75;
/// Connections are scarce where at least one call in so many got one in that way.
const SCARCE: usize = 4;
/// Words that make a parent so much more probable than all others (a thousand times) are no coincidence of times, in milli-nats.
const TOLD: i64 = 6_908;
/// What makes a parent twice as probable as the next is told as a reason, in milli-nats.
const TELLING: i64 = 693;

/// A child that was given its parent.
pub(super) struct Settled {
    pub(super) child: CallIndex,
    /// Without its evidence until that is asked for.
    pub(super) link: Link,
    /// The unit that it is of, and which of its children.
    place: (UnitIndex, usize),
}

/// What came of an assignment.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) settled: Vec<Settled>,
    /// Children that more probably have no recorded parent.
    pub(super) no_parent: Vec<(CallIndex, NoParent)>,
    /// Of how many links bounds ended the search before it did: see [`Assignment::is_left_open`].
    pub(super) n_left_open: u64,
}

impl Assignment<'_> {
    /// All links, each with its confidence: the share of its parent among all that were possible, as the rest is.
    pub(super) fn outcome(&self) -> Outcome {
        let (mut outcome, scarce) = (Outcome::default(), self.scarce());
        for (index, unit) in (0..).zip(&self.units) {
            let own = unit.parent().map(|parent| (parent, self.none(unit, parent)));
            let (parent, none) = match own {
                Some((parent, none)) if none.is_none_or(|(none, _)| none <= 0.5) => (parent, none),
                own => {
                    let why = own.and_then(|(_, none)| none).or(unit.none);
                    outcome.no_parent.extend(why.into_iter().flat_map(|why| unit.no_parent(why)));
                    continue;
                }
            };
            let share = |gain: i64| libm::exp(gain.min(9_200) as f64 / 1_000.0);
            let shares = || std::iter::once(1.0).chain(unit.gains.iter().map(|g| share(g.0)));
            let total: f64 = shares().sum();
            let n_possible = shares().filter(|share| share / total >= LEAST_SHARE).count();
            let is_contended = self.is_contended(unit, parent, &scarce);
            let (most, least) = if is_contended { (MOST_OF_CONTENDED, 2) } else { (1.0, 1) };
            let some = 1.0 - none.map_or(0.0, |(none, _)| none);
            let confidence = (some / total).min(most);
            let is_left_open = self.is_left_open(index);
            outcome.n_left_open += if is_left_open { unit.children.len() as u64 } else { 0 };
            let candidates = n_possible.max(least) as u32;
            for (i, &child) in unit.children.iter().enumerate() {
                let evidence = Vec::new();
                let link = Link { parent, kind: unit.kind, confidence, candidates, evidence };
                outcome.settled.push(Settled { child, link, place: (index, i) });
            }
        }
        outcome
    }

    /// Writes down what speaks for each link.
    pub(super) fn explain(&self, outcome: &mut Outcome) {
        let scarce = self.scarce();
        for Settled { link, place: (unit, i), .. } in &mut outcome.settled {
            let unit = &self.units[*unit as usize];
            link.evidence = self.reasons(unit, *i, link.parent, &scarce);
        }
    }

    /// Callees that requests wait to reach: a good part of the calls got a connection that had just become free, while no other was
    /// and more requests than connections were open.
    fn scarce(&self) -> BTreeSet<u32> {
        let mut counts: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for unit in &self.units {
            let contended = self.roles.contended[unit.first() as usize];
            let (n, n_scarce) = counts.entry(self.callee(unit)).or_default();
            *n += 1;
            *n_scarce += usize::from(contended.is_some_and(|n| unit.n_parents > n));
        }
        let is_scarce = |&(_, (n, n_scarce)): &(u32, (usize, usize))| n_scarce * SCARCE >= n;
        counts.into_iter().filter(is_scarce).map(|(callee, _)| callee).collect()
    }

    fn callee(&self, unit: &Unit) -> u32 {
        self.roles.edge(unit.first(), unit.first()).1
    }

    /// Whether somebody else may have waited for the connection, and neither a thread knows better nor words do.
    fn is_contended(&self, unit: &Unit, parent: CallIndex, scarce: &BTreeSet<u32>) -> bool {
        let knows = |cause: &&Cause| {
            cause.parents == [parent]
                && !matches!(cause.way, Way::HandedOver(..) | Way::Freed | Way::Woken(_))
        };
        unit.n_parents > 1
            && scarce.contains(&self.callee(unit))
            && self.cause(unit.first()).filter(knows).is_none()
            && !self.is_told_by_words(unit, parent)
    }

    /// Whether words of a request say much more for it than for any other that is possible.
    fn is_told_by_words(&self, unit: &Unit, parent: CallIndex) -> bool {
        let Some(words) = self.beliefs.usual.each().find(|usual| usual.kind() == Kind::Content)
        else {
            return false;
        };
        let weight = |parent: CallIndex| words.weight(&self.pair(parent, unit.first()));
        let own = weight(parent);
        let others = unit.parents.iter().filter(|other| **other != parent);
        others.map(|other| weight(*other)).max().is_some_and(|most| own - most >= TOLD)
    }

    /// What speaks for a child's parent, in words.
    fn reasons(
        &self,
        unit: &Unit,
        i: usize,
        parent: CallIndex,
        scarce: &BTreeSet<u32>,
    ) -> Vec<String> {
        let mut reasons = Vec::new();
        let cause = self.cause(unit.children[i]);
        reasons.extend(
            cause.filter(|cause| cause.parents.contains(&parent)).map(|cause| cause.reason.clone()),
        );
        reasons.extend(unit.reasons[i].iter().cloned());
        let next = unit.gains.iter().max().map(|(_, next)| *next);
        reasons.extend(next.into_iter().flat_map(|next| self.against(unit, parent, next)));
        let how = if unit.outlives { "began inside, outlived it" } else { "contained" };
        reasons.push(match unit.n_parents {
            1 => format!("{how}, 1 candidate"),
            k => format!("{how}, {k} candidates"),
        });
        let none = self.none(unit, parent).filter(|(none, _)| *none >= LEAST_SHARE);
        reasons.extend(
            none.map(|(none, prior)| format!("{prior}: {none:.2} that it has no recorded parent")),
        );
        if self.is_contended(unit, parent, scarce) {
            let why = "requests wait for connections here, and anybody may have got this one";
            reasons.push(why.to_string());
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
            for &child in &unit.children {
                let pairs = unit.parents.iter().map(|&parent| self.pair(parent, child));
                if is_sure[child as usize] {
                    for pair in pairs {
                        let is_parent = unit.parent() == Some(pair.parent);
                        learnt.learn(&pair, if is_parent { Lesson::Sure } else { Lesson::Other });
                    }
                } else if unit.parents.len() > 1 && unit.given.is_some() {
                    learnt.learn_doubtful(&pairs.collect::<Vec<_>>());
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
                count(&mut made, kind);
            }
            let busy = self.busy(parent);
            learnt.learn_whole(&Whole { among: self, parent, busy, made: &made });
        }
    }
}
