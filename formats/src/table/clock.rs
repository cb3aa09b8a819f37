//! The clock table: what one host's clocks said at the same moment. Never relates two hosts; that is the analyzer's work.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use std::sync::Arc;

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

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockRow {
    /// CLOCK_BOOTTIME, ns.
    pub boottime_ns: i64,
    /// CLOCK_REALTIME, Unix ns.
    pub realtime_ns: i64,
    /// CLOCK_MONOTONIC_RAW, ns.
    pub monotonic_raw_ns: i64,
    /// The three were read within this time.
    pub uncertainty_ns: i64,
    /// REALTIME was set since the row before.
    pub stepped: bool,
    /// Not STA_UNSYNC.
    pub synchronized: Option<bool>,
    /// Offset still to be slewed, ns.
    pub offset_ns: Option<i64>,
    /// Frequency correction, parts per billion.
    pub frequency_ppb: Option<i64>,
    /// The kernel's bound of its error, ns.
    pub maximum_error_ns: Option<i64>,
    /// The kernel's estimate of its error, ns.
    pub estimated_error_ns: Option<i64>,
}

/// Rows → batch.
pub fn batch(rows: &[ClockRow]) -> RecordBatch {
    let ints = |of: fn(&ClockRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        ints(|row| Some(row.boottime_ns)),
        ints(|row| Some(row.realtime_ns)),
        ints(|row| Some(row.monotonic_raw_ns)),
        ints(|row| Some(row.uncertainty_ns)),
        Arc::new(rows.iter().map(|row| Some(row.stepped)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.synchronized).collect::<BooleanArray>()),
        ints(|row| row.offset_ns),
        ints(|row| row.frequency_ppb),
        ints(|row| row.maximum_error_ns),
        ints(|row| row.estimated_error_ns),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<ClockRow> {
    let cells = Cells(batch);
    let int = |name, row| cells.int(name, row);
    let row = |row| ClockRow {
        boottime_ns: int("boottime_ns", row).unwrap_or(0),
        realtime_ns: int("realtime_ns", row).unwrap_or(0),
        monotonic_raw_ns: int("monotonic_raw_ns", row).unwrap_or(0),
        uncertainty_ns: int("uncertainty_ns", row).unwrap_or(0),
        stepped: cells.boolean("stepped", row).unwrap_or(false),
        synchronized: cells.boolean("synchronized", row),
        offset_ns: int("offset_ns", row),
        frequency_ppb: int("frequency_ppb", row),
        maximum_error_ns: int("maximum_error_ns", row),
        estimated_error_ns: int("estimated_error_ns", row),
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let known = ClockRow {
            boottime_ns: 1,
            realtime_ns: 2,
            monotonic_raw_ns: 3,
            uncertainty_ns: 4,
            stepped: true,
            synchronized: Some(false),
            offset_ns: Some(-5),
            ..ClockRow::default()
        };
        let given = [known, ClockRow { synchronized: None, offset_ns: None, ..known }];
        assert_eq!(rows(&batch(&given)), given);
    }
}
