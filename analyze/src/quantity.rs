//! Numbers as a person reads them: durations, bytes, counts, shares; and exact percentiles that know what was censored.
//! Never interpolates, never rounds a value that a program will read.

use super::measure::Seen;

/// `312 µs`, `1.24 ms`, `2.05 s`, `3 min 20 s`: three digits in the unit a person would pick.
pub fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs();
    let text = match size {
        0..1_000 => format!("{size} ns"),
        1_000..999_500 => three_digits(size, 1_000, "µs"),
        999_500..999_500_000 => three_digits(size, 1_000_000, "ms"),
        999_500_000..119_500_000_000 => three_digits(size, 1_000_000_000, "s"),
        _ => minutes((size + 500_000_000) / 1_000_000_000),
    };
    format!("{sign}{text}")
}

/// [`duration`], with `≥` when the end was not seen.
pub fn seen(seen: Seen) -> String {
    if seen.at_least { format!("≥ {}", duration(seen.ns)) } else { duration(seen.ns) }
}

/// [`duration`], `-` for what is unknown.
pub fn known(ns: Option<i64>) -> String {
    ns.map_or_else(|| "-".to_owned(), duration)
}

/// `812 B`, `1.20 kB`, `3.45 GB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..999_500 => three_digits(n, 1_000, "kB"),
        999_500..999_500_000 => three_digits(n, 1_000_000, "MB"),
        _ => three_digits(n, 1_000_000_000, "GB"),
    }
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `1 call`, `2 calls`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `42 %`, `0.3 %`, `<0.1 %`; `-` of nothing.
pub fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "-".to_owned();
    }
    let percent = part / whole * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        p if p > 0.0 && p < 0.1 => "<0.1 %".to_owned(),
        p if p.abs() < 9.95 || (p > 99.0 && p < 99.95) => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// `12.3/s`.
pub fn rate(n: u64, over_ns: i64) -> String {
    if over_ns <= 0 {
        return "-".to_owned();
    }
    let per_second = n as f64 * 1e9 / over_ns as f64;
    if per_second >= 99.95 { format!("{per_second:.0}/s") } else { format!("{per_second:.2}/s") }
}

/// Values of which some are only known to be at least so large, sorted once.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    sorted: Vec<Seen>,
}

impl Distribution {
    /// Of these values.
    pub fn of(mut values: Vec<Seen>) -> Self {
        values.sort_unstable();
        Distribution { sorted: values }
    }

    /// Of values that are all exact.
    pub fn exact(values: impl IntoIterator<Item = i64>) -> Self {
        Self::of(values.into_iter().map(|ns| Seen { ns, at_least: false }).collect())
    }

    /// The nearest-rank percentile, `None` of nothing. It is a lower bound (`at_least`) when a censored value at or below
    /// this rank could, once known, move the rank up.
    pub fn percentile(&self, permille: u32) -> Option<Seen> {
        let n = self.sorted.len();
        let rank = (n * permille as usize).div_ceil(1_000).clamp(1, n.max(1)) - 1;
        let ns = self.sorted.get(rank)?.ns;
        Some(Seen { ns, at_least: self.sorted[..=rank].iter().any(|v| v.at_least) })
    }

    /// The largest value.
    pub fn max(&self) -> Option<Seen> {
        let ns = self.sorted.last()?.ns;
        Some(Seen { ns, at_least: self.sorted.iter().any(|v| v.at_least) })
    }

    /// How many values.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Sum of all values, lower bounds included as they are.
    pub fn sum_ns(&self) -> i128 {
        self.sorted.iter().map(|v| i128::from(v.ns)).sum()
    }
}

/// [`seen`] of a percentile, `-` of nothing.
pub fn percentile(value: Option<Seen>) -> String {
    value.map_or_else(|| "-".to_owned(), seen)
}

fn three_digits(value: u64, unit: u64, name: &str) -> String {
    let whole = value as f64 / unit as f64;
    match whole {
        w if w < 9.995 => format!("{w:.2} {name}"),
        w if w < 99.95 => format!("{w:.1} {name}"),
        w => format!("{w:.0} {name}"),
    }
}

fn minutes(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(ns: i64, expected: &str) {
        assert_eq!(duration(ns), expected);
    }

    #[test]
    fn durations_in_the_unit_a_person_picks() {
        check(0, "0 ns");
        check(999, "999 ns");
        check(1_240_000, "1.24 ms");
        check(312_000, "312 µs");
        check(12_340, "12.3 µs");
        check(999_600, "1.00 ms");
        check(2_050_000_000, "2.05 s");
        check(200_000_000_000, "3 min 20 s");
        check(-45_000, "-45.0 µs");
        check(7_260_000_000_000, "2 h 1 min");
        check(i64::MIN, "-2562047 h 47 min");
    }

    #[test]
    fn counts_and_shares() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "call"), "1 call");
        assert_eq!(share(1.0, 3.0), "33 %");
        assert_eq!(share(0.0, 0.0), "-");
        assert_eq!(share(1.0, 1e6), "<0.1 %");
        assert_eq!(share(999.0, 1000.0), "99.9 %");
        assert_eq!(bytes(1_200), "1.20 kB");
    }

    #[test]
    fn a_censored_value_below_the_rank_makes_it_a_lower_bound() {
        let open = Seen { ns: 5, at_least: true };
        let values = (1..=9).map(|ns| Seen { ns, at_least: false }).chain([open]).collect();
        let d = Distribution::of(values);
        assert_eq!(d.percentile(500), Some(Seen { ns: 5, at_least: false }));
        assert_eq!(d.percentile(900), Some(Seen { ns: 8, at_least: true }));
        assert_eq!(d.max(), Some(Seen { ns: 9, at_least: true }));
        assert_eq!(Distribution::default().percentile(500), None);
    }

    proptest! {
        #[test]
        fn nearest_rank_by_its_definition(mut values in proptest::collection::vec(0i64..1_000, 1..50), permille in 1u32..=1_000) {
            let got = Distribution::exact(values.clone()).percentile(permille).unwrap().ns;
            values.sort_unstable();
            // The smallest value that at least this share of all values do not exceed.
            let expected = values.iter().find(|v| {
                values.iter().filter(|w| w <= v).count() * 1_000 >= values.len() * permille as usize
            }).unwrap();
            prop_assert_eq!(got, *expected);
        }
    }
}
