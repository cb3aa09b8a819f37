//! What a request waited for before its first byte left: its server's name, a connection that was free, the handshakes of its
//! connection. Times before a call's duration, never part of it. Says nothing where it isn't known, and nothing of connections that were
//! opened before they were needed.

mod names;
mod pools;

use super::asked;
use crate::call::{Before, Call, CallIndex, Known, Part};
use crate::dissect::sockets::log::Sockets;
use crate::flow::{Flow, FlowIndex};
use crate::point::Point;
use std::collections::BTreeMap;

/// Where nobody tells what a call was made for, it begins this soon after what it waited for.
const AT_ONCE_NS: i64 = 10_000_000;

/// What is asked.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// All calls, linked.
    pub calls: &'a [Call],
    /// By call those that it caused.
    pub children: &'a [Vec<CallIndex>],
    /// Observation points.
    pub points: &'a [Point],
    /// Flows.
    pub flows: &'a [Flow],
    /// What processes did on their sockets.
    pub sockets: &'a Sockets,
}

/// Per call what lay before it, in the order of [`Part`].
pub fn before(given: &Given<'_>) -> Vec<Vec<Before>> {
    let of = |call: &Call| given.connect(call).filter(|connect| given.is_for(call, connect));
    let connects: Vec<Option<Before>> = given.calls.iter().map(of).collect();
    let mut found: Vec<Vec<Before>> =
        connects.iter().map(|connect| connect.iter().copied().collect()).collect();
    names::look_ups(given, &mut found);
    pools::waits(given, &mut found);
    behind_tls(given, &mut found);
    found.iter_mut().for_each(|parts| parts.sort_by_key(|part| (part.part, part.from_ns)));
    found
}

/// The first request inside a TLS session waited for the session too, and for all that the session waited for.
fn behind_tls(given: &Given<'_>, found: &mut [Vec<Before>]) {
    let mut sessions: BTreeMap<FlowIndex, CallIndex> = BTreeMap::new();
    for (index, call) in (0..).zip(given.calls) {
        let flow = call.spans[0].flow;
        if call.protocol == "tls" {
            sessions.insert(flow, index);
        } else if let Some(session) = sessions.remove(&flow)
            && let Some(tls) = given.tls(session)
            && given.is_for(call, &tls)
        {
            let before = found[session as usize].clone();
            found[index as usize].extend(before);
            found[index as usize].push(tls);
        }
    }
}

impl<'a> Given<'a> {
    fn domain(&self, point: u32) -> u32 {
        self.points[point as usize].domain
    }

    /// The handshake of the connection whose first call this is: at the first interface, or at the process where there is none.
    fn connect(&self, call: &Call) -> Option<Before> {
        let ns = call.connect_ns?.max(0);
        let is_process = |point: u32| self.points[point as usize].process.is_some();
        let first = call.spans.iter().position(|span| !is_process(span.point)).unwrap_or(0);
        let mut spans = call.spans[..=first].iter();
        let span = spans.find(|span| {
            let flow = &self.flows[span.flow as usize];
            let took = if is_process(span.point) { flow.rtt_server_ns() } else { flow.rtt_ns() };
            took.is_some()
        })?;
        let from_ns = self.flows[span.flow as usize].handshake_ns[0]?;
        let is_here = self.domain(span.point) == self.domain(call.spans[0].point);
        let part = Part::ClientConnect;
        is_here.then_some(Before { part, from_ns, ns, known: Known::Measured, call: None })
    }

    /// From the TCP handshake's end, or from the ClientHello, to the end of the server's side of the TLS handshake.
    fn tls(&self, session: CallIndex) -> Option<Before> {
        let call = &self.calls[session as usize];
        let to_ns = call.times().response_last.filter(|_| !call.failed())?;
        let (from_ns, known) = match self.connect(call) {
            Some(connect) => (connect.from_ns.saturating_add(connect.ns), Known::Measured),
            None => (call.times().request_first?, Known::AtLeast),
        };
        let ns = to_ns.saturating_sub(from_ns).max(0);
        Some(Before { part: Part::ClientTls, from_ns, ns, known, call: Some(session) })
    }

    /// Whether a call waited for this: whoever made the call had been asked when it began. Where that can't be told, it left at once.
    fn is_for(&self, call: &Call, before: &Before) -> bool {
        match self.parent_asked(call) {
            Some(asked_ns) => before.from_ns >= asked_ns,
            None => {
                let end_ns = before.from_ns.saturating_add(before.ns);
                let first_ns = call.times().first().unwrap_or(i64::MAX);
                first_ns.saturating_sub(end_ns) <= AT_ONCE_NS
            }
        }
    }

    /// When whoever made a call had been asked itself; `None`: not known, or not by the clock of the call's first point.
    fn parent_asked(&self, call: &Call) -> Option<i64> {
        let parent = &self.calls[call.link.as_ref()?.parent as usize];
        let there = parent.spans.last()?;
        let is_one_clock = self.domain(there.point) == self.domain(call.spans[0].point);
        is_one_clock.then(|| asked(parent)).flatten()
    }
}

#[cfg(test)]
mod tests;
