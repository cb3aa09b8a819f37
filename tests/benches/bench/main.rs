//! The bench: a generated HTTP capture, whole and with a short snap length, `afterpath` and its peers over each in
//! alternating rounds as whole processes, one page. Run: `cargo build --release && cargo run --release -p afterpath-tests --bin bench`.
//! It never tunes a round, drops one, or hides a peer that wins.

mod measure;
mod subjects;
mod table;

use afterpath_tests::generate::{NO_LIMIT, Recipe, http_capture};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use measure::Cost;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use subjects::Subject;

/// Compares import and analysis with tshark, tcptrace and tcpdump on a generated HTTP capture.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    inner: Option<Inner>,
    /// Size of the capture.
    #[arg(long, default_value_t = 500_000)]
    packets: u64,
    /// Of the capture.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bytes kept of each packet in the second capture, and in that of --capture-only.
    #[arg(long, default_value_t = 128)]
    snap_length: u32,
    /// How often each is run, in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Another build of `afterpath`, run in turn with the one beside this program, in place of the peers; any number.
    #[arg(long = "program", value_name = "FILE")]
    programs: Vec<PathBuf>,
    /// Writes the table and the raw figures to tests/benches/results/<date>.md.
    #[arg(long, conflicts_with = "programs")]
    write: bool,
    /// Only writes the capture, to this file.
    #[arg(long, value_name = "FILE")]
    capture_only: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Inner {
    /// Runs one command and prints its cost as JSON: what the bench starts for each measurement.
    #[command(hide = true)]
    Measure {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// A subject's costs, one per round; empty when it is not installed.
struct Measured {
    subject: Subject,
    costs: Vec<Cost>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Inner::Measure { command }) = arguments.inner {
        return measure::here(&command);
    }
    if let Some(path) = &arguments.capture_only {
        generate(path, arguments.snap_length, &arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = table::heading(&arguments);
    for snap_length in [NO_LIMIT, arguments.snap_length] {
        text.push_str(&one_capture(snap_length, &arguments)?);
    }
    io::stdout().write_all(text.as_bytes())?;
    if arguments.write {
        let path = results_file();
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        writeln!(io::stderr(), "written: {}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All subjects over one capture.
fn one_capture(snap_length: u32, arguments: &Arguments) -> Result<String> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let capture = folder.path().join("bench.pcap");
    let totals = generate(&capture, snap_length, arguments)?;
    let mut measured: Vec<Measured> = subjects::all(&capture, folder.path(), &arguments.programs)
        .into_iter()
        .map(|subject| Measured { subject, costs: Vec::new() })
        .collect();
    for round in 1..=arguments.rounds {
        for each in measured.iter_mut().filter(|m| m.subject.missing().is_none()) {
            writeln!(io::stderr(), "round {round}: {}", each.subject.name)?;
            each.subject.prepare()?;
            each.costs.push(measure::in_a_process(&each.subject.command)?);
        }
    }
    let size_bytes = std::fs::metadata(&capture)?.len();
    Ok(table::capture(&measured, &totals, size_bytes, snap_length))
}

fn generate(
    path: &Path,
    snap_length: u32,
    arguments: &Arguments,
) -> Result<afterpath_tests::generate::Totals> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(file);
    let recipe = Recipe { seed: arguments.seed, n_packets: arguments.packets, snap_length };
    let totals = http_capture(recipe, &mut out).with_context(|| path.display().to_string())?;
    out.flush()?;
    Ok(totals)
}

fn results_file() -> PathBuf {
    let folder = afterpath_tests::checkout::root().join("tests/benches/results");
    folder.join(format!("{}.md", afterpath_tests::machine::today()))
}
