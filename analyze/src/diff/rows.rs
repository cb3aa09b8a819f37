//! Rows of two sides → what became of each. Durations are compared by the percentiles of each recording; the spread between recordings,
//! never less than what the seconds within them give, says how far chance moves them; one permutation test stands for all rows together.

use super::run::{Key, Row, Run};
use super::statistics::{self, REPLICATES, Seconds, Sorted, family_wise};
use super::told::{Change, Estimate, PERMILLES, RowCompared, Tested, Wanted};
use std::collections::BTreeSet;

/// Those that are tested, by their place among them, with how many values each recording must have.
const TESTED: [(usize, &str, usize); 2] = [(0, "p50", 5), (2, "p95", 20)];
/// Failures and calls are tested of rows of so many calls a recording.
const LEAST_CALLS: f64 = 5.0;
/// A change of the share that failed is of interest from here.
const FLOOR_FAILED: f64 = 0.01;
/// Draws of the bootstrap over recordings.
const DRAWS: usize = 500;

/// What one row needs to be tested.
struct Prepared {
    row: RowCompared,
    /// Number of the tested quantity in the row, and what is tested of it.
    tests: Vec<(usize, statistics::Tested)>,
}

pub(super) fn rows(sides: [&[Run]; 2], wanted: &Wanted, is_enough: bool) -> Vec<RowCompared> {
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

/// Of longer recordings (a day) the seconds behind are in no replicate: that costs a little of the spread within, none of the percentiles.
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
    durations(&mut row, &found, seconds, wanted, &mut tests);
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
    percentiles: Option<[f64; 4]>,
    replicates: Vec<Vec<f64>>,
}

impl Measured {
    fn of(row: Option<&Row>, seconds: &Seconds) -> Measured {
        let sorted = Sorted::of(row.iter().flat_map(|row| row.values.values().flatten()));
        let of = PERMILLES.map(|permille| sorted.percentile(permille));
        let [Some(a), Some(b), Some(c), Some(d)] = of else {
            return Measured { percentiles: None, replicates: Vec::new() };
        };
        let mut replicates = sorted.replicates(&PERMILLES, seconds);
        replicates.retain(|replicate| !replicate.is_empty());
        Measured { percentiles: Some([a, b, c, d]), replicates }
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
    found: &[Vec<Option<&Row>>; 2],
    seconds: &[Vec<Seconds>; 2],
    wanted: &Wanted,
    tests: &mut Vec<(usize, statistics::Tested)>,
) {
    let each: Vec<(&Row, &Seconds)> = found
        .iter()
        .flatten()
        .zip(seconds.iter().flatten())
        .filter_map(|(row, seconds)| Some(((*row)?, seconds)))
        .collect();
    let is_in_all = each.len() == found.iter().map(Vec::len).sum::<usize>();
    for (at, name, least) in TESTED {
        let known = standardized(&each, PERMILLES[at], least).filter(|_| is_in_all);
        let mut test = Tested { name, values: [0.0; 2], p: None, change: Change::TooFew };
        if let Some((each, within)) = known {
            let (base, candidate) = each.split_at(found[0].len());
            test.values = [base, candidate].map(|side| statistics::moments(side).0);
            let floor = (wanted.floor_share * test.values[0]).max(wanted.floor_ns);
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

/// A percentile of each recording, and its sampling error within one, squared. Of a mixture it is the mean over all that is asked often enough
/// in every recording, each weighted by how often it is in all together: which share of what a recording happened to hold moves nothing.
fn standardized(rows: &[(&Row, &Seconds)], permille: u32, least: usize) -> Option<(Vec<f64>, f64)> {
    let asked: BTreeSet<&String> = rows.iter().flat_map(|(row, _)| row.values.keys()).collect();
    let of = |row: &Row, asked: &String| row.values.get(asked).map_or(0, Vec::len);
    let is_enough = |asked: &&String| rows.iter().all(|(row, _)| of(row, asked) >= least);
    let parts: Vec<&String> = asked.into_iter().filter(is_enough).collect();
    let sorted = |row: &Row| -> Vec<Sorted> {
        match parts.is_empty() {
            true => vec![Sorted::of(row.values.values().flatten())],
            false => {
                parts.iter().filter_map(|part| row.values.get(*part)).map(Sorted::of).collect()
            }
        }
    };
    let sorted: Vec<Vec<Sorted>> = rows.iter().map(|(row, _)| sorted(row)).collect();
    if sorted.iter().flatten().any(|sorted| sorted.len() < least) {
        return None;
    }
    let n_parts = sorted.first()?.len();
    let n = |part: usize| sorted.iter().map(|of| of[part].len()).sum::<usize>() as f64;
    let all: f64 = (0..n_parts).map(n).sum();
    let weights: Vec<f64> = (0..n_parts).map(|part| n(part) / all).collect();
    let mut within = 0.0;
    let mut each = Vec::with_capacity(rows.len());
    for (of, (_, seconds)) in sorted.iter().zip(rows) {
        let parts = of.iter().zip(&weights);
        each.push(parts.map(|(of, weight)| weight * of.percentile(permille).unwrap_or(0.0)).sum());
        // A replicate counts where each part has a value in it.
        let mut sums = vec![Some(0.0); REPLICATES];
        for (of, weight) in of.iter().zip(&weights) {
            let replicates = of.replicates(&[permille], seconds);
            for (sum, replicate) in sums.iter_mut().zip(replicates) {
                *sum = sum.zip(replicate.first()).map(|(sum, value)| sum + weight * value);
            }
        }
        within += statistics::moments(&sums.into_iter().flatten().collect::<Vec<_>>()).1;
    }
    Some((each, within / rows.len() as f64))
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
