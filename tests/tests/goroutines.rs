//! Links inside a Go program by its goroutines: many requests at once, Go's HTTP client, goroutines made for a request. Which call was
//! caused by which is known from the numbers in the paths; the analyzer is told nothing of them.

#![allow(clippy::print_stdout, reason = "scores are shown beside the verdict")]

use afterpath::call::{Analysis, Call};
use afterpath::link::Evidence;
use afterpath::link::evidence::Kind;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::tool::{can_record, go_program, own};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const REQUESTS: usize = 300;

/// A server that is ended when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(program: &Path, arguments: &[&str]) -> Server {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let out = process.stdout.take().expect("it was piped");
        BufReader::new(out).read_line(&mut address).expect("a line");
        Server { process, address: address.trim().to_string() }
    }
}

/// Records the client's requests, so many at once; the front has so many connections to the back at most, 0: as many as it takes.
fn record(program: &Path, at_once: usize, connections: usize, bundle: &Path) {
    let back = Server::start(program, &["back"]);
    let front = Server::start(program, &["front", &back.address, &connections.to_string()]);
    let pids = format!("{},{}", back.process.id(), front.process.id());
    let (at_once, requests) = (at_once.to_string(), REQUESTS.to_string());
    let status = Command::new(own("afterpath-record"))
        .args(["run", "--probes", "sockets,processes,coroutines", "--pid", &pids, "--output"])
        .arg(bundle)
        .arg("--")
        .arg(program)
        .args(["client", &front.address, &at_once, &requests])
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("the recorder starts").success());
}

/// Which of the front's calls have the right parent, how many have a wrong one that is said to be the only one, and how many there are.
fn score(analysis: &Analysis) -> (usize, usize, usize) {
    let number = |call: &Call| call.resource.rsplit('/').next().map(str::to_string);
    let asked: Vec<&Call> = analysis
        .calls
        .iter()
        .filter(|call| call.protocol == "http1" && !call.resource.starts_with("/front/"))
        .collect();
    let (mut n_right, mut n_silent) = (0, 0);
    for call in &asked {
        let link = call.link.as_ref();
        let parent = link.map(|link| &analysis.calls[link.parent as usize]);
        let right = parent.is_some_and(|parent| number(parent) == number(call));
        n_right += usize::from(right);
        n_silent += usize::from(!right && link.is_some_and(|link| link.candidates == 1));
    }
    (n_right, n_silent, asked.len())
}

fn check(at_once: usize, connections: usize, floor: f64) {
    let what = "links by goroutine";
    let Some(program) = go_program("shop.go", what) else { return };
    if !can_record(&["coroutines"], what) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("x.afterpath");
    record(&program, at_once, connections, &bundle);
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    let analysis = analyze(&bundles, &Config::default());
    let without = Config { evidence: Evidence::ALL.without(Kind::Threads), ..Config::default() };
    let (n_contained, ..) = score(&analyze(&bundles, &without));
    let (n_right, n_silent, n_all) = score(&analysis);
    println!(
        "{at_once} at once, {connections} connections: {n_right} of {n_all} links right, {n_silent} wrong and not said so; by containment alone {n_contained}"
    );
    assert_eq!(n_all, 4 * REQUESTS, "{:?}", analysis.losses);
    assert!(n_right as f64 >= floor * n_all as f64, "{n_right} of {n_all}");
    assert!(n_silent as f64 <= 0.01 * n_all as f64, "{n_silent} of {n_all}");
}

#[test]
fn alone_every_link_is_right() {
    check(1, 0, 1.0);
}

#[test]
fn many_at_once_most_links_are_right_and_doubt_is_said() {
    check(16, 0, 0.6);
}

#[test]
fn requests_that_waited_for_a_connection_are_no_silent_mistakes() {
    check(16, 12, 0.0);
}
