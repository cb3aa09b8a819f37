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

#[test]
fn one_capability_less_is_named() {
    if !can_record("sockets", "capabilities") {
        return;
    }
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let is_paranoid = level.trim().parse::<i32>().is_ok_and(|level| level > 2);
    let needed = if is_paranoid { ",+bpf,+perfmon,+sys_admin" } else { ",+bpf,+perfmon" };
    let (code, said) = record(needed, &["--probes", "sockets,processes"]);
    assert_eq!(code, Some(0), "{said}");
    if is_paranoid {
        let (code, said) = record(",+bpf,+perfmon", &["--probes", "sockets"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("kernel.perf_event_paranoid"), "{said}");
    }
    let (code, said) = record(",+net_raw", &["--probes", "packets"]);
    assert_eq!(code, Some(0), "{said}");
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

#[test]
fn privileges_are_given_up() {
    if !can_record("sockets", "giving up privileges") {
        return;
    }
    // CAP_NET_RAW, CAP_SYS_PTRACE, CAP_SYS_ADMIN.
    let to_follow = 1u64 << 13 | 1 << 19 | 1 << 21;
    for (arguments, allowed) in [(&[][..], to_follow), (&["--no-follow"], 0)] {
        let recorder = Recorder::start(arguments);
        for task in
            std::fs::read_dir(format!("/proc/{}/task", recorder.id())).expect("threads").flatten()
        {
            let status = std::fs::read_to_string(task.path().join("status")).expect("a status");
            for set in ["CapPrm:", "CapEff:"] {
                let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("a set");
                let held = u64::from_str_radix(line.trim(), 16).expect("a number");
                assert_eq!(held & !allowed, 0, "{arguments:?}: {set} {held:x}");
            }
        }
        let recorded = recorder.stop();
        assert_eq!(recorded.losses(), [], "{}", recorded.said);
    }
}
