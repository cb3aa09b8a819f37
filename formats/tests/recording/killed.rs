//! A recorder killed at any instant. The child is this same program, told by its environment to record until it dies.

use super::made::{PACKETS, SOCKET_EVENTS, batch, n_prefix, recording, rolling, scratch};
use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::recording::repair;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const OUTPUT: &str = "AFTERPATH_RECORD_UNTIL_KILLED";

#[test]
fn nothing_that_was_synced_is_missing_after_a_kill() {
    let n_kills = if std::env::var_os("AFTERPATH_LONG").is_some() { 60 } else { 8 };
    for kill in 0..n_kills {
        check(3 + kill * 37 % 300);
    }
}

/// Kills the recorder some time after its sync number `n_syncs`.
fn check(n_syncs: usize) {
    let scratch = scratch();
    let bundle = scratch.path().join("a.afterpath");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "killed::records_until_it_is_killed", "--nocapture"])
        .env(OUTPUT, &bundle)
        .stdout(Stdio::piped())
        .spawn()
        .expect("startable");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let number = |line: &str| line.strip_prefix("synced ").and_then(|n| n.parse::<usize>().ok());
    let mut synced = 0;
    for line in
        lines.by_ref().map_while(Result::ok).filter(|line| number(line).is_some()).take(n_syncs)
    {
        synced = number(&line).expect("a number");
    }
    // The child goes on meanwhile: this is any instant of its work.
    child.kill().expect("killable");
    child.wait().expect("killed");
    synced = lines.map_while(Result::ok).filter_map(|line| number(&line)).last().unwrap_or(synced);
    assert!(synced >= n_syncs * 50, "it recorded nothing");
    for table in [PACKETS, &SOCKET_EVENTS] {
        let n = n_prefix(&bundle, table);
        assert!(n >= synced, "{n} rows of {}, {synced} were synced", table.name);
    }
    let before = n_prefix(&bundle, PACKETS);
    repair(&bundle).expect("repairable");
    let found = verify(&bundle).expect("verifiable");
    assert!(found.is_whole(), "{:?}", found.problems);
    assert_eq!(n_prefix(&bundle, PACKETS), before);
    let bundles = Bundles::open(&[bundle]).expect("openable");
    assert_eq!(bundles.warnings, []);
}

/// Not a test but what the test above starts; without its environment it has nothing to do.
#[test]
fn records_until_it_is_killed() {
    let Some(output) = std::env::var_os(OUTPUT) else { return };
    let mut recording = recording(&PathBuf::from(output), &rolling(700));
    let mut out = std::io::stdout();
    for begin in (0..).step_by(50) {
        recording.append(PACKETS, batch(PACKETS, begin..begin + 50)).expect("room");
        recording.append(&SOCKET_EVENTS, batch(&SOCKET_EVENTS, begin..begin + 50)).expect("room");
        recording.sync().expect("room");
        // The test's end may have closed the pipe.
        let _ = writeln!(out, "synced {}", begin + 50).and_then(|()| out.flush());
    }
}
