//! A recorder killed at random instants under load: every bundle opens, at most one second is missing, repair seals it, nothing
//! wrong is read. `AFTERPATH_KILLS` asks for more than the short form's eight.

use super::made::{Load, Recorder, batches, can_record};
use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::recording::{repair, snapshot};
use afterpath_formats::table::socket_events;
use nix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::thread;
use std::time::Duration;

const PROBES: [&str; 6] = ["--probes", "sockets", "--payload", "raw", "--payload-bytes", "8"];

fn boottime_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// Numbers written one by one, until its input ends: a program of its own, so that nothing else has its id.
const LOAD: &str = "
import socket, sys, threading, time
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
left, right = socket.socketpair()
number = 0
while not over.is_set():
    left.send(number.to_bytes(8, 'big'))
    right.recv(8)
    number += 1
    if number % 20 == 0:
        time.sleep(0.001)
";

/// The numbers written, as recorded, and when the last of them was.
fn numbers(bundle: &Path) -> (Vec<u64>, i64) {
    let (mut numbers, mut last_ns) = (Vec::new(), 0);
    for batch in batches(bundle, &socket_events::TABLE) {
        for event in socket_events::rows(&batch) {
            if event.kind == "unix" && event.direction == Some(socket_events::OUTBOUND) {
                let bytes = event.bytes.and_then(|bytes| bytes.try_into().ok());
                numbers.push(u64::from_be_bytes(bytes.expect("eight bytes")));
                last_ns = last_ns.max(event.time_ns);
            }
        }
    }
    numbers.sort_unstable();
    (numbers, last_ns)
}

/// A stretch of numbers without a gap or a repetition.
fn check(numbers: &[u64]) {
    let first = numbers.first().copied().unwrap_or(0);
    let wrong = numbers.iter().zip(first..).position(|(found, expected)| *found != expected);
    let there = wrong.map(|at| (numbers[at - 1], numbers[at]));
    assert_eq!(there, None, "{} numbers from {first}", numbers.len());
}

#[test]
fn a_kill_costs_less_than_a_second_and_nothing_wrong_is_read() {
    if !can_record("sockets", "kills under load") {
        return;
    }
    let n_kills =
        std::env::var("AFTERPATH_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8u64);
    let load = Load::start(LOAD);
    let id = load.id();
    for kill in 0..n_kills {
        let arguments = [&PROBES[..], &["--pid", &id]].concat();
        let recorder = Recorder::start(&arguments);
        // Spread over three syncs, by a fixed sequence.
        let lived = Duration::from_millis(200 + kill * 7919 % 1500);
        thread::sleep(lived);
        recorder.signal("KILL");
        let killed_ns = boottime_ns();
        let recorded = recorder.wait();
        assert_eq!(recorded.code, None);
        let (before, last_ns) = numbers(&recorded.path);
        check(&before);
        // What is older than a second is on disk.
        assert!(!before.is_empty() || lived < Duration::from_millis(1_200), "kill {kill}: nothing");
        if !before.is_empty() {
            assert!(killed_ns - last_ns < 1_000_000_000, "kill {kill}: {} ns", killed_ns - last_ns);
        }
        let done = repair(&recorded.path).expect("it can be sealed");
        assert!(!done.was_sealed);
        let found = verify(&recorded.path).expect("verifiable");
        assert!(found.is_whole(), "{:?}", found.problems);
        assert_eq!(numbers(&recorded.path).0, before, "repair keeps what could be read");
        let bundles = Bundles::open(std::slice::from_ref(&recorded.path)).expect("it opens");
        assert_eq!(bundles.warnings, []);
    }
}

#[test]
fn a_snapshot_is_whole_and_recording_goes_on() {
    if !can_record("sockets", "snapshots") {
        return;
    }
    let load = Load::start(LOAD);
    let id = load.id();
    let arguments = [&PROBES[..], &["--pid", &id]].concat();
    let recorder = Recorder::start(&arguments);
    let folder = tempfile::tempdir().expect("a folder");
    let mut n_before = 0;
    for n in 0..3 {
        thread::sleep(Duration::from_millis(1200));
        let to = folder.path().join(format!("{n}.afterpath"));
        snapshot(recorder.path(), &to).expect("a snapshot");
        let found = verify(&to).expect("verifiable");
        assert!(found.is_whole(), "{:?}", found.problems);
        let (numbers, _) = numbers(&to);
        check(&numbers);
        assert!(numbers.len() > n_before, "it goes on");
        n_before = numbers.len();
    }
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), []);
    assert!(numbers(&recorded.path).0.len() > n_before);
}
