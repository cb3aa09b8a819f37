//! What is certain narrows the possible parents of a call: that a proxy passes the same request on, that a broker hands on what was
//! published, an id that both bear, that a service stands before a proxy in the same place, that the inner one of two is the nearer
//! cause. Never chooses among those left.

use super::LinkKind;
use super::assignment::Assignment;
use super::candidates::{Candidates, PlaceIndex};
use super::evidence::Kind;
use crate::call::CallIndex;
use std::collections::BTreeSet;

/// A child with its narrowed parents, in rising order, and why they were narrowed.
pub(super) struct Narrowed {
    pub(super) child: CallIndex,
    pub(super) parents: Vec<CallIndex>,
    pub(super) kind: LinkKind,
    pub(super) reasons: Vec<String>,
    /// It was answered later than all of them.
    pub(super) outlives: bool,
    /// Where it was asked.
    pub(super) place: PlaceIndex,
}

impl Assignment<'_> {
    /// A proxy passes the request on: the parent says the same.
    pub(super) fn relayed(
        &self,
        Candidates { child, parents, outlives, place, .. }: &Candidates,
    ) -> Narrowed {
        let mut parents = parents.clone();
        parents.retain(|&parent| self.roles.same_request(parent, *child));
        let mut reasons = vec!["same request passed on".to_string()];
        self.narrow_by_ids(*child, &mut parents, &mut reasons);
        self.drop_ancestors(&mut parents);
        Narrowed {
            child: *child,
            parents,
            kind: LinkKind::Relay,
            reasons,
            outlives: *outlives,
            place: *place,
        }
    }

    /// A broker hands on what was published.
    pub(super) fn delivered(
        &self,
        Candidates { child, parents, outlives, place, .. }: &Candidates,
    ) -> Option<Narrowed> {
        let mut parents = parents.clone();
        parents.retain(|&parent| self.roles.delivers(parent, *child));
        let reasons = vec!["published under the same name".to_string()];
        (!parents.is_empty()).then_some(Narrowed {
            child: *child,
            parents,
            kind: LinkKind::Queue,
            reasons,
            outlives: *outlives,
            place: *place,
        })
    }

    /// A service works on the parent: any call it has open there, but not one that a proxy in the same place holds open.
    pub(super) fn worked(
        &self,
        Candidates { child, parents, outlives, place, .. }: &Candidates,
        proxies: &[bool],
    ) -> Narrowed {
        let (mut parents, mut reasons) = (parents.clone(), Vec::new());
        self.narrow_by_ids(*child, &mut parents, &mut reasons);
        let is_service = |parent: &CallIndex| !self.roles.is_proxied(*parent, proxies);
        if parents.iter().any(is_service) {
            parents.retain(is_service);
        }
        self.drop_ancestors(&mut parents);
        Narrowed {
            child: *child,
            parents,
            kind: LinkKind::Work,
            reasons,
            outlives: *outlives,
            place: *place,
        }
    }

    fn narrow_by_ids(
        &self,
        child: CallIndex,
        parents: &mut Vec<CallIndex>,
        reasons: &mut Vec<String>,
    ) {
        if !self.evidence.uses(Kind::Ids) {
            return;
        }
        let shared = |parent: &CallIndex| self.roles.shared_id(*parent, child);
        let Some(id) = parents.iter().find_map(shared) else { return };
        parents.retain(|parent| shared(parent).is_some());
        reasons.insert(0, id);
    }

    /// Where a call and its own child both contain this one, the inner one is the nearer cause.
    fn drop_ancestors(&self, parents: &mut Vec<CallIndex>) {
        let above = |&parent: &CallIndex| self.parent_of(parent);
        let ancestors: BTreeSet<CallIndex> = parents
            .iter()
            .filter_map(above)
            .filter(|ancestor| parents.binary_search(ancestor).is_ok())
            .collect();
        parents.retain(|parent| !ancestors.contains(parent));
    }
}
