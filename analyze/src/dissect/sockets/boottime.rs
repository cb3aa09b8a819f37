//! BOOTTIME → REALTIME of one host, by the readings of its clock table: what happened on sockets gets the clock that stamped
//! the packets. Comes before `dissect`, since the same bytes are joined on one clock. Never relates two hosts.

use afterpath_formats::table::clock::ClockRow;

/// The readings of one host's clocks, by BOOTTIME.
#[derive(Debug, Clone, Default)]
pub struct Boottime {
    /// (BOOTTIME, REALTIME − BOOTTIME, REALTIME was set since the reading before).
    readings: Vec<(i64, i64, bool)>,
    bound_ns: i64,
}

impl Boottime {
    /// Of the rows of the clock table, in any order.
    pub fn of(rows: &[ClockRow]) -> Boottime {
        let mut readings: Vec<_> = rows
            .iter()
            .map(|row| {
                (row.boottime_ns, row.realtime_ns.saturating_sub(row.boottime_ns), row.stepped)
            })
            .collect();
        readings.sort_unstable();
        readings.dedup_by_key(|reading| reading.0);
        let bound_ns = rows.iter().map(|row| row.uncertainty_ns.max(0)).max().unwrap_or(0);
        Boottime { readings, bound_ns }
    }

    /// Whether the clocks were read at all; without, BOOTTIME stays what it is.
    pub fn is_known(&self) -> bool {
        !self.readings.is_empty()
    }

    /// The mapped instant lies within ± this of what REALTIME said then, but for a second in which it was set.
    pub fn bound_ns(&self) -> i64 {
        self.bound_ns
    }

    /// When REALTIME was set, by itself: from the reading before to the one behind, and by how much.
    pub fn sets(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let pairs = self.readings.windows(2).filter(|pair| pair[1].2);
        pairs.map(|pair| {
            let [from_ns, to_ns] =
                [pair[0], pair[1]].map(|reading| reading.0.saturating_add(reading.1));
            (from_ns.min(to_ns), from_ns.max(to_ns), pair[1].1.saturating_sub(pair[0].1))
        })
    }

    /// What REALTIME said at this instant: between two readings on the line through them, outside as the nearest. Where it was
    /// set in between, as the nearer reading: when exactly is not known.
    pub fn realtime_ns(&self, boottime_ns: i64) -> i64 {
        let after = self.readings.partition_point(|reading| reading.0 <= boottime_ns);
        let offset_ns =
            match (after.checked_sub(1).map(|i| self.readings[i]), self.readings.get(after)) {
                (None, None) => 0,
                (Some(only), None) => only.1,
                (None, Some(only)) => only.1,
                (Some(before), Some(next)) if next.2 => {
                    let nearer = boottime_ns.abs_diff(before.0) <= next.0.abs_diff(boottime_ns);
                    if nearer { before.1 } else { next.1 }
                }
                (Some(before), Some(next)) => {
                    on_line((before.0, before.1), (next.0, next.1), boottime_ns)
                }
            };
        boottime_ns.saturating_add(offset_ns)
    }
}

/// The value at an instant on the straight line through two.
pub fn on_line(one: (i64, i64), other: (i64, i64), at_ns: i64) -> i64 {
    let [from, to, at] = [one.0, other.0, at_ns].map(i128::from);
    let more = i128::from(other.1) - i128::from(one.1);
    let value = i128::from(one.1) + more.saturating_mul(at - from) / (to - from).max(1);
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Readings are (BOOTTIME, REALTIME, stepped).
    fn check(readings: &[(i64, i64, bool)], at: i64, expected: i64) {
        let row = |&(boottime_ns, realtime_ns, stepped): &(i64, i64, bool)| ClockRow {
            boottime_ns,
            realtime_ns,
            stepped,
            ..ClockRow::default()
        };
        let rows: Vec<ClockRow> = readings.iter().map(row).collect();
        assert_eq!(Boottime::of(&rows).realtime_ns(at), expected);
    }

    #[test]
    fn between_readings_on_the_line_outside_as_the_nearest() {
        let slewed = [(1_000, 11_000, false), (2_000, 12_100, false)];
        check(&slewed, 1_000, 11_000);
        check(&slewed, 1_500, 11_550);
        check(&slewed, 500, 10_500);
        check(&slewed, 3_000, 13_100);
        check(&[], 77, 77);
    }

    #[test]
    fn when_it_was_set_is_told() {
        let row = |boottime_ns, realtime_ns, stepped| ClockRow {
            boottime_ns,
            realtime_ns,
            stepped,
            ..ClockRow::default()
        };
        let rows = [row(1_000, 11_000, false), row(2_000, 11_500, true), row(3_000, 12_500, false)];
        assert_eq!(Boottime::of(&rows).sets().collect::<Vec<_>>(), [(11_000, 11_500, -500)]);
    }

    #[test]
    fn a_step_is_no_drift() {
        let stepped = [(1_000, 11_000, false), (2_000, 92_000, true), (3_000, 93_000, false)];
        check(&stepped, 1_400, 11_400);
        check(&stepped, 1_600, 91_600);
        check(&stepped, 2_500, 92_500);
    }

    proptest! {
        #[test]
        fn any_readings_are_survived(rows in prop::collection::vec(any::<(i64, i64, bool)>(), 0..6), at in any::<i64>()) {
            let row = |&(boottime_ns, realtime_ns, stepped): &(i64, i64, bool)| ClockRow { boottime_ns, realtime_ns, stepped, ..ClockRow::default() };
            Boottime::of(&rows.iter().map(row).collect::<Vec<_>>()).realtime_ns(at);
        }
    }
}
