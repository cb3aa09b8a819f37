//! Programs whose requests bear a number as the last piece of their paths: a front that asks a back with the number of the request
//! that it asks for. Recorded and scored by these numbers, of which the analyzer is told nothing.

use crate::tool::own;
use afterpath::analysis::Analysis;
use afterpath::call::Call;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that prints its address, and is ended when dropped.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// # Panics
    /// When it does not start.
    pub fn start(program: &[&str]) -> Server {
        let mut process = Command::new(program[0])
            .args(&program[1..])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let out = process.stdout.take().expect("it was piped");
        BufReader::new(out).read_line(&mut address).expect("a line");
        Server { process, address: address.trim().to_string() }
    }
}

/// Records two servers while the client runs.
///
/// # Panics
/// When the recorder or the client fails.
pub fn record(servers: [&Server; 2], probes: &str, client: &[&str], bundle: &Path) {
    let pids = servers.map(|server| server.process.id().to_string()).join(",");
    let status = Command::new(own("afterpath-record"))
        .args(["run", "--probes", probes, "--pid", &pids, "--output"])
        .arg(bundle)
        .arg("--")
        .args(client)
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("the recorder starts").success());
}

/// What was found of the calls that the front made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Calls of the front.
    pub n_all: usize,
    /// With the right parent.
    pub n_right: usize,
    /// With a wrong one that is said to be certain, or nearly.
    pub n_silent: usize,
}

/// So sure is nobody who errs one time in ten.
const SURE: f64 = 0.9;

/// Holds the links of the front's calls against their numbers; requests to the front begin with `/front/`.
pub fn score(analysis: &Analysis) -> Score {
    let number = |call: &Call| call.resource.rsplit('/').next().map(str::to_string);
    let is_asked = |call: &&Call| call.protocol == "http1" && !call.resource.starts_with("/front/");
    let mut score = Score::default();
    for call in analysis.calls.iter().filter(is_asked) {
        let link = call.link.as_ref();
        let parent = link.map(|link| &analysis.calls[link.parent as usize]);
        let is_right = parent.is_some_and(|parent| number(parent) == number(call));
        score.n_all += 1;
        score.n_right += usize::from(is_right);
        score.n_silent += usize::from(!is_right && link.is_some_and(|link| link.confidence > SURE));
    }
    score
}
