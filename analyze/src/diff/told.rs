//! What a comparison tells: rows with what became of each, users' requests, what can't be compared. Plain data.

use super::attributed::Attributed;
use super::run::Key;

/// The percentiles that are told, in thousandths.
pub const PERMILLES: [u32; 4] = [500, 900, 950, 990];

/// How it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// With what probability any change at all may be called one where there is none.
    pub alpha: f64,
    /// A change of a duration is of interest above this share of the base's …
    pub floor_share: f64,
    /// … and above so many nanoseconds.
    pub floor_ns: f64,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted { alpha: 0.01, floor_share: 0.05, floor_ns: 200_000.0 }
    }
}

/// What became of a row, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Longer, more failures or more calls, beyond chance and beyond the floor.
    Regressed,
    /// Only the candidate has it.
    New,
    /// Only the base has it.
    Vanished,
    /// The other way round.
    Improved,
    /// Chance gives as much, or it is too small to matter.
    Same,
    /// Too few recordings, or too few calls in them, to say.
    TooFew,
}

impl Change {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Change::Regressed => "regressed",
            Change::New => "new",
            Change::Vanished => "vanished",
            Change::Improved => "improved",
            Change::TooFew => "too few",
            Change::Same => "no significant change",
        }
    }
}

/// A number of one side with the interval of 95 % that seconds and recordings give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Mean of the recordings' numbers.
    pub value: f64,
    /// From …
    pub low: f64,
    /// … to.
    pub high: f64,
}

/// A number that was tested.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// `p50`, `p95`, `failed`, `calls`.
    pub name: &'static str,
    /// Of base and candidate; of durations part by part of what was asked, weighted alike on both sides.
    pub values: [f64; 2],
    /// The probability of such a difference anywhere, were both sides alike; `None`: not tested.
    pub p: Option<f64>,
    /// What that means.
    pub change: Change,
}

/// One row, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCompared {
    /// What.
    pub key: Key,
    /// Calls, of base and candidate.
    pub n: [u64; 2],
    /// Share that failed.
    pub failed: [f64; 2],
    /// Calls for each request of a user.
    pub calls: [f64; 2],
    /// Bytes of a call.
    pub bytes: [f64; 2],
    /// Of hops the share of their edge's calls that did not see it.
    pub unseen: Option<[f64; 2]>,
    /// [`PERMILLES`] of base and candidate, nanoseconds; `None`: a recording has no value.
    pub percentiles: [[Option<Estimate>; 4]; 2],
    /// Hodges and Lehmann's shift of the recordings' medians, nanoseconds.
    pub shift_ns: Option<f64>,
    /// What was tested.
    pub tested: Vec<Tested>,
    /// The worst of it.
    pub change: Change,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Recordings that were used, of base and candidate.
    pub n_runs: [usize; 2],
    /// Recordings that were left out and why: side, number, reason.
    pub left_out: Vec<(usize, usize, String)>,
    /// Why the two sides can't be compared, if so: another machine, another load.
    pub different: Vec<String>,
    /// What is doubtful about all of it.
    pub notes: Vec<String>,
    /// Whether so many recordings can show a change at all.
    pub is_enough: bool,
    /// Rows, in the order of their keys.
    pub rows: Vec<RowCompared>,
    /// Users' requests, the entry with most first.
    pub attributed: Vec<Attributed>,
}

impl Compared {
    /// Rows that became worse.
    pub fn regressed(&self) -> impl Iterator<Item = &RowCompared> {
        self.rows.iter().filter(|row| row.change == Change::Regressed)
    }

    /// The hop that regressed and that users' requests wait longest for: whose it most likely is.
    pub fn blamed(&self) -> Option<&RowCompared> {
        let hops = || self.regressed().filter(|row| matches!(row.key, Key::Hop { .. }));
        let cost = |row: &RowCompared| -> f64 {
            let entries = self.attributed.iter();
            let parts = entries.flat_map(|entry| {
                entry.parts.iter().map(|part| (part, entry.n.iter().sum::<u64>() as f64))
            });
            parts
                .filter(|(part, _)| part.key.as_ref() == Some(&row.key))
                .map(|(part, n)| part.change_ns() * n)
                .sum()
        };
        hops().max_by(|a, b| cost(a).total_cmp(&cost(b))).or_else(|| self.regressed().next())
    }
}
