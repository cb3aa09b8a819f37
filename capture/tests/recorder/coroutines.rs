//! Goroutines name themselves in what they send: what is recorded says the same, short lives too.

use super::made::{Recorder, batches, can_record, skip};
use afterpath_formats::table::tasks;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program, built by the Go that the testbed unpacked; `None`, said so, where there is none.
fn program() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("target/testbed/go/bin/go").is_file() {
        skip("goroutines", "Go is not unpacked (tests/testbed/testbed install)");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/goroutines.go");
    let built = Command::new("python3")
        .arg("-B")
        .arg(root.join("tests/testbed/wheels.py"))
        .arg(source)
        .output()
        .expect("python3 starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim()))
}

#[test]
fn each_call_has_its_goroutine_and_its_maker() {
    if !can_record("sockets", "goroutines") || !can_record("coroutines", "goroutines") {
        return;
    }
    let Some(program) = program() else { return };
    let script = format!("sleep 0.2; {}", program.display());
    let probes = ["--probes", "sockets,coroutines", "--payload", "raw", "--", "sh", "-c", &script];
    let recorded = Recorder::start(&probes).wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
    assert_eq!(recorded.losses(), [], "{}", recorded.said);
    let mut threads: BTreeMap<u32, BTreeMap<i64, (i64, Option<i64>)>> = BTreeMap::new();
    for batch in batches(&recorded.path, &tasks::TABLE) {
        for row in tasks::rows(&batch) {
            let task = (row.task_id, row.creator_task_id);
            threads.entry(row.tid).or_default().insert(row.time_ns, task);
        }
    }
    let (mut n_right, mut n_unknown, mut wrong) = (0, 0, Vec::new());
    recorded.each_event(|event| {
        let text = event.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
        // The echo server sends the same: it is another goroutine.
        let Some(named) = text.strip_prefix("ask ").filter(|_| event.direction == Some(2)) else {
            return;
        };
        let (task, maker) = named.split_once(' ').expect("two numbers");
        let named = (task.parse().expect("a number"), maker.parse().ok());
        let until = event.exit_ns.expect("it returned");
        let seen = threads.get(&event.tid).and_then(|rows| rows.range(..=until).next_back());
        match seen {
            None => n_unknown += 1,
            Some((_, seen)) if *seen == named => n_right += 1,
            // The echoing goroutine was made by the one that accepts.
            Some((_, seen)) if seen.1 != named.1 => {}
            Some((_, seen)) => wrong.push((*seen, named)),
        }
    });
    assert_eq!(wrong, [], "goroutines seen, and named");
    assert_eq!((n_right, n_unknown), (300, 0));
}
