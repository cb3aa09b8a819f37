//! OTLP's JSON encoding (opentelemetry-proto, "JSON Protobuf Encoding"): spans by resource and scope; ids hexadecimal, times in
//! nanoseconds, 64-bit numbers as texts. Never looks at events and links.

use super::losses::Losses;
use super::value::{self, any_value, first_text, json, pairs};
use super::walk::Shape;
use super::{INSTANCE, NO_SERVICE, Timed};
use crate::table::spans::{SpanKind, SpanRow, SpanStatus};
use serde_json::Value;

/// `{"resourceSpans": […]}`.
pub(super) const SHAPE: Shape = Shape { arrays: &["resourceSpans"], own: &[] };

/// Scopes had another name before 0.15.
const SCOPES: [&str; 2] = ["scopeSpans", "instrumentationLibrarySpans"];

/// Where the spans of a resource come from.
struct Resource {
    service: Option<String>,
    instance: Option<String>,
}

/// The spans of one resource.
pub(super) fn spans(of: Value, losses: &mut Losses, each: &mut dyn FnMut(SpanRow)) {
    let attributes = pairs(of.get("resource").and_then(|r| r.get("attributes")), any_value);
    let resource = Resource {
        service: first_text(&attributes, &["service.name"]),
        instance: first_text(&attributes, INSTANCE),
    };
    let scopes = SCOPES.iter().filter_map(|key| of.get(*key)?.as_array()).flatten();
    let mut n_scopes = 0;
    for scope in scopes {
        n_scopes += 1;
        let spans = scope.get("spans").and_then(Value::as_array);
        for span in spans.into_iter().flatten() {
            match span.is_object() {
                true => row(span, &resource, losses).into_iter().for_each(&mut *each),
                false => losses.count("not-a-span"),
            }
        }
    }
    if n_scopes == 0 {
        losses.count("not-a-span");
    }
}

fn row(span: &Value, resource: &Resource, losses: &mut Losses) -> Option<SpanRow> {
    let ids = (value::id(span.get("traceId")), value::span_id(span.get("spanId")));
    let (Some(trace_id), Some(span_id)) = ids else {
        losses.count("no-span-id");
        return None;
    };
    // A time of zero is one that was never set.
    let time = |key: &str| value::ns(span.get(key), 1).filter(|ns| *ns != 0);
    let Timed { start_ns, end_ns } =
        Timed::of(time("startTimeUnixNano"), time("endTimeUnixNano"), losses)?;
    if resource.service.is_none() {
        losses.count("no-service");
    }
    Some(SpanRow {
        start_ns,
        end_ns,
        trace_id: trace_id.to_be_bytes(),
        span_id,
        parent_span_id: parent(span, losses),
        service: resource.service.as_deref().unwrap_or(NO_SERVICE).to_string(),
        instance: resource.instance.clone(),
        name: span.get("name").and_then(Value::as_str).unwrap_or_default().to_string(),
        kind: SpanKind::of(number(span.get("kind"), KINDS)),
        status: SpanStatus::of(number(span.get("status").and_then(|s| s.get("code")), STATUSES)),
        attributes: json(pairs(span.get("attributes"), any_value)),
    })
}

fn parent(span: &Value, losses: &mut Losses) -> Option<u64> {
    let id = span.get("parentSpanId").filter(|id| !id.is_null());
    let parent = value::span_id(id);
    let is_none = |id: &Value| id.as_str().is_some_and(|id| id.bytes().all(|b| b == b'0'));
    if parent.is_none() && id.is_some_and(|id| !is_none(id)) {
        losses.count("bad-parent");
    }
    parent
}

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// An enumeration's number, also by its name.
fn number(value: Option<&Value>, names: &[&str]) -> u64 {
    let Some(value) = value else { return 0 };
    let by_name = value.as_str().and_then(|text| names.iter().position(|name| *name == text));
    by_name.map(|at| at as u64).or_else(|| u64::try_from(value::whole(value)?).ok()).unwrap_or(0)
}
