//! Runs of two sides → what changed. Spoilt recordings are left out, and sides that can't be compared are said to be so.

use super::attributed::attributed;
use super::matched::matched;
use super::rows::rows;
use super::run::Run;
use super::statistics::{self, least_probability};
use super::told::{Compared, Wanted};
use std::collections::BTreeSet;

/// Loads are alike within this factor, by what each gives that the other does not: requests, their rate, or how many are under way.
const LOAD: f64 = 1.25;

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
