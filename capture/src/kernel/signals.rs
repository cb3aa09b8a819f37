//! Signals of a program that is started: those blocked here would stay blocked there. Never sends one.
#![allow(unsafe_code, reason = "what a child does before its program begins has no safe interface")]

use nix::sys::signal::SigSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The command's program will begin with no signal blocked.
pub(crate) fn unblocked(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec nothing is done but pthread_sigmask, which is async-signal-safe; nothing is allocated.
    unsafe { command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?)) }
}
