//! With the capabilities that `check` names it records, with one less it says which; what it no longer needs it gives up.

use super::made::{PROGRAM, Recorder, can_record};
use std::process::Command;

/// The recorder as root with these capabilities and no others.
fn with(capabilities: &str, arguments: &[&str]) -> std::process::Output {
    let bounds = format!("--bounding-set=-all{capabilities}");
    let inherited = format!("--inh-caps=-all{capabilities}");
    Command::new("setpriv")
        .args([&bounds, &inherited, PROGRAM])
        .args(arguments)
        .output()
        .expect("setpriv")
}

/// Exit code and everything it said of a short recording of `probes`.
fn record(capabilities: &str, probes: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.afterpath");
    let mut arguments = vec!["run", "--for", "200ms", "--output", path.to_str().expect("text")];
    arguments.extend(probes);
    let output = with(capabilities, &arguments);
    assert_eq!(path.exists(), output.status.success(), "a refusal leaves nothing");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The capabilities that `check` asks for, as setpriv calls them: of somebody who has none, then of whoever has what it asked for.
fn named_by_check(probe: &str) -> String {
    let mut held = String::new();
    loop {
        let output = with(&held, &["check", probe]);
        let said = String::from_utf8_lossy(&output.stdout);
        let words = said.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let names = words.filter_map(|word| word.strip_prefix("CAP_")).map(str::to_lowercase);
        let missing: String =
            names.map(|name| format!(",+{name}")).filter(|name| !held.contains(name)).collect();
        if output.status.success() || missing.is_empty() {
            return held;
        }
        held += &missing;
    }
}

#[test]
fn with_the_capabilities_that_check_names_it_records() {
    if !can_record("sockets", "capabilities") || !can_record("packets", "the same") {
        return;
    }
    for probe in ["sockets", "processes", "packets", "drops", "kernel_path", "wakeups"] {
        // What this kernel lacks no capability gives.
        if !can_record(probe, "its capabilities") {
            continue;
        }
        let named = named_by_check(probe);
        assert!(!named.is_empty(), "{probe} needs some");
        let (code, said) = record(&named, &["--probes", probe]);
        assert_eq!(code, Some(0), "{probe} with {named}: {said}");
    }
}

#[test]
fn one_capability_less_is_named() {
    if !can_record("sockets", "capabilities") {
        return;
    }
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let is_paranoid = level.trim().parse::<i32>().is_ok_and(|level| level > 2);
    if is_paranoid {
        let (code, said) = record(",+bpf,+perfmon", &["--probes", "sockets"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("kernel.perf_event_paranoid"), "{said}");
    }
    for (left, missing) in [(",+bpf", "CAP_PERFMON"), (",+perfmon", "CAP_BPF")] {
        let (code, said) = record(left, &["--probes", "sockets"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("error[probe-cannot-run]: sockets") && said.contains(missing),
            "{said}"
        );
    }
    // Automatic probes are left out, and said to be.
    let (code, said) = record(",+net_raw", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning[probe-left-out]: sockets: ") && said.contains("CAP_BPF"),
        "{said}"
    );
}

/// What all threads of a process hold, permitted or in effect.
fn held(process: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("threads").flatten();
    tasks.fold(0, |held, task| {
        let status = std::fs::read_to_string(task.path().join("status")).expect("a status");
        ["CapPrm:", "CapEff:"].iter().fold(held, |held, set| {
            let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("a set");
            held | u64::from_str_radix(line.trim(), 16).expect("a number")
        })
    })
}

/// The processes that it started and that still run.
fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = std::fs::read_to_string(path).expect("its children");
    text.split_whitespace().map(|id| id.parse().expect("an id")).collect()
}

#[test]
fn the_recorder_holds_no_privilege_and_its_broker_the_named_ones() {
    if !can_record("sockets", "giving up privileges") {
        return;
    }
    let recorder = Recorder::start(&[]);
    assert_eq!(held(recorder.id()), 0);
    let [broker] = children(recorder.id())[..] else { panic!("one process keeps privileges") };
    // CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON.
    let named = 1u64 << 12 | 1 << 13 | 1 << 19 | 1 << 21 | 1 << 38;
    assert_eq!(held(broker) & !named, 0, "{:x}", held(broker));
    // Ctrl-C and a service manager reach both; the broker is needed until the recorder has ended.
    let sent = Command::new("kill").args(["-INT", &broker.to_string()]).status();
    assert!(sent.expect("kill").success());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), [], "{}", recorded.said);
    assert!(!std::path::Path::new(&format!("/proc/{broker}")).exists(), "the broker outlives it");
}

#[test]
fn without_following_there_is_no_broker() {
    if !can_record("sockets", "giving up privileges") {
        return;
    }
    let recorder = Recorder::start(&["--no-follow"]);
    assert_eq!((held(recorder.id()), children(recorder.id())), (0, Vec::new()));
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), [], "{}", recorded.said);
}

#[test]
fn a_broker_that_went_is_told_and_recording_goes_on() {
    if !can_record("sockets", "a broker that is killed") {
        return;
    }
    let recorder = Recorder::start(&[]);
    let [broker] = children(recorder.id())[..] else { panic!("one process keeps privileges") };
    let killed = Command::new("kill").args(["-KILL", &broker.to_string()]).status();
    assert!(killed.expect("kill").success());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let recorded = recorder.stop();
    let causes: Vec<_> =
        recorded.losses().into_iter().map(|loss| (loss.cause, loss.count)).collect();
    assert_eq!(causes, [("broker-ended".to_string(), 1)], "{}", recorded.said);
    assert!(recorded.said.contains("1 broker-ended"), "{}", recorded.said);
}

#[test]
fn nobody_starts_a_broker_by_hand() {
    let output = Command::new(PROGRAM)
        .arg("broker")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not by hand"), "{said}");
}
