//! Records with and without 5 ms on one hop in turn, by little load: is that hop blamed, how exactly is it shown, and does any other seem
//! to have moved? Never changes a recording that was kept.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]
#![allow(clippy::print_stderr, reason = "and its progress to stderr")]

use afterpath::pipeline::analyze;
use afterpath_tests::checkout::root;
use afterpath_tests::machine;
use afterpath_tests::recording::Recording;
use afterpath_tests::score::hops::{Hops, Shift};
use afterpath_tests::score::{MASKED, score};
use afterpath_tests::truth::Truth;
use anyhow::{Context, Result};
use clap::Parser;
use std::fmt::Write;

/// Holds hops against themselves while one of them is delayed.
#[derive(Parser)]
struct Arguments {
    /// Recordings without the delay, and as many with it, in turn.
    #[arg(long, default_value_t = 5)]
    pairs: u32,
    /// Requests at once.
    #[arg(long, default_value_t = 2)]
    concurrency: u32,
    /// Requests of each recording.
    #[arg(long, default_value_t = 150)]
    requests: u32,
    /// Write the page to tests/scores.
    #[arg(long)]
    write: bool,
}

/// What is delayed, by how much; and where that is.
const FAULT: &str = "delay:l4gw:5ms";
const DELAYED: [&str; 2] = ["l4gw/eth0", "l4gw/eth1"];
/// Hops whose middle moved by more are counted.
const MOVED_NS: i64 = 50_000;
/// Hops that are listed, those that moved farthest.
const SHOWN: usize = 12;

/// What was found in one recording with the delay.
struct Delayed {
    is_right: bool,
    blamed: String,
    errors_ns: Vec<i64>,
    outside_ns: Vec<i64>,
    busy: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (mut hops, mut delayed, mut busy) = (Hops::default(), Vec::new(), Vec::new());
    for pair in 1..=arguments.pairs {
        for is_delayed in [false, true] {
            eprintln!("recording: pair {pair}{}", if is_delayed { ", delayed" } else { "" });
            let mut options = vec![
                "--topology=mesh".to_string(),
                format!("--concurrency={}", arguments.concurrency),
                format!("--requests={}", arguments.requests),
                "--recorder-arguments=--with tls".to_string(),
            ];
            options.extend(is_delayed.then(|| format!("--fault={FAULT}")));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let recording =
                Recording::by_recorder(&options).context("this machine can't record")?;
            let truth = Truth::read(&recording.path());
            let analysis = analyze(&recording.bundles, &MASKED);
            hops.add(&analysis, is_delayed);
            busy.push(truth.recording.cpu.machine);
            if is_delayed {
                let score = score(&analysis, &truth);
                let verdict = score.verdict.context("a fault has a verdict")?;
                delayed.push(Delayed {
                    is_right: verdict.is_right,
                    blamed: verdict.blamed,
                    errors_ns: score.hold_errors_ns,
                    outside_ns: score.hold_outside_ns,
                    busy: truth.recording.cpu.machine,
                });
            }
        }
    }
    let page = page(&arguments, &delayed, &hops.shifts(), &busy)?;
    println!("{page}");
    if arguments.write {
        let path = root().join("tests/scores").join(format!("{}-hops.md", machine::today()));
        std::fs::write(path, page)?;
    }
    Ok(())
}

fn page(
    arguments: &Arguments,
    delayed: &[Delayed],
    shifts: &[Shift],
    busy: &[f64],
) -> Result<String> {
    let Arguments { pairs, concurrency, requests, .. } = arguments;
    let mut page = String::new();
    writeln!(page, "# A delay on one hop\n\n{}, {}.\n", machine::today(), machine::describe())?;
    writeln!(
        page,
        "`cargo run --release -p afterpath-tests --bin hops -- --pairs {pairs} --concurrency {concurrency} --requests {requests}`: {pairs} recordings of the mesh with `{FAULT}` and {pairs} without, in turn; ids masked. The machine was {:.0} to {:.0} % busy.\n",
        100.0 * busy.iter().copied().fold(f64::INFINITY, f64::min),
        100.0 * busy.iter().copied().fold(0.0, f64::max),
    )?;
    writeln!(
        page,
        "| delayed run | busy | blamed | held packets | beyond the hold p50 | p99 | most | outside of what was logged p50 | p99 | most |\n|---|---|---|---|---|---|---|---|---|---|"
    )?;
    let (mut all, mut all_outside) = (Vec::new(), Vec::new());
    for (i, run) in delayed.iter().enumerate() {
        let word = if run.is_right { "right" } else { "wrong" };
        let cells = format!("{} | {}", distances(&run.errors_ns), distances(&run.outside_ns));
        writeln!(
            page,
            "| {} | {:.0} % | {word}: {} | {} | {cells} |",
            i + 1,
            100.0 * run.busy,
            run.blamed,
            run.errors_ns.len()
        )?;
        all.extend(&run.errors_ns);
        all_outside.extend(&run.outside_ns);
    }
    let n_right = delayed.iter().filter(|run| run.is_right).count();
    writeln!(
        page,
        "| all | | {n_right} of {} right | {} | {} | {} |\n",
        delayed.len(),
        all.len(),
        distances(&all),
        distances(&all_outside)
    )?;
    writeln!(
        page,
        "Beyond the hold: the hop shown minus how long the relay kept the packet, until it told the kernel to let it go. Outside of what was logged: by how much the hop is less than that, or more than until the kernel had let it go: within both the truth lies.\n"
    )?;
    let is_delayed = |shift: &&Shift| {
        let (_, _, from, to, way) = &shift.place;
        let ends = [from, to].map(|end| end.strip_prefix("ap-").unwrap_or(end).to_string());
        ends == DELAYED.map(str::to_string) && *way == "forth"
    };
    let others: Vec<&Shift> = shifts.iter().filter(|shift| !is_delayed(shift)).collect();
    let n_moved = others.iter().filter(|shift| shift.by_ns.abs() > MOVED_NS).count();
    writeln!(
        page,
        "The delayed hop's own middle moved by {}. Of {} others {} moved by more than {} µs:\n",
        shifts
            .iter()
            .filter(is_delayed)
            .map(|shift| micros(shift.by_ns))
            .collect::<Vec<_>>()
            .join(", "),
        others.len(),
        n_moved,
        MOVED_NS / 1_000
    )?;
    writeln!(
        page,
        "| part | protocol | from | to | way | times without, with | p50 without | moved by |\n|---|---|---|---|---|---|---|---|"
    )?;
    for shift in others.into_iter().take(SHOWN) {
        let (part, protocol, from, to, way) = &shift.place;
        let [without, with] = shift.n;
        let (middle, by) = (micros(shift.without_ns), micros(shift.by_ns));
        writeln!(
            page,
            "| {part} | {protocol} | {from} | {to} | {way} | {without}, {with} | {middle} | {by} |"
        )?;
    }
    Ok(page)
}

/// p50, p99 and the greatest distance, as cells.
fn distances(errors_ns: &[i64]) -> String {
    let mut sorted: Vec<i64> = errors_ns.iter().map(|error| error.abs()).collect();
    sorted.sort_unstable();
    let at = |share: usize| {
        let last = sorted.len().checked_sub(1)?;
        sorted.get((sorted.len() * share / 100).min(last)).copied()
    };
    [50, 99, 100].map(|share| at(share).map_or("—".to_string(), micros)).join(" | ")
}

fn micros(ns: i64) -> String {
    format!("{:.1} µs", ns as f64 / 1e3)
}
