//! What it refuses before anything is attached or written.

use super::made::{PROGRAM, Recorder, can_record};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("run").args(arguments).output().expect("it starts")
}

/// It exits with 2, says `expected`, and leaves no bundle.
fn check(arguments: &[&str], expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.afterpath");
    let mut all = vec!["--output", path.to_str().expect("text")];
    all.extend(arguments);
    let output = run(&all);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(expected), "{said}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nonsense_is_refused() {
    check(&["--probes", "nonsense"], "no probe is called `nonsense`");
    check(&["--netns", "nonsense"], "no network namespace is called");
    check(&["--cgroup", "/no/such/cgroup"], "no cgroup is at");
    check(&["--sample", "10s/1s"], "at most the second");
    check(&["--for", "soon"], "give a time like");
    check(&["--ring-age", "5m"], "--ring");
}

#[test]
fn an_output_that_exists_is_left_alone() {
    if !can_record("sockets", "an output that exists") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x");
    std::fs::write(&file, "mine").expect("written");
    let output = run(&["--probes", "sockets", "--output", file.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error[output-exists]"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "mine");
}

#[test]
fn a_second_recorder_is_warned_of_the_first() {
    if !can_record("sockets", "two recorders") {
        return;
    }
    let first = Recorder::start(&["--probes", "sockets"]);
    let second = Recorder::start(&["--probes", "sockets", "--for", "100ms"]).wait();
    assert_eq!(second.code, Some(0), "{}", second.said);
    assert!(second.said.contains("warning[second-recorder]"), "{}", second.said);
    first.stop();
}
