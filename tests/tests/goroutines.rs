//! Links inside a Go program by its goroutines: many requests at once, Go's HTTP client, goroutines made for a request. Which call was
//! caused by which is known from the numbers in the paths; scored with them as words, which are evidence, and without. There goroutines tell no
//! more than times do, as yet: what is asked for is that they do little harm.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::link::Evidence;
use afterpath::link::evidence::Kind;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::numbered::{Server, record, score};
use afterpath_tests::tool::{can_record, go_program};

const REQUESTS: usize = 300;
const MASKED: Evidence = Evidence::WITHOUT_IDS.without(Kind::Content);
/// Links that are right without threads and goroutines and wrong with them, as a share.
const MOST_HARM: f64 = 0.15;
const PROBES: &str = "sockets,processes,coroutines";

/// So many requests at once; the front has so many connections to the back at most, 0: as many as it takes. At least this share of the links is
/// right, and this one without words.
fn check(at_once: usize, connections: usize, floor: f64, masked_floor: f64) {
    let what = "links by goroutine";
    let Some(program) = go_program("shop.go", what) else { return };
    if !can_record(&["coroutines"], what) {
        return;
    }
    let program = program.to_str().expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("x.afterpath");
    let back = Server::start(&[program, "back"]);
    let front = Server::start(&[program, "front", &back.address, &connections.to_string()]);
    let (at_once, requests) = (at_once.to_string(), REQUESTS.to_string());
    let client = [program, "client", &front.address, &at_once, &requests];
    record([&back, &front], PROBES, &client, &bundle);
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    let by = |evidence| score(&analyze(&bundles, &Config { evidence, ..Config::default() }));
    let [found, masked, without] = [Evidence::ALL, MASKED, MASKED.without(Kind::Threads)].map(by);
    println!(
        "{at_once} at once, {connections} connections: {found:?}; without ids and words {masked:?}, nor threads {without:?}"
    );
    for score in [found, masked, without] {
        assert_eq!(score.n_all, 4 * REQUESTS);
    }
    let share = |n: usize| n as f64 / found.n_all as f64;
    assert!(share(found.n_right) >= floor, "{found:?}");
    assert!(share(found.n_silent) <= 0.01, "{found:?}");
    assert!(share(masked.n_right) >= masked_floor, "{masked:?}");
    // Found: 15 to 45 of 1,200.
    assert!(share(masked.n_silent) <= 0.08, "{masked:?}");
    let harm = without.n_right.saturating_sub(masked.n_right);
    assert!(share(harm) <= MOST_HARM, "{masked:?} {without:?}");
}

#[test]
fn alone_every_link_is_right() {
    check(1, 0, 1.0, 1.0);
}

#[test]
fn many_at_once_most_links_are_right_and_doubt_is_said() {
    check(16, 0, 0.95, 0.8);
}

#[test]
fn requests_that_waited_for_a_connection_are_no_silent_mistakes() {
    check(16, 12, 0.95, 0.0);
}
