//! A disk that fills up: the recorder ends by itself and seals what it has while there is room; where there is none, it says so, what
//! was written opens and can be sealed elsewhere. The disk is a small one of this test's own, in memory.

use super::made::{Load, Recorded, Recorder, batches, can_record};
use afterpath_formats::bundle::verify;
use afterpath_formats::recording::repair;
use afterpath_formats::table::socket_events;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few megabytes; gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Disk {
        let folder = tempfile::tempdir().expect("a folder");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "afterpath-test"])
            .arg(folder.path())
            .status();
        assert!(status.expect("mount starts").success());
        Disk(folder)
    }

    fn bundle(&self) -> PathBuf {
        self.0.path().join("x.afterpath")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0.path()).status();
        assert!(status.is_ok_and(|s| s.success()) || std::thread::panicking(), "it stays mounted");
    }
}

/// Bytes that do not compress, until it is ended.
const LOAD: &str = "
import os, socket, sys, threading
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
left, right = socket.socketpair()
while not over.wait(PAUSE):
    left.send(os.urandom(4096))
    right.recv(4096)
";

/// The load waits so many seconds between its writes.
fn record(disk: &Disk, keep_free: &str, pause: &str) -> Recorded {
    let load = Load::start(&LOAD.replace("PAUSE", pause));
    let id = load.id();
    let arguments = ["--probes", "sockets", "--payload", "raw", "--payload-bytes", "4096"];
    let others = ["--pid", &id, "--keep-free", keep_free, "--for", "120s"];
    Recorder::start_at(&disk.bundle(), &[&arguments[..], &others].concat()).wait()
}

fn n_events(bundle: &Path) -> usize {
    batches(bundle, &socket_events::TABLE).iter().map(|batch| batch.num_rows()).sum()
}

#[test]
fn a_disk_that_is_nearly_full_ends_it_with_a_sealed_bundle() {
    if !can_record("sockets", "a disk that is nearly full") {
        return;
    }
    let disk = Disk::new("400m");
    // Not as fast as it can: a ring that overflows is another test's matter.
    let recorded = record(&disk, "300MiB", "0.0002");
    assert_eq!(recorded.code, Some(1), "{}", recorded.said);
    assert!(recorded.said.contains("the disk is nearly full after"), "{}", recorded.said);
    assert!(!recorded.said.contains("not sealed"), "{}", recorded.said);
    let found = verify(&disk.bundle()).expect("it opens");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert!(found.losses.is_empty(), "{:?}", found.losses);
    assert!(n_events(&disk.bundle()) > 1000);
}

#[test]
fn a_full_disk_is_named_and_what_was_written_is_whole() {
    if !can_record("sockets", "a full disk") {
        return;
    }
    let disk = Disk::new("40m");
    let recorded = record(&disk, "0", "0");
    assert_eq!(recorded.code, Some(1), "{}", recorded.said);
    assert!(recorded.said.contains("writing failed after"), "{}", recorded.said);
    assert!(recorded.said.contains("No space left on device"), "{}", recorded.said);
    assert!(recorded.said.contains("not sealed"), "{}", recorded.said);
    assert!(recorded.said.contains("not-written"), "{}", recorded.said);
    let n_before = n_events(&disk.bundle());
    assert!(n_before > 1000, "{n_before}");
    // Where there is room, it is sealed with all that it had.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("x.afterpath");
    let copied = Command::new("cp").arg("-r").arg(disk.bundle()).arg(&copy).status();
    assert!(copied.expect("cp starts").success());
    repair(&copy).expect("it can be repaired");
    let found = verify(&copy).expect("it opens");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(n_events(&copy), n_before);
}
