//! Parents that a tracer names: certain where they are known. Those that containment finds too go the way of all candidates, so that they teach
//! what is usual; the others (a child that outlives its parent, or has no clock in common with it) are linked as they are named.

use super::candidates::Candidates;
use super::queues::delivers;
use super::{Link, LinkKind, same_request};
use crate::call::{Call, CallIndex};

/// Leaves the named parent alone among the possible ones.
pub(super) fn narrow(candidates: &mut Vec<Candidates>, references: &[Option<CallIndex>]) {
    let named = |c: &Candidates| references.get(c.child as usize).copied().flatten();
    candidates.retain_mut(|c| match named(c) {
        None => true,
        Some(parent) if c.parents.binary_search(&parent).is_ok() => {
            c.parents = vec![parent];
            true
        }
        Some(_) => false,
    });
}

/// Writes down what is named.
pub(super) fn settle(calls: &mut [Call], references: &[Option<CallIndex>]) {
    for (child, parent) in references.iter().enumerate() {
        let Some(parent) = *parent else { continue };
        let (p, c) = (&calls[parent as usize], &calls[child]);
        let is_message = delivers(p, c) || c.request_type == "deliver";
        let kind = match &c.link {
            Some(link) => link.kind,
            None if is_message => LinkKind::Queue,
            None if same_request(p, c) => LinkKind::Relay,
            None => LinkKind::Work,
        };
        let evidence = vec!["parent span id names it".to_string()];
        calls[child].no_parent = None;
        calls[child].link = Some(Link { parent, kind, confidence: 1.0, candidates: 1, evidence });
    }
}
