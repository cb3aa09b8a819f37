//! When recording ends: a signal, the time asked for, the end of the command, a failing writer. Never ends a process that it did
//! not start.

use crate::error::{Error, Result};
use crate::kernel::unblocked;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Time a command has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Why recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// SIGINT, SIGTERM, SIGHUP or SIGQUIT.
    Signal,
    /// The time asked for is over.
    Duration,
    /// The command ended.
    CommandEnded,
    /// Writing failed.
    WriteFailed,
    /// The disk is nearly full.
    DiskNearlyFull,
}

impl Reason {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Signal => "stopped by a signal",
            Reason::Duration => "the time asked for is over",
            Reason::CommandEnded => "the command ended",
            Reason::WriteFailed => "writing failed",
            Reason::DiskNearlyFull => "the disk is nearly full",
        }
    }
}

/// Signals that end a recording; caught from here on, in threads started later too.
pub(super) struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    pub(super) fn catch() -> Result<Signals> {
        let failed = |error: Errno| Error::system("catching signals", &error);
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block().map_err(failed)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&set, flags).map_err(failed)?;
        Ok(Signals { descriptor })
    }

    /// Sleeps for `time`, or until a signal comes: then true.
    pub(super) fn sleep(&mut self, time: Duration) -> bool {
        let milliseconds = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let mut wanted = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut wanted, PollTimeout::from(milliseconds));
        matches!(self.descriptor.read_signal(), Ok(Some(_)))
    }
}

/// The command that is recorded.
pub(super) struct Running {
    child: Option<Child>,
    code: Option<i32>,
}

impl Running {
    /// Starts it, if there is one. Signals that were blocked here are not blocked there.
    pub(super) fn start(command: &[OsString]) -> Result<Running> {
        let Some((program, arguments)) = command.split_first() else {
            return Ok(Running { child: None, code: None });
        };
        let child = unblocked(Command::new(program).args(arguments)).spawn();
        let child = child
            .map_err(|error| Error::system(&format!("starting {}", program.display()), &error))?;
        Ok(Running { child: Some(child), code: None })
    }

    /// Whether it ended.
    pub(super) fn has_ended(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        match child.try_wait() {
            Ok(Some(status)) => {
                use std::os::unix::process::ExitStatusExt;
                self.code = status.code().or(status.signal().map(|signal| 128 + signal));
                self.child = None;
                true
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Asks it to end, and makes it end after a grace time. Its exit code, as a shell would tell it.
    pub(super) fn end(mut self) -> Option<i32> {
        let since = Instant::now();
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        }
        while self.child.is_some() && !self.has_ended() {
            if since.elapsed() > GRACE
                && let Some(child) = &mut self.child
            {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.code
    }
}
