//! What an import holds in memory does not grow with its capture: several millions of packets, which no sorted run holds at once.

use afterpath_tests::generate::{NO_LIMIT, Recipe, http_capture};
use afterpath_tests::tool::own;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

/// Many times what an import sorts at once (`formats/src/import/`).
const N_PACKETS: u64 = 3_000_000;
/// What ARCHITECTURE.md promises, at any number of threads.
const MOST_KIB: i64 = 1 << 20;

#[test]
fn the_peak_of_an_import_stays_under_a_gibibyte() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("long.pcap");
    let mut out = BufWriter::new(File::create(&capture).expect("a capture"));
    let recipe = Recipe { seed: 1, n_packets: N_PACKETS, snap_length: NO_LIMIT };
    let totals = http_capture(recipe, &mut out).expect("a capture");
    out.flush().expect("a capture");
    let bundle = folder.path().join("long.afterpath");
    let mut import = Command::new(own("afterpath"));
    let output = import.args(["import", "--threads", "8"]).arg(&capture).arg("-o").arg(&bundle);
    let output = output.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    let n_packets = totals.n_packets.to_string();
    assert!(told.split_whitespace().any(|word| word.replace(',', "") == n_packets), "{told}");
    // The largest of this test's children: it has no other.
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss();
    assert!((1 << 17..MOST_KIB).contains(&peak_kib), "{peak_kib} KiB");
}
