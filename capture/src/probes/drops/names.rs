//! What the running kernel calls its drop reasons, and its functions. Unknown ones are shown as numbers, or as `?`.

use crate::probes::passage::{Names, Passage};
use std::collections::BTreeMap;
use std::fs;

/// Where tracefs describes the event.
const FORMATS: [&str; 2] = [
    "/sys/kernel/tracing/events/skb/kfree_skb/format",
    "/sys/kernel/debug/tracing/events/skb/kfree_skb/format",
];

/// Names of reasons and of places.
pub(super) struct Dropped {
    reasons: BTreeMap<u32, String>,
    /// Beginnings of functions.
    functions: BTreeMap<u64, String>,
}

impl Dropped {
    /// As this kernel tells them.
    pub(super) fn of_this_kernel() -> Dropped {
        let format = FORMATS.iter().find_map(|path| fs::read_to_string(path).ok());
        let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        Dropped { reasons: reasons(&format.unwrap_or_default()), functions: functions(&symbols) }
    }
}

impl Names for Dropped {
    fn of<'a>(&'a self, passage: &Passage<'_>) -> (&'a str, Option<&'a str>) {
        let function = self.functions.range(..=passage.location).next_back();
        let reason = self.reasons.get(&passage.reason).map_or("?", String::as_str);
        (function.map_or("?", |(_, name)| name), Some(reason))
    }
}

/// `{ 3, "NO_SOCKET" }` …, as the event's format prints them.
fn reasons(format: &str) -> BTreeMap<u32, String> {
    let entries = format.split('{').skip(1).filter_map(|entry| {
        let (number, rest) = entry.split_once(',')?;
        let name = rest.split('"').nth(1)?;
        Some((number.trim().parse().ok()?, name.trim_start_matches("SKB_DROP_REASON_").to_string()))
    });
    entries.collect()
}

/// Functions by address; a kernel that hides addresses shows zeros.
fn functions(symbols: &str) -> BTreeMap<u64, String> {
    let lines = symbols.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address =
            u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
        let is_code = words.next()?.eq_ignore_ascii_case("t");
        is_code.then_some((address, words.next()?.to_string()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(location: u64, reason: u32, expected: (&str, &str)) {
        let format = r#"print fmt: "…", __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 3, "NO_SOCKET" })"#;
        let symbols =
            "0000000000000000 t hidden\nff10 T tcp_v4_rcv\nff20 D data\nff30 t udp_rcv\t[mod]\n";
        let names = Dropped { reasons: reasons(format), functions: functions(symbols) };
        let header = &[];
        let passage = Passage {
            time_ns: 0,
            location,
            point: 0,
            reason,
            ifindex: 0,
            netns: 0,
            length: 0,
            header,
        };
        assert_eq!(names.of(&passage), (expected.0, Some(expected.1)));
    }

    #[test]
    fn names_are_those_of_the_kernel() {
        check(0xff2f, 3, ("tcp_v4_rcv", "NO_SOCKET"));
        check(0xff30, 2, ("udp_rcv", "NOT_SPECIFIED"));
        check(0xff00, 99, ("?", "?"));
    }
}
