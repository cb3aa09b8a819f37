//! What the README walks through: a name server that answers late, and no more to go by than the packets of three machines whose clocks
//! are 40 ms apart. The answer must name it, with the clocks put right, from the commands that the README gives.

#![allow(clippy::print_stdout, reason = "the answer is shown")]

use afterpath_tests::recording::Recording;
use afterpath_tests::tool;
use std::path::Path;
use std::process::Command;

/// A classic capture's header, and where a record says its seconds, fraction and length.
const HEADER: usize = 24;
const RECORD: usize = 16;

/// The capture of one namespace as of a machine whose clock is ahead by so many milliseconds.
fn machine(from: &Path, to: &Path, ahead_ms: i64) {
    let mut bytes = std::fs::read(from).expect("it was captured");
    // tcpdump was asked for nanoseconds, and writes this machine's order of bytes.
    assert_eq!(bytes[..4], 0xa1b2_3c4d_u32.to_ne_bytes(), "nanoseconds");
    let mut at = HEADER;
    while at + RECORD <= bytes.len() {
        let word = |i: usize| {
            let four = bytes[at + 4 * i..at + 4 * i + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(four)
        };
        let [seconds, nanos, length] = [0, 1, 2].map(word);
        let ns = i64::from(seconds) * 1_000_000_000 + i64::from(nanos) + ahead_ms * 1_000_000;
        let stamp = [ns / 1_000_000_000, ns % 1_000_000_000].map(|part| part as u32);
        bytes[at..at + 4].copy_from_slice(&stamp[0].to_ne_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&stamp[1].to_ne_bytes());
        at += RECORD + length as usize;
    }
    std::fs::write(to, bytes).expect("it can be written");
}

fn afterpath(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new(tool::own("afterpath"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("it starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("it prints text")
}

#[test]
fn machines_with_clocks_of_their_own_and_no_more_than_packets() {
    let options =
        ["--topology", "mesh", "--requests", "120", "--concurrency", "8", "--fault", "dns-slow"];
    let Some(recording) = Recording::fresh(&options) else { return };
    a_late_name_server_is_found(&recording.path());
    a_proxy_that_nobody_recorded_joins_two_machines(&recording.path());
}

fn a_late_name_server_is_found(recording: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (netns, name, ahead_ms) in
        [("gw7", "gateway", 0), ("podA", "app", 40), ("dns", "names", -40)]
    {
        let from = recording.join(format!("{netns}.eth0.pcap"));
        machine(&from, &folder.path().join(format!("{name}.pcap")), ahead_ms);
    }
    let files = ["gateway.pcap", "app.pcap", "names.pcap"];
    afterpath(folder.path(), &[&["import", "-o", "incident.afterpath"], &files[..]].concat());
    let found = afterpath(folder.path(), &["findings", "incident.afterpath"]);
    println!("{found}");
    assert!(found.starts_with("verdict: fail · names\n"), "{found}");
    assert!(found.contains("fail · slow-dns · names\n"), "{found}");
    assert!(found.contains("names of names is 80.0 ms behind app"), "{found}");
    assert!(found.contains("gateway of gateway is 40.0 ms behind app"), "{found}");
    // And as the application's own team sees it.
    let own =
        afterpath(folder.path(), &["findings", "--for", "app", "--json", "incident.afterpath"]);
    let slow = own.lines().find(|line| line.contains("\"slow-dns\"") && line.contains("\"judge\""));
    let slow = slow.expect("it is told, too");
    assert!(slow.contains("\"side\":\"downstream\""), "{slow}");
}

/// podD's sidecar forwards bytes from its interface to the service on its loopback; of the two sides only the far one was recorded.
fn a_proxy_that_nobody_recorded_joins_two_machines(recording: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (capture, name, ahead_ms) in [("podA.eth0", "app", 0), ("podD.lo", "inner", 40)] {
        let from = recording.join(format!("{capture}.pcap"));
        machine(&from, &folder.path().join(format!("{name}.pcap")), ahead_ms);
    }
    afterpath(folder.path(), &["import", "-o", "two.afterpath", "app.pcap", "inner.pcap"]);
    let clocks = afterpath(folder.path(), &["clocks", "--json", "two.afterpath"]);
    println!("{clocks}");
    let pair: serde_json::Value = clocks
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .find(|line: &serde_json::Value| line["clock"] == "app" && line["other"] == "inner")
        .expect("their clocks are related by what the sidecar forwarded");
    let [ahead, bound] =
        ["ahead_ns", "bound_ns"].map(|field| pair[field].as_i64().expect("it is known"));
    assert!((ahead - 40_000_000).abs() <= bound, "{pair}");
    assert!(bound <= 2_000_000, "{pair}");
    let calls = afterpath(folder.path(), &["export", "--format", "calls", "two.afterpath"]);
    let joined = calls.lines().filter(|call| call.contains("\"forwarding\"")).count();
    assert!(joined > 50, "{joined} calls pass both machines");
}
