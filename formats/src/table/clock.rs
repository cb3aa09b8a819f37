//! The clock table: what one host's clocks said at the same moment. Never relates two hosts; that is the analyzer's work.

use super::{Column, Layout, Table, Type};

/// The table. Imported captures know nothing of their clocks, so theirs is empty.
pub const TABLE: Table = Table {
    name: "clock",
    about: "one reading of the host's clocks, each second",
    order: &["boottime_ns"],
    columns: &[
        Column::new("boottime_ns", Type::Int64, "CLOCK_BOOTTIME").layout(Layout::Delta),
        Column::new("realtime_ns", Type::Int64, "CLOCK_REALTIME, Unix time").layout(Layout::Delta),
        Column::new("monotonic_raw_ns", Type::Int64, "CLOCK_MONOTONIC_RAW").layout(Layout::Delta),
        Column::new("uncertainty_ns", Type::Int64, "the three were read within this time"),
        Column::new("stepped", Type::Boolean, "REALTIME was set since the row before"),
        Column::new("synchronized", Type::Boolean, "adjtimex: not STA_UNSYNC").nullable(),
        Column::new("offset_ns", Type::Int64, "adjtimex: offset still to be slewed").nullable(),
        Column::new(
            "frequency_ppb",
            Type::Int64,
            "adjtimex: frequency correction, parts per billion",
        )
        .nullable(),
        Column::new("maximum_error_ns", Type::Int64, "adjtimex: maxerror").nullable(),
        Column::new("estimated_error_ns", Type::Int64, "adjtimex: esterror").nullable(),
    ],
};
