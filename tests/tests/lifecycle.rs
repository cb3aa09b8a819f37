//! The testbed comes and goes completely: after a command, after Ctrl-C, after being killed. Never shares its process with another
//! suite that makes recordings.

use afterpath_tests::recording::{may_record, testbed};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Namespaces, processes in them, and the state folder that a testbed left.
fn left() -> Vec<String> {
    let namespaces = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = namespaces.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|name| name.starts_with("ap-")).collect();
    let state = std::env::temp_dir().join("ap-testbed");
    found.extend(state.exists().then(|| state.display().to_string()));
    let groups = ["/sys/fs/cgroup/cpu/ap-testbed", "/sys/fs/cgroup/ap-testbed"];
    found.extend(groups.iter().filter(|group| Path::new(group).exists()).map(|g| g.to_string()));
    found
}

fn run(arguments: &[&str]) {
    let status = Command::new(testbed()).args(arguments).status().expect("the testbed starts");
    assert!(status.success(), "testbed {arguments:?}: {status}");
}

/// A recording that has begun: its servers answer.
fn recording(folder: &Path, fault: &str) -> Child {
    let mut command = Command::new(testbed());
    command.args(["record", "--topology", "mesh", "--requests", "400", "--concurrency", "4"]);
    command.args(["--fault", fault]).arg("--out").arg(folder).stdout(Stdio::null());
    let child = command.spawn().expect("the testbed starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    let log = folder.join("truth/service_a.jsonl");
    while std::fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
        assert!(Instant::now() < deadline, "no request was answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
}

#[test]
fn the_testbed_leaves_nothing_behind() {
    if !may_record() {
        return;
    }
    for _ in 0..2 {
        run(&["up", "--topology", "mesh"]);
        assert!(!left().is_empty(), "it is up");
        run(&["down"]);
        assert_eq!(left(), [""; 0], "after down");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut interrupted = recording(&folder.path().join("interrupted"), "cpu:B:50%");
    signal(&interrupted, "-INT");
    let status = interrupted.wait().expect("it ends");
    assert!(!status.success(), "an interrupted recording is none");
    assert_eq!(left(), [""; 0], "after Ctrl-C");

    let mut killed = recording(&folder.path().join("killed"), "delay:l4gw:1ms");
    signal(&killed, "-KILL");
    killed.wait().expect("it ends");
    assert!(!left().is_empty(), "what was killed could not clean up");
    run(&["down"]);
    assert_eq!(left(), [""; 0], "down after a kill");
}
