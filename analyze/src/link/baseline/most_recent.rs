//! Most recent activity: a call is of the open request that something happened to last: it arrived, or a call of it was answered.
//! Never looks at threads.

use super::{Baseline, View};
use crate::call::CallIndex;
use std::collections::BTreeMap;

pub(super) struct MostRecent;

impl Baseline for MostRecent {
    fn name(&self) -> &'static str {
        "most-recent"
    }

    fn about(&self) -> &'static str {
        "the open request that arrived last, or whose call was answered last"
    }

    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
        // Per parent: when its calls so far were answered.
        let mut answered: BTreeMap<CallIndex, Vec<i64>> = BTreeMap::new();
        let mut found = Vec::with_capacity(view.candidates.len());
        for candidates in view.candidates {
            let child = candidates.child;
            let active = |parent: CallIndex| {
                let (asked, _, request_last) = view.beside(parent, child)?;
                let before = answered.get(&parent).into_iter().flatten().filter(|at| **at <= asked);
                Some((before.copied().max().unwrap_or(request_last), parent))
            };
            let latest = candidates.parents.iter().filter_map(|&parent| active(parent)).max();
            if let Some((_, parent)) = latest {
                let asked = view.windows[parent as usize].beside(&view.windows[child as usize]);
                answered.entry(parent).or_default().extend(asked.map(|(_, asked)| asked.to));
                found.push((child, parent));
            }
        }
        found
    }
}
