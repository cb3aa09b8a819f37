//! What reports and judges measure alike: how long a call took (or at least took), where a trace's time went, when the recording
//! was. Never compares instants of two clock domains.

use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, CallState, Hop, Part, Trace};
use crate::point::Point;
use std::collections::BTreeMap;

/// A duration, exact or a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Nanoseconds.
    pub ns: i64,
    /// The end was not seen: the true value is this or more.
    pub at_least: bool,
}

/// How long a call took at the point nearest to its client; for an open one the time until its flow's last packet.
pub fn duration(analysis: &Analysis, call: &Call) -> Seen {
    span_duration(analysis, call, 0)
}

/// How long a call took at the point nearest to its server.
pub fn server_duration(analysis: &Analysis, call: &Call) -> Seen {
    let last = call.spans.len().saturating_sub(1);
    let times = call.spans.get(last).map(|s| s.times).unwrap_or_default();
    if call.state == CallState::Complete && times.duration_ns().is_none() {
        return duration(analysis, call);
    }
    span_duration(analysis, call, last)
}

fn span_duration(analysis: &Analysis, call: &Call, index: usize) -> Seen {
    let Some(span) = call.spans.get(index) else { return Seen { ns: 0, at_least: true } };
    if let Some(ns) = span.times.duration_ns() {
        return Seen { ns, at_least: call.state != CallState::Complete };
    }
    let first = span.times.first().unwrap_or(0);
    let seen_until = match call.state {
        // Where the capture missed the answer, it may have come at any time after the last thing seen.
        CallState::Open if call.is_open() => {
            analysis.flows.get(span.flow as usize).map(|f| f.last_ns)
        }
        _ => None,
    };
    let last = span.times.last().into_iter().chain(seen_until).max().unwrap_or(first);
    Seen { ns: last.saturating_sub(first), at_least: call.state != CallState::OneWay }
}

/// First time of a call at the point nearest to its client, on that point's clock.
pub fn start(call: &Call) -> i64 {
    call.spans.iter().find_map(|s| s.times.first()).unwrap_or(0)
}

/// When a call began at the point nearest to its client: that point's clock, and its time there.
pub fn began(analysis: &Analysis, call: &Call) -> (u32, i64) {
    let point = call.spans.first().and_then(|span| analysis.points.get(span.point as usize));
    (point.map_or(0, |point| point.domain), start(call))
}

/// First and last packet of the recording, each over all clocks as they are; `None` without flows or calls.
pub fn recording(analysis: &Analysis) -> Option<(i64, i64)> {
    let flows = analysis.flows.iter().map(|f| (f.first_ns, f.last_ns));
    let spans = analysis.calls.iter().flat_map(|c| &c.spans);
    let spans = spans.filter_map(|s| Some((s.times.first()?, s.times.last()?)));
    flows.chain(spans).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The longest time any one clock domain recorded: what rates divide by.
pub fn recorded_ns(analysis: &Analysis) -> i64 {
    let mut domains: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for flow in &analysis.flows {
        let domain = analysis.points.get(flow.point as usize).map_or(0, |p| p.domain);
        let range = domains.entry(domain).or_insert((flow.first_ns, flow.last_ns));
        *range = (range.0.min(flow.first_ns), range.1.max(flow.last_ns));
    }
    domains.values().map(|(a, b)| b - a).max().unwrap_or(0)
}

/// The call of a trace's root.
pub fn root<'a>(analysis: &'a Analysis, trace: &Trace) -> Option<&'a Call> {
    analysis.calls.get(trace.root as usize)
}

/// How many calls of a trace failed.
pub fn n_failed(analysis: &Analysis, trace: &Trace) -> usize {
    trace
        .calls
        .iter()
        .filter_map(|&c| analysis.calls.get(c as usize))
        .filter(|c| c.failed())
        .count()
}

/// The part of a trace in which most of its time was spent, waiting for further calls left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowestPart {
    /// The call it is part of.
    pub call: CallIndex,
    /// Index into its hops.
    pub hop: usize,
    /// Its time: the hop's total, for a server part the self time.
    pub ns: i64,
}

/// The slowest part of a trace. The first one in tree and path order when several are equal.
pub fn slowest_part(analysis: &Analysis, trace: &Trace) -> Option<SlowestPart> {
    let mut slowest: Option<SlowestPart> = None;
    for &index in &trace.calls {
        let Some(call) = analysis.calls.get(index as usize) else { continue };
        for (hop, part) in call.hops.iter().enumerate() {
            let ns = own_time(call, part.part, part.total_ns);
            if slowest.is_none_or(|s| ns > s.ns) {
                slowest = Some(SlowestPart { call: index, hop, ns });
            }
        }
    }
    slowest.filter(|s| s.ns > 0)
}

/// How long a call waited for something before its first byte.
pub fn before(call: &Call, part: Part) -> Option<i64> {
    call.before.iter().find(|before| before.part == part).map(|before| before.ns)
}

/// What a part took without the time in which further calls were waited for.
pub fn own_time(call: &Call, part: Part, total_ns: i64) -> i64 {
    match (part, call.self_ns) {
        (part, Some(own)) if part.is_work() => own.min(total_ns),
        _ => total_ns,
    }
}

/// Where a hop begins and ends inside one namespace (a router between its interfaces, a switch between its ports).
pub fn passes_through<'a>(analysis: &'a Analysis, call: &Call, hop: &Hop) -> Option<&'a Point> {
    let point = |i: u16| analysis.points.get(call.spans.get(i as usize)?.point as usize);
    let (from, to) = (point(hop.from)?, point(hop.to)?);
    let at_interfaces = from.process.is_none() && to.process.is_none();
    let inside = hop.part == Part::Wire && !to.netns.is_empty() && at_interfaces;
    (inside && (&from.host, &from.netns) == (&to.host, &to.netns)).then_some(to)
}

/// `wire gw/eth0 → b/eth0`, `through l4gw/eth0 → l4gw/eth1`, `in b`: a part and its place.
pub fn part_place(analysis: &Analysis, call: &Call, hop: usize, server: &str) -> String {
    let Some(h) = call.hops.get(hop) else { return String::new() };
    let label = |i: u16| point_label(analysis, call, i as usize);
    match h.part {
        part if part.is_leg() => {
            let through = passes_through(analysis, call, h).is_some();
            let word = if through { "through" } else { words(h.part) };
            format!("{word} {} → {}", label(h.from), label(h.to))
        }
        Part::Server | Part::ServerApp => format!("in {server}"),
        Part::RequestTransfer | Part::ResponseTransfer => {
            format!("{} at {}", words(h.part), label(h.from))
        }
        Part::ClientSendQueue | Part::ClientRecvQueue => {
            format!("{} at {}", words(h.part), label(h.from))
        }
        Part::Unattributed => words(h.part).to_owned(),
        _ => format!("{} at {}", words(h.part), label(h.to)),
    }
}

/// The label of the point at a place in a call's path.
pub fn point_label(analysis: &Analysis, call: &Call, index: usize) -> String {
    let point = call.spans.get(index).and_then(|s| analysis.points.get(s.point as usize));
    point.map_or_else(|| "?".to_owned(), crate::point::Point::label)
}

/// A part's name as a person reads it.
pub fn words(part: Part) -> &'static str {
    match part {
        Part::RequestTransfer => "request transfer",
        Part::Wire => "wire",
        Part::Gateway => "forwarding",
        Part::ClientSendQueue => "send queue",
        Part::ClientRecvQueue => "receive queue",
        Part::GatewayIn => "forwarding in",
        Part::GatewayProcess => "forwarding process",
        Part::GatewayOut => "forwarding out",
        Part::ServerAcceptQueue => "accept queue",
        Part::ServerSched => "waking up",
        Part::ServerBusy => "busy",
        Part::ServerKernelRx => "reading",
        Part::ServerApp => "application",
        Part::ServerSendQueue => "server send queue",
        Part::Server => "server",
        Part::ResponseTransfer => "response transfer",
        Part::Unattributed => "unattributed",
        Part::ClientDns => "name look-up",
        Part::ClientPoolWait => "waiting for a connection",
        Part::ClientConnect => "connect",
        Part::ClientTls => "TLS handshake",
    }
}

/// `GET /cart/17`, or the protocol's name when nothing more is known. Not yet harmless.
pub fn request(call: &Call) -> String {
    match (call.request_type.as_str(), call.resource.as_str()) {
        ("", "") => call.protocol.clone(),
        ("", resource) => resource.to_owned(),
        (kind, "") => kind.to_owned(),
        // A statement begins with its own type.
        (kind, resource) if begins_with(resource, kind) => resource.to_owned(),
        (kind, resource) => format!("{kind} {resource}"),
    }
}

fn begins_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && text[word.len()..].starts_with(char::is_whitespace)
}

/// The status, or the state of a call that has none. Not yet harmless.
pub fn status(call: &Call) -> String {
    match (call.status.as_str(), call.state) {
        ("", CallState::Open) if call.is_open() => "open".to_owned(),
        ("", CallState::Open) => "unseen".to_owned(),
        ("", CallState::ResponseOnly) => "no request".to_owned(),
        ("", CallState::OneWay) => "one-way".to_owned(),
        ("", CallState::Complete) => "-".to_owned(),
        (status, _) => status.to_owned(),
    }
}
