//! Thread alone: a call is of the request that its thread read last (vPath, USENIX ATC 2009). Right where one thread serves one
//! request to its end. Never looks at times or tasks.

use super::{Baseline, View};
use crate::call::CallIndex;
use crate::link::threads::timeline::Act;
use std::collections::BTreeMap;

pub(super) struct Thread;

impl Baseline for Thread {
    fn name(&self) -> &'static str {
        "thread"
    }

    fn about(&self) -> &'static str {
        "the request that the calling thread read last (vPath)"
    }

    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
        let mut serving: BTreeMap<(u32, u32), CallIndex> = BTreeMap::new();
        let mut found = Vec::new();
        for entry in view.timeline {
            let thread = (entry.host, entry.tid);
            match entry.act {
                Act::Request(call) => {
                    serving.insert(thread, call);
                }
                Act::Asks(child) => found.extend(serving.get(&thread).map(|&p| (child, p))),
                Act::Reply(_)
                | Act::Answers(_)
                | Act::Connects(_)
                | Act::Other
                | Act::Signals(_) => {}
            }
        }
        found
    }
}
