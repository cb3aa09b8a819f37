//! Calls that certainly have one parent and are given together, mostly one, with those that it may be. Never decides.

use super::NoParent;
use super::background::Prior;
use super::candidates::PlaceIndex;
use super::narrowing::Narrowed;
use crate::call::{CallIndex, LinkKind};

/// So many possible parents are kept, the most probable ones.
const MOST_PARENTS: usize = 32;

/// Index of a unit.
pub(super) type UnitIndex = u32;

/// Calls that are given together.
pub(super) struct Unit {
    /// By their start.
    pub(super) children: Vec<CallIndex>,
    /// Whose they may be, in rising order: the most probable ones.
    pub(super) parents: Vec<CallIndex>,
    /// Per parent what speaks for it whatever else it does, in milli-nats.
    pub(super) fixed: Vec<i64>,
    /// Whose they are, by its place; `None`: of no recorded call.
    pub(super) given: Option<usize>,
    /// How probable it is that they are of no recorded call, and why, where they were given to none.
    pub(super) none: Option<(f64, Prior)>,
    /// How many parents were possible before the least probable ones were left out.
    pub(super) n_parents: usize,
    pub(super) kind: LinkKind,
    /// Per child why parents were narrowed.
    pub(super) reasons: Vec<Vec<String>>,
    /// It was answered later than all of them.
    pub(super) outlives: bool,
    /// Where it was asked.
    pub(super) asked_at: PlaceIndex,
    /// By how much the whole would become more probable if it were another parent's, and when that was found.
    pub(super) gains: Vec<(i64, CallIndex)>,
    pub(super) looked_at: Option<u32>,
}

impl Unit {
    /// Of a group that has the same parents, the first of which decides, given to the one of the most weight.
    pub(super) fn new(group: Vec<Narrowed>, fixed: Vec<i64>, weights: &[i64]) -> Unit {
        let first = &group[0];
        let mut places: Vec<usize> = (0..first.parents.len()).collect();
        places.sort_by_key(|&place| std::cmp::Reverse((weights[place], place)));
        let best = places.first().map(|&place| first.parents[place]);
        places.truncate(MOST_PARENTS);
        places.sort_unstable();
        let parents: Vec<CallIndex> = places.iter().map(|&place| first.parents[place]).collect();
        let mut unit = Unit {
            children: group.iter().map(|narrowed| narrowed.child).collect(),
            given: None,
            none: None,
            parents,
            fixed: places.iter().map(|&place| fixed[place]).collect(),
            n_parents: first.parents.len(),
            kind: first.kind,
            outlives: first.outlives,
            asked_at: first.place,
            gains: Vec::new(),
            looked_at: None,
            reasons: group.into_iter().map(|narrowed| narrowed.reasons).collect(),
        };
        unit.given = best.and_then(|best| unit.place(best));
        unit
    }

    /// The one that was decided on.
    pub(super) fn first(&self) -> CallIndex {
        self.children[0]
    }

    /// Whose it is.
    pub(super) fn parent(&self) -> Option<CallIndex> {
        self.given.map(|place| self.parents[place])
    }

    /// The place of a parent among those possible.
    pub(super) fn place(&self, parent: CallIndex) -> Option<usize> {
        self.parents.binary_search(&parent).ok()
    }

    /// That its calls have no recorded parent.
    pub(super) fn no_parent(
        &self,
        (confidence, prior): (f64, Prior),
    ) -> impl Iterator<Item = (CallIndex, NoParent)> {
        let evidence = vec![prior.to_string()];
        let none = NoParent { confidence, candidates: self.n_parents as u32, evidence };
        self.children.iter().map(move |child| (*child, none.clone()))
    }
}
