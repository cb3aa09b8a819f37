//! A crash between any two steps of compaction and of sealing: the files of that instant, laid out by hand.

use super::made::{PACKETS, batch, host, n_prefix, recording, rolling, scratch, segment};
use afterpath_formats::bundle::names::table_file;
use afterpath_formats::bundle::verify;
use afterpath_formats::recording::repair;
use std::fs;
use std::path::{Path, PathBuf};

/// A bundle before its segment was compacted and after, both unsealed.
struct Instants {
    _scratch: tempfile::TempDir,
    before: PathBuf,
    after: PathBuf,
}

const ROWS: usize = 300;

fn instants() -> Instants {
    let scratch = scratch();
    let (before, after) = (scratch.path().join("before"), scratch.path().join("after"));
    let mut recording = recording(&after, &rolling(ROWS as u64 * 10));
    recording.append(PACKETS, batch(PACKETS, 0..ROWS as i64)).expect("room");
    recording.sync().expect("room");
    copy(&after, &before);
    recording.seal().expect("room");
    // As it was just before the seal.
    let manifest = fs::read_to_string(after.join("manifest.json")).expect("readable");
    let unsealed = manifest.replace("\"sealed\"", "\"unsealed\"");
    fs::write(after.join("manifest.json"), unsealed).expect("writable");
    Instants { _scratch: scratch, before, after }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(|_| ()).expect("writable"),
        }
    }
}

/// At this instant every row is there once, and again after a repair, and after another one.
fn check(what: &str, arrange: impl Fn(&Instants) -> PathBuf) {
    let instants = instants();
    let bundle = arrange(&instants);
    assert_eq!(n_prefix(&bundle, PACKETS), ROWS, "{what}");
    let names: Vec<_> =
        verify(&bundle).expect("verifiable").problems.iter().map(|p| p.kind.name()).collect();
    assert_eq!(names, ["unsealed"], "{what}");
    assert!(!repair(&bundle).expect("repairable").was_sealed, "{what}");
    let found = verify(&bundle).expect("verifiable");
    assert!(found.is_whole(), "{what}: {:?}", found.problems);
    assert_eq!(n_prefix(&bundle, PACKETS), ROWS, "{what}");
    assert!(repair(&bundle).expect("sealed").was_sealed, "{what}");
}

fn part() -> String {
    table_file("packets", &host().folder, 0)
}

#[test]
fn no_step_of_compacting_loses_or_doubles_a_row() {
    check("only segments", |at| at.before.clone());
    check("half a part beside its place", |at| {
        let whole = fs::read(at.after.join(part())).expect("readable");
        let beside = at.before.join(format!("{}.tmp", part()));
        fs::write(beside, &whole[..whole.len() / 2]).expect("writable");
        at.before.clone()
    });
    check("a whole part that nobody lists", |at| {
        fs::copy(at.after.join(part()), at.before.join(part())).expect("writable");
        at.before.clone()
    });
    check("half a manifest beside its place", |at| {
        fs::copy(at.after.join(part()), at.before.join(part())).expect("writable");
        let whole = fs::read(at.after.join("manifest.json")).expect("readable");
        fs::write(at.before.join("manifest.tmp"), &whole[..99]).expect("writable");
        at.before.clone()
    });
    check("a listed part and its segment", |at| {
        let from = segment(&at.before, PACKETS, 0);
        fs::copy(from, segment(&at.after, PACKETS, 0)).expect("writable");
        at.after.clone()
    });
    check("all parts, no seal", |at| at.after.clone());
    check("a segment of no byte", |at| {
        fs::write(segment(&at.before, PACKETS, 1), b"").expect("writable");
        at.before.clone()
    });
    check("a segment with its header alone", |at| {
        let whole = fs::read(segment(&at.before, PACKETS, 0)).expect("readable");
        fs::write(segment(&at.before, PACKETS, 1), &whole[..31]).expect("writable");
        at.before.clone()
    });
}

#[test]
fn a_lock_left_behind_by_a_crash_is_nobodys() {
    let Instants { _scratch, before, .. } = instants();
    assert!(before.join("recording.lock").is_file());
    repair(&before).expect("nobody holds it");
    assert!(!before.join("recording.lock").exists());
    // Killed after the seal, before the lock was gone.
    fs::write(before.join("recording.lock"), b"").expect("writable");
    assert!(verify(&before).expect("verifiable").is_whole());
    assert!(repair(&before).expect("sealed").was_sealed);
    assert!(!before.join("recording.lock").exists());
}
