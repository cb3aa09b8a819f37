//! Scores recordings of the testbed: a kept one, or fresh ones that it records itself. Never changes a recording.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath::link::Evidence;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::recording::Recording;
use afterpath_tests::score::score;
use afterpath_tests::truth::Truth;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Holds reconstructions against the truth that the testbed's services logged.
#[derive(Parser)]
struct Arguments {
    /// A kept recording (`testbed record --out DIR`) and the bundle imported from it.
    #[arg(value_names = ["RECORDING", "BUNDLE"], num_args = 2)]
    kept: Option<Vec<PathBuf>>,
    /// Records anew instead, once for each of these numbers of requests at once (root, Linux).
    #[arg(long, value_name = "CONCURRENCY", num_args = 1.., conflicts_with = "kept")]
    fresh: Vec<u32>,
    /// Requests of each fresh recording.
    #[arg(long, default_value_t = 500)]
    requests: u32,
    /// Of the fresh recordings' load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fresh ones by `afterpath-record`, socket events too, instead of by tcpdump at every point.
    #[arg(long, requires = "fresh")]
    recorder: bool,
    /// Link by this rule instead.
    #[arg(long)]
    linker: Option<String>,
    /// Leave planted ids out.
    #[arg(long)]
    ignore_ids: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let config = Config {
        evidence: Evidence { ignore_ids: arguments.ignore_ids, ..Evidence::default() },
        baseline: arguments.linker.as_deref().and_then(afterpath::link::baseline::named),
    };
    if let Some([recording, bundle]) = arguments.kept.as_deref() {
        let bundles = Bundles::open(std::slice::from_ref(bundle)).context("the bundle")?;
        return print(recording, &bundles, &config);
    }
    if arguments.fresh.is_empty() {
        bail!("give a recording and its bundle, or --fresh CONCURRENCY");
    }
    for concurrency in &arguments.fresh {
        println!(
            "## {} requests, {concurrency} at once, seed {}\n",
            arguments.requests, arguments.seed
        );
        let options = [
            ["--requests".to_string(), arguments.requests.to_string()],
            ["--concurrency".to_string(), concurrency.to_string()],
            ["--seed".to_string(), arguments.seed.to_string()],
        ]
        .concat();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let record = if arguments.recorder { Recording::by_recorder } else { Recording::fresh };
        let recording = record(&options).context("this machine can't record")?;
        print(&recording.path(), &recording.bundles, &config)?;
    }
    Ok(())
}

fn print(recording: &Path, bundles: &Bundles, config: &Config) -> Result<()> {
    let analysis = analyze(bundles, config);
    println!(
        "{} packets, {} flows, {} calls, {} traces",
        analysis.n_packets,
        analysis.flows.len(),
        analysis.calls.len(),
        analysis.traces.len()
    );
    println!("{}", score(&analysis, &Truth::read(recording)));
    Ok(())
}
