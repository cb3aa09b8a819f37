//! Short lives are recorded whole: every process once, with its arguments, parent, beginning and end.

use super::made::{Recorder, batches, can_record};
use afterpath_formats::table::processes::{self, ProcessRow};
use afterpath_formats::table::threads;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

#[test]
fn every_process_is_there_once() {
    if !can_record("processes", "short-lived processes") {
        return;
    }
    let recorder = Recorder::start(&["--probes", "processes"]);
    let id = recorder.id();
    for n in 0..200 {
        let status = Command::new("true").arg(format!("afterpath-test-{n}")).status();
        assert!(status.expect("started").success());
    }
    // It answers before it is killed: one killed within its exec dies under its parent's name, and rightly so.
    let mut killed =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    writeln!(killed.stdin.as_ref().expect("piped"), "here").expect("written");
    let mut answer = [0; 5];
    killed.stdout.as_mut().expect("piped").read_exact(&mut answer).expect("it answers");
    killed.kill().expect("killed");
    killed.wait().expect("it ends");
    let twice = Command::new("sh").args(["-c", "exec sh -c 'exec true afterpath-twice'"]).status();
    assert!(twice.expect("started").success());
    let named = std::thread::Builder::new().name("ap-named".to_string());
    named.spawn(|| ()).expect("a thread").join().expect("it ends");
    let recorded = recorder.stop();
    let rows: Vec<ProcessRow> =
        batches(&recorded.path, &processes::TABLE).iter().flat_map(processes::rows).collect();
    let mut lives: BTreeMap<(u32, i64), ProcessRow> = BTreeMap::new();
    for row in rows {
        assert!(row.valid_to_ns.is_none_or(|to| to >= row.valid_from_ns), "{row:?}");
        // The row with an end counts.
        let life = lives.entry((row.pid, row.valid_from_ns)).or_insert_with(|| row.clone());
        if row.valid_to_ns.is_some() {
            *life = row;
        }
    }
    let own = std::process::id();
    for n in 0..200 {
        let line = format!("true afterpath-test-{n}");
        let found: Vec<_> = lives.values().filter(|row| row.command_line == line).collect();
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        let row = found[0];
        assert_eq!((row.name.as_str(), row.parent_pid), ("true", own), "{row:?}");
        assert!(
            row.valid_to_ns.is_some() && row.exe.ends_with("true") && row.netns != 0,
            "{row:?}"
        );
    }
    let killed = lives.values().find(|row| row.pid == killed.id() && row.name == "cat");
    assert!(killed.is_some_and(|row| row.valid_to_ns.is_some()), "{killed:?}");
    let twice = lives.values().filter(|row| row.command_line == "true afterpath-twice").count();
    assert_eq!(twice, 1);
    assert!(lives.values().all(|row| row.pid != id), "the recorder records itself");
    let threads = batches(&recorded.path, &threads::TABLE);
    let mut threads = threads.iter().flat_map(threads::rows);
    assert!(threads.any(|row| row.pid == own && row.name == "ap-named"), "a thread's name");
}
