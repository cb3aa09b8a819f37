//! Makes a sample of a recording: packed bundle and truth, without ids and without anything of the machine. Never records.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath_tests::sample::make;
use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;

/// Makes the bundle and the truth of a sample out of a recording of the testbed.
#[derive(Parser)]
struct Arguments {
    /// What `testbed record --out` wrote.
    recording: PathBuf,
    /// The sample's folder, `samples/<topology>-<fault>`.
    sample: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    make(&arguments.recording, &arguments.sample)?;
    let size = |name: &str| std::fs::metadata(arguments.sample.join(name)).map(|m| m.len());
    println!("bundle {} bytes, truth {} bytes", size("bundle.afterpath.tar")?, size("truth.json")?);
    Ok(())
}
