//! Every call as one JSON line, for other programs: the fields of `CALLS.md`, versioned by `schema`. Never drops a call
//! and never writes a value that a double can't hold as a number.

use super::{Options, Report, json};
use crate::analysis::Analysis;
use crate::call::{
    Before, Call, CallState, Hop, LinkKind, OrderBasis, Part, SpanAt, Times, Tracer,
};
use crate::measure;
use crate::names::Names;
use crate::point::{Endpoint, Process};
use crate::protocol::Outcome;
use serde::{Serialize, Serializer};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// Name and major version of the lines; a new major when a field goes or changes its meaning.
pub const SCHEMA: &str = "afterpath.calls/1";

/// Its entry in the table of reports.
pub(super) const CALLS: Report = Report {
    name: "calls",
    about: "Every call as JSON Lines, for other programs",
    asks: None,
    write,
};

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::of(analysis);
    for call in &analysis.calls {
        let chosen = !options.failed || call.failed();
        if chosen && options.filter.matches(analysis, &names, call) {
            write_call(analysis, &names, call, out)?;
        }
    }
    Ok(())
}

/// One call as one line.
pub fn write_call(
    analysis: &Analysis,
    names: &Names,
    call: &Call,
    out: &mut dyn Write,
) -> io::Result<()> {
    json::line(out, &line(analysis, names, call))
}

/// An id as it is printed everywhere.
pub fn id(id: u64) -> String {
    format!("{id:016x}")
}

/// The name of a kind of link.
pub fn link_kind(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Relay => "relay",
        LinkKind::Work => "work",
        LinkKind::Queue => "queue",
    }
}

/// The name of an outcome.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::ClientError => "client-error",
        Outcome::ServerError => "server-error",
    }
}

/// The name of a state.
pub fn state(state: CallState) -> &'static str {
    match state {
        CallState::Complete => "complete",
        CallState::Open => "open",
        CallState::ResponseOnly => "response-only",
        CallState::OneWay => "one-way",
    }
}

/// The name of an order's basis.
pub fn order_basis(basis: OrderBasis) -> &'static str {
    match basis {
        OrderBasis::Single => "single",
        OrderBasis::Direction => "direction",
        OrderBasis::Ttl => "ttl",
        OrderBasis::Address => "address",
        OrderBasis::Time => "time",
        OrderBasis::Forwarding => "forwarding",
        OrderBasis::Process => "process",
        OrderBasis::Undecided => "undecided",
    }
}

#[derive(Serialize)]
struct CallLine<'a> {
    schema: &'static str,
    id: String,
    trace: Option<String>,
    parent: Option<String>,
    link: Option<LinkLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_parent: Option<NoParentLine<'a>>,
    protocol: &'a str,
    version: &'a str,
    request_type: &'a str,
    resource: &'a str,
    route: &'a str,
    authority: &'a str,
    status: &'a str,
    outcome: Option<&'static str>,
    state: &'static str,
    failed: bool,
    client: EndLine<'a>,
    server: EndLine<'a>,
    #[serde(flatten)]
    times: TimesLine,
    duration_ns: i64,
    duration_is_lower_bound: bool,
    latency_ns: Option<i64>,
    self_ns: Option<i64>,
    connect_ns: Option<i64>,
    pool_wait_ns: Option<i64>,
    path_ns: Option<i64>,
    slack_ns: Option<i64>,
    before: Vec<BeforeLine>,
    request_bytes: u64,
    response_bytes: u64,
    ids: Vec<Pair<'a>>,
    attributes: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracer: Option<TracerLine>,
    points: Vec<PointLine<'a>>,
    hops: Vec<HopLine>,
    issues: Vec<&'static str>,
}

#[derive(Serialize)]
struct NoParentLine<'a> {
    confidence: f64,
    candidates: u32,
    evidence: &'a [String],
}

#[derive(Serialize)]
struct LinkLine<'a> {
    kind: &'static str,
    confidence: f64,
    candidates: u32,
    evidence: &'a [String],
}

#[derive(Serialize)]
struct EndLine<'a> {
    service: String,
    host: &'a str,
    netns: &'a str,
    address: IpAddr,
    port: u16,
    process: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
}

#[derive(Serialize)]
struct TimesLine {
    #[serde(serialize_with = "decimal")]
    request_first_unix_ns: Option<i64>,
    #[serde(serialize_with = "decimal")]
    request_last_unix_ns: Option<i64>,
    #[serde(serialize_with = "decimal")]
    response_first_unix_ns: Option<i64>,
    #[serde(serialize_with = "decimal")]
    response_last_unix_ns: Option<i64>,
}

#[derive(Serialize)]
struct Pair<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct TracerLine {
    trace_id: String,
    client_span_id: Option<String>,
    server_span_id: Option<String>,
}

#[derive(Serialize)]
struct PointLine<'a> {
    host: &'a str,
    netns: &'a str,
    interface: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    label: String,
    clock_domain: &'a str,
    #[serde(flatten)]
    times: TimesLine,
    order_basis: &'static str,
    retransmissions: u32,
    missing_bytes: u64,
    flow: Option<FlowLine>,
}

#[derive(Serialize)]
struct FlowLine {
    index: u32,
    client: SocketAddr,
    server: SocketAddr,
}

#[derive(Serialize)]
struct BeforeLine {
    part: &'static str,
    #[serde(serialize_with = "decimal")]
    from_unix_ns: Option<i64>,
    duration_ns: i64,
    known: &'static str,
    call: Option<String>,
}

#[derive(Serialize)]
struct HopLine {
    part: &'static str,
    from: String,
    to: String,
    from_index: u16,
    to_index: u16,
    forward_ns: Option<i64>,
    return_ns: Option<i64>,
    total_ns: i64,
    bound_ns: Option<i64>,
}

fn line<'a>(analysis: &'a Analysis, names: &Names, call: &'a Call) -> CallLine<'a> {
    let duration = measure::duration(analysis, call);
    let parent = call.link.as_ref().and_then(|l| analysis.calls.get(l.parent as usize));
    CallLine {
        schema: SCHEMA,
        id: id(call.id),
        trace: analysis.traces.get(call.trace as usize).map(|t| id(t.id)),
        parent: parent.map(|p| id(p.id)),
        link: call.link.as_ref().map(|l| LinkLine {
            kind: link_kind(l.kind),
            confidence: l.confidence,
            candidates: l.candidates,
            evidence: &l.evidence,
        }),
        no_parent: call.no_parent.as_ref().map(|none| NoParentLine {
            confidence: none.confidence,
            candidates: none.candidates,
            evidence: &none.evidence,
        }),
        protocol: &call.protocol,
        version: &call.version,
        request_type: &call.request_type,
        resource: &call.resource,
        route: &call.route,
        authority: &call.authority,
        status: &call.status,
        outcome: call.outcome.map(outcome),
        state: state(call.state),
        failed: call.failed(),
        client: end(&call.client, names.client(analysis, call)),
        server: end(&call.server, names.server(&call.server)),
        times: times(call.spans.first().map(|s| s.times).unwrap_or_default()),
        duration_ns: duration.ns,
        duration_is_lower_bound: duration.at_least,
        latency_ns: call.spans.first().and_then(|s| s.times.latency_ns()),
        self_ns: call.self_ns,
        connect_ns: call.connect_ns,
        pool_wait_ns: measure::before(call, Part::ClientPoolWait),
        path_ns: call.critical.map(|critical| critical.path_ns),
        slack_ns: call.critical.map(|critical| critical.slack_ns),
        before: call.before.iter().map(|b| before(analysis, b)).collect(),
        request_bytes: call.request_bytes,
        response_bytes: call.response_bytes,
        ids: pairs(&call.ids),
        attributes: pairs(&call.attributes),
        tracer: call.tracer.as_deref().map(tracer),
        points: call.spans.iter().map(|s| point(analysis, s)).collect(),
        hops: call.hops.iter().map(|h| hop(analysis, call, h)).collect(),
        issues: call.issues.iter().map(|i| i.name()).collect(),
    }
}

fn tracer(tracer: &Tracer) -> TracerLine {
    TracerLine {
        trace_id: tracer.trace(),
        client_span_id: tracer.client_span_id.map(id),
        server_span_id: tracer.server_span_id.map(id),
    }
}

fn end(end: &Endpoint, service: String) -> EndLine<'_> {
    EndLine {
        service,
        host: &end.host,
        netns: &end.netns,
        address: end.address,
        port: end.port,
        process: end.process.as_ref().map(Process::label),
        container: end.process.as_ref().and_then(|p| p.container.as_deref()),
        pod: end.process.as_ref().and_then(|p| p.pod.as_deref()),
    }
}

fn times(times: Times) -> TimesLine {
    TimesLine {
        request_first_unix_ns: times.request_first,
        request_last_unix_ns: times.request_last,
        response_first_unix_ns: times.response_first,
        response_last_unix_ns: times.response_last,
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<Pair<'_>> {
    pairs.iter().map(|(name, value)| Pair { name, value }).collect()
}

fn point<'a>(analysis: &'a Analysis, span: &SpanAt) -> PointLine<'a> {
    let point = analysis.points.get(span.point as usize);
    let domain = point.and_then(|p| analysis.domains.get(p.domain as usize));
    PointLine {
        host: point.map_or("", |p| &p.host),
        netns: point.map_or("", |p| &p.netns),
        interface: point.map_or("", |p| &p.interface),
        process: point.and_then(|p| p.process.as_ref()).map(Process::label),
        label: point.map_or_else(String::new, crate::point::Point::label),
        clock_domain: domain.map_or("", String::as_str),
        times: times(span.times),
        order_basis: order_basis(span.order_basis),
        retransmissions: span.retransmissions,
        missing_bytes: span.missing_bytes,
        flow: analysis.flows.get(span.flow as usize).map(|f| FlowLine {
            index: span.flow,
            client: f.client,
            server: f.server,
        }),
    }
}

fn before(analysis: &Analysis, before: &Before) -> BeforeLine {
    let call = before.call.and_then(|call| analysis.calls.get(call as usize));
    BeforeLine {
        part: before.part.name(),
        from_unix_ns: Some(before.from_ns),
        duration_ns: before.ns,
        known: before.known.name(),
        call: call.map(|call| id(call.id)),
    }
}

fn hop(analysis: &Analysis, call: &Call, hop: &Hop) -> HopLine {
    HopLine {
        part: Part::name(hop.part),
        from: measure::point_label(analysis, call, hop.from as usize),
        to: measure::point_label(analysis, call, hop.to as usize),
        from_index: hop.from,
        to_index: hop.to,
        forward_ns: hop.forward_ns,
        return_ns: hop.return_ns,
        total_ns: hop.total_ns,
        bound_ns: hop.bound_ns,
    }
}

/// Instants as decimal strings: a double can't hold them.
pub(super) fn decimal<S: Serializer>(ns: &Option<i64>, out: S) -> Result<S::Ok, S::Error> {
    match ns {
        Some(ns) => out.collect_str(ns),
        None => out.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn lines(analysis: &Analysis) -> Vec<Value> {
        let mut out = Vec::new();
        write(analysis, &Options::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    fn paths(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path =
                        if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    into.insert(path.clone());
                    paths(&path, value, into);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| paths(prefix, item, into)),
            _ => {}
        }
    }

    /// A recording one of whose calls a tracer told of, too.
    fn told() -> Analysis {
        let mut analysis = sample::recorded();
        let tracer = Tracer { trace_id: [1; 16], client_span_id: Some(2), server_span_id: Some(3) };
        analysis.calls[0].tracer = Some(Box::new(tracer));
        analysis
    }

    #[test]
    fn documented_fields_are_the_fields_written() {
        let mut written = BTreeSet::new();
        for analysis in [sample::shop(), sample::two_clocks(), told()] {
            lines(&analysis).iter().for_each(|l| paths("", l, &mut written));
        }
        let documented: BTreeSet<String> = include_str!("CALLS.md")
            .lines()
            .filter_map(|l| l.strip_prefix("| `")?.split_once('`'))
            .map(|(field, _)| field.to_owned())
            .collect();
        assert_eq!(written, documented);
    }

    #[test]
    fn every_condition_field_is_a_written_field() {
        let mut written = BTreeSet::new();
        lines(&told()).iter().for_each(|l| paths("", l, &mut written));
        for field in super::super::fields::FIELDS {
            assert!(written.contains(field.name), "{}", field.name);
        }
    }

    proptest! {
        #[test]
        fn hostile_text_stays_valid_and_exact(text in any::<String>()) {
            let mut analysis = sample::shop();
            analysis.calls[0].resource = text.clone();
            analysis.calls[0].ids = vec![(text.clone(), text.clone())];
            let line = &lines(&analysis)[0];
            prop_assert_eq!(line["resource"].as_str(), Some(text.as_str()));
            prop_assert_eq!(line["ids"][0]["value"].as_str(), Some(text.as_str()));
        }
    }
}
