//! What a recorder may choose: when segments roll, how much is gathered in memory, what a ring keeps. Never what is recorded.

use crate::table::{Table, packets};
use std::time::Duration;

/// How a recording is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingOptions {
    /// Program and version, for the manifest.
    pub writer: String,
    /// When a segment is finished and becomes a Parquet part.
    pub limits: SegmentLimits,
    /// Other limits for the tables of these names.
    pub table_limits: Vec<(&'static str, SegmentLimits)>,
    /// Bytes of batches gathered in memory per table before they are written; one batch more may be.
    pub gather_bytes: usize,
    /// What a ring keeps; `None`: everything.
    pub retention: Option<Retention>,
}

/// When a segment is finished: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentLimits {
    /// Rows.
    pub rows: u64,
    /// Bytes of its rows in memory; compacting takes a little more than twice as much.
    pub bytes: u64,
    /// Time since its first row was written.
    pub age: Duration,
}

/// What a ring keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of the whole bundle; what open segments hold counts too, so it may be passed by those.
    pub bytes: u64,
    /// Nanoseconds: older parts of tables of events go, measured by the table's newest row.
    pub age_ns: Option<i64>,
}

impl Default for RecordingOptions {
    fn default() -> Self {
        RecordingOptions {
            writer: concat!("afterpath-formats ", env!("CARGO_PKG_VERSION")).to_string(),
            limits: SegmentLimits::default(),
            table_limits: Vec::new(),
            gather_bytes: 4 << 20,
            retention: None,
        }
    }
}

impl Default for SegmentLimits {
    fn default() -> Self {
        SegmentLimits { rows: 1 << 20, bytes: 256 << 20, age: Duration::from_secs(300) }
    }
}

impl RecordingOptions {
    /// The limits of `table`.
    pub(super) fn limits_of(&self, table: &Table) -> SegmentLimits {
        let own = self.table_limits.iter().find(|(name, _)| *name == table.name);
        own.map_or_else(|| self.usual_limits(table), |(_, limits)| *limits)
    }

    /// Tables of few rows would become many files by age.
    fn usual_limits(&self, table: &Table) -> SegmentLimits {
        let many = [packets::TABLE.name, "socket_events", "plaintext", "wakeups", "kernel_path"];
        match many.contains(&table.name) {
            true => self.limits,
            false => SegmentLimits { age: self.limits.age.saturating_mul(12), ..self.limits },
        }
    }
}
