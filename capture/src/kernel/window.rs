//! When a program records: always, in the windows of a declared sample, or no longer. Never the clock itself.

use super::clock;
use crate::error::{Error, Result};
use crate::settings::Sample;
use aya::maps::{Array, MapData};

/// The window of one object's programs: calls that begin in it are recorded.
pub(crate) struct Window {
    map: Array<MapData, [u64; 2]>,
    sample: Option<Sample>,
    until_ns: u64,
}

impl Window {
    /// Opens it, now or as `sample` says. Comes after the programs are attached.
    pub(super) fn open(
        probe: &'static str,
        map: Array<MapData, [u64; 2]>,
        sample: Option<Sample>,
    ) -> Result<Window> {
        let mut window = Window { map, sample, until_ns: 0 };
        window.follow().map_err(|error| Error::probe(probe, "window", &error))?;
        Ok(window)
    }

    /// Moves it on when it is over; to be called often.
    pub(crate) fn follow(&mut self) -> std::result::Result<(), aya::maps::MapError> {
        let now_ns = clock::boottime_ns();
        let Some(sample) = self.sample else {
            if self.until_ns == 0 {
                self.until_ns = u64::MAX;
                self.map.set(0, [now_ns as u64, u64::MAX], 0)?;
            }
            return Ok(());
        };
        if (now_ns as u64) < self.until_ns {
            return Ok(());
        }
        let (from, until) = sample.window(clock::realtime_ns());
        let offset_ns = now_ns - clock::realtime_ns();
        let boottime = |realtime_ns: i64| (realtime_ns + offset_ns).max(0) as u64;
        self.until_ns = boottime(until);
        self.map.set(0, [boottime(from), self.until_ns], 0)
    }

    /// Closes it for good. Should that fail, detaching still ends recording, later.
    pub(crate) fn close(&mut self) {
        self.sample = None;
        self.until_ns = u64::MAX;
        let _ = self.map.set(0, [0, 0], 0);
    }
}
