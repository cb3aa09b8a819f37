//! Fields in which tracers and proxies plant identifiers, whatever protocol carries them. Never a value.

/// Their names in lower case.
pub const ID_FIELDS: &[&str] = &[
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "uber-trace-id",
    "sw8",
    "sw6",
    "x-request-id",
    "x-correlation-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-trace-id",
    "x-datadog-trace-id",
    "x-client-trace-id",
    "ot-tracer-traceid",
    "eagleeye-traceid",
    "grpc-trace-bin",
    "request-id",
];
