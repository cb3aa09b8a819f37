//! When recorders and captures lost packets: a packet that is missing there and then may have passed. Never more than a reason to doubt.

use crate::dissect::sockets::boottime::Boottime;
use crate::point::Point;
use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::{clock, losses};
use std::collections::BTreeMap;

/// So long before and after a loss everything is doubtful.
const AROUND_NS: i64 = 1_000_000_000;

/// Causes that leave packets as they are.
const NOT_OF_PACKETS: &[&str] = &[
    "unattached-library",
    "unknown-go-version",
    "untold-socket",
    "untold-tcp-info",
    "long-batch",
    "connections-unread",
    "odd-fraction",
    "unknown-link-type",
    "no-time-stamp",
];

/// Probes that see other things than packets.
const OTHER_PROBES: &[&str] =
    &["sockets", "tls", "coroutines", "wakeups", "processes", "counters", "drops", "kernel_path"];

/// By host, from when to when packets may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts {
    by_host: BTreeMap<String, Vec<(i64, i64)>>,
}

impl Doubts {
    /// Of what bundles say that they lost.
    pub fn of(bundles: &Bundles) -> Doubts {
        let mut doubts = Doubts::default();
        for (number, host) in (0..).zip(&bundles.hosts) {
            let mut clock = None;
            for loss in bundles.losses.iter().filter(|loss| loss.host == number) {
                let row = &loss.row;
                let is_other = NOT_OF_PACKETS.contains(&row.cause.as_str())
                    || OTHER_PROBES.contains(&row.source.as_str());
                if row.count <= 0 || is_other || !losses::is_damage(&row.cause) {
                    continue;
                }
                let clock = clock.get_or_insert_with(|| {
                    let rows = bundles.batches(number, &clock::TABLE).flatten();
                    Boottime::of(&rows.flat_map(|rows| clock::rows(&rows)).collect::<Vec<_>>())
                });
                let at = |ns: Option<i64>, otherwise: i64| match ns {
                    Some(ns) if host.boottime_domain.is_some() => clock.realtime_ns(ns),
                    Some(ns) => ns,
                    None => otherwise,
                };
                let (from_ns, to_ns) = (at(row.from_ns, i64::MIN), at(row.to_ns, i64::MAX));
                doubts.add(&host.name, from_ns, to_ns);
            }
        }
        doubts
    }

    /// Notes a time in which packets may be missing.
    pub fn add(&mut self, host: &str, from_ns: i64, to_ns: i64) {
        let around = (from_ns.saturating_sub(AROUND_NS), to_ns.saturating_add(AROUND_NS));
        self.by_host.entry(host.to_string()).or_default().push(around);
    }

    /// Whether packets may be missing at a point about this time.
    pub fn at(&self, point: &Point, at_ns: i64) -> bool {
        let times = self.by_host.get(&point.host);
        times.is_some_and(|times| times.iter().any(|(from, to)| (*from..=*to).contains(&at_ns)))
    }
}
