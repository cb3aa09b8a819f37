//! Jaeger's JSON (what its UI saves and `/api/traces` answers): a trace with its spans and, by number, its processes. Times in
//! microseconds. Never looks at logs and warnings.

use super::losses::Losses;
use super::value::{self, first_text, json, pairs};
use super::walk::Shape;
use super::{INSTANCE, NO_SERVICE, Timed};
use crate::table::spans::{SpanKind, SpanRow, SpanStatus};
use serde_json::{Map, Value};

/// `{"data": [trace, …]}`, or a trace by itself.
pub(super) const SHAPE: Shape =
    Shape { arrays: &["data"], own: &["traceID", "spans", "processes"] };

/// The spans of one trace.
pub(super) fn spans(trace: Value, losses: &mut Losses, each: &mut dyn FnMut(SpanRow)) {
    let Some(spans) = trace.get("spans").and_then(Value::as_array) else {
        return losses.count("not-a-span");
    };
    let processes = trace.get("processes");
    for span in spans {
        if !span.is_object() {
            losses.count("not-a-span");
            continue;
        }
        let process = span.get("process").or_else(|| {
            let number = span.get("processID")?.as_str()?;
            processes?.get(number)
        });
        if let Some(row) = row(span, &trace, process, losses) {
            each(row);
        }
    }
}

fn row(
    span: &Value,
    trace: &Value,
    process: Option<&Value>,
    losses: &mut Losses,
) -> Option<SpanRow> {
    let trace_id = value::id(span.get("traceID").or(trace.get("traceID")));
    let (Some(trace_id), Some(span_id)) = (trace_id, value::span_id(span.get("spanID"))) else {
        losses.count("no-span-id");
        return None;
    };
    let start_ns = value::ns(span.get("startTime"), 1_000);
    let duration_ns = value::ns(span.get("duration"), 1_000);
    let end_ns = start_ns.zip(duration_ns).and_then(|(start, long)| start.checked_add(long));
    let Timed { start_ns, end_ns } = Timed::of(start_ns, end_ns, losses)?;
    let tags = tags(span);
    let process_tags = process.map(tags_of_process).unwrap_or_default();
    let service =
        process.and_then(|p| p.get("serviceName")?.as_str()).filter(|name| !name.is_empty());
    if service.is_none() {
        losses.count("no-service");
    }
    let text = |key: &str| tags.get(key).and_then(Value::as_str);
    let kind = text("span.kind").map(kind_of).unwrap_or_default();
    let is_error = tags.get("error").is_some_and(|error| match error {
        Value::Bool(error) => *error,
        Value::String(error) => error.eq_ignore_ascii_case("true"),
        _ => false,
    });
    let status = match text("otel.status_code") {
        _ if is_error => SpanStatus::Error,
        Some(code) if code.eq_ignore_ascii_case("error") => SpanStatus::Error,
        Some(code) if code.eq_ignore_ascii_case("ok") => SpanStatus::Ok,
        _ => SpanStatus::Unset,
    };
    Some(SpanRow {
        start_ns,
        end_ns,
        trace_id: trace_id.to_be_bytes(),
        span_id,
        parent_span_id: parent(span, trace_id, losses),
        service: service.unwrap_or(NO_SERVICE).to_string(),
        instance: first_text(&process_tags, INSTANCE),
        name: span.get("operationName").and_then(Value::as_str).unwrap_or_default().to_string(),
        kind,
        status,
        attributes: json(said(tags)),
    })
}

/// The reference that this span is the child of, else the first that it follows from; of the same trace.
fn parent(span: &Value, trace_id: u128, losses: &mut Losses) -> Option<u64> {
    let references = span.get("references").and_then(Value::as_array);
    let references = references.map(Vec::as_slice).unwrap_or_default();
    let is_here = |reference: &&Value| {
        reference.get("traceID").is_none_or(|id| value::id(Some(id)) == Some(trace_id))
    };
    let of_type = |kind: &str| {
        let is_it = |r: &&Value| r.get("refType").and_then(Value::as_str) == Some(kind);
        references.iter().filter(is_here).find(is_it)
    };
    let chosen = of_type("CHILD_OF").or_else(|| of_type("FOLLOWS_FROM"));
    // Before it had references.
    let id = chosen.map(|r| r.get("spanID")).or_else(|| span.get("parentSpanID").map(Some))?;
    let parent = value::span_id(id);
    let is_none = id.and_then(Value::as_str).is_some_and(|id| id.bytes().all(|b| b == b'0'));
    if parent.is_none() && !is_none {
        losses.count("bad-parent");
    }
    parent
}

fn kind_of(text: &str) -> SpanKind {
    match text.to_ascii_lowercase().as_str() {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "internal" => SpanKind::Internal,
        _ => SpanKind::Unspecified,
    }
}

fn tags(span: &Value) -> Map<String, Value> {
    pairs(span.get("tags"), tag_value)
}

fn tags_of_process(process: &Value) -> Map<String, Value> {
    pairs(process.get("tags"), tag_value)
}

fn tag_value(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.clone()),
    }
}

/// Tags without those that became columns or speak of the tracer alone.
fn said(mut tags: Map<String, Value>) -> Map<String, Value> {
    let is_own = |key: &str| {
        matches!(key, "span.kind" | "internal.span.format" | "otel.status_code")
            || key.starts_with("sampler.")
    };
    tags.retain(|key, _| !is_own(key));
    tags
}
