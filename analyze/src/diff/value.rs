//! Times as 16 bits: 1,024 steps to each doubling, so that a value is at most 0.034 % off. Never negative: a time that clocks make so is 0.

/// Steps to each doubling.
const STEPS: f64 = 1_024.0;

/// Of nanoseconds.
pub fn of(ns: i64) -> u16 {
    match ns {
        ..=0 => 0,
        ns => 1 + (libm::log2(ns as f64) * STEPS + 0.5) as u16,
    }
}

/// Nanoseconds.
pub fn ns(value: u16) -> f64 {
    match value {
        0 => 0.0,
        value => libm::exp2(f64::from(value - 1) / STEPS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_within_a_third_of_a_thousandth() {
        for exact in [1, 2, 3, 999, 123_456, 5_000_000, 1_795_342_443_123, i64::MAX] {
            let back = ns(of(exact)) / exact as f64;
            assert!((back - 1.0).abs() < 0.000_34, "{exact}: {back}");
        }
        assert_eq!([of(0), of(-7)], [0, 0]);
        assert!([1, 2, 3, 100, 101].map(of).is_sorted());
    }
}
