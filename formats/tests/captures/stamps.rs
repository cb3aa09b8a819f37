//! Ticks of every resolution to nanoseconds and back.

use afterpath_formats::import::ticks::Ticks;
use proptest::prelude::*;

fn check(tsresol: u8, offset: i64, ticks: u64, expected_ns: i64, exact: bool) {
    let halves = ((ticks >> 32) as u32, ticks as u32);
    let clock = Ticks::new(Ticks::per_second(tsresol), offset);
    assert_eq!(clock.to_ns(halves.0, halves.1), (expected_ns, (!exact).then_some(halves)));
    if exact {
        assert_eq!(clock.from_ns(expected_ns), Some(halves));
    }
}

#[test]
fn known_stamps() {
    check(6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000, true);
    check(9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789, true);
    check(0, 1_700_000_000, 5, 1_700_000_005_000_000_000, true);
    check(0, -3, 1, -2_000_000_000, true);
    check(12, 0, 1_000_000, 1_000, true);
    check(12, 0, 1_000_001, 1_000, false);
    check(0x80 | 9, 0, 256, 500_000_000, true);
    check(0x80 | 30, 0, 1, 0, false);
    check(0x80 | 32, 0, (7 << 32) | (1 << 31), 7_500_000_000, true);
    // Past the year 2262.
    check(6, 0, u64::MAX, i64::MAX, false);
    check(6, i64::MAX, 0, i64::MAX, false);
    check(6, i64::MIN, 0, i64::MIN, false);
    // Finer than 64 bits hold: less than a second in all.
    check(20, 4, u64::MAX, 4_000_000_000, false);
    check(0xff, 4, 1, 4_000_000_000, false);
}

proptest! {
    #[test]
    fn exact_stamps_return(tsresol in any::<u8>(), offset in any::<i64>(), ticks in any::<u64>()) {
        let clock = Ticks::new(Ticks::per_second(tsresol), offset);
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let (ns, raw) = clock.to_ns(high, low);
        match raw {
            None => prop_assert_eq!(clock.from_ns(ns), Some((high, low))),
            Some(halves) => prop_assert_eq!(halves, (high, low)),
        }
    }

    #[test]
    fn any_time_is_written_or_refused(per_second in any::<u64>(), offset in any::<i64>(), ns in any::<i64>()) {
        let clock = Ticks::new(per_second, offset);
        if let Some((high, low)) = clock.from_ns(ns) {
            prop_assert!(clock.to_ns(high, low).0 <= ns);
        }
    }

    #[test]
    fn resolutions_return(tsresol in any::<u8>()) {
        let per_second = Ticks::per_second(tsresol);
        if let Some(found) = Ticks::resolution(per_second) {
            prop_assert_eq!(Ticks::per_second(found), per_second);
        } else {
            prop_assert_eq!(per_second, u64::MAX);
        }
    }
}
