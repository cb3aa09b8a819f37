//! Scores one recording of the testbed: `score RECORDING_DIR BUNDLE [--ignore-ids]`. Never records.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath::link::Evidence;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::score::score;
use afterpath_tests::truth::Truth;
use std::path::PathBuf;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ignore_ids = arguments.iter().any(|a| a == "--ignore-ids");
    let paths: Vec<PathBuf> =
        arguments.iter().filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let [recording, bundle] = &paths[..] else {
        println!("usage: score RECORDING_DIR BUNDLE [--ignore-ids]");
        std::process::exit(2);
    };
    let bundles = Bundles::open(std::slice::from_ref(bundle)).expect("the bundle opens");
    let config = Config { evidence: Evidence { ignore_ids } };
    let analysis = analyze(&bundles, &config);
    println!(
        "{} packets, {} flows, {} calls, {} traces",
        analysis.n_packets,
        analysis.flows.len(),
        analysis.calls.len(),
        analysis.traces.len()
    );
    print!("{}", score(&analysis, &Truth::read(recording)));
}
