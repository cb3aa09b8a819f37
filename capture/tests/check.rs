//! `afterpath-record check`, as its users run it: what it prints and how it exits.
//! Never depends on what the machine under test can do, only on both answers being well formed.

use std::process::{Command, Output};

fn check(arguments: &[&str], expected_code: i32) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_afterpath-record"))
        .args(arguments)
        .output()
        .expect("the recorder starts");
    assert_eq!(output.status.code(), Some(expected_code), "{arguments:?}: {output:?}");
    output
}

const PROBES: [&str; 9] = [
    "sockets",
    "processes",
    "packets",
    "counters",
    "tls",
    "coroutines",
    "drops",
    "kernel_path",
    "wakeups",
];

#[test]
fn every_probe_is_listed_with_what_it_records() {
    let text = String::from_utf8(check(&["check"], 0).stdout).expect("text");
    for probe in PROBES {
        assert!(text.lines().any(|line| line.starts_with(&format!("{probe} "))), "{probe}: {text}");
    }
    let verdicts = ["can run", "can't run", "not yet"];
    let n =
        text.lines().filter(|line| verdicts.iter().any(|verdict| line.contains(verdict))).count();
    assert_eq!(n, PROBES.len(), "{text}");
}

#[test]
fn json_is_one_object_per_probe_and_agrees_with_the_exit_code() {
    let text = String::from_utf8(check(&["check", "--json"], 0).stdout).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let names: Vec<_> = lines.iter().filter_map(|line| line["probe"].as_str()).collect();
    assert_eq!(names, PROBES);
    for line in &lines {
        assert_eq!(line["schema"], "afterpath.probe/1");
        let lacks = line["missing"].as_array().expect("a list");
        assert_eq!(line["can_run"], lacks.is_empty(), "{line}");
        let code = i32::from(!lacks.is_empty());
        check(&["check", line["probe"].as_str().expect("a name")], code);
    }
}

#[test]
fn wrong_usage_is_told_apart() {
    for arguments in [&[][..], &["check", "sokets"], &["run", "--probes"], &["check", "--jsn"]] {
        let error = String::from_utf8(check(arguments, 2).stderr).expect("text");
        assert!(!error.is_empty());
    }
    let error = String::from_utf8(check(&["check", "sokets"], 2).stderr).expect("text");
    assert!(error.contains("sockets, processes"), "{error}");
}
