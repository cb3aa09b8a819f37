//! For a terminal: the verdict, the change of users' requests hop by hop, the rows that changed.

use super::{Shown, kind, words};
use crate::diff::{Attributed, Change, Estimate, RowCompared};
use crate::quantity;
use crate::report::grid::{Align, Grid, Tone};
use crate::report::ink::Ink;
use std::io;

/// Entries and contributions that are shown of users' requests.
const ENTRIES: usize = 5;
const PARTS: usize = 5;
/// A contribution is shown from this share of its entry's mean.
const SHOWN_PART: f64 = 0.005;

pub(super) fn write(shown: &Shown<'_>, ink: &mut Ink<'_>) -> io::Result<()> {
    verdict(shown, ink)?;
    let shows = shown.compared.attributed.iter().take(ENTRIES).collect::<Vec<_>>();
    if !shows.is_empty() {
        ink.line("")?;
        ink.wrapped("", "  ", "users' requests, and what their mean changed for:")?;
    }
    for entry in shows {
        attributed(entry, ink)?;
    }
    rows(shown, ink)?;
    ink.line("")?;
    let wanted = shown.wanted;
    let text = format!(
        "regressed, improved: by more than {} and {}, and so far apart that chance gives it anywhere in less than {} of such comparisons. p: how often it does. Numbers are means of the recordings' own; --json has their intervals. shift: Hodges and Lehmann's, of the recordings' medians.",
        quantity::share(wanted.floor_share, 1.0),
        quantity::duration(wanted.floor_ns as i64),
        quantity::share(wanted.alpha, 1.0)
    );
    ink.wrapped("", "  ", &text)
}

fn verdict(shown: &Shown<'_>, ink: &mut Ink<'_>) -> io::Result<()> {
    let compared = shown.compared;
    let n = |change: Change| compared.rows.iter().filter(|row| row.change == change).count() as u64;
    let verdict = match compared.blamed() {
        _ if !compared.different.is_empty() => ink.slow("can't be compared"),
        Some(_) => ink.failed("regressed"),
        None if !compared.is_enough => ink.slow("too few recordings to say"),
        None if n(Change::Improved) > 0 => "improved".to_string(),
        None => "no significant change".to_string(),
    };
    let [base, candidate] = compared.n_runs.map(|n| quantity::plural(n as u64, "recording"));
    ink.wrapped("verdict: ", "  ", &format!("{verdict} · base {base}, candidate {candidate}"))?;
    for line in &compared.different {
        ink.wrapped("  ", "    ", line)?;
    }
    if let Some(row) = compared.blamed() {
        ink.wrapped("  most likely: ", "    ", &words(&row.key))?;
    }
    let counts = [
        Change::Regressed,
        Change::Improved,
        Change::New,
        Change::Vanished,
        Change::Same,
        Change::TooFew,
    ];
    let counts = counts.into_iter().filter(|change| n(*change) > 0);
    let counts: Vec<String> =
        counts.map(|change| format!("{} {}", quantity::count(n(change)), change.name())).collect();
    ink.wrapped(
        "  ",
        "    ",
        &format!("{}: {}", quantity::plural(compared.rows.len() as u64, "row"), counts.join(" · ")),
    )?;
    for (side, number, why) in &compared.left_out {
        let name = shown.names[*side].get(*number).map_or("?", String::as_str);
        ink.wrapped("  left out: ", "    ", &format!("{name}: {why}"))?;
    }
    for note in &compared.notes {
        ink.wrapped("  ", "    ", note)?;
    }
    Ok(())
}

fn probability(p: f64) -> String {
    if p < 0.000_5 { "<0.001".to_string() } else { format!("{p:.3}") }
}

/// `+5.16 ms`, `-1.20 ms`.
fn change(ns: f64) -> String {
    let text = quantity::duration(ns as i64);
    if ns > 0.0 { format!("+{text}") } else { text }
}

fn attributed(entry: &Attributed, ink: &mut Ink<'_>) -> io::Result<()> {
    let [base, candidate] = entry.mean_ns;
    let by = candidate - base;
    let text = format!(
        "{} · {} and {} requests · mean {} → {} ({})",
        words(&entry.entry),
        quantity::count(entry.n[0]),
        quantity::count(entry.n[1]),
        quantity::duration(base as i64),
        quantity::duration(candidate as i64),
        change(by)
    );
    ink.wrapped("  ", "    ", &text)?;
    let is_shown = |ns: f64| ns.abs() > 0.0 && ns.abs() >= SHOWN_PART * base;
    let shown = entry.parts.iter().take(PARTS).filter(|part| is_shown(part.change_ns()));
    let mut rest = by;
    for part in shown {
        rest -= part.change_ns();
        let name = part.key.as_ref().map_or_else(|| "observed at no hop".to_string(), words);
        ink.wrapped(&format!("  {:>10}  ", change(part.change_ns())), &" ".repeat(14), &name)?;
    }
    ink.wrapped(&format!("  {:>10}  ", change(rest)), &" ".repeat(14), "all other hops together")
}

const COLUMNS: [(&str, Align); 7] = [
    ("change", Align::Left),
    ("what", Align::Flexible),
    ("n", Align::Right),
    ("p50", Align::Right),
    ("p95", Align::Right),
    ("shift", Align::Right),
    ("p", Align::Right),
];

fn rows(shown: &Shown<'_>, ink: &mut Ink<'_>) -> io::Result<()> {
    for of in ["endpoint", "edge", "hop"] {
        let rows = shown.compared.rows.iter().filter(|row| kind(&row.key) == of);
        let is_shown =
            |row: &&RowCompared| shown.all || !matches!(row.change, Change::Same | Change::TooFew);
        let mut rows: Vec<&RowCompared> = rows.filter(is_shown).collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|row| row.change);
        ink.line("")?;
        let mut grid = Grid::new(&COLUMNS).leaving_out(&["shift", "n"], 30);
        rows.iter().for_each(|row| write_row(&mut grid, row));
        ink.line(&format!("{of}s"))?;
        grid.write(ink, "  ")?;
    }
    Ok(())
}

fn write_row(grid: &mut Grid, row: &RowCompared) {
    let tone = match row.change {
        Change::Regressed => Tone::Failed,
        Change::New | Change::Vanished => Tone::Slow,
        _ => Tone::Plain,
    };
    let both = |at: usize| {
        let side = |estimate: Option<Estimate>| {
            estimate.map_or_else(|| "-".to_string(), |e| quantity::duration(e.value as i64))
        };
        format!("{} → {}", side(row.percentiles[0][at]), side(row.percentiles[1][at]))
    };
    let p = row.tested.iter().filter_map(|test| test.p).min_by(f64::total_cmp);
    let counted = row.tested.iter().filter(|test| {
        matches!(test.name, "failed" | "calls")
            && matches!(test.change, Change::Regressed | Change::Improved)
    });
    let counted: Vec<String> = counted
        .map(|test| match test.name {
            "failed" => format!(
                "failed {} → {}",
                quantity::share(test.values[0], 1.0),
                quantity::share(test.values[1], 1.0)
            ),
            _ => format!("{:.2} → {:.2} calls a request", test.values[0], test.values[1]),
        })
        .collect();
    let what = match counted.is_empty() {
        true => words(&row.key),
        false => format!("{}: {}", words(&row.key), counted.join(", ")),
    };
    let cells = [
        row.change.name().to_string(),
        what,
        format!("{} → {}", quantity::count(row.n[0]), quantity::count(row.n[1])),
        both(0),
        both(2),
        row.shift_ns.map_or_else(|| "-".to_string(), change),
        p.map_or_else(|| "-".to_string(), probability),
    ];
    grid.row(cells.map(|cell| (cell, tone)));
}
