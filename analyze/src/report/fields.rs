//! The fields a condition can name: those of `calls`, by their JSON paths. Never a field that `CALLS.md` doesn't list.

use super::calls;
use crate::analysis::Analysis;
use crate::call::{Call, Hop, Part, SpanAt};
use crate::measure;
use crate::names::Names;
use crate::point::Process;

/// What a field holds, which decides how it compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    Duration,
    Instant,
}

/// A call with what its fields are derived from.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) names: &'a Names,
    pub(super) call: &'a Call,
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Owned(String),
    Integer(i64),
    Real(f64),
    Boolean(bool),
}

/// A field by its JSON path. A list gives several values: a condition holds when one of them meets it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) values: for<'a> fn(&Subject<'a>) -> Vec<Value<'a>>,
}

/// The field of this name; `_ns` and `_unix_ns` may be left out, `service` is `server.service`.
pub(super) fn named(name: &str) -> Option<&'static Field> {
    let name = if name == "service" { "server.service" } else { name };
    let by = |suffix: &str| FIELDS.iter().find(|f| f.name.strip_suffix(suffix) == Some(name));
    by("").or_else(|| by("_unix_ns")).or_else(|| by("_ns"))
}

macro_rules! fields {
    ($($name:literal $kind:ident $subject:ident => $values:expr;)*) => {
        &[$(Field { name: $name, kind: Kind::$kind, values: |$subject| $values }),*]
    };
}

/// Every field.
pub(super) const FIELDS: &[Field] = fields! {
    "id" Text s => owned(calls::id(s.call.id));
    "trace" Text s => s.analysis.traces.get(s.call.trace as usize).map(|t| Value::Owned(calls::id(t.id))).into_iter().collect();
    "parent" Text s => {
        let parent = s.call.link.as_ref().and_then(|l| s.analysis.calls.get(l.parent as usize));
        parent.map(|p| Value::Owned(calls::id(p.id))).into_iter().collect()
    };
    "link.kind" Text s => s.call.link.iter().map(|l| Value::Text(calls::link_kind(l.kind))).collect();
    "link.confidence" Number s => s.call.link.iter().map(|l| Value::Real(l.confidence)).collect();
    "link.candidates" Number s => s.call.link.iter().map(|l| Value::Integer(l.candidates.into())).collect();
    "link.evidence" Text s => s.call.link.iter().flat_map(|l| &l.evidence).map(|e| Value::Text(e)).collect();
    "protocol" Text s => text(&s.call.protocol);
    "version" Text s => text(&s.call.version);
    "request_type" Text s => text(&s.call.request_type);
    "resource" Text s => text(&s.call.resource);
    "route" Text s => text(&s.call.route);
    "authority" Text s => text(&s.call.authority);
    "status" Text s => text(&s.call.status);
    "outcome" Text s => s.call.outcome.iter().map(|&o| Value::Text(calls::outcome(o))).collect();
    "state" Text s => text(calls::state(s.call.state));
    "failed" Boolean s => vec![Value::Boolean(s.call.failed())];
    "client.service" Text s => owned(s.names.client(s.analysis, s.call));
    "client.host" Text s => text(&s.call.client.host);
    "client.netns" Text s => text(&s.call.client.netns);
    "client.process" Text s => texts(s.call.client.process.as_ref().map(Process::label));
    "client.container" Text s => texts(s.call.client.process.as_ref().and_then(|p| p.container.clone()));
    "client.pod" Text s => texts(s.call.client.process.as_ref().and_then(|p| p.pod.clone()));
    "client.address" Text s => owned(s.call.client.address.to_string());
    "client.port" Number s => vec![Value::Integer(s.call.client.port.into())];
    "server.service" Text s => owned(s.names.server(&s.call.server));
    "server.host" Text s => text(&s.call.server.host);
    "server.netns" Text s => text(&s.call.server.netns);
    "server.process" Text s => texts(s.call.server.process.as_ref().map(Process::label));
    "server.container" Text s => texts(s.call.server.process.as_ref().and_then(|p| p.container.clone()));
    "server.pod" Text s => texts(s.call.server.process.as_ref().and_then(|p| p.pod.clone()));
    "server.address" Text s => owned(s.call.server.address.to_string());
    "server.port" Number s => vec![Value::Integer(s.call.server.port.into())];
    "request_first_unix_ns" Instant s => integers(first(s).and_then(|p| p.times.request_first));
    "request_last_unix_ns" Instant s => integers(first(s).and_then(|p| p.times.request_last));
    "response_first_unix_ns" Instant s => integers(first(s).and_then(|p| p.times.response_first));
    "response_last_unix_ns" Instant s => integers(first(s).and_then(|p| p.times.response_last));
    "duration_ns" Duration s => vec![Value::Integer(measure::duration(s.analysis, s.call).ns)];
    "duration_is_lower_bound" Boolean s => vec![Value::Boolean(measure::duration(s.analysis, s.call).at_least)];
    "latency_ns" Duration s => integers(first(s).and_then(|p| p.times.latency_ns()));
    "self_ns" Duration s => integers(s.call.self_ns);
    "connect_ns" Duration s => integers(s.call.connect_ns);
    "pool_wait_ns" Duration s => integers(measure::before(s.call, Part::ClientPoolWait));
    "path_ns" Duration s => integers(s.call.critical.map(|c| c.path_ns));
    "slack_ns" Duration s => integers(s.call.critical.map(|c| c.slack_ns));
    "before.part" Text s => s.call.before.iter().map(|b| Value::Text(b.part.name())).collect();
    "before.duration_ns" Duration s => integers(s.call.before.iter().map(|b| b.ns));
    "before.known" Text s => s.call.before.iter().map(|b| Value::Text(b.known.name())).collect();
    "request_bytes" Number s => vec![Value::Integer(s.call.request_bytes.min(i64::MAX as u64) as i64)];
    "response_bytes" Number s => vec![Value::Integer(s.call.response_bytes.min(i64::MAX as u64) as i64)];
    "ids.name" Text s => s.call.ids.iter().map(|(n, _)| Value::Text(n)).collect();
    "ids.value" Text s => s.call.ids.iter().map(|(_, v)| Value::Text(v)).collect();
    "attributes.name" Text s => s.call.attributes.iter().map(|(n, _)| Value::Text(n)).collect();
    "attributes.value" Text s => s.call.attributes.iter().map(|(_, v)| Value::Text(v)).collect();
    "tracer.trace_id" Text s => texts(s.call.tracer.as_ref().map(|t| t.trace()));
    "tracer.client_span_id" Text s => texts(s.call.tracer.as_ref().and_then(|t| t.client_span_id).map(calls::id));
    "tracer.server_span_id" Text s => texts(s.call.tracer.as_ref().and_then(|t| t.server_span_id).map(calls::id));
    "points.host" Text s => points(s, |p| Value::Text(&p.host));
    "points.netns" Text s => points(s, |p| Value::Text(&p.netns));
    "points.interface" Text s => points(s, |p| Value::Text(&p.interface));
    "points.label" Text s => points(s, |p| Value::Owned(p.label()));
    "points.order_basis" Text s => s.call.spans.iter().map(|p| Value::Text(calls::order_basis(p.order_basis))).collect();
    "points.retransmissions" Number s => s.call.spans.iter().map(|p| Value::Integer(p.retransmissions.into())).collect();
    "points.missing_bytes" Number s => s.call.spans.iter().map(|p| Value::Integer(i64::try_from(p.missing_bytes).unwrap_or(i64::MAX))).collect();
    "hops.part" Text s => s.call.hops.iter().map(|h| Value::Text(h.part.name())).collect();
    "hops.from" Text s => hops(s, |h| h.from);
    "hops.to" Text s => hops(s, |h| h.to);
    "hops.forward_ns" Duration s => integers(s.call.hops.iter().filter_map(|h| h.forward_ns));
    "hops.return_ns" Duration s => integers(s.call.hops.iter().filter_map(|h| h.return_ns));
    "hops.total_ns" Duration s => integers(s.call.hops.iter().map(|h| h.total_ns));
    "issues" Text s => s.call.issues.iter().map(|i| Value::Text(i.name())).collect();
};

fn text(text: &str) -> Vec<Value<'_>> {
    vec![Value::Text(text)]
}

fn owned<'a>(text: String) -> Vec<Value<'a>> {
    vec![Value::Owned(text)]
}

fn texts<'a>(values: impl IntoIterator<Item = String>) -> Vec<Value<'a>> {
    values.into_iter().map(Value::Owned).collect()
}

fn integers<'a>(values: impl IntoIterator<Item = i64>) -> Vec<Value<'a>> {
    values.into_iter().map(Value::Integer).collect()
}

fn first<'a>(s: &Subject<'a>) -> Option<&'a SpanAt> {
    s.call.spans.first()
}

fn points<'a>(s: &Subject<'a>, value: fn(&'a crate::point::Point) -> Value<'a>) -> Vec<Value<'a>> {
    let points = &s.analysis.points;
    s.call.spans.iter().filter_map(|span| points.get(span.point as usize)).map(value).collect()
}

fn hops<'a>(s: &Subject<'a>, end: fn(&Hop) -> u16) -> Vec<Value<'a>> {
    let label = |h| Value::Owned(measure::point_label(s.analysis, s.call, end(h) as usize));
    s.call.hops.iter().map(label).collect()
}
