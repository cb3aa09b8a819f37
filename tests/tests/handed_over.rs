//! Links inside programs that hand requests from a thread that reads and answers them to workers: an event loop's executor, workers
//! that ring an eventfd, helpers of a thread that waits. Which call is of which request is known from the numbers in the paths; the
//! analyzer is told nothing of them, and words are no evidence here.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::link::Evidence;
use afterpath::link::evidence::Kind;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::numbered::{Score, Server, record, score};
use afterpath_tests::tool::{can_record, usable};

const REQUESTS: usize = 300;
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/handed_over.py");
const JAVA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/HandedOver.java");
const MASKED: Evidence = Evidence::WITHOUT_IDS.without(Kind::Content);

/// So many percent of the links must be right at least, and so many may be wrong and sure of themselves.
struct Bounds {
    right: usize,
    silent: usize,
    /// So many percent more than without what is told of hand-offs.
    gain: usize,
}

/// What is told of hand-offs costs no more than this, in percent of the links.
const MOST_HARM: usize = 1;

/// So many recordings are scored together, each with all evidence but ids and words, and without what is told of hand-offs.
fn check(front: &[&str], at_once: usize, probes: &str, n_recordings: usize, bounds: &Bounds) {
    let what = "links through workers";
    let can_run = ["python3", front[0]].iter().all(|name| usable(name, what));
    if !can_run || !can_record(&probes.split(',').collect::<Vec<_>>(), what) {
        return;
    }
    let mut sums = [Score::default(); 2];
    for _ in 0..n_recordings {
        for (sum, score) in sums.iter_mut().zip(scores(front, at_once, probes)) {
            sum.n_all += score.n_all;
            sum.n_right += score.n_right;
            sum.n_silent += score.n_silent;
        }
    }
    let [found, without] = sums;
    println!("{front:?}, {at_once} at once: {found:?}; without hand-offs {without:?}");
    assert!(sums.iter().all(|sum| sum.n_all == 2 * REQUESTS * n_recordings), "{sums:?}");
    assert!(found.n_right * 100 >= bounds.right * found.n_all, "{found:?}");
    assert!(found.n_silent * 100 <= bounds.silent * found.n_all, "{found:?}");
    let gain = found.n_right.saturating_sub(without.n_right);
    assert!(gain * 100 >= bounds.gain * found.n_all, "they tell something: {sums:?}");
    let harm = without.n_right.saturating_sub(found.n_right);
    assert!(harm * 100 <= MOST_HARM * found.n_all, "they do no harm: {sums:?}");
}

/// Of one recording; the address of the back is put where the front's command says `BACK`.
fn scores(front: &[&str], at_once: usize, probes: &str) -> [Score; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("x.afterpath");
    let back = Server::start(&["python3", PROGRAM, "back"]);
    let address = |word: &&str| if *word == "BACK" { back.address.clone() } else { (*word).into() };
    let command: Vec<String> = front.iter().map(address).collect();
    let front = Server::start(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let (many, requests) = (at_once.to_string(), REQUESTS.to_string());
    let client = ["python3", PROGRAM, "client", &front.address, &many, &requests];
    record([&back, &front], probes, &client, &bundle);
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    [MASKED, MASKED.without(Kind::HandOffs)]
        .map(|evidence| score(&analyze(&bundles, &Config { evidence, ..Config::default() })))
}

const EXECUTOR: &[&str] = &["python3", PROGRAM, "executor", "BACK"];
const EVENTFD: &[&str] = &["python3", PROGRAM, "eventfd", "BACK"];
const DEFAULT: &str = "sockets,processes";
const WAKE_UPS: &str = "sockets,processes,wakeups";

#[test]
fn what_an_executor_asks_is_of_the_request_that_its_loop_answers_next() {
    check(EXECUTOR, 6, DEFAULT, 1, &Bounds { right: 98, silent: 1, gain: 0 });
}

#[test]
fn where_requests_wait_for_a_worker_the_order_of_arrival_tells_nothing_and_hand_offs_do() {
    check(EXECUTOR, 16, DEFAULT, 1, &Bounds { right: 85, silent: 5, gain: 50 });
    check(EVENTFD, 16, DEFAULT, 1, &Bounds { right: 85, silent: 5, gain: 50 });
}

#[test]
fn helpers_that_all_requests_share_are_told_apart_or_doubted() {
    // One lock for all threads, whose wake-ups look like hand-offs. Wake-ups tell next to nothing here, and no other load where they do is known.
    let python = ["python3", PROGRAM, "helpers", "BACK"];
    check(&python, 6, WAKE_UPS, 5, &Bounds { right: 80, silent: 3, gain: 0 });
    check(&["java", JAVA, "BACK", "12"], 6, WAKE_UPS, 3, &Bounds { right: 80, silent: 3, gain: 0 });
}
