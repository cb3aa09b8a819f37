//! What is measured: our commands at one and two threads, and the peers with every preference that matters fixed here, or other builds
//! of ours in their place.
//! It never lets a peer look up names, and never gives ours an option that users would not.

use afterpath_tests::tool;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The question that a row answers; rows of one question are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// L7 transactions from a capture.
    Transactions,
    /// Flows, round trips, retransmissions.
    Flows,
    /// Reading at all.
    Reading,
}

/// One program with its arguments.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) question: Question,
    pub(crate) ours: bool,
    /// Of another build: what the same is called of the one beside.
    pub(crate) stands_beside: Option<String>,
    pub(crate) threads: Option<u32>,
    pub(crate) command: Vec<String>,
    /// Removed before each run, so that each does all the work.
    removed: Vec<PathBuf>,
}

impl Subject {
    /// The program's name when it is not there.
    pub(crate) fn missing(&self) -> Option<&str> {
        let program = &self.command[0];
        let there = Path::new(program).is_file() || tool::find(program).is_some();
        (!there).then_some(program.as_str())
    }

    /// Removes what an earlier run left.
    pub(crate) fn prepare(&self) -> Result<()> {
        for path in self.removed.iter().filter(|path| path.exists()) {
            if path.is_dir() {
                std::fs::remove_dir_all(path)?;
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Ours, as rows and files are called.
const NAME: &str = "afterpath";

/// tshark as the agreement suite uses it: no names, both desegmentations on.
const TSHARK: [&str; 8] = [
    "tshark",
    "-n",
    "-o",
    "tcp.desegment_tcp_streams:TRUE",
    "-o",
    "http.desegment_body:TRUE",
    "-o",
    "http.desegment_headers:TRUE",
];

/// Ours first: each analysis needs the import before it. Other builds stand in the peers' place.
pub(crate) fn all(capture: &Path, folder: &Path, builds: &[PathBuf]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for threads in [1, 2] {
        subjects.extend(ours(None, capture, folder, threads));
        for (n, build) in builds.iter().enumerate() {
            subjects.extend(ours(Some((n, build)), capture, folder, threads));
        }
    }
    if !builds.is_empty() {
        return subjects;
    }
    let capture = capture.to_string_lossy().into_owned();
    let peer = |name: &str, question, command: &[&str]| Subject {
        name: name.to_string(),
        question,
        ours: false,
        stands_beside: None,
        threads: None,
        command: command.iter().map(|word| word.to_string()).collect(),
        removed: Vec::new(),
    };
    let http = ["-r", &capture, "-Y", "http.request", "-T", "fields"];
    let fields = ["-e", "frame.time_epoch", "-e", "http.request.method", "-e", "http.request.uri"];
    let transactions = [&TSHARK[..], &http, &fields].concat();
    let conversations = [&TSHARK[..], &["-r", &capture, "-q", "-z", "conv,tcp"]].concat();
    subjects.extend([
        peer("tshark -Y http.request -T fields", Question::Transactions, &transactions),
        peer("tshark -q -z conv,tcp", Question::Flows, &conversations),
        peer("tcptrace -n -l -r", Question::Flows, &["tcptrace", "-n", "-l", "-r", &capture]),
        peer("tcpdump --count", Question::Reading, &["tcpdump", "-n", "--count", "-r", &capture]),
    ]);
    subjects
}

/// Of the build beside this program, or of the n-th other.
fn ours(
    build: Option<(usize, &PathBuf)>,
    capture: &Path,
    folder: &Path,
    threads: u32,
) -> [Subject; 2] {
    let n = build.map_or(String::new(), |(n, _)| format!("-{n}"));
    let bundle = folder.join(format!("bench-{threads}{n}.afterpath"));
    let results = folder.join(format!("bench-{threads}{n}.afterpath.analysis"));
    let (program, name) = match build {
        None => (program(), NAME.to_string()),
        Some((_, path)) => (path.clone(), path.display().to_string()),
    };
    let word = |path: &Path| path.to_string_lossy().into_owned();
    let subject = |verb: &str, arguments: Vec<String>, removed| Subject {
        name: format!("{name} {verb}"),
        question: Question::Transactions,
        ours: true,
        stands_beside: build.map(|_| format!("{NAME} {verb}")),
        threads: Some(threads),
        command: [vec![word(&program), verb.to_string()], arguments].concat(),
        removed,
    };
    let threads = ["--threads".to_string(), threads.to_string()];
    let import = [vec![word(capture), "-o".to_string(), word(&bundle)], threads.to_vec()].concat();
    let analyze = [vec![word(&bundle)], threads.to_vec()].concat();
    [subject("import", import, vec![bundle]), subject("analyze", analyze, vec![results])]
}

/// The release binary beside this one.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name(NAME)
}
