//! How the clocks of a recording are related: per pair that bytes passed between, how far apart, ± how much, and by what that is known.
//! Never an offset without its bound.

use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Options, Report, json};
use crate::align::{ClockPair, Quality};
use crate::analysis::Analysis;
use crate::quantity;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const CLOCKS: Report = Report {
    name: "clocks",
    about: "How far the clocks of machines are apart, ± how much, and by what that is known",
    asks: Some(&[]),
    write,
};

/// Version of the JSON lines.
const SCHEMA: &str = "afterpath.clocks/1";

/// What is known of a pair of clocks.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    schema: &'static str,
    /// The clock that the other is compared with, the nearer to the reference.
    clock: &'a str,
    other: &'a str,
    /// Whose Unix time the times of both are shown in.
    reference: &'a str,
    /// Within how much of Unix time NTP kept that, as its kernel says; null: not synchronized, or nobody wrote it down.
    reference_ntp_error_ns: Option<i64>,
    /// How far `other` is ahead of `clock` in the middle of the recording; null: unknown.
    ahead_ns: Option<i64>,
    bound_ns: Option<i64>,
    worst_bound_ns: Option<i64>,
    drift_ppb: Option<i64>,
    drift_bound_ppb: Option<i64>,
    matches_forth: u64,
    matches_back: u64,
    contradicting: u64,
    steps: u32,
    quality: &'static str,
}

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let pairs = &analysis.clocks.pairs;
    if options.json {
        return pairs.iter().try_for_each(|pair| json::line(out, &line(analysis, pair)));
    }
    let mut ink = Ink::new(out, options);
    // Those that stamp what is shown; recorders' other clocks are mapped to these.
    let stamping: BTreeSet<u32> = analysis.points.iter().map(|point| point.domain).collect();
    let n = stamping.len() as u64;
    if pairs.is_empty() {
        return ink.wrapped("", "  ", &match n {
            0 | 1 => "one clock: nothing to align".to_string(),
            n => format!("{n} clocks, and nothing was seen to pass from one to another: their times can't be compared"),
        });
    }
    ink.line(&format!(
        "{}, {} that bytes were seen to pass between",
        quantity::plural(n, "clock"),
        quantity::plural(pairs.len() as u64, "pair")
    ))?;
    table(analysis).write(&mut ink, "  ")?;
    ink.line("")?;
    let references: BTreeSet<u32> =
        pairs.iter().map(|pair| analysis.clocks.reference(pair.domains[0])).collect();
    for reference in references {
        let kept = match analysis.clocks.ntp_error_ns(reference) {
            Some(ns) => format!("which NTP kept within {}", quantity::duration(ns)),
            None => "of which no recorder says that NTP kept it".to_string(),
        };
        let name = name(analysis, reference);
        ink.wrapped("", "  ", &format!("Times are the Unix time of {name}, {kept}."))?;
    }
    ink.wrapped("", "  ", "Ahead: by how much the second clock says more than the first, in the middle of the recording, and within how much the truth lies. Worst: the widest ± of any time. Matches: bytes seen to pass forth and back, each of which is a limit on one side. That one way is longer than the other no recording shows: it is within the ±.")?;
    for pair in pairs.iter().filter(|pair| pair.quality >= Quality::OneWay) {
        let [first, second] = pair.domains.map(|domain| name(analysis, domain));
        let why = match pair.quality {
            Quality::OneWay => "bytes were seen one way only, which limits one side",
            _ => "what passed between them contradicts any steady clock",
        };
        ink.wrapped(
            "",
            "  ",
            &format!("{first} and {second}: {why}; times across them are unknown"),
        )?;
    }
    Ok(())
}

fn table(analysis: &Analysis) -> Grid {
    let mut grid = Grid::new(&[
        ("clock", Align::Flexible),
        ("other", Align::Flexible),
        ("ahead", Align::Right),
        ("±", Align::Right),
        ("worst", Align::Right),
        ("drift", Align::Right),
        ("matches", Align::Right),
        ("steps", Align::Right),
        ("quality", Align::Left),
    ]);
    for pair in &analysis.clocks.pairs {
        let [first, second] = pair.domains.map(|domain| name(analysis, domain).to_string());
        let drift = pair.drift_ppb.map(|[drift, bound]| {
            format!("{:.2} ± {:.2} ppm", drift as f64 / 1e3, bound as f64 / 1e3)
        });
        let [forth, back] = pair.matches.map(quantity::count);
        let is_poor = pair.quality >= Quality::OneWay;
        let quality = match pair.left_out {
            0 => pair.quality.name().to_string(),
            n => format!("{}, {} contradict", pair.quality.name(), quantity::count(n)),
        };
        grid.row([
            (first, Tone::Plain),
            (second, Tone::Plain),
            (quantity::known(pair.ahead_ns), Tone::Plain),
            (quantity::known(pair.bound_ns), Tone::Plain),
            (quantity::known(pair.worst_bound_ns), Tone::Plain),
            (drift.unwrap_or_else(|| "-".to_string()), Tone::Plain),
            (format!("{forth} / {back}"), Tone::Plain),
            (
                quantity::count(u64::from(pair.steps)),
                if pair.steps > 0 { Tone::Slow } else { Tone::Plain },
            ),
            (quality, if is_poor { Tone::Slow } else { Tone::Plain }),
        ]);
    }
    grid
}

fn name(analysis: &Analysis, domain: u32) -> &str {
    analysis.domains.get(domain as usize).map_or("?", String::as_str)
}

/// Of a pair.
pub(super) fn line<'a>(analysis: &'a Analysis, pair: &ClockPair) -> Line<'a> {
    let [clock, other] = pair.domains.map(|domain| name(analysis, domain));
    let reference = analysis.clocks.reference(pair.domains[0]);
    Line {
        schema: SCHEMA,
        clock,
        other,
        reference: name(analysis, reference),
        reference_ntp_error_ns: analysis.clocks.ntp_error_ns(reference),
        ahead_ns: pair.ahead_ns,
        bound_ns: pair.bound_ns,
        worst_bound_ns: pair.worst_bound_ns,
        drift_ppb: pair.drift_ppb.map(|drift| drift[0]),
        drift_bound_ppb: pair.drift_ppb.map(|drift| drift[1]),
        matches_forth: pair.matches[0],
        matches_back: pair.matches[1],
        contradicting: pair.left_out,
        steps: pair.steps,
        quality: pair.quality.name(),
    }
}
