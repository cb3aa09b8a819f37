//! Freshly recorded traffic of the testbed, reconstructed and held against what its services logged. Never tunes anything:
//! a figure that is missed fails.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::analysis::Analysis;
use afterpath::pipeline::analyze;
use afterpath_formats::bundle::Bundles;
use afterpath_tests::delay::{shown, slow_elsewhere};
use afterpath_tests::recording::Recording;
use afterpath_tests::score::{MASKED, Score, score};
use afterpath_tests::scrub::{Secrets, scrub};
use afterpath_tests::truth::Truth;
use afterpath_tests::unix_leg;

fn check(name: &str, options: &[&str]) -> Option<(Recording, Truth, Analysis, Score)> {
    let recording = Recording::fresh(options)?;
    let truth = Truth::read(&recording.path());
    let analysis = analyze(&recording.bundles, &MASKED);
    let score = score(&analysis, &truth);
    println!("{name}\n{score}");
    Some((recording, truth, analysis, score))
}

#[test]
fn alone_every_call_has_its_path_and_its_parent() {
    let options = ["--requests", "500", "--concurrency", "1"];
    let Some((_, _, _, score)) = check("c = 1", &options) else { return };
    assert!(score.paths.percent() >= 99.0 && score.paths.all >= 2_000, "{score}");
    assert!(score.store_links.percent() >= 99.0, "{score}");
}

#[test]
fn eight_at_once_every_call_has_its_path_and_doubtful_links_say_so() {
    let options = ["--requests", "500", "--concurrency", "8", "--seed", "2"];
    let Some((_, _, _, score)) = check("c = 8", &options) else { return };
    assert!(score.paths.percent() >= 99.0 && score.paths.all >= 2_000, "{score}");
    let share_said = 100.0 * score.silently_wrong as f64 / score.paths.all as f64;
    assert!(share_said < 1.0, "wrong links that don't say they are ambiguous: {score}");
    // Found: 43 and 46 of 4,445.
    let share_sure = 100.0 * score.surely_wrong as f64 / score.paths.all as f64;
    assert!(share_sure < 1.5, "wrong links that are sure of themselves: {score}");
}

/// One recorder for all namespaces instead of a tcpdump at every point.
fn check_recorder(name: &str, options: &[&str]) -> Option<Score> {
    let recording = Recording::by_recorder(options)?;
    let analysis = analyze(&recording.bundles, &MASKED);
    let score = score(&analysis, &Truth::read(&recording.path()));
    println!("{name}\n{score}");
    Some(score)
}

#[test]
fn a_recorder_shows_every_call_from_process_to_process() {
    for (concurrency, seed) in [("1", "3"), ("8", "4")] {
        let options = ["--requests", "200", "--concurrency", concurrency, "--seed", seed];
        let name = format!("recorder, c = {concurrency}");
        let Some(score) = check_recorder(&name, &options) else { return };
        assert!(score.paths.percent() >= 99.0 && score.paths.all >= 1_000, "{score}");
        assert!(score.ends.percent() >= 99.0 && score.ends.all >= 1_000, "{score}");
        assert!(score.store_links.percent() >= 99.0, "{score}");
        assert!(score.silently_wrong as f64 <= 0.01 * score.paths.all as f64, "{score}");
        assert!(score.surely_wrong as f64 <= 0.01 * score.paths.all as f64, "{score}");
        // From the Node client to the stores behind the Go service, every call and every link.
        assert!(concurrency != "1" || score.whole_traces.percent() >= 99.0, "{score}");
    }
}

/// The larger topology: tunnels, IPv6, fragments, mTLS, a unix socket, a queue, caches and callers that ask again.
#[test]
fn the_mesh_shows_every_call_on_every_leg() {
    let options = ["--topology", "mesh", "--requests", "150", "--concurrency", "8"];
    // The sidecars' mTLS, where it can be read.
    let options = [&options[..], &["--recorder-arguments=--with tls"]].concat();
    let Some(recording) = Recording::by_recorder(&options) else { return };
    let truth = Truth::read(&recording.path());
    scrub(&recording.bundle(), &Secrets::of(&truth)).expect("ids can be overwritten");
    let bundles = Bundles::open(&[recording.bundle()]).expect("it still opens");
    let score = score(&analyze(&bundles, &MASKED), &truth);
    println!("mesh, recorder\n{score}");
    assert!(score.found.percent() >= 99.9 && score.found.all >= 2_000, "{score}");
    assert!(score.paths.percent() >= 99.0 && score.ends.percent() >= 99.0, "{score}");
    assert!(score.models["gateways, sidecars"].recall().percent() >= 99.0, "{score}");
    let unix = unix_leg::found(&recording.bundle(), &truth).expect("its tables can be read");
    println!("over the unix socket: {} of {} in the socket events", unix.right, unix.all);
    assert!(unix.all >= 50 && unix.percent() >= 99.9, "{unix:?}");
}

#[test]
fn captures_on_any_interface_give_the_same_paths() {
    let options = ["--requests", "60", "--concurrency", "2", "--capture", "any"];
    let Some((recording, truth, mut analysis, _)) = check("any", &options) else { return };
    let names = interface_names(&recording);
    for point in &mut analysis.points {
        if let Some(name) = names[&point.netns][point.interface.trim_start_matches("if")].as_str() {
            point.interface = name.to_string();
        }
    }
    let score = score(&analysis, &truth);
    println!("any, interfaces named\n{score}");
    assert!(score.paths.percent() >= 99.0, "{score}");
}

/// Linux cooked captures name interfaces by number; the testbed says which is which.
fn interface_names(recording: &Recording) -> serde_json::Value {
    let text = std::fs::read_to_string(recording.path().join("truth.json")).expect("it was read");
    let truth: serde_json::Value = serde_json::from_str(&text).expect("it was parsed");
    truth["recording"]["interfaces"].clone()
}

#[test]
fn a_known_delay_shows_at_its_hop_and_nowhere_else() {
    let options =
        ["--requests", "60", "--concurrency", "2", "--delay", "25", "--delay-request", "30"];
    let Some((_, truth, analysis, _)) = check("delay", &options) else { return };
    let [shown] = shown(&analysis, &truth)[..] else { panic!("one delay was asked for") };
    println!("{shown:?}");
    assert!(shown.is_right(), "{shown:?}");
    assert_eq!(slow_elsewhere(&analysis, &[shown]), [""; 0], "the delay shows at one hop only");
}

#[test]
fn one_two_and_eight_threads_give_equal_results() {
    let options = ["--requests", "30", "--concurrency", "4"];
    let Some((recording, _, analysis, _)) = check("threads", &options) else { return };
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let again = pool.install(|| analyze(&recording.bundles, &MASKED));
        assert!(again == analysis, "{threads} threads differ");
    }
}
