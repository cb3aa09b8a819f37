//! What judges look at: the reconstruction, the services' names, who called whom, what lies on traces' paths. Never a judgement.

use super::counters::Counters;
use super::{Concerned, Culprit, Finding, Severity, WhatIf, verdict};
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, Trace};
use crate::critical::{self, Given};
use crate::hops;
use crate::measure;
use crate::names::Names;
use crate::point::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// A trace became longer for something if that took this much of it, nanoseconds, or this share.
const FELT_NS: i64 = 1_000_000;
const FELT_SHARE: i64 = 20;

/// Everything that judges may ask.
pub struct Case<'a> {
    /// The reconstruction.
    pub analysis: &'a Analysis,
    /// Names of services.
    pub names: Names,
    /// What the kernel counted.
    pub counters: &'a Counters,
    /// The calls that each call caused.
    pub children: Vec<Vec<CallIndex>>,
    /// Nanoseconds that all traces took.
    pub path_ns: i64,
    /// Slow traces with how long they took, nanoseconds.
    pub slow: BTreeMap<u32, i64>,
    services: Vec<Service>,
    service_of: Vec<u32>,
}

/// A service that answers calls.
struct Service {
    name: String,
    place: String,
}

impl<'a> Case<'a> {
    /// Of a finished reconstruction.
    pub fn new(analysis: &'a Analysis, counters: &'a Counters) -> Case<'a> {
        let names = Names::of(analysis);
        let children = hops::children(&analysis.calls);
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let mut services: Vec<Service> = Vec::new();
        let service_of = analysis.calls.iter().map(|call| {
            let name = names.server(&call.server);
            *numbers.entry(name).or_insert_with_key(|name| {
                services
                    .push(Service { name: name.clone(), place: call.server.place().to_string() });
                services.len() as u32 - 1
            })
        });
        let service_of = service_of.collect();
        let slow = verdict::slow(analysis);
        let mut case =
            Case { analysis, names, counters, children, path_ns: 0, slow, services, service_of };
        let whole = |trace: &Trace| case.duration_ns(trace.root);
        case.path_ns = analysis.traces.iter().map(whole).fold(0, i64::saturating_add);
        case
    }

    /// A call.
    pub fn call(&self, index: CallIndex) -> &'a Call {
        &self.analysis.calls[index as usize]
    }

    /// All calls with their numbers.
    pub fn calls(&self) -> impl Iterator<Item = (CallIndex, &'a Call)> {
        (0..).zip(&self.analysis.calls)
    }

    /// The number of the service that answers a call: equal where its name is.
    pub fn service_of(&self, index: CallIndex) -> u32 {
        self.service_of[index as usize]
    }

    /// The service that answers a call.
    pub fn server(&self, index: CallIndex) -> Culprit {
        self.service(self.service_of(index))
    }

    /// A service by its number.
    pub fn service(&self, number: u32) -> Culprit {
        let Service { name, place } = &self.services[number as usize];
        Culprit::Service { name: name.clone(), place: place.clone() }
    }

    /// Whose it is that a call got no answer: the server's, where its own place saw the request; else whatever lies behind the last point
    /// that did.
    pub fn unanswered_by(&self, index: CallIndex) -> Culprit {
        let call = self.call(index);
        let last = call.spans.last().and_then(|s| self.analysis.points.get(s.point as usize));
        let is_there = |end: &Endpoint| {
            last.is_some_and(|last| (&last.host, &last.netns) == (&end.host, &end.netns))
        };
        match last {
            Some(last) if last.process.is_none() && !is_there(&call.server) => Culprit::Stretch {
                from: last.label(),
                to: String::new(),
                place: last.place().to_string(),
            },
            _ => self.server(index),
        }
    }

    /// Who made a call, and where it was located: as a server, or else as the client here.
    pub fn client(&self, call: &Call) -> Culprit {
        let known = call.link.as_ref().map(|link| self.server(link.parent));
        let (name, place) = match known {
            Some(Culprit::Service { name, place }) => (name, place),
            _ => (self.names.client(self.analysis, call), String::new()),
        };
        let place = if place.is_empty() { call.client.place().to_string() } else { place };
        Culprit::Service { name, place }
    }

    /// Whether the call that caused this one failed, too; `None`: nothing caused it.
    pub fn parent_failed(&self, index: CallIndex) -> Option<bool> {
        self.call(index).link.as_ref().map(|link| self.call(link.parent).failed())
    }

    /// Whoever made a call, as a call that took longer for it: the time lies before this one.
    pub fn asker(&self, index: CallIndex) -> CallIndex {
        self.call(index).link.as_ref().map_or(index, |link| link.parent)
    }

    /// Which share of all traces' time it cost them.
    pub fn share(&self, concerned: &[Concerned]) -> f64 {
        let costs = self.costs(concerned);
        let cost_ns = costs.values().map(|(ns, _)| *ns).fold(0, i64::saturating_add);
        cost_ns as f64 / self.path_ns.max(1) as f64
    }

    /// What it cost each call: at most what lies on its trace's path; and whether the call failed for it.
    fn costs(&self, concerned: &[Concerned]) -> BTreeMap<CallIndex, (i64, bool)> {
        let mut costs: BTreeMap<CallIndex, (i64, bool)> = BTreeMap::new();
        for concerned in concerned {
            let known = costs.entry(concerned.call).or_default();
            known.0 = self.on_path(concerned.call, known.0.saturating_add(concerned.cost_ns));
            known.1 |= concerned.failed;
        }
        costs
    }

    /// How long a call took, as far as it was seen.
    pub fn duration_ns(&self, index: CallIndex) -> i64 {
        measure::duration(self.analysis, self.call(index)).ns.max(0)
    }

    /// How much of some time within a call's own parts its trace had to wait for.
    pub fn on_path(&self, index: CallIndex, ns: i64) -> i64 {
        let critical = self.call(index).critical.filter(|critical| critical.slack_ns == 0);
        critical.map_or(0, |critical| ns.clamp(0, critical.path_ns.max(0)))
    }

    /// What the critical path was found in.
    pub fn given(&self) -> Given<'_> {
        Given::of(self.analysis, &self.children)
    }

    /// The trace of a call.
    pub fn trace_of(&self, index: CallIndex) -> u32 {
        self.call(index).trace
    }

    /// Whether a call's failure was told to whoever began its trace: every call above it failed too.
    pub fn reached_root(&self, index: CallIndex) -> bool {
        let mut at = index;
        // A trace has no more levels than calls.
        for _ in 0..=self.analysis.calls.len() {
            match &self.call(at).link {
                Some(link) if self.call(link.parent).failed() => at = link.parent,
                Some(_) => return false,
                None => return self.call(at).failed(),
            }
        }
        false
    }

    /// A finding to be filled by its judge; what it costs is weighed afterwards.
    pub fn finding(
        &self,
        severity: Severity,
        class: &str,
        culprit: Culprit,
        sentence: String,
        concerned: Vec<Concerned>,
    ) -> Finding {
        Finding {
            judge: String::new(),
            severity,
            class: class.to_string(),
            culprit,
            sentence,
            evidence: Vec::new(),
            concerned,
            n_traces: 0,
            n_failed: 0,
            cost_ns: 0,
            what_if: None,
        }
    }

    /// What a finding cost: of each call at most what lies on its trace's path, each call once.
    pub(super) fn weigh(&self, finding: &mut Finding) {
        let by_call = self.costs(&finding.concerned);
        let each = by_call.iter();
        finding.concerned =
            each.map(|(&call, &(cost_ns, failed))| Concerned { call, cost_ns, failed }).collect();
        let (mut slowed, mut failed) = (BTreeMap::<u32, i64>::new(), BTreeSet::new());
        for concerned in &finding.concerned {
            let trace = self.trace_of(concerned.call);
            let sum: &mut i64 = slowed.entry(trace).or_default();
            *sum = sum.saturating_add(concerned.cost_ns);
            if concerned.failed {
                failed.insert(trace);
            }
        }
        finding.cost_ns = slowed.values().copied().fold(0, i64::saturating_add);
        let felt = |(&trace, &ns): (&u32, &i64)| {
            let root = self.analysis.traces[trace as usize].root;
            ns >= FELT_NS.min((self.duration_ns(root) / FELT_SHARE).max(1))
                || failed.contains(&trace)
        };
        finding.n_traces = slowed.iter().filter(|slowed| felt(*slowed)).count() as u64;
        finding.n_failed = failed.len() as u64;
        if finding.cost_ns > 0 && finding.severity > Severity::Pass {
            finding.what_if = self.what_if(&by_call, &slowed);
        }
    }

    /// All traces that begin as those concerned do, as they were and without what is found.
    fn what_if(
        &self,
        saved: &BTreeMap<CallIndex, (i64, bool)>,
        slowed: &BTreeMap<u32, i64>,
    ) -> Option<WhatIf> {
        let root = |trace: u32| self.analysis.traces[trace as usize].root;
        let entries: BTreeSet<u32> =
            slowed.keys().map(|&trace| self.service_of(root(trace))).collect();
        let (mut was, mut would) = (Vec::new(), Vec::new());
        let given = self.given();
        for (number, trace) in (0..).zip(&self.analysis.traces) {
            if !entries.contains(&self.service_of(trace.root)) {
                continue;
            }
            let ns = self.duration_ns(trace.root);
            was.push(ns);
            would.push(match slowed.get(&number) {
                Some(cost_ns) if *cost_ns > 0 => critical::replay(&given, trace, |call| {
                    saved.get(&call).map_or(0, |(cost_ns, _)| *cost_ns)
                }),
                _ => ns,
            });
        }
        Some(WhatIf { p99_ns: p99(was)?, without_ns: p99(would)? })
    }
}

/// Nearest rank.
fn p99(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let rank = (values.len() * 99).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

/// The value in the middle of some; 0 of none.
pub(super) fn median(values: &mut [i64]) -> i64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0 } else { *values.select_nth_unstable(middle).1 }
}
