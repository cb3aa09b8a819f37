//! A ring: what it keeps fits, and what goes first is what explains least.

use super::made::{PACKETS, SOCKET_EVENTS, batch, numbers, recording, rolling, scratch};
use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::recording::{RecordingOptions, Retention};
use afterpath_formats::table::counters::TABLE as COUNTERS;
use std::path::Path;

const N_ROWS: i64 = 40_000;

/// What is left of a recording of as many rows of three tables, by quota and age.
fn ring(bytes: u64, age_ns: Option<i64>) -> (Vec<usize>, Vec<String>) {
    let scratch = scratch();
    let bundle = scratch.path().join("a.afterpath");
    let retention = Some(Retention { bytes, age_ns });
    let mut recording = recording(&bundle, &RecordingOptions { retention, ..rolling(1000) });
    for begin in (0..N_ROWS).step_by(500) {
        for table in [PACKETS, &SOCKET_EVENTS, &COUNTERS] {
            recording.append(table, batch(table, begin..begin + 500)).expect("room");
        }
        recording.sync().expect("room");
    }
    recording.seal().expect("room");
    let found = verify(&bundle).expect("verifiable");
    assert!(found.is_whole(), "{:?}", found.problems);
    let total: u64 = found.manifest.files.iter().map(|file| file.bytes).sum();
    assert!(total <= bytes, "{total} bytes, {bytes} allowed");
    assert!(size(&bundle) <= bytes + 100_000, "something is left behind");
    let n = |table: &str| {
        let files = found.manifest.files.iter().filter(|file| file.table == table);
        files.map(|file| file.n_rows as usize).sum()
    };
    let bundles = Bundles::open(&[bundle]).expect("openable");
    assert_eq!(bundles.warnings, []);
    let said =
        bundles.reductions.iter().map(|(_, r)| format!("{}: {}", r.kind, r.detail)).collect();
    (["packets", "socket_events", "counters"].map(n).to_vec(), said)
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable"));
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => size(&path),
            path => path.metadata().expect("there").len(),
        })
        .sum()
}

/// With this quota these tables have lost rows, and these sentences say so.
fn check(bytes: u64, lost: [bool; 3], said: &[&str]) {
    let (rows, sentences) = ring(bytes, None);
    let is_less: Vec<bool> = rows.iter().map(|n| *n < N_ROWS as usize).collect();
    assert_eq!(is_less, lost, "{rows:?} {sentences:?}");
    let begins = |(sentence, begin): (&String, &&str)| sentence.starts_with(begin);
    assert!(
        sentences.len() == said.len() && sentences.iter().zip(said).all(begins),
        "{sentences:?}"
    );
}

#[test]
fn payload_goes_before_packets_and_those_before_events() {
    check(1 << 30, [false; 3], &[]);
    check(
        2_600_000,
        [false; 3],
        &["evicted: packets: the payloads of ", "evicted: socket_events: the payloads of "],
    );
    check(
        1_200_000,
        [true, false, false],
        &[
            "evicted: packets: ",
            "evicted: packets: the payloads of ",
            "evicted: socket_events: the payloads of ",
        ],
    );
    check(
        480_000,
        [true, true, false],
        &[
            "evicted: packets: ",
            "evicted: packets: the payloads of ",
            "evicted: socket_events: ",
            "evicted: socket_events: the payloads of ",
        ],
    );
}

#[test]
fn what_is_old_goes_whatever_the_room() {
    let (rows, said) = ring(1 << 30, Some(10_000_000));
    // Ten milliseconds are ten thousand rows, and a part more may be there.
    assert!(rows.iter().all(|n| (10_000..=11_000).contains(n)), "{rows:?}");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[1].starts_with("evicted: packets: 29000 rows in 29 parts, from 17"), "{said:?}");
}

#[test]
fn the_newest_rows_are_those_that_stay() {
    let scratch = scratch();
    let bundle = scratch.path().join("a.afterpath");
    let retention = Some(Retention { bytes: 300_000, age_ns: None });
    let mut recording = recording(&bundle, &RecordingOptions { retention, ..rolling(1000) });
    for begin in (0..N_ROWS).step_by(500) {
        recording.append(PACKETS, batch(PACKETS, begin..begin + 500)).expect("room");
        recording.sync().expect("room");
    }
    // While it runs, too: not sealed, one segment open.
    drop(recording);
    let manifest = verify(&bundle).expect("verifiable").manifest;
    let first = manifest.files.iter().filter_map(|file| file.first_ns).min();
    let events = numbers(&Bundles::open(&[bundle]).expect("openable"), &SOCKET_EVENTS);
    assert!(events.is_empty() && first > Some(super::made::FIRST_NS));
}
