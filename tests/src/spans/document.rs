//! Spans as documents of both formats, as tracers' exporters write them. Never reads one.

use afterpath_formats::table::spans::{SpanRow, SpanStatus};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One Jaeger document per trace, each on its line.
pub fn jaeger(rows: &[SpanRow]) -> String {
    let mut traces: BTreeMap<[u8; 16], Vec<&SpanRow>> = BTreeMap::new();
    rows.iter().for_each(|row| traces.entry(row.trace_id).or_default().push(row));
    let mut text = String::new();
    for (trace, rows) in traces {
        let mut processes: BTreeMap<(&str, Option<&str>), String> = BTreeMap::new();
        for row in &rows {
            let number = format!("p{}", processes.len() + 1);
            processes.entry((&row.service, row.instance.as_deref())).or_insert(number);
        }
        let span = |row: &&SpanRow| {
            let parent = row.parent_span_id.map(|id| {
                json!({"refType": "CHILD_OF", "traceID": trace_id(&trace), "spanID": format!("{id:016x}")})
            });
            let mut tags: Vec<Value> = attributes(row).collect();
            let kind = format!("{:?}", row.kind).to_lowercase();
            tags.push(json!({"key": "span.kind", "type": "string", "value": kind}));
            tags.push(
                json!({"key": "error", "type": "bool", "value": row.status == SpanStatus::Error}),
            );
            json!({
                "traceID": trace_id(&trace),
                "spanID": format!("{:016x}", row.span_id),
                "operationName": row.name,
                "references": parent.into_iter().collect::<Vec<_>>(),
                "startTime": row.start_ns / 1_000,
                "duration": row.end_ns / 1_000 - row.start_ns / 1_000,
                "tags": tags,
                "processID": processes[&(row.service.as_str(), row.instance.as_deref())],
            })
        };
        let spans: Vec<Value> = rows.iter().map(span).collect();
        let process = |((service, instance), number): (&(&str, Option<&str>), &String)| {
            let tags =
                instance.map(|name| json!({"key": "hostname", "type": "string", "value": name}));
            let tags: Vec<Value> = tags.into_iter().collect();
            (number.clone(), json!({"serviceName": service, "tags": tags}))
        };
        let processes: serde_json::Map<String, Value> = processes.iter().map(process).collect();
        let trace = json!({"traceID": trace_id(&trace), "spans": spans, "processes": processes});
        text.push_str(&json!({"data": [trace], "total": 0}).to_string());
        text.push('\n');
    }
    text
}

/// OTLP, a document for every so many spans, as a collector's file exporter writes batches: the spans of a trace lie apart.
pub fn otlp(rows: &[SpanRow], batch: usize) -> String {
    let mut text = String::new();
    for rows in rows.chunks(batch.max(1)) {
        let resource = |row: &SpanRow| {
            let mut of =
                vec![json!({"key": "service.name", "value": {"stringValue": row.service}})];
            let name =
                |name: &String| json!({"key": "k8s.pod.name", "value": {"stringValue": name}});
            of.extend(row.instance.as_ref().map(name));
            let span = json!({
                "traceId": format!("{:032x}", u128::from_be_bytes(row.trace_id)),
                "spanId": format!("{:016x}", row.span_id),
                "parentSpanId": row.parent_span_id.map_or(String::new(), |id| format!("{id:016X}")),
                "name": row.name,
                "kind": row.kind as u8,
                "startTimeUnixNano": row.start_ns.to_string(),
                "endTimeUnixNano": row.end_ns.to_string(),
                "attributes": attributes(row)
                    .map(|tag| json!({"key": tag["key"], "value": {"stringValue": tag["value"]}}))
                    .collect::<Vec<_>>(),
                "status": {"code": row.status as u8},
            });
            json!({"resource": {"attributes": of}, "scopeSpans": [{"scope": {}, "spans": [span]}]})
        };
        let spans: Vec<Value> = rows.iter().map(resource).collect();
        text.push_str(&json!({"resourceSpans": spans}).to_string());
        text.push('\n');
    }
    text
}

fn attributes(row: &SpanRow) -> impl Iterator<Item = Value> + use<> {
    let text = row.attributes.as_deref().unwrap_or("{}");
    let map: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
    map.into_iter().map(|(key, value)| json!({"key": key, "type": "string", "value": value}))
}

fn trace_id(id: &[u8; 16]) -> String {
    format!("{:x}", u128::from_be_bytes(*id))
}
