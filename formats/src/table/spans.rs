//! The spans table: what tracers said, as imported. Never a call: the analyzer makes those of it.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray,
    UInt8Array,
};
use std::sync::Arc;

/// The table. Each part is sorted; a span may name a parent in any part.
pub const TABLE: Table = Table {
    name: "spans",
    about: "one span of a tracer",
    order: &["start_ns", "trace_id", "span_id", "kind"],
    columns: &[
        Column::new("start_ns", Type::Int64, "start, Unix time by the clock of whoever reported it")
            .layout(Layout::Delta),
        Column::new("end_ns", Type::Int64, "end, by the same clock").layout(Layout::Delta),
        Column::new("trace_id", Type::Address, "trace id, big-endian, left-padded with zeros"),
        Column::new("span_id", Type::Int64, "span id, as two's complement"),
        Column::new(
            "parent_span_id",
            Type::Int64,
            "its parent, of the same trace; null: a root, or forgotten (see the manifest's reductions)",
        )
        .nullable(),
        Column::new("service", Type::Text, "`service.name`; `unknown_service` where none was told"),
        Column::new("instance", Type::Text, "what tells replicas of the service apart; see \"Spans of tracers\"")
            .nullable(),
        Column::new("name", Type::Text, "operation"),
        Column::new(
            "kind",
            Type::UInt8,
            "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer",
        ),
        Column::new("status", Type::UInt8, "OTLP status: 0 unset, 1 ok, 2 error"),
        Column::new("attributes", Type::Text, "JSON object of texts, numbers and truth values").nullable(),
    ],
};

/// Times that a span may have, Unix time in nanoseconds: until 2116, so that no difference of any two is too long.
pub const TIMES_NS: std::ops::Range<i64> = 0..1 << 62;

/// What a span is to its service (OTLP `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified,
    /// Inside a service.
    Internal,
    /// A request that it answered.
    Server,
    /// A request that it made.
    Client,
    /// A message that it sent.
    Producer,
    /// A message that it worked on.
    Consumer,
}

/// What became of a span (OTLP `StatusCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum SpanStatus {
    /// Not said.
    #[default]
    Unset,
    /// Good.
    Ok,
    /// An error.
    Error,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanRow {
    /// Start, Unix time in nanoseconds by the clock of whoever reported it.
    pub start_ns: i64,
    /// End, by the same clock.
    pub end_ns: i64,
    /// Trace id, big-endian, left-padded with zeros.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: u64,
    /// Its parent, of the same trace.
    pub parent_span_id: Option<u64>,
    /// `service.name`.
    pub service: String,
    /// What tells replicas of the service apart.
    pub instance: Option<String>,
    /// Operation.
    pub name: String,
    /// What it is to its service.
    pub kind: SpanKind,
    /// What became of it.
    pub status: SpanStatus,
    /// JSON object.
    pub attributes: Option<String>,
}

impl SpanKind {
    /// All, in the order of their numbers.
    pub const ALL: [SpanKind; 6] = [
        SpanKind::Unspecified,
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ];

    /// By its number in OTLP; one that is unknown is unspecified.
    pub fn of(number: u64) -> SpanKind {
        usize::try_from(number)
            .ok()
            .and_then(|at| SpanKind::ALL.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// Whether it asks somebody else.
    pub fn asks(self) -> bool {
        matches!(self, SpanKind::Client | SpanKind::Producer)
    }

    /// Whether it was asked by somebody else.
    pub fn is_asked(self) -> bool {
        matches!(self, SpanKind::Server | SpanKind::Consumer)
    }
}

impl SpanStatus {
    /// By its number in OTLP; one that is unknown is unset.
    pub fn of(number: u64) -> SpanStatus {
        match number {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error,
            _ => SpanStatus::Unset,
        }
    }
}

impl SpanRow {
    /// Whether its times are among [`TIMES_NS`], and in order.
    pub fn has_times(&self) -> bool {
        let are_times = TIMES_NS.contains(&self.start_ns) && TIMES_NS.contains(&self.end_ns);
        are_times && self.start_ns <= self.end_ns
    }

    /// By what rows are sorted, the table's order.
    pub fn place(&self) -> (i64, [u8; 16], i64, SpanKind) {
        (self.start_ns, self.trace_id, self.span_id as i64, self.kind)
    }
}

/// Rows → batch.
pub fn batch(rows: &[SpanRow]) -> RecordBatch {
    let ints = |of: fn(&SpanRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let bytes = |of: fn(&SpanRow) -> u8| -> ArrayRef {
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(of)))
    };
    let texts = |of: fn(&SpanRow) -> Option<&String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let ids = rows.iter().map(|row| Some(row.trace_id));
    let ids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 16);
    let columns: Vec<ArrayRef> = vec![
        ints(|row| Some(row.start_ns)),
        ints(|row| Some(row.end_ns)),
        Arc::new(ids.expect("ids have 16 bytes")),
        ints(|row| Some(row.span_id as i64)),
        ints(|row| row.parent_span_id.map(|id| id as i64)),
        texts(|row| Some(&row.service)),
        texts(|row| row.instance.as_ref()),
        texts(|row| Some(&row.name)),
        bytes(|row| row.kind as u8),
        bytes(|row| row.status as u8),
        texts(|row| row.attributes.as_ref()),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<SpanRow> {
    let cells = Cells(batch);
    let text = |name, row| cells.text(name, row).map(str::to_string);
    let ids = batch.column_by_name("trace_id").map(|column| column.as_fixed_size_binary());
    let trace_id = |row| {
        let bytes = ids.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row));
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    };
    let row = |row| SpanRow {
        start_ns: cells.int("start_ns", row).unwrap_or(0),
        end_ns: cells.int("end_ns", row).unwrap_or(0),
        trace_id: trace_id(row),
        span_id: cells.int("span_id", row).unwrap_or(0) as u64,
        parent_span_id: cells.int("parent_span_id", row).map(|id| id as u64),
        service: text("service", row).unwrap_or_default(),
        instance: text("instance", row),
        name: text("name", row).unwrap_or_default(),
        kind: SpanKind::of(u64::from(cells.u8("kind", row).unwrap_or(0))),
        status: SpanStatus::of(u64::from(cells.u8("status", row).unwrap_or(0))),
        attributes: text("attributes", row),
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: SpanRow) {
        assert_eq!(rows(&batch(std::slice::from_ref(&row))), [row]);
    }

    #[test]
    fn a_row_comes_back() {
        check(SpanRow::default());
        check(SpanRow {
            start_ns: i64::MIN,
            end_ns: i64::MAX,
            trace_id: [0xfe; 16],
            span_id: u64::MAX,
            parent_span_id: Some(1 << 63),
            service: "geo".into(),
            instance: Some("geo-1".into()),
            name: "GET /".into(),
            kind: SpanKind::Consumer,
            status: SpanStatus::Error,
            attributes: Some("{}".into()),
        });
    }

    #[test]
    fn unknown_numbers_say_nothing() {
        assert_eq!([6, u64::MAX].map(SpanKind::of), [SpanKind::Unspecified; 2]);
        assert_eq!([3, u64::MAX].map(SpanStatus::of), [SpanStatus::Unset; 2]);
    }
}
