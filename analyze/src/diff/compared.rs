//! Runs of two sides → what changed. Durations are compared by the percentiles of each recording; the spread between recordings, never less
//! than what the seconds within them give, says how far chance moves them; one permutation test stands for all rows together.

use super::attributed::{Attributed, attributed};
use super::matched::matched;
use super::run::{Key, Row, Run};
use super::statistics::{self, REPLICATES, Seconds, Sorted, family_wise, least_probability};
use std::collections::BTreeSet;

/// The percentiles that are told, in thousandths.
pub const PERMILLES: [u32; 4] = [500, 900, 950, 990];
/// Those that are tested, by their place among them, with how many values each recording must have.
const TESTED: [(usize, &str, usize); 2] = [(0, "p50", 5), (2, "p95", 20)];
/// Failures and calls are tested of rows of so many calls a recording.
const LEAST_CALLS: f64 = 5.0;
/// A change of the share that failed is of interest from here.
const FLOOR_FAILED: f64 = 0.01;
/// Draws of the bootstrap over recordings.
const DRAWS: usize = 500;
/// Loads are alike within this factor, by what each gives that the other does not: requests, their rate, or how many are under way.
const LOAD: f64 = 1.25;

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
    /// Of base and candidate.
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

/// Compares. Runs keep their order; nothing of it depends on anything but them.
pub fn compare(base: &[Run], candidate: &[Run], wanted: &Wanted) -> Compared {
    let mut sides = [base.to_vec(), candidate.to_vec()];
    let mut left_out = Vec::new();
    for (side, runs) in sides.iter_mut().enumerate() {
        for (number, run) in runs.iter().enumerate() {
            left_out.extend(run.conditions.spoilt.iter().map(|why| (side, number, why.clone())));
        }
        runs.retain(|run| run.conditions.spoilt.is_empty());
    }
    matched(&mut sides.iter_mut().flatten().collect::<Vec<_>>());
    let [base, candidate] = &sides;
    let is_enough = !base.is_empty()
        && !candidate.is_empty()
        && least_probability(base.len(), candidate.len()) <= wanted.alpha;
    let (different, notes) = difference([base, candidate]);
    Compared {
        n_runs: [base.len(), candidate.len()],
        left_out,
        different,
        notes,
        is_enough,
        rows: rows([base, candidate], wanted, is_enough),
        attributed: attributed([base, candidate]),
    }
}

/// Machines and loads that differ; what is not known of them.
fn difference(sides: [&[Run]; 2]) -> (Vec<String>, Vec<String>) {
    let (mut different, mut notes) = (Vec::new(), Vec::new());
    if sides.iter().any(|runs| runs.is_empty()) {
        return (different, notes);
    }
    let machines =
        sides.map(|runs| runs.iter().map(|run| &run.conditions.machines).collect::<BTreeSet<_>>());
    let is_known = machines.iter().flatten().all(|machines| !machines.is_empty());
    if !is_known {
        notes.push(
            "not every recording says on what machine it was made: that it was the same is assumed"
                .to_string(),
        );
    } else if machines[0] != machines[1] {
        let words = |side: usize| {
            let machine = machines[side].iter().flat_map(|machines| machines.iter());
            let words: BTreeSet<String> = machine
                .map(|machine| {
                    let cpus = machine.cpus.map_or("?".to_string(), |cpus| cpus.to_string());
                    let kernel = machine.kernel.as_deref().unwrap_or("an unknown kernel");
                    format!("{cpus} processors, {kernel}")
                })
                .collect();
            words.into_iter().collect::<Vec<_>>().join("; ")
        };
        different.push(format!("another machine: {} against {}", words(0), words(1)));
    }
    let of = |load: fn(&Run) -> f64| {
        sides.map(|runs| {
            let mut each: Vec<f64> = runs.iter().map(load).collect();
            statistics::median(&mut each).unwrap_or(0.0)
        })
    };
    let requests = of(|run| run.n_requests() as f64);
    let rates = of(|run| run.n_requests() as f64 / (run.length_ns.max(1) as f64 / 1e9));
    let under_way = of(|run| {
        let total_ns: i64 = run.made.values().map(|made| made.total_ns).sum();
        total_ns as f64 / run.length_ns.max(1) as f64
    });
    let is_alike = |[a, b]: [f64; 2]| a.max(b) <= LOAD * a.min(b);
    if ![requests, rates, under_way].into_iter().any(is_alike) {
        different.push(format!(
            "another load: {:.0} requests a recording ({:.1}/s, {:.1} under way) against {:.0} ({:.1}/s, {:.1})",
            requests[0], rates[0], under_way[0], requests[1], rates[1], under_way[1]
        ));
    }
    (different, notes)
}

/// What one row needs to be tested.
struct Prepared {
    row: RowCompared,
    /// Number of the tested quantity in the row, and what is tested of it.
    tests: Vec<(usize, statistics::Tested)>,
}

fn rows(sides: [&[Run]; 2], wanted: &Wanted, is_enough: bool) -> Vec<RowCompared> {
    let keys: BTreeSet<&Key> =
        sides.iter().flat_map(|runs| runs.iter()).flat_map(|run| run.rows.keys()).collect();
    let seconds = sides.map(|runs| {
        let length = |run: &Run| (run.length_ns / 1_000_000_000) as usize + 1;
        (0..)
            .zip(runs)
            .map(|(number, run)| Seconds::drawn(length(run).min(MOST_SECONDS), number))
            .collect::<Vec<_>>()
    });
    let mut prepared: Vec<Prepared> =
        keys.into_iter().map(|key| prepare(sides, &seconds, key, wanted)).collect();
    if is_enough {
        let tests: Vec<statistics::Tested> = prepared
            .iter()
            .flat_map(|row| row.tests.iter().map(|(_, tested)| tested.clone()))
            .collect();
        let mut p = family_wise(&tests, sides[0].len(), sides[1].len()).into_iter();
        for Prepared { row, tests } in &mut prepared {
            for (number, tested) in tests {
                let test = &mut row.tested[*number];
                test.p = p.next();
                test.change = judged(test, tested.floor, wanted);
            }
        }
    }
    for Prepared { row, .. } in &mut prepared {
        if !matches!(row.change, Change::New | Change::Vanished) {
            row.change = row.tested.iter().map(|test| test.change).min().unwrap_or(Change::TooFew);
        }
    }
    prepared.into_iter().map(|prepared| prepared.row).collect()
}

/// Longer recordings are resampled by pieces of this many of their seconds' first.
const MOST_SECONDS: usize = 100_000;

fn judged(test: &Tested, floor: f64, wanted: &Wanted) -> Change {
    let change = test.values[1] - test.values[0];
    match test.p {
        Some(p) if p <= wanted.alpha && change > floor => Change::Regressed,
        Some(p) if p <= wanted.alpha && change < -floor => Change::Improved,
        _ => Change::Same,
    }
}

fn prepare(
    sides: [&[Run]; 2],
    seconds: &[Vec<Seconds>; 2],
    key: &Key,
    wanted: &Wanted,
) -> Prepared {
    let found = sides.map(|runs| runs.iter().map(|run| run.rows.get(key)).collect::<Vec<_>>());
    let n_with = [0, 1].map(|side: usize| found[side].iter().flatten().count());
    let sum = |side: usize, of: fn(&Row) -> u64| {
        found[side].iter().flatten().map(|row| of(row)).sum::<u64>()
    };
    let share = |side: usize, of: fn(&Row) -> u64| {
        sum(side, of) as f64 / sum(side, |row| row.n).max(1) as f64
    };
    let n_requests = sides.map(|runs| runs.iter().map(Run::n_requests).sum::<u64>().max(1) as f64);
    let measured = [0, 1].map(|side: usize| {
        let each = found[side].iter().zip(&seconds[side]);
        each.map(|(row, seconds)| Measured::of(*row, seconds)).collect::<Vec<_>>()
    });
    let percentiles = [0, 1].map(|side: usize| estimates(&measured[side]));
    let medians = [0, 1].map(|side: usize| {
        measured[side]
            .iter()
            .filter_map(|run| run.percentiles.map(|of| of[0]))
            .collect::<Vec<f64>>()
    });
    let mut row = RowCompared {
        key: key.clone(),
        n: [0, 1].map(|side| sum(side, |row| row.n)),
        failed: [0, 1].map(|side| share(side, |row| row.n_failed)),
        calls: [0, 1].map(|side: usize| sum(side, |row| row.n) as f64 / n_requests[side]),
        bytes: [0, 1].map(|side| share(side, |row| row.bytes)),
        unseen: unseen(sides, key),
        percentiles,
        shift_ns: statistics::shift(&medians[0], &medians[1]),
        tested: Vec::new(),
        change: Change::TooFew,
    };
    let mut tests = Vec::new();
    if n_with.contains(&0) {
        if is_sure_of_one_side(sides, key, &row, n_with) {
            row.change = if n_with[0] == 0 { Change::New } else { Change::Vanished };
        }
        return Prepared { row, tests };
    }
    durations(&mut row, &measured, wanted, &mut tests);
    if !matches!(key, Key::Hop { .. }) {
        counts(&mut row, &found, sides, wanted, &mut tests);
    }
    Prepared { row, tests }
}

/// Whether only one side has a row: every recording of it, often enough that the other's lack of it is no chance. Of a hop only where both
/// sides have its edge: a new edge's hops are no news of their own.
fn is_sure_of_one_side(
    sides: [&[Run]; 2],
    key: &Key,
    row: &RowCompared,
    n_with: [usize; 2],
) -> bool {
    let side = usize::from(n_with[0] == 0);
    let has_edge =
        |key: &Key| sides.iter().all(|runs| runs.iter().any(|run| run.rows.contains_key(key)));
    n_with[side] == sides[side].len()
        && sides.iter().all(|runs| !runs.is_empty())
        && row.n[side] as f64 >= LEAST_CALLS * sides[side].len() as f64
        && edge_of(key).is_none_or(|edge| has_edge(&edge))
}

/// Of a hop the edge that it lies on.
fn edge_of(key: &Key) -> Option<Key> {
    let Key::Hop { client, server, protocol, .. } = key else { return None };
    Some(Key::Edge { client: client.clone(), server: server.clone(), protocol: protocol.clone() })
}

/// One recording's percentiles of one row.
struct Measured {
    n: usize,
    percentiles: Option<[f64; 4]>,
    replicates: Vec<Vec<f64>>,
}

impl Measured {
    fn of(row: Option<&Row>, seconds: &Seconds) -> Measured {
        let sorted = Sorted::of(row.map_or(&[], |row| &row.values));
        let of = PERMILLES.map(|permille| sorted.percentile(permille));
        let [Some(a), Some(b), Some(c), Some(d)] = of else {
            return Measured { n: 0, percentiles: None, replicates: Vec::new() };
        };
        let replicates = sorted.replicates(&PERMILLES, seconds);
        Measured { n: sorted.len(), percentiles: Some([a, b, c, d]), replicates }
    }
}

/// Percentiles of a side, with the interval that drawing its recordings, and of each a replicate, gives.
fn estimates(runs: &[Measured]) -> [Option<Estimate>; 4] {
    let known: Vec<&Measured> = runs.iter().filter(|run| !run.replicates.is_empty()).collect();
    if known.is_empty() {
        return [None; 4];
    }
    let n = known.len();
    let mut random = fastrand::Rng::with_seed(n as u64);
    let drawn: Vec<[f64; 4]> = (0..DRAWS)
        .map(|_| {
            let mut sum = [0.0; 4];
            for _ in 0..n {
                let replicates = &known[random.usize(0..n)].replicates;
                let replicate = &replicates[random.usize(0..replicates.len().min(REPLICATES))];
                sum.iter_mut().zip(replicate).for_each(|(sum, value)| *sum += value / n as f64);
            }
            sum
        })
        .collect();
    [0, 1, 2, 3].map(|at| {
        let mut each: Vec<f64> = drawn.iter().map(|draw| draw[at]).collect();
        each.sort_unstable_by(f64::total_cmp);
        let value =
            known.iter().filter_map(|run| run.percentiles).map(|of| of[at]).sum::<f64>() / n as f64;
        Some(Estimate {
            value,
            low: each[DRAWS / 40].min(value),
            high: each[DRAWS - 1 - DRAWS / 40].max(value),
        })
    })
}

/// Tests of how long it took.
fn durations(
    row: &mut RowCompared,
    measured: &[Vec<Measured>; 2],
    wanted: &Wanted,
    tests: &mut Vec<(usize, statistics::Tested)>,
) {
    for (at, name, least) in TESTED {
        let runs: Vec<&Measured> = measured.iter().flatten().collect();
        let values = [0, 1].map(|side: usize| row.percentiles[side][at].map_or(0.0, |e| e.value));
        let mut test = Tested { name, values, p: None, change: Change::TooFew };
        if runs.iter().all(|run| run.n >= least && !run.replicates.is_empty()) {
            let each: Vec<f64> =
                runs.iter().filter_map(|run| run.percentiles).map(|of| of[at]).collect();
            let within = runs.iter().map(|run| {
                let values: Vec<f64> = run.replicates.iter().map(|of| of[at]).collect();
                statistics::moments(&values).1
            });
            let within = within.sum::<f64>() / runs.len() as f64;
            let floor = (wanted.floor_share * values[0]).max(wanted.floor_ns);
            // What never takes as long as what is of interest can't have changed by it: that does not depend on who is which.
            if each.iter().any(|value| *value > wanted.floor_ns) {
                tests.push((row.tested.len(), statistics::Tested { each, within, floor }));
            } else {
                test.change = Change::Same;
            }
        }
        row.tested.push(test);
    }
}

/// Tests of how much failed, and of how often it was called.
fn counts(
    row: &mut RowCompared,
    found: &[Vec<Option<&Row>>; 2],
    sides: [&[Run]; 2],
    wanted: &Wanted,
    tests: &mut Vec<(usize, statistics::Tested)>,
) {
    let runs: Vec<&Run> = sides.iter().flat_map(|runs| runs.iter()).collect();
    let rows: Vec<Option<&Row>> = found.iter().flatten().copied().collect();
    let n = |row: &Option<&Row>| row.map_or(0, |row| row.n) as f64;
    let is_enough = rows.iter().map(n).sum::<f64>() >= LEAST_CALLS * rows.len() as f64;
    let failed: Vec<f64> =
        rows.iter().map(|row| row.map_or(0, |row| row.n_failed) as f64 / n(row).max(1.0)).collect();
    let calls: Vec<f64> =
        rows.iter().zip(&runs).map(|(row, run)| n(row) / run.n_requests().max(1) as f64).collect();
    // The spread of a share, and of a count, among so many independent calls.
    let binomial = |share: f64, n: f64| (share * (1.0 - share)).max(0.0) / n.max(1.0);
    let of_failed =
        rows.iter().zip(&failed).map(|(row, share)| binomial(*share, n(row))).sum::<f64>()
            / rows.len() as f64;
    let of_calls = calls
        .iter()
        .zip(&runs)
        .map(|(calls, run)| calls / run.n_requests().max(1) as f64)
        .sum::<f64>()
        / rows.len() as f64;
    let floor_calls = wanted.floor_share * row.calls[0];
    for (name, each, within, floor, values) in [
        ("failed", failed, of_failed, FLOOR_FAILED, row.failed),
        ("calls", calls, of_calls, floor_calls, row.calls),
    ] {
        let test = Tested { name, values, p: None, change: Change::TooFew };
        if is_enough {
            tests.push((row.tested.len(), statistics::Tested { each, within, floor }));
        }
        row.tested.push(test);
    }
}

/// Of a hop the share of its edge's calls in which it was not seen.
fn unseen(sides: [&[Run]; 2], key: &Key) -> Option<[f64; 2]> {
    let edge = edge_of(key)?;
    Some(sides.map(|runs| {
        let n = |key: &Key| {
            runs.iter().filter_map(|run| run.rows.get(key)).map(|row| row.n).sum::<u64>()
        };
        1.0 - n(key) as f64 / n(&edge).max(1) as f64
    }))
}
