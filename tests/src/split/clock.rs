//! Clocks that are known to be wrong: how a machine's clocks were bent, and the way back. Never measures anything.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// How far the clock of a `step` is set back: a long way beside any request, and time that comes twice.
const STEP_NS: i64 = -150_000_000;
/// BOOTTIME counts from another boot: so much is added to it.
const OTHER_BOOT_NS: i64 = 3_600_000_000_000;

/// What is to be done to the clocks of one namespace's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bend {
    /// The namespace that becomes a machine of its own.
    pub netns: String,
    /// REALTIME is ahead by so much.
    pub offset_ns: i64,
    /// Its oscillator is fast by so much: all its clocks gain it.
    pub drift_ppb: i64,
    /// REALTIME is set by so much in the middle of the recording.
    pub step_ns: Option<i64>,
}

impl Bend {
    /// Of a fault's words: `clock:podC:+37ms,+40ppm`, `clock:podC:step`.
    ///
    /// # Errors
    /// When they say something else.
    pub fn parse(fault: &str) -> Result<Bend> {
        let usage = || {
            format!(
                "{fault}: clock:POD:OFFSET,DRIFT such as clock:podC:+37ms,+40ppm, or clock:POD:step"
            )
        };
        let mut words = fault.split(':');
        let (Some("clock"), Some(netns), Some(how), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!(usage());
        };
        let bend = Bend { netns: netns.to_string(), offset_ns: 0, drift_ppb: 0, step_ns: None };
        if how == "step" {
            return Ok(Bend { step_ns: Some(STEP_NS), ..bend });
        }
        let (offset, drift) = how.split_once(',').with_context(usage)?;
        let units = [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("s", 1e9)];
        let offset_ns = number(offset, &units).with_context(usage)?;
        let drift_ppb = number(drift, &[("ppm", 1e3), ("ppb", 1.0)]).with_context(usage)?;
        ensure!(drift_ppb.abs() < 1_000_000_000, usage());
        Ok(Bend { offset_ns, drift_ppb, ..bend })
    }
}

fn number(text: &str, units: &[(&str, f64)]) -> Option<i64> {
    let (amount, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let amount: f64 = amount.parse().ok()?;
    amount.is_finite().then_some((amount * unit).round() as i64)
}

/// The clocks of a machine, related to those of the one it was split from: t′ = t + drift · (t − base) + offset, and from its
/// step on by so much more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The machine's name.
    pub host: String,
    /// Where its drift counts from, Unix nanoseconds.
    pub base_realtime_ns: i64,
    /// The same instant on BOOTTIME.
    pub base_boottime_ns: i64,
    /// REALTIME is ahead by so much at the base.
    pub offset_ns: i64,
    /// BOOTTIME is ahead by so much at the base.
    pub boottime_offset_ns: i64,
    /// All clocks gain so much, parts per billion.
    pub drift_ppb: i64,
    /// When REALTIME was set, and by how much.
    pub step: Option<Step>,
}

/// A clock that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, on the clock it was split from, Unix nanoseconds.
    pub at_realtime_ns: i64,
    /// Added from then on.
    pub by_ns: i64,
}

impl Clock {
    /// The clock of a bend, of a recording from `base` to `end` (BOOTTIME, REALTIME).
    pub fn new(bend: &Bend, base: (i64, i64), end: (i64, i64)) -> Clock {
        let middle_ns = base.1 + (end.1 - base.1) / 2;
        Clock {
            host: bend.netns.clone(),
            base_realtime_ns: base.1,
            base_boottime_ns: base.0,
            offset_ns: bend.offset_ns,
            boottime_offset_ns: OTHER_BOOT_NS,
            drift_ppb: bend.drift_ppb,
            step: bend.step_ns.map(|by_ns| Step { at_realtime_ns: middle_ns, by_ns }),
        }
    }

    /// What its REALTIME says at an instant of the true one.
    pub fn realtime_ns(&self, true_ns: i64) -> i64 {
        let step = self.step.filter(|step| true_ns >= step.at_realtime_ns);
        self.steady_ns(true_ns) + step.map_or(0, |step| step.by_ns)
    }

    /// The same as if nobody had set it.
    fn steady_ns(&self, true_ns: i64) -> i64 {
        true_ns + self.gained_ns(true_ns - self.base_realtime_ns) + self.offset_ns
    }

    /// What its BOOTTIME (or MONOTONIC_RAW) says.
    pub fn boottime_ns(&self, true_ns: i64) -> i64 {
        true_ns + self.gained_ns(true_ns - self.base_boottime_ns) + self.boottime_offset_ns
    }

    fn gained_ns(&self, since_base_ns: i64) -> i64 {
        (i128::from(since_base_ns) * i128::from(self.drift_ppb) / 1_000_000_000) as i64
    }

    /// The true instant at which its REALTIME said so, within a nanosecond; of two, the earlier.
    pub fn true_ns(&self, said_ns: i64) -> i64 {
        let before = self.unsteadied_ns(said_ns);
        match self.step {
            Some(step) if before >= step.at_realtime_ns => self.unsteadied_ns(said_ns - step.by_ns),
            _ => before,
        }
    }

    fn unsteadied_ns(&self, said_ns: i64) -> i64 {
        let since_ns = i128::from(said_ns - self.offset_ns - self.base_realtime_ns);
        let rate = 1_000_000_000 + i128::from(self.drift_ppb);
        self.base_realtime_ns + (since_ns * 1_000_000_000 / rate) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let check = |fault: &str, expected: Option<(i64, i64, Option<i64>)>| {
            let found = Bend::parse(fault).ok().map(|b| (b.offset_ns, b.drift_ppb, b.step_ns));
            assert_eq!(found, expected, "{fault}");
        };
        check("clock:podC:+37ms,+40ppm", Some((37_000_000, 40_000, None)));
        check("clock:podC:-1.5s,-2ppb", Some((-1_500_000_000, -2, None)));
        check("clock:podC:step", Some((0, 0, Some(STEP_NS))));
        check("clock:podC:+37ms", None);
        check("clock:podC:+37,+40ppm", None);
        check("clock:podC", None);
        check("stall:C:500ms", None);
    }

    #[test]
    fn the_way_back_leads_back() {
        let base = (5_000_000_000, 1_700_000_000_000_000_000);
        let end = (base.0 + 60_000_000_000, base.1 + 60_000_000_000);
        for fault in ["clock:x:+37ms,+40ppm", "clock:x:-2s,-100ppm", "clock:x:step"] {
            let clock = Clock::new(&Bend::parse(fault).expect("words"), base, end);
            for after_ns in (0..60_000_000_000).step_by(777_777_777) {
                let true_ns = base.1 + after_ns;
                let back = clock.true_ns(clock.realtime_ns(true_ns));
                // What a clock that was set back said twice has an earlier instant, too.
                let twice = clock.step.map_or(0, |step| step.by_ns.min(0));
                let since_step = clock.step.map_or(i64::MAX, |step| true_ns - step.at_realtime_ns);
                let expected =
                    if (0..-twice).contains(&since_step) { true_ns + twice } else { true_ns };
                assert!((back - expected).abs() <= 1, "{fault} {after_ns}: {}", back - expected);
            }
        }
    }

    #[test]
    fn both_clocks_of_a_machine_gain_alike_and_a_step_sets_one() {
        let bend = Bend::parse("clock:x:+1ms,+1000ppm").expect("words");
        let clock = Clock::new(&bend, (0, 1_000), (2_000_000_000, 2_000_001_000));
        assert_eq!(
            clock.realtime_ns(1_000 + 1_000_000_000),
            1_000 + 1_000_000_000 + 1_000_000 + 1_000_000
        );
        assert_eq!(clock.boottime_ns(1_000_000_000) - clock.boottime_ns(0), 1_001_000_000);
        let stepped = Clock::new(&Bend::parse("clock:x:step").expect("words"), (0, 0), (10, 10));
        assert_eq!([4, 5].map(|at| stepped.realtime_ns(at)), [4, 5 + STEP_NS]);
        assert_eq!(stepped.boottime_ns(5) - stepped.boottime_ns(4), 1);
    }
}
