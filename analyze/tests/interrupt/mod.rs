//! Signals in the middle of an import: nothing half-made stays, and the exit status tells which signal it was.

use crate::{Place, capture};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Some 100 MB: long enough that most signals come in the middle.
const PACKETS: u32 = 90_000;
/// Far above what an interrupted import takes to end, also on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Ends by itself, or fails the test.
fn status_soon(child: &mut Child) -> i32 {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| panic!("killed by {:?}", status.signal()));
        }
        if since.elapsed() > SOON {
            child.kill().unwrap();
            panic!("still running {SOON:?} after the signal");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Different in every run: only the moment of a signal depends on it.
fn random_ms(below: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) / 1_000 % below
}

#[test]
fn an_interrupted_import_leaves_nothing_and_says_which_signal() {
    let place = Place::new();
    fs::write(place.path("big.pcap"), capture::packets(PACKETS, 1_100)).unwrap();
    let mut before = place.names(".");
    before.sort();
    let mut n_interrupted = 0;
    for (turn, (signal, status)) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("INT", 130)]
        .iter()
        .cycle()
        .take(10)
        .enumerate()
    {
        let mut child = place
            .command(&["import", "big.pcap", "-o", "sig.afterpath"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(30 + random_ms(250)));
        send(signal, &child);
        let ended = status_soon(&mut child);
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        if ended == 0 {
            fs::remove_dir_all(place.path("sig.afterpath")).unwrap();
        } else {
            assert_eq!((ended, said.as_str()), (*status, ""), "turn {turn}, SIG{signal}");
            n_interrupted += 1;
        }
        assert_eq!(place.names("."), before, "turn {turn}: left behind by SIG{signal}");
    }
    assert!(n_interrupted > 0, "no signal came before an import's end");
}

#[test]
fn a_signal_ignored_from_the_start_stays_ignored() {
    let place = Place::new();
    fs::write(place.path("big.pcap"), capture::packets(PACKETS / 4, 1_100)).unwrap();
    let program = env!("CARGO_BIN_EXE_afterpath");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" import big.pcap -o b.afterpath", program])
        .current_dir(place.path("."))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    send("HUP", &child);
    assert_eq!(status_soon(&mut child), 0);
}
