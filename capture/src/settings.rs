//! What a recording was asked for. Never what a machine can do: that is `machine`.

use crate::filter::Filter;
use crate::payload::Mode;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// One recording, as asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bundle to be made.
    pub output: PathBuf,
    /// Which probes run.
    pub probes: Wanted,
    /// What is recorded, decided in the kernel.
    pub filter: Filter,
    /// What of payloads is kept.
    pub payload: Mode,
    /// Payload bytes kept of one socket event, at most 4,096.
    pub payload_bytes: u32,
    /// Bytes kept of a frame.
    pub snap_length: u32,
    /// Memory for rings and queues, bytes.
    pub memory_bytes: u64,
    /// The declared reduction.
    pub sample: Option<Sample>,
    /// What a ring keeps; `None`: everything, until the disk is nearly full.
    pub ring: Option<Ring>,
    /// Bytes of the disk that stay free, whatever happens.
    pub keep_free_bytes: u64,
    /// Whether namespaces that appear later are recorded: it takes privileges as long as recording goes on.
    pub follow: bool,
    /// Recording ends by itself after this time.
    pub duration: Option<Duration>,
    /// Runs as long as recording does; empty: nothing.
    pub command: Vec<OsString>,
}

/// Which probes run: those on by default, unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Exactly these; empty: the default ones.
    pub only: Vec<String>,
    /// These too.
    pub with: Vec<String>,
    /// Never these.
    pub without: Vec<String>,
}

/// The first `on` of every `period` of wall-clock time: the same on every host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Recorded.
    pub on: Duration,
    /// Of this.
    pub period: Duration,
}

/// What a ring keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Bytes of the bundle.
    pub bytes: u64,
    /// Events older than this go.
    pub age: Option<Duration>,
}

impl Sample {
    /// The window that `realtime_ns` is in, or the next one: from, until, Unix ns.
    pub(crate) fn window(self, realtime_ns: i64) -> (i64, i64) {
        let (on, period) = (self.on.as_nanos() as i64, self.period.as_nanos().max(1) as i64);
        let begin = realtime_ns - realtime_ns.rem_euclid(period);
        if realtime_ns < begin + on {
            (begin, begin + on)
        } else {
            (begin + period, begin + period + on)
        }
    }

    /// Whether what happened at `realtime_ns` is recorded.
    pub(crate) fn takes(self, realtime_ns: i64) -> bool {
        self.window(realtime_ns).0 <= realtime_ns
    }

    /// In words, for the manifest.
    pub(crate) fn text(self) -> String {
        format!("recorded: the first {:?} of every {:?} of wall-clock time", self.on, self.period)
    }
}

impl Settings {
    /// A recording into `output` with everything else as usual.
    pub fn new(output: PathBuf) -> Settings {
        Settings {
            output,
            probes: Wanted::default(),
            filter: Filter::default(),
            payload: Mode::Masked,
            payload_bytes: 1024,
            snap_length: 1024,
            memory_bytes: 256 << 20,
            sample: None,
            ring: None,
            keep_free_bytes: 512 << 20,
            follow: true,
            duration: None,
            command: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_ns: i64, expected: (i64, i64)) {
        let sample = Sample { on: Duration::from_nanos(10), period: Duration::from_nanos(100) };
        assert_eq!(sample.window(at_ns), expected);
    }

    #[test]
    fn windows_are_those_of_the_wall_clock() {
        check(0, (0, 10));
        check(209, (200, 210));
        check(210, (300, 310));
        check(299, (300, 310));
    }
}
