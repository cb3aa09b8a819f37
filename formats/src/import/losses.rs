//! What reading captures loses or finds odd, counted by cause and said. Never grows with the number of damaged places.

use super::counts::{Count, Counts};
use crate::error::{At, Error, Kind};
use crate::table::losses::{LossRow, is_damage};
use std::path::Path;

/// Damaged places of one file that are told one by one.
const TOLD: u64 = 8;

/// The losses of one host's captures so far.
#[derive(Default)]
pub(super) struct Losses {
    pub(super) rows: Vec<LossRow>,
    pub(super) warnings: Vec<Error>,
    /// Damaged places of the current file.
    n_here: u64,
}

/// How much one host's capture lost to one cause, or how often it was odd in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The host's name.
    pub host: String,
    /// The capture file.
    pub source: String,
    /// Stable name, see [`crate::table::losses`].
    pub cause: String,
    /// How many.
    pub count: i64,
    /// Byte offset of the first in the decompressed file.
    pub first_offset: Option<i64>,
    /// Whether something is lost or unusable; else it is only worth a note.
    pub is_damage: bool,
}

impl Losses {
    /// Damage at one place of the capture `name`.
    pub(super) fn damaged(&mut self, name: &str, error: Error) {
        let first_offset = match error.at {
            At::Byte(offset) => i64::try_from(offset).ok(),
            _ => None,
        };
        self.add(name, error.kind.name(), 1, first_offset);
        self.n_here += 1;
        if self.n_here <= TOLD {
            self.warnings.push(error);
        }
    }

    /// The capture `name` at `path` was read to its end.
    pub(super) fn close(&mut self, name: &str, path: &Path, counts: &Counts) {
        let untold = std::mem::take(&mut self.n_here).saturating_sub(TOLD);
        if untold > 0 {
            let why = format!("damaged at {untold} more places");
            self.warnings.push(Error::new(path, At::File, Kind::MalformedCapture(why)));
        }
        let causes = [
            ("skipped-bytes", counts.skipped_bytes),
            ("out-of-range-interface", counts.out_of_range_interface),
            ("no-time-stamp", counts.unstamped),
            ("zero-length", counts.zero_length),
            ("over-long", counts.over_long),
            ("malformed-block", counts.malformed_blocks),
            ("unknown-block", counts.unknown_blocks),
            ("raw-stamp", counts.raw_stamps),
            ("odd-fraction", counts.odd_fractions),
        ];
        for (cause, Count { n, first_offset }) in causes {
            if n > 0 {
                let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
                self.add(name, cause, number(n), first_offset.map(number));
            }
        }
    }

    fn add(&mut self, source: &str, cause: &str, count: i64, first_offset: Option<i64>) {
        let (source, cause) = (source.to_string(), cause.to_string());
        let here = |row: &&mut LossRow| row.source == source && row.cause == cause;
        match self.rows.iter_mut().rev().find(here).filter(|_| self.n_here > 0) {
            Some(row) => row.count = row.count.saturating_add(count),
            None => {
                self.rows.push(LossRow {
                    source,
                    cause,
                    count,
                    first_offset,
                    ..LossRow::default()
                });
            }
        }
    }
}

/// The rows of one host, those of one capture and cause together, in the order they first come.
pub(super) fn counted(host: &str, rows: &[LossRow]) -> Vec<Counted> {
    let mut all: Vec<Counted> = Vec::new();
    for row in rows {
        let same = |one: &&mut Counted| one.source == row.source && one.cause == row.cause;
        match all.iter_mut().find(same) {
            Some(one) => one.count = one.count.saturating_add(row.count),
            None => all.push(Counted {
                host: host.to_string(),
                source: row.source.clone(),
                cause: row.cause.clone(),
                count: row.count,
                first_offset: row.first_offset,
                is_damage: is_damage(&row.cause),
            }),
        }
    }
    all
}
