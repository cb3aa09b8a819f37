//! A recording of the mesh while packets are held: its truth is in its packets, as tshark reads them, and a hop shows what the relay
//! logged. A suite of its own, so that nothing else keeps the machine busy while times are measured.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::pipeline::analyze;
use afterpath_tests::recording::{Recording, testbed};
use afterpath_tests::score::{MASKED, score};
use afterpath_tests::tool::usable;
use afterpath_tests::truth::Truth;
use std::process::Command;

#[test]
fn the_mesh_s_truth_is_in_its_packets_and_a_hop_shows_what_was_held() {
    if !usable("tshark", "the mesh's truth in its packets") {
        return;
    }
    let options = ["--topology", "mesh", "--requests", "100", "--concurrency", "4"];
    let options = [&options[..], &["--fault", "delay:l4gw:5ms"]].concat();
    let Some(recording) = Recording::fresh(&options) else { return };
    let truth = Truth::read(&recording.path());
    let score = score(&analyze(&recording.bundles, &MASKED), &truth);
    println!("mesh, delay\n{score}");
    let checked = Command::new(testbed()).arg("check").arg(recording.path()).status();
    assert!(checked.expect("the testbed starts").success(), "captures and truth differ");
    let mut errors: Vec<i64> = score.hold_errors_ns.iter().map(|error| error.abs()).collect();
    errors.sort_unstable();
    let n_held = truth.delays.iter().filter(|delay| delay.call_id.is_some()).count();
    println!("{} of {n_held} delays of calls are shown", errors.len());
    assert!(n_held >= 50 && errors.len() * 100 >= n_held * 85, "{} of {n_held}", errors.len());
    let p50_ns = errors[errors.len() / 2];
    println!("hold: shown minus logged, p50 {p50_ns} ns of {}", errors.len());
    assert!(p50_ns <= 150_000, "{errors:?}");
}
