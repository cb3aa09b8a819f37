//! First come, first served: a service takes its requests in their order, so the next call to somebody is of the oldest request
//! that has not called them yet. The naive rule that TraceWeaver (SIGCOMM 2024) compares with. Never looks at anything but arrival.

use super::{Baseline, View};
use crate::call::CallIndex;
use std::collections::BTreeSet;

pub(super) struct FirstCome;

impl Baseline for FirstCome {
    fn name(&self) -> &'static str {
        "first-come"
    }

    fn about(&self) -> &'static str {
        "the oldest open request that has not called this service yet"
    }

    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
        let mut called = BTreeSet::new();
        let mut found = Vec::with_capacity(view.candidates.len());
        for candidates in view.candidates {
            let child = candidates.child;
            let callee = view.callee(child);
            let arrived = |parent: CallIndex| Some((view.beside(parent, child)?.1, parent));
            let mut in_order: Vec<_> =
                candidates.parents.iter().filter_map(|&parent| arrived(parent)).collect();
            in_order.sort_unstable();
            let waiting = in_order.iter().find(|(_, parent)| !called.contains(&(*parent, callee)));
            if let Some(&(_, parent)) = waiting.or(in_order.first()) {
                called.insert((parent, callee));
                found.push((child, parent));
            }
        }
        found
    }
}
