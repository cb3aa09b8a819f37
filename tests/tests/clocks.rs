//! A recording split into machines whose clocks are wrong by a known amount: whole bundles, the same calls and paths, and times
//! that the known map brings back to what the services logged; and the analyzer's own map, found from the traffic alone, which must hold
//! the known one within its bounds, always.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::analysis::Analysis;
use afterpath::pipeline::analyze;
use afterpath_formats::bundle::verify;
use afterpath_tests::recording::Recording;
use afterpath_tests::score::{MASKED, Matching, score};
use afterpath_tests::truth::Truth;

/// Most requests are read so soon after they came; a busy machine lets some wait, so few are sent at once.
const SOON_NS: i64 = 5_000_000;
/// And none before: so much at most for the service's own reading of the clock.
const BEFORE_NS: i64 = 1_000_000;
#[test]
fn machines_split_by_namespace_keep_their_calls_and_are_wrong_as_the_truth_says() {
    let options = ["--topology", "mesh", "--requests", "100", "--concurrency", "3"];
    let faults = ["--fault", "clock:podC:+37ms,+40ppm", "--fault", "clock:podE:step"];
    // The sidecars' mTLS, where it can be read.
    let options = [&options[..], &["--recorder-arguments=--with tls"]].concat();
    let Some(recording) = Recording::by_recorder(&[&options[..], &faults].concat()) else { return };
    let found = verify(&recording.bundle()).expect("it has a manifest");
    assert!(found.is_whole(), "{:?}", found.problems);
    let names: Vec<&str> = recording.bundles.hosts.iter().map(|host| host.name.as_str()).collect();
    assert!(names.len() == 3 && names[1..] == ["podC", "podE"], "{names:?}");
    let truth = Truth::read(&recording.path());
    let analysis = analyze(&recording.bundles, &MASKED);
    let score = score(&analysis, &truth);
    println!("three machines\n{score}");
    assert!(score.found.percent() >= 99.9 && score.found.all >= 1_000, "{score}");
    assert!(score.paths.percent() >= 99.0 && score.ends.percent() >= 99.0, "{score}");
    let clocks = score.clocks.as_ref().expect("two clocks are wrong");
    println!("{clocks:?}");
    assert!(clocks.inside.all >= 1_000 && clocks.inside.right == clocks.inside.all, "{clocks:?}");
    assert!(clocks.bound_ns[0] <= 100_000, "a bound that says nothing: {clocks:?}");
    // Packets lie in the order of their stamps: about a step bytes seem late, hops below nothing, which is shown and scored.
    assert_eq!(clocks.unknown, 0, "{clocks:?}");
    for pod in ["podC", "podE"] {
        let shown = arrivals(&analysis, &truth, pod);
        let waited = |said_ns: i64, read_ns: i64| read_ns - said_ns;
        let soon = |waited_ns: &i64| (-BEFORE_NS..=SOON_NS).contains(waited_ns);
        let by_map: Vec<i64> =
            shown.iter().map(|&(said, read)| waited(truth.true_ns(pod, said), read)).collect();
        let n_mapped = by_map.iter().filter(|waited_ns| soon(waited_ns)).count();
        let n_unmapped = shown.iter().filter(|&&(said, read)| soon(&waited(said, read))).count();
        println!("{pod}: {n_mapped} of {} by the map, {n_unmapped} without it", shown.len());
        assert!(shown.len() >= 50 && n_mapped * 100 >= shown.len() * 80, "{pod}: {by_map:?}");
        let n_before = by_map.iter().filter(|&&waited_ns| waited_ns < -BEFORE_NS).count();
        assert!(n_before * 100 <= shown.len(), "{pod}: {by_map:?}");
        assert!(n_unmapped * 2 < n_mapped, "{pod}: its clock is right");
    }
}

/// Of every request that a pod's service served: when its last byte passed the pod's interface, by the pod's own clock, and when
/// the service had read it.
fn arrivals(analysis: &Analysis, truth: &Truth, pod: &str) -> Vec<(i64, i64)> {
    let matching = Matching::new(analysis, truth);
    let served = truth.requests.iter().flat_map(|request| &request.calls);
    let arrival = |call: &afterpath_tests::truth::TrueCall| {
        let (read_ns, _) = call.served?;
        let spans = &analysis.calls[matching.of(&call.call_id)?].spans;
        let interface = spans.iter().find(|span| {
            let point = &analysis.points[span.point as usize];
            point.host == pod && point.interface == "eth0"
        })?;
        let is_last = analysis.points[spans.last()?.point as usize].host == pod;
        Some((interface.times.request_last.filter(|_| is_last)?, read_ns))
    };
    served.filter_map(arrival).collect()
}
