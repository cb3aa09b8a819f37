//! How others link: rules of the literature and of peers, each a file, to be measured beside ours on the same calls, candidates
//! and truth. Never used unless it is asked for by name, and never given a rule of ours.

use super::candidates::{self, Candidates};
use super::threads::timeline::{Entry, timeline};
use super::windows::Windows;
use super::{Evidence, Known, same_request, threads};
use crate::call::{Call, CallIndex, Link, LinkKind};
use crate::dissect::sockets::log::Task;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

mod deepflow;
mod delay;
mod first_come;
mod most_recent;
mod thread;

/// One rule.
pub trait Baseline: Sync {
    /// As it is asked for.
    fn name(&self) -> &'static str;
    /// What it does and who published it, on one line.
    fn about(&self) -> &'static str;
    /// The parents that it names: (child, parent).
    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)>;
}

impl fmt::Debug for dyn Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All of them.
pub const BASELINES: &[&dyn Baseline] = &[
    &first_come::FirstCome,
    &most_recent::MostRecent,
    &thread::Thread,
    &delay::Delay,
    &deepflow::DeepFlow,
];

/// The one of this name.
pub fn named(name: &str) -> Option<&'static dyn Baseline> {
    BASELINES.iter().find(|baseline| baseline.name() == name).copied()
}

/// What a rule may look at.
pub struct View<'a> {
    calls: &'a [Call],
    windows: &'a [Windows],
    /// Children in order of their start, each with the calls that its process was serving then.
    candidates: &'a [Candidates],
    /// What threads did, where a recorder saw it.
    timeline: &'a [Entry],
    /// Which task made which.
    makers: &'a BTreeMap<(u32, Task), Task>,
    evidence: Evidence,
}

impl View<'_> {
    /// When a child asked and a parent's request arrived, on a clock that saw both: (asked, first byte, last byte of the request).
    fn beside(&self, parent: CallIndex, child: CallIndex) -> Option<(i64, i64, i64)> {
        let (parent, child) = (&self.windows[parent as usize], &self.windows[child as usize]);
        let (served, asked) = parent.beside(child)?;
        Some((asked.from, served.from, served.request_last))
    }

    /// Where a call goes.
    fn callee(&self, call: CallIndex) -> SocketAddr {
        let server = &self.calls[call as usize].server;
        SocketAddr::new(server.address, server.port)
    }
}

/// Links `calls` by one of the rules.
pub fn link(calls: &mut [Call], known: &Known<'_>, evidence: Evidence, baseline: &dyn Baseline) {
    let windows = Windows::of_all(calls, known.points, known.flows);
    let candidates = candidates::candidates(calls, &windows).children;
    let timeline = timeline(calls, known.points, known.sockets);
    let makers = threads::makers(known.sockets);
    let view = View {
        calls,
        windows: &windows,
        candidates: &candidates,
        timeline: &timeline,
        makers: &makers,
        evidence,
    };
    let mut named = baseline.parents(&view);
    let n_possible: BTreeMap<CallIndex, usize> =
        candidates.iter().map(|c| (c.child, c.parents.len())).collect();
    named.sort_unstable();
    named.dedup_by_key(|(child, _)| *child);
    for (child, parent) in named {
        if child == parent || is_ancestor(child, parent, calls) {
            continue;
        }
        let relayed = same_request(&calls[parent as usize], &calls[child as usize]);
        let n = n_possible.get(&child).copied().unwrap_or(1);
        calls[child as usize].link = Some(Link {
            parent,
            kind: if relayed { LinkKind::Relay } else { LinkKind::Work },
            confidence: 1.0,
            candidates: n as u32,
            evidence: vec![baseline.name().to_string()],
        });
    }
}

/// Whether `call` is above `of` already: a rule without containment may go in circles.
fn is_ancestor(call: CallIndex, of: CallIndex, calls: &[Call]) -> bool {
    let mut above = Some(of);
    while let Some(here) = above {
        if here == call {
            return true;
        }
        above = calls[here as usize].link.as_ref().map(|link| link.parent);
    }
    false
}
