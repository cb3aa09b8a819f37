//! One trace with all its calls, as a page draws it: times on the trace's own timeline, numbers for parts and points whose names stand
//! once in the page. Never places what no clock places.

use super::View;
use crate::call::{Call, CallIndex, Hop, Part, SpanAt, Trace};
use crate::measure;
use crate::report::calls;
use crate::report::timeline::{Place, Timeline};
use crate::report::waterfall::{link_text, missing_text};
use serde::Serialize;
use std::collections::BTreeMap;

/// A part of a call's duration, by its number in [`parts`].
#[derive(Serialize)]
pub(super) struct PartName {
    name: &'static str,
    words: &'static str,
    /// `network`, `forwarding`, `server`, `before` it began, `queue`: in a process's sockets, unread or unsent.
    kind: &'static str,
}

/// A trace.
#[derive(Default, Serialize)]
pub(super) struct Detail<'a> {
    calls: Vec<Row<'a>>,
}

/// A call; its place in the list is its number.
#[derive(Serialize)]
struct Row<'a> {
    id: String,
    /// Number of the call that it stands under.
    parent: Option<usize>,
    client: String,
    service: String,
    protocol: &'a str,
    request: String,
    status: String,
    failed: bool,
    state: &'static str,
    /// Since the trace's begin; absent: no clock places it.
    at_ns: Option<i64>,
    /// Within how much.
    bound_ns: i64,
    ns: i64,
    at_least: bool,
    own_ns: Option<i64>,
    /// On the path that made the trace as long as it was, of that its server's own, and how much longer it might have taken.
    critical_ns: Option<[i64; 3]>,
    /// Why it has the parent it has, or none.
    link: String,
    confidence: Option<f64>,
    candidates: u32,
    /// Part, how long, how well known.
    before: Vec<(u8, i64, &'static str)>,
    spans: Vec<Span>,
    hops: Vec<HopRow>,
    /// Packets that were missed under it, in words.
    missing: Vec<String>,
    /// Findings that are about it, by their number, and what each cost its trace.
    findings: Vec<(usize, i64)>,
    issues: Vec<&'static str>,
    bytes: [u64; 2],
}

/// Point, first byte of the request since the trace's begin, then how much later the request's last, the response's first and the
/// response's last byte passed; segments sent again; bytes not captured here.
type Span = (u32, Option<i64>, Option<i64>, Option<i64>, Option<i64>, u32, u64);

/// Part, from which span to which, with the request's direction, with the response's, both, within how much; whether it leads through
/// one place.
type HopRow = (u8, u16, u16, Option<i64>, Option<i64>, i64, Option<i64>, bool);

/// Every part, in the order of its number.
const PARTS: [Part; 21] = [
    Part::RequestTransfer,
    Part::Wire,
    Part::Gateway,
    Part::ClientSendQueue,
    Part::ClientRecvQueue,
    Part::GatewayIn,
    Part::GatewayProcess,
    Part::GatewayOut,
    Part::ServerAcceptQueue,
    Part::ServerSched,
    Part::ServerBusy,
    Part::ServerKernelRx,
    Part::ServerApp,
    Part::ServerSendQueue,
    Part::Server,
    Part::ResponseTransfer,
    Part::Unattributed,
    Part::ClientDns,
    Part::ClientPoolWait,
    Part::ClientConnect,
    Part::ClientTls,
];

/// Their names.
pub(super) fn parts() -> Vec<PartName> {
    let named = |part: &Part| PartName {
        name: part.name(),
        words: measure::words(*part),
        kind: if is_queue(*part) { "queue" } else { super::map::kind(*part).name() },
    };
    PARTS.iter().map(named).collect()
}

/// Whether it is time in which something lay in a process's sockets.
fn is_queue(part: Part) -> bool {
    use Part::{ClientRecvQueue, ClientSendQueue, ServerAcceptQueue, ServerBusy, ServerKernelRx};
    matches!(part, ClientSendQueue | ClientRecvQueue | ServerAcceptQueue | ServerBusy)
        || matches!(part, Part::ServerSched | ServerKernelRx | Part::ServerSendQueue)
}

fn number(part: Part) -> u8 {
    PARTS.iter().position(|known| *known == part).map_or(u8::MAX, |at| at as u8)
}

/// A trace by its number.
pub(super) fn of<'a>(view: &View<'a>, trace: u32) -> Detail<'a> {
    let Some(trace) = view.trace(trace) else { return Detail::default() };
    let timeline = Timeline::of(view.analysis, trace);
    let numbers: BTreeMap<CallIndex, usize> =
        trace.calls.iter().enumerate().map(|(number, call)| (*call, number)).collect();
    let each = trace.calls.iter().filter_map(|index| {
        let call = view.analysis.calls.get(*index as usize)?;
        Some(row(view, (trace, &timeline, &numbers), *index, call))
    });
    Detail { calls: each.collect() }
}

fn row<'a>(
    view: &View<'a>,
    (trace, timeline, numbers): (&Trace, &Timeline, &BTreeMap<CallIndex, usize>),
    index: CallIndex,
    call: &'a Call,
) -> Row<'a> {
    let analysis = view.analysis;
    let duration = measure::duration(analysis, call);
    let root = measure::root(analysis, trace);
    let begin = root.map(|root| measure::began(analysis, root));
    let (at_ns, bound_ns) = match timeline.place(analysis, call) {
        Place::At(at, bound) => (Some(at.saturating_sub(begin.map_or(0, |(_, at)| at))), bound),
        Place::Unknown => (None, 0),
    };
    let parent = call.link.as_ref().and_then(|link| numbers.get(&link.parent).copied());
    let missing = view.missing.get(&index).into_iter().flatten();
    Row {
        id: calls::id(call.id),
        parent: parent.or_else(|| (index != trace.root).then_some(0)),
        client: view.names.client(analysis, call),
        service: view.names.server(&call.server),
        protocol: &call.protocol,
        request: measure::request(call),
        status: measure::status(call),
        failed: call.failed(),
        state: calls::state(call.state),
        at_ns,
        bound_ns,
        ns: duration.ns,
        at_least: duration.at_least,
        own_ns: call.self_ns,
        critical_ns: call.critical.map(|c| [c.path_ns, c.self_ns, c.slack_ns]),
        link: link_text(call),
        confidence: call.link.as_ref().map(|link| link.confidence),
        candidates: call.link.as_ref().map_or(0, |link| link.candidates),
        before: call.before.iter().map(|b| (number(b.part), b.ns, b.known.name())).collect(),
        spans: call.spans.iter().map(|s| span(view, begin, s)).collect(),
        hops: call.hops.iter().map(|h| hop(view, call, h)).collect(),
        missing: missing
            .map(|(packet, ns)| missing_text(analysis, &analysis.lost_packets[*packet], *ns))
            .map(|(fate, text)| format!("{fate}: {text}"))
            .collect(),
        findings: view.concerned.get(&index).cloned().unwrap_or_default(),
        issues: call.issues.iter().map(|issue| issue.name()).collect(),
        bytes: [call.request_bytes, call.response_bytes],
    }
}

/// `begin`: the clock and the begin of the trace.
fn span(view: &View<'_>, begin: Option<(u32, i64)>, span: &SpanAt) -> Span {
    let analysis = view.analysis;
    let of_point = |point: u32| analysis.points.get(point as usize).map_or(0, |p| p.domain);
    let t = span.times;
    let at = begin.zip(t.request_first).and_then(|(begin, at)| {
        Some(analysis.clocks.between(begin, (of_point(span.point), at))?.value_ns)
    });
    let later = |time: Option<i64>| Some(time?.saturating_sub(t.request_first?));
    let rest = (later(t.request_last), later(t.response_first), later(t.response_last));
    (span.point, at, rest.0, rest.1, rest.2, span.retransmissions, span.missing_bytes)
}

fn hop(view: &View<'_>, call: &Call, hop: &Hop) -> HopRow {
    let through = measure::passes_through(view.analysis, call, hop).is_some();
    let times = (hop.forward_ns, hop.return_ns, hop.total_ns, hop.bound_ns);
    (number(hop.part), hop.from, hop.to, times.0, times.1, times.2, times.3, through)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_in_the_order_of_their_kind_once_each() {
        assert!(PARTS.is_sorted());
        assert_eq!(PARTS.last(), Some(&Part::ClientTls), "the last there is");
        assert!(PARTS.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
