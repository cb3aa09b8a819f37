//! What reading spans loses or finds doubtful, counted by cause. Never grows with the number of damaged places.

use crate::table::losses::LossRow;

/// The losses of one file so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    source: String,
    pub(super) rows: Vec<LossRow>,
}

impl Losses {
    pub(super) fn new(source: String) -> Losses {
        Losses { source, rows: Vec::new() }
    }

    /// Once more.
    pub(super) fn count(&mut self, cause: &str) {
        self.add(cause, 1, None);
    }

    /// So many, the first of them at a byte of the decompressed file.
    pub(super) fn add_at(&mut self, cause: &str, count: i64, offset: u64) {
        self.add(cause, count, i64::try_from(offset).ok());
    }

    fn add(&mut self, cause: &str, count: i64, first_offset: Option<i64>) {
        match self.rows.iter_mut().find(|row| row.cause == cause) {
            Some(row) => row.count = row.count.saturating_add(count),
            None if count > 0 => self.rows.push(LossRow {
                source: self.source.clone(),
                cause: cause.to_string(),
                count,
                first_offset,
                ..LossRow::default()
            }),
            None => {}
        }
    }
}
