//! Instants: Unix nanoseconds to ISO 8601 text in a fixed zone, and the moments a person types. Never reads a clock or
//! the machine's time zone.

use std::fmt;

const DAY_S: i64 = 86_400;
const SECOND_NS: i64 = 1_000_000_000;

/// A fixed offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone {
    offset_s: i32,
}

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone { offset_s: 0 };

    /// `Z`, `UTC`, `+02:00`, `-0330`, `+2`.
    pub fn parse(text: &str) -> Option<Zone> {
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Some(Zone::UTC);
        }
        let (sign, digits) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest.replace(':', "")),
            ("-", rest) => (-1, rest.replace(':', "")),
            _ => return None,
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: i32 = digits.parse().ok()?;
        let (hours, minutes) = match digits.len() {
            1 | 2 => (n, 0),
            4 => (n / 100, n % 100),
            _ => return None,
        };
        (hours <= 18 && minutes < 60)
            .then_some(Zone { offset_s: sign * (hours * 3_600 + minutes * 60) })
    }

    /// How far ahead of UTC.
    pub(super) fn minutes(self) -> i32 {
        self.offset_s / 60
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset_s {
            0 => f.write_str("Z"),
            s => {
                let sign = if s < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", s.abs() / 3_600, s.abs() / 60 % 60)
            }
        }
    }
}

/// `2026-11-22T10:14:03.123456Z`: microseconds, rounded down.
pub fn iso(unix_ns: i64, zone: Zone) -> String {
    format!("{}T{}{zone}", date(unix_ns, zone), time_of_day(unix_ns, zone))
}

/// `10:14:03.123456`.
pub fn time_of_day(unix_ns: i64, zone: Zone) -> String {
    let local_s = unix_ns.div_euclid(SECOND_NS) + i64::from(zone.offset_s);
    let s = local_s.rem_euclid(DAY_S);
    let micros = unix_ns.rem_euclid(SECOND_NS) / 1_000;
    format!("{:02}:{:02}:{:02}.{micros:06}", s / 3_600, s / 60 % 60, s % 60)
}

/// `2026-11-22`.
pub fn date(unix_ns: i64, zone: Zone) -> String {
    let local_s = unix_ns.div_euclid(SECOND_NS) + i64::from(zone.offset_s);
    let (y, m, d) = civil(local_s.div_euclid(DAY_S));
    format!("{y:04}-{m:02}-{d:02}")
}

/// A moment as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Unix nanoseconds.
    Unix(i64),
    /// Nanoseconds after the recording's start.
    AfterStart(i64),
    /// Nanoseconds of the day, on the day the recording started (in the zone asked for).
    OfDay(i64),
}

impl Moment {
    /// An ISO 8601 instant (`2026-11-22T10:14:03.1Z`; without a zone: in `zone`), a time of day (`10:14:03`), Unix
    /// seconds, milliseconds, microseconds or nanoseconds (told apart by their digits), or `+12.3s` after the start.
    pub fn parse(text: &str, zone: Zone) -> Option<Moment> {
        let text = text.trim();
        if let Some(offset) = text.strip_prefix('+') {
            return parse_duration(offset).map(Moment::AfterStart);
        }
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return parse_unix(text).map(Moment::Unix);
        }
        if text.as_bytes().get(4) == Some(&b'-') {
            return parse_iso(text, zone).map(Moment::Unix);
        }
        parse_time_of_day(text).map(Moment::OfDay)
    }

    /// Unix nanoseconds, given when the recording started.
    pub fn resolve(self, start_unix_ns: i64, zone: Zone) -> i64 {
        match self {
            Moment::Unix(ns) => ns,
            Moment::AfterStart(ns) => start_unix_ns.saturating_add(ns),
            Moment::OfDay(ns) => {
                let offset_ns = i64::from(zone.offset_s) * SECOND_NS;
                let local = start_unix_ns.saturating_add(offset_ns);
                local
                    .saturating_sub(local.rem_euclid(DAY_S * SECOND_NS))
                    .saturating_add(ns)
                    .saturating_sub(offset_ns)
            }
        }
    }
}

/// `250ms`, `1.5 s`, `80us`, `80µs`, `100ns`, `2m`, `2min`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit_ns: i64 = match text[split..].trim() {
        "" | "s" => SECOND_NS,
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "m" | "min" => 60 * SECOND_NS,
        "h" => 3_600 * SECOND_NS,
        _ => return None,
    };
    scaled(&text[..split], unit_ns)
}

/// Decimal `number` × `unit_ns`, exact in integers; fractions below a nanosecond are cut.
fn scaled(number: &str, unit_ns: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut part: i128 = 0;
    let mut unit = i128::from(unit_ns) * 1_000_000_000;
    for b in fraction.bytes().take(18) {
        unit /= 10;
        part += unit * i128::from(b - b'0');
    }
    whole.checked_mul(unit_ns)?.checked_add(i64::try_from(part / 1_000_000_000).ok()?)
}

fn parse_unix(text: &str) -> Option<i64> {
    let whole = text.split('.').next().unwrap_or(text).len();
    let unit_ns = match whole {
        0..=11 => SECOND_NS,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    scaled(text, unit_ns)
}

fn parse_iso(text: &str, zone: Zone) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let mut next = || parts.next().and_then(|p| p.parse::<i64>().ok());
    let (y, m, d) = (next()?, next()?, next()?);
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) || civil(days(y, m, d)) != (y, m, d) {
        return None;
    }
    let rest = rest.trim_start_matches(['T', 't', ' ', '_']);
    let zone_at =
        rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
    let (time, suffix) = rest.split_at(zone_at);
    let zone = if suffix.is_empty() { zone } else { Zone::parse(suffix.trim())? };
    let time_ns = if time.is_empty() { 0 } else { parse_time_of_day(time)? };
    (days(y, m, d) * DAY_S - i64::from(zone.offset_s)).checked_mul(SECOND_NS)?.checked_add(time_ns)
}

fn parse_time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (h, m) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let seconds_ns = parts.next().map_or(Some(0), |s| scaled(s, SECOND_NS))?;
    let valid = (0..24).contains(&h)
        && (0..60).contains(&m)
        && seconds_ns < 61 * SECOND_NS
        && parts.next().is_none();
    valid.then_some((h * 3_600 + m * 60) * SECOND_NS + seconds_ns)
}

/// Days since 1970-01-01 to year, month, day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, doy - (153 * mp + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(y: i64, m: i64, d: i64) -> i64 {
    let y = y - i64::from(m <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_795_342_443_123_456_789;

    fn check(text: &str, expected: Option<i64>) {
        let got = Moment::parse(text, Zone::UTC).map(|m| m.resolve(START, Zone::UTC));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn moments_a_person_types() {
        check("2026-11-22T10:14:03.123456789Z", Some(START));
        check("2026-11-22 12:14:03.123456789+02:00", Some(START));
        check("10:14:03.123456789", Some(START));
        check("1795342443.123456789", Some(START));
        check("1795342443123456789", Some(START));
        check("1795342443123", Some(START - 456_789));
        check("+12.3s", Some(START + 12_300_000_000));
        check("+250ms", Some(START + 250_000_000));
        check("2026-11-22", Some(START - 36_843_123_456_789));
        check("2026-02-30T00:00:00Z", None);
        check("yesterday", None);
        check("", None);
        check("+", None);
    }

    #[test]
    fn iso_in_a_zone() {
        assert_eq!(iso(START, Zone::UTC), "2026-11-22T10:14:03.123456Z");
        let zone = Zone::parse("+05:30").unwrap();
        assert_eq!(iso(START, zone), "2026-11-22T15:44:03.123456+05:30");
        assert_eq!(iso(-1, Zone::UTC), "1969-12-31T23:59:59.999999Z");
    }

    proptest! {
        #[test]
        fn text_and_back(us in -4_000_000_000_000_000i64..9_000_000_000_000_000) {
            let ns = us * 1_000;
            prop_assert_eq!(parse_iso(&iso(ns, Zone::UTC), Zone::UTC), Some(ns));
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = Moment::parse(&text, Zone::UTC).map(|m| m.resolve(START, Zone::UTC));
            let _ = (parse_duration(&text), Zone::parse(&text));
        }
    }
}
