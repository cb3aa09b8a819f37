//! Which call caused which, inside one process: candidates by place and containment, narrowed by planted ids, by what a
//! proxy passes on unchanged, and by who already waits for another call. Every link says how many parents were possible.
//! Never looks at times of two clocks.

use crate::call::{Call, CallIndex, CallState, Flow, FlowIndex, Link, LinkKind, Point};
use crate::dissect::sockets::log::Sockets;
use std::collections::BTreeMap;

pub mod baseline;
mod candidates;
mod ids;
mod threads;
mod timeline;
mod windows;

use candidates::Candidates;
use threads::Cause;
use windows::{Asked, Served, Windows};

/// What may be used for linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Leave planted ids out, to measure the rest.
    pub ignore_ids: bool,
    /// Leave out what threads tell.
    pub ignore_threads: bool,
}

/// What calls were reconstructed from.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Observation points.
    pub points: &'a [Point],
    /// Flows.
    pub flows: &'a [Flow],
    /// What processes did on their sockets.
    pub sockets: &'a Sockets,
}

/// Share of an endpoint's requests that were passed on unchanged for it to count as a proxy.
const PROXY_SHARE: f64 = 0.9;

/// Gives every call its parent, where one is possible. `calls` are sorted by first time.
pub fn link(calls: &mut [Call], known: &Known<'_>, evidence: &Evidence) {
    let windows = Windows::of_all(calls, known.points, known.flows);
    let mut candidates = candidates::candidates(calls, &windows);
    if candidates.is_empty() {
        return;
    }
    let busy = vec![Vec::new(); windows.len()];
    let mut causes = match evidence.ignore_threads {
        true => BTreeMap::new(),
        false => threads::causes(calls, known.points, known.sockets),
    };
    let mut linker =
        Linker { calls, windows: &windows, busy, written: BTreeMap::new(), told: BTreeMap::new() };
    for candidates in &mut candidates {
        if let Some(cause) = causes.remove(&candidates.child) {
            linker.narrow_by_thread(candidates, cause, evidence);
        }
    }
    let (relays, others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|c| linker.could_be_relay(c));
    for child in relays {
        linker.relay(child, evidence);
    }
    let proxies = linker.proxies();
    let narrowed = others.into_iter().map(|c| linker.narrow(c, &proxies, evidence));
    let (certain, doubtful): (Vec<_>, Vec<_>) =
        narrowed.collect::<Vec<_>>().into_iter().partition(|n| n.candidates.parents.len() == 1);
    // What is certain first: it shows when the other parents had to wait.
    for child in certain.into_iter().chain(doubtful) {
        linker.work(child);
    }
}

struct Linker<'a> {
    calls: &'a mut [Call],
    windows: &'a [Windows],
    /// Per parent: when its children so far keep it waiting, by their start.
    busy: Vec<Vec<(i64, i64)>>,
    /// Per flow and instant of a write: the parent it was given.
    written: BTreeMap<(FlowIndex, i64), CallIndex>,
    /// Children whose threads told their causes.
    told: BTreeMap<CallIndex, Cause>,
}

/// A child with its narrowed parents and why they were narrowed.
struct Narrowed {
    candidates: Candidates,
    reasons: Vec<String>,
}

/// A server's address and port in its place: one listening process.
type Listener = (String, String, std::net::IpAddr, u16);

/// In whatever version: proxies translate between them.
fn speaks_http(call: &Call) -> bool {
    ["http1", "http2", "grpc"].contains(&call.protocol.as_str())
}

/// Whether one may be the other, passed on.
fn same_request(p: &Call, c: &Call) -> bool {
    let is_same = p.protocol == c.protocol || (speaks_http(p) && speaks_http(c));
    is_same && p.request_type == c.request_type && p.resource == c.resource
}

impl Linker<'_> {
    fn could_be_relay(&self, candidates: &Candidates) -> bool {
        candidates.parents.iter().any(|&p| self.same_request(p, candidates.child))
    }

    fn same_request(&self, parent: CallIndex, child: CallIndex) -> bool {
        same_request(&self.calls[parent as usize], &self.calls[child as usize])
    }

    /// A proxy passes the request on: the parent says the same, and a proxy adds little before and after. Parents passed on
    /// before stay candidates, for that may have been the mistake.
    fn relay(&mut self, candidates: Candidates, evidence: &Evidence) {
        let child = candidates.child;
        let mut parents = candidates.parents;
        parents.retain(|&p| self.same_request(p, child));
        let mut reasons = vec!["same request passed on".to_string()];
        self.narrow_by_ids(child, &mut parents, &mut reasons, evidence);
        self.drop_ancestors(&mut parents);
        let rank = |p: CallIndex| {
            let slack = self.windows[p as usize].slack_around(&self.windows[child as usize]);
            (self.hinted(p, child), self.busy[p as usize].is_empty(), std::cmp::Reverse((slack, p)))
        };
        let chosen = parents.iter().copied().max_by_key(|&p| rank(p));
        self.settle(child, chosen, parents.len(), LinkKind::Relay, reasons);
    }

    /// A service works on the parent: any call it has open there, but not one that a proxy in the same place holds open.
    fn narrow(
        &self,
        mut candidates: Candidates,
        proxies: &BTreeMap<Listener, bool>,
        evidence: &Evidence,
    ) -> Narrowed {
        let parents = &mut candidates.parents;
        let mut reasons = Vec::new();
        self.narrow_by_ids(candidates.child, parents, &mut reasons, evidence);
        let is_service = |p: &CallIndex| !proxies.get(&self.listener(*p)).copied().unwrap_or(false);
        if parents.iter().any(is_service) {
            parents.retain(is_service);
        }
        self.drop_ancestors(parents);
        Narrowed { candidates, reasons }
    }

    /// Takes the parent that wrote another command in the same segment (a pipeline); else the most recently active one,
    /// preferring those that wait for no other call meanwhile.
    fn work(&mut self, Narrowed { candidates, reasons }: Narrowed) {
        let Candidates { child, parents } = candidates;
        let same_write = self.written.get(&self.write_of(child)).copied();
        let rank = |p: CallIndex| {
            let (served, asked) = self.beside(p, child);
            let busy = &self.busy[p as usize];
            let at = busy.partition_point(|&(from, _)| from <= asked.from);
            let before = busy[..at].last().map_or(i64::MIN, |&(_, to)| to);
            let after = busy.get(at).map_or(i64::MAX, |&(from, _)| from);
            let waits = before > asked.from || after < asked.to;
            let active = served.request_last.max(before.min(asked.from));
            (Some(p) == same_write, self.hinted(p, child), !waits, active, std::cmp::Reverse(p))
        };
        let chosen = parents.iter().copied().max_by_key(|&p| rank(p));
        self.settle(child, chosen, parents.len(), LinkKind::Work, reasons);
    }

    /// Whether the child's thread names this parent.
    fn hinted(&self, parent: CallIndex, child: CallIndex) -> bool {
        self.told.get(&child).is_some_and(|cause| cause.parents.contains(&parent))
    }

    /// Keeps the parents that the child's thread names, if some are possible; planted ids come first.
    fn narrow_by_thread(&mut self, candidates: &mut Candidates, cause: Cause, evidence: &Evidence) {
        let mut parents = candidates.parents.clone();
        self.narrow_by_ids(candidates.child, &mut parents, &mut Vec::new(), evidence);
        parents.retain(|parent| cause.parents.contains(parent));
        if !parents.is_empty() {
            if cause.certainty.is_some() {
                candidates.parents = parents;
            }
            self.told.insert(candidates.child, cause);
        }
    }

    fn narrow_by_ids(
        &self,
        child: CallIndex,
        parents: &mut Vec<CallIndex>,
        reasons: &mut Vec<String>,
        evidence: &Evidence,
    ) {
        if evidence.ignore_ids {
            return;
        }
        let own = ids::trace_ids(&self.calls[child as usize].ids);
        let shared = |p: &CallIndex| ids::shared(&own, &self.calls[*p as usize].ids);
        let Some(id) = parents.iter().find_map(shared) else { return };
        parents.retain(|p| shared(p).is_some());
        reasons.insert(0, id);
    }

    /// Where a call and its own child both contain this one, the inner one is the nearer cause.
    fn drop_ancestors(&self, parents: &mut Vec<CallIndex>) {
        let ancestors: Vec<CallIndex> = parents
            .iter()
            .filter_map(|&p| self.calls[p as usize].link.as_ref().map(|l| l.parent))
            .filter(|ancestor| parents.contains(ancestor))
            .collect();
        parents.retain(|p| !ancestors.contains(p));
    }

    /// Writes the link down; the confidence of one among `k` possible parents is 1/k.
    fn settle(
        &mut self,
        child: CallIndex,
        chosen: Option<CallIndex>,
        k: usize,
        kind: LinkKind,
        mut reasons: Vec<String>,
    ) {
        let Some(parent) = chosen else { return };
        reasons.push(match (k, kind) {
            (1, _) => "contained, 1 candidate".to_string(),
            (_, LinkKind::Relay) => format!("contained, {k} candidates, closest fit taken"),
            (_, LinkKind::Work) => {
                format!("contained, {k} candidates, most recently active taken")
            }
        });
        let asked = *self.beside(parent, child).1;
        let busy = &mut self.busy[parent as usize];
        let at = busy.partition_point(|&(from, _)| from <= asked.from);
        busy.insert(at, (asked.from, asked.to));
        self.written.insert(self.write_of(child), parent);
        let mut confidence = 1.0 / k as f64;
        if let Some(cause) = self.told.remove(&child) {
            // An id that names the parent needs no thread.
            let by_id = reasons.len() > 1 + usize::from(kind == LinkKind::Relay);
            confidence *= if by_id { 1.0 } else { cause.certainty.unwrap_or(1.0) };
            if cause.parents.contains(&parent) {
                reasons.insert(0, cause.reason);
            }
        }
        let candidates = k as u32;
        self.calls[child as usize].link =
            Some(Link { parent, kind, confidence, candidates, evidence: reasons });
    }

    /// A candidate pair on its common clock.
    fn beside(&self, parent: CallIndex, child: CallIndex) -> (&Served, &Asked) {
        let (parent, child) = (&self.windows[parent as usize], &self.windows[child as usize]);
        parent.beside(child).expect("candidates were seen on a common clock")
    }

    fn write_of(&self, call: CallIndex) -> (FlowIndex, i64) {
        (self.calls[call as usize].spans[0].flow, self.windows[call as usize].asked_from())
    }

    fn listener(&self, call: CallIndex) -> Listener {
        let server = &self.calls[call as usize].server;
        (server.host.clone(), server.netns.clone(), server.address, server.port)
    }

    /// Which listeners pass (nearly) everything on.
    fn proxies(&self) -> BTreeMap<Listener, bool> {
        let mut counts: BTreeMap<Listener, (u64, u64)> = BTreeMap::new();
        for (i, call) in self.calls.iter().enumerate() {
            if matches!(call.state, CallState::Complete) {
                let count = counts.entry(self.listener(i as CallIndex)).or_default();
                count.0 += 1;
                count.1 += u64::from(!self.busy[i].is_empty());
            }
        }
        counts
            .into_iter()
            .map(|(l, (all, on))| (l, on as f64 >= PROXY_SHARE * all as f64))
            .collect()
    }
}
