//! What Ctrl-C, SIGTERM and SIGHUP do: remove what is unfinished, then end with 128 and the signal's number, as shells count.
//! Never leaves a signal unheard, never hears one that was ignored when the program began (`nohup`).

use crate::staging;

/// Begins to listen. Before any other thread is started: they inherit who hears signals.
#[cfg(unix)]
pub(crate) fn listen() {
    use nix::sys::signal::{SigSet, Signal};
    let ignored = ignored();
    let mut heard = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if ignored >> (signal as i32 - 1) & 1 == 0 {
            heard.add(signal);
        }
    }
    // Where this can't be had, signals end the program at once and leave a hidden folder; no reason not to work.
    if heard.thread_block().is_err() {
        return;
    }
    let wait = move || {
        if let Ok(signal) = heard.wait() {
            end(128 + signal as i32);
        }
    };
    if std::thread::Builder::new().name("signals".into()).spawn(wait).is_err() {
        let _ = heard.thread_unblock();
    }
}

/// Begins to listen.
#[cfg(not(unix))]
pub(crate) fn listen() {
    // Without the handler an interrupt leaves a hidden folder behind; no reason not to work.
    let _ = ctrlc::set_handler(|| end(130));
}

fn end(status: i32) {
    staging::abandon(|| std::process::exit(status));
}

/// The signals ignored when the program began, as the kernel's bits; none where that can't be known.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}
