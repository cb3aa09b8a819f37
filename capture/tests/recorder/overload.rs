//! More than a small ring can hold: what was made is what is stored and what is lost, exactly, and memory stays in its budget.

use super::made::{Recorder, can_record};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn events_are_stored_or_counted_as_lost() {
    if !can_record("sockets", "overload of a small ring") {
        return;
    }
    const N: usize = 200_000;
    let own = std::process::id().to_string();
    let recorder = Recorder::start(&[
        "--probes",
        "sockets",
        "--payload",
        "raw",
        "--pid",
        &own,
        "--memory",
        "1MiB",
    ]);
    let (mut left, mut right) = UnixStream::pair().expect("a pair");
    let text = [7; 512];
    for _ in 0..N {
        left.write_all(&text).expect("written");
        right.read_exact(&mut [0; 512]).expect("read");
    }
    let recorded = recorder.stop();
    let mut n_stored = 0;
    recorded.each_event(|event| {
        n_stored += usize::from(event.kind == "unix" && event.result == Some(512))
    });
    let lost: i64 =
        recorded.losses().iter().filter(|row| row.cause == "ring-full").map(|row| row.count).sum();
    assert!(lost > 0, "the ring was too small");
    assert!(recorded.losses().iter().all(|row| row.cpu.is_some() && row.from_ns < row.to_ns));
    let mut n_rows = 0;
    recorded.each_event(|_| n_rows += 1);
    assert_eq!(recorded.counter("recorder.records", Some("sockets")), Some(n_rows + lost));
    // All 2 N calls, and nothing else but a few that opened and closed the pair.
    assert!(n_stored as i64 + lost >= 2 * N as i64, "{n_stored} + {lost}");
    assert!(n_stored as i64 + lost <= 2 * N as i64 + 100, "{n_stored} + {lost}");
    let peak = recorded.counter("recorder.peak_memory_bytes", None).expect("told");
    assert!(peak < 160 << 20, "{peak} bytes");
    assert!(recorded.said.contains("ring-full"), "{}", recorded.said);
}
