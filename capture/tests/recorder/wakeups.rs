//! Work handed from one thread to another by a lock: who woke whom, and no wake-up that an interrupt did is a thread's.

use super::made::{Recorder, batches, can_record};
use afterpath_formats::table::wakeups;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

fn own_tid() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}

#[test]
fn a_hand_over_names_both_threads() {
    if !can_record("wakeups", "wake-ups") {
        return;
    }
    let recorder = Recorder::start(&["--probes", "wakeups"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("open");
    let (mut server, _) = listener.accept().expect("open");
    let (to_worker, work) = mpsc::channel::<()>();
    let (to_front, done) = mpsc::channel::<u32>();
    let worker = std::thread::spawn(move || {
        // It touches a socket, then waits for work on a lock.
        server.write_all(b"x").expect("written");
        for () in work {
            // Until the other sleeps, too.
            std::thread::sleep(Duration::from_millis(2));
            to_front.send(own_tid()).expect("somebody waits");
        }
    });
    client.read_exact(&mut [0]).expect("read");
    client.write_all(b"y").expect("written");
    let mut worker_tid = 0;
    for _ in 0..20 {
        // Long enough for the other to sleep.
        std::thread::sleep(Duration::from_millis(5));
        to_worker.send(()).expect("it waits");
        worker_tid = done.recv().expect("it answers");
    }
    drop(to_worker);
    worker.join().expect("it ends");
    let recorded = recorder.stop();
    let rows: Vec<_> = batches(&recorded.path, &wakeups::TABLE)
        .iter()
        .flat_map(|batch| wakeups::rows(batch).collect::<Vec<_>>())
        .collect();
    let own = own_tid();
    let from_to = |waker: u32, woken: u32| {
        rows.iter().filter(|row| (row.waker_tid, row.woken_tid) == (waker, woken)).count()
    };
    assert!(from_to(own, worker_tid) >= 15, "{rows:?}");
    assert!(from_to(worker_tid, own) >= 5, "{rows:?}");
    // Sleeping ends by a timer: an interrupt.
    assert!(from_to(0, own) >= 15, "{rows:?}");
    assert!(rows.iter().all(|row| row.running_ns >= Some(row.time_ns)));
}
