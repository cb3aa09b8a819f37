//! Tables the recorder will write: specified here so that readers and writers agree before they exist.
//! Never built or read yet; columns stand as data only.

use super::{Column, Layout, Table, Type};

const fn time(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Int64, about).layout(Layout::Delta)
}

const fn int(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Int64, about)
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Text, about)
}

/// Imported tracer spans.
pub const SPANS: Table = Table {
    name: "spans",
    about: "one span of a tracer",
    order: &["start_ns"],
    columns: &[
        time("start_ns", "start, Unix time of the tracer's host"),
        time("end_ns", "end"),
        Column::new("trace_id", Type::Address, "trace id, left-padded with zeros"),
        int("span_id", "span id, as two's complement"),
        int("parent_span_id", "its parent").nullable(),
        text("service", "`service.name`"),
        text("name", "operation"),
        Column::new(
            "kind",
            Type::UInt8,
            "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer",
        ),
        Column::new("status", Type::UInt8, "OTLP status: 0 unset, 1 ok, 2 error"),
        text("attributes", "JSON object").nullable(),
    ],
};
