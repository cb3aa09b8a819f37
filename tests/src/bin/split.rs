//! Splits a testbed's recording into several machines with clocks that are known to be wrong; prints how, as JSON. Never changes
//! the recording.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath_tests::split::{Bend, split};
use anyhow::{Result, ensure};
use clap::Parser;
use std::path::PathBuf;

/// Splits a recording by namespace into machines of their own, and bends their clocks.
#[derive(Parser)]
struct Arguments {
    /// A bundle by afterpath-record, of one machine.
    bundle: PathBuf,
    /// The bundle to be written; it must not be there yet.
    output: PathBuf,
    /// What is to be bent, and how: `clock:podC:+37ms,+40ppm`, `clock:podC:step`.
    #[arg(required = true)]
    faults: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(!arguments.output.exists(), "{} is there already", arguments.output.display());
    let bends =
        arguments.faults.iter().map(|fault| Bend::parse(fault)).collect::<Result<Vec<_>>>()?;
    let clocks = split(&arguments.bundle, &arguments.output, &bends)?;
    println!("{}", serde_json::to_string_pretty(&clocks)?);
    Ok(())
}
