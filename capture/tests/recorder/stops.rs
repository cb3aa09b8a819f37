//! How a recording ends, and that nothing stays behind.

use super::made::{PROGRAM, Recorder, can_record};
use afterpath_formats::bundle::Bundles;
use std::process::Command;
use std::time::{Duration, Instant};

/// eBPF programs attached by processes of this id are gone with it: nothing of ours is pinned.
fn nothing_is_left(id: u32) {
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
}

#[test]
fn signals_end_it_well() {
    if !can_record("sockets", "signals") {
        return;
    }
    for signal in ["INT", "TERM", "HUP"] {
        let recorder = Recorder::start(&["--probes", "sockets"]);
        let id = recorder.id();
        recorder.signal(signal);
        let recorded = recorder.wait();
        assert_eq!(recorded.code, Some(0), "{signal}: {}", recorded.said);
        assert!(recorded.said.contains("stopped by a signal"), "{}", recorded.said);
        let bundles = Bundles::open(std::slice::from_ref(&recorded.path)).expect("it opens");
        assert!(bundles.warnings.is_empty(), "{:?}", bundles.warnings);
        nothing_is_left(id);
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
    let arguments = ["--probes", "sockets", "--for", "300ms", "--", "sleep", "600"];
    let recorded = Recorder::start(&arguments).wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
    // `sleep 600` is no more: it was the recorder's child, and the recorder waited for it.
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
