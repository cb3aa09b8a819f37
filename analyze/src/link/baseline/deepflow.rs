//! DeepFlow's published rules (SIGCOMM 2023): whoever reads a request, a thread or a goroutine, gets a trace; what it sends then
//! is of that trace; reading a reply takes up the trace that its request was sent in; answering ends it; a goroutine without one is in
//! its maker's. An id that both bear says more, where ids may be used. Never uses its tracing of the network, which gives no parents inside a process.

use super::{Baseline, View};
use crate::call::CallIndex;
use crate::link::evidence::Kind;
use crate::link::ids;
use crate::link::threads::timeline::{Act, Actor, Entry};
use std::collections::BTreeMap;

pub(super) struct DeepFlow;

/// So many makers up the trace is looked for.
const MAX_MAKERS: usize = 8;

/// Which trace each thread and task is in.
type Current = BTreeMap<(u32, Actor), CallIndex>;

impl Baseline for DeepFlow {
    fn name(&self) -> &'static str {
        "deepflow"
    }

    fn about(&self) -> &'static str {
        "the trace that the thread or goroutine is in by what it read last, and ids (DeepFlow)"
    }

    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
        let mut current = Current::new();
        let mut sent_in: BTreeMap<CallIndex, CallIndex> = BTreeMap::new();
        for entry in view.timeline {
            let actor = (entry.host, entry.actor());
            let trace = match entry.act {
                Act::Request(call) => Some(call),
                Act::Reply(child) => sent_in.get(&child).copied(),
                Act::Answers(_) => None,
                Act::Asks(child) => {
                    sent_in.extend(trace_of(entry, &current, view).map(|parent| (child, parent)));
                    continue;
                }
                Act::Other | Act::Signals(_) | Act::Connects(_) => continue,
            };
            match trace {
                Some(call) => current.insert(actor, call),
                None => current.remove(&actor),
            };
        }
        sent_in.extend(by_ids(view));
        sent_in.into_iter().collect()
    }
}

/// The trace that whoever acts is in: its own, else its maker's, and so on.
fn trace_of(entry: &Entry, current: &Current, view: &View<'_>) -> Option<CallIndex> {
    let mut actor = entry.actor();
    for _ in 0..=MAX_MAKERS {
        if let Some(call) = current.get(&(entry.host, actor)) {
            return Some(*call);
        }
        let Actor::Task(task) = actor else { break };
        actor = Actor::Task(*view.makers.get(&(entry.host, task))?);
    }
    None
}

/// The parents that bear an id of their child.
fn by_ids(view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
    if !view.evidence.uses(Kind::Ids) {
        return Vec::new();
    }
    let bears = |parent: CallIndex, child: CallIndex| {
        let own = ids::trace_ids(&view.calls[child as usize].ids);
        ids::shared(&own, &view.calls[parent as usize].ids).is_some()
    };
    let each = view.candidates.iter();
    let found = each.filter_map(|c| {
        let parent = c.parents.iter().copied().rev().find(|&parent| bears(parent, c.child))?;
        Some((c.child, parent))
    });
    found.collect()
}
