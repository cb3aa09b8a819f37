//! How a recording ends, and that nothing stays behind.

use super::made::{PROGRAM, Recorder, can_record};
use afterpath_formats::bundle::Bundles;
use std::process::Command;
use std::time::{Duration, Instant};

/// The processes that a recorder has started: its broker, its command.
fn children(recorder: &Recorder) -> Vec<u32> {
    let id = recorder.id();
    let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let listed = listed.expect("it runs, and this kernel lists children");
    listed.split_whitespace().map(|child| child.parse().expect("a number")).collect()
}

/// None of these run on. (eBPF programs go with the processes that hold them: nothing of ours is pinned.)
fn nothing_is_left(ids: &[u32]) {
    let begin = Instant::now();
    for id in ids {
        // A broker ends when it sees that its recorder did.
        while std::path::Path::new(&format!("/proc/{id}")).exists() {
            assert!(begin.elapsed() < Duration::from_secs(10), "{id} runs on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn signals_end_it_well() {
    if !can_record("sockets", "signals") {
        return;
    }
    for signal in ["INT", "TERM", "HUP"] {
        let recorder = Recorder::start(&["--probes", "sockets"]);
        let ours = children(&recorder);
        assert!(!ours.is_empty(), "it has a broker");
        recorder.signal(signal);
        let recorded = recorder.wait();
        assert_eq!(recorded.code, Some(0), "{signal}: {}", recorded.said);
        assert!(recorded.said.contains("stopped by a signal"), "{}", recorded.said);
        let bundles = Bundles::open(std::slice::from_ref(&recorded.path)).expect("it opens");
        assert!(bundles.warnings.is_empty(), "{:?}", bundles.warnings);
        nothing_is_left(&ours);
    }
}

#[test]
fn a_time_and_a_command_end_it() {
    if !can_record("sockets", "--for and -- CMD") {
        return;
    }
    let begin = Instant::now();
    let timed = Recorder::start(&["--probes", "sockets", "--for", "300ms"]).wait();
    assert_eq!(timed.code, Some(0), "{}", timed.said);
    assert!(timed.said.contains("the time asked for is over"), "{}", timed.said);
    assert!(begin.elapsed() < Duration::from_secs(60));
    let command = Recorder::start(&["--probes", "sockets", "--", "sh", "-c", "exit 7"]).wait();
    assert_eq!(command.code, Some(7), "{}", command.said);
    assert!(command.said.contains("the command ended"), "{}", command.said);
    let killed =
        Recorder::start(&["--probes", "sockets", "--", "sh", "-c", "kill -KILL $$"]).wait();
    assert_eq!(killed.code, Some(128 + 9), "{}", killed.said);
}

#[test]
fn a_command_that_runs_on_is_ended_with_the_recording() {
    if !can_record("sockets", "a command that outlives --for") {
        return;
    }
    let arguments = ["--probes", "sockets", "--for", "1s", "--", "sleep", "600"];
    let recorder = Recorder::start(&arguments);
    let begin = Instant::now();
    let mut ours = children(&recorder);
    // Its broker and its command, which begins when the probes stand.
    while ours.len() < 2 && begin.elapsed() < Duration::from_millis(800) {
        ours = children(&recorder);
    }
    assert!(ours.len() >= 2, "{ours:?}");
    let recorded = recorder.wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
    nothing_is_left(&ours);
}

#[test]
fn a_command_begins_with_no_signal_blocked() {
    if !can_record("sockets", "signals of a command") {
        return;
    }
    let arguments =
        ["--probes", "sockets", "--", "grep", "-q", "^SigBlk:.0*$", "/proc/self/status"];
    let recorded = Recorder::start(&arguments).wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
}

#[test]
fn a_command_that_is_not_there_leaves_a_sealed_bundle_and_an_error() {
    if !can_record("sockets", "a command that is missing") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(PROGRAM)
        .args(["run", "--probes", "sockets", "--output"])
        .arg(folder.path().join("x.afterpath"))
        .args(["--", "/no/such/program"])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error[system]: starting /no/such/program"), "{said}");
}
