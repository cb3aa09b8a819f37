//! The cost of recording, each question in alternating rounds on this machine: nanoseconds of eBPF per socket event, of a write and a
//! read on loopback, of a call that is of no interest; requests per second that nginx keeps under wrk; bytes on disk per request.
//! Run as root: `cargo build --release --workspace && cargo run --release -p afterpath-tests --bin bench-recording`.
//! It never drops a round, or hides a peer that wins.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

mod micro;
mod recorder;
mod worst_case;

use anyhow::{Result, bail};
use clap::Parser;
use std::path::PathBuf;

/// Measures what recording costs.
#[derive(Parser)]
struct Arguments {
    /// How often each is run, in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load of each run of nginx and wrk.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Writes the page into this file, too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let status = std::fs::read_to_string("/proc/self/status")?;
    if !status.lines().any(|line| line.starts_with("Uid:\t0")) {
        bail!("recording needs root");
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let mut page = format!(
        "Linux {}, {} processors, load before {}, {} rounds.\n\n",
        release.trim(),
        std::thread::available_parallelism()?,
        load.split(' ').next().unwrap_or_default(),
        arguments.rounds
    );
    page.push_str(&micro::page(arguments.rounds)?);
    page.push_str(&worst_case::page(arguments.rounds, arguments.seconds)?);
    print!("{page}");
    if let Some(path) = arguments.write {
        std::fs::write(path, page)?;
    }
    Ok(())
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
