//! What the kernel counted while a recording went on: how much each counter of interest grew, and which process is in which cgroup. Never
//! a rate: a recording says how long it was.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::counters::{self, CounterRow};
use afterpath_formats::table::processes;
use std::collections::{BTreeMap, BTreeSet};

/// Counters that judges, and comparisons of recordings, ask for; others stay on the disk.
const OF_INTEREST: &[&str] = &[
    LISTEN_OVERFLOWS,
    LISTEN_DROPS,
    BACKLOG_DROPS,
    THROTTLED_US,
    THROTTLED_NS,
    SOFTNET_DROPPED,
    RECEIVED_DROPPED,
    SENT_DROPPED,
    STOLEN_TICKS,
];

/// All counters are read within this time of the first.
const FIRST_READING_NS: i64 = 500_000_000;

/// Connections that a full accept queue did not take.
pub const LISTEN_OVERFLOWS: &str = "nstat.TcpExtListenOverflows";
/// SYNs that listening sockets dropped.
pub const LISTEN_DROPS: &str = "nstat.TcpExtListenDrops";
/// Segments that a socket's backlog had no room for.
pub const BACKLOG_DROPS: &str = "nstat.TcpExtTCPBacklogDrop";
/// Microseconds for which a cgroup's quota stopped it (v2).
pub const THROTTLED_US: &str = "cgroup.throttled_usec";
/// The same in nanoseconds (v1).
pub const THROTTLED_NS: &str = "cgroup.throttled_time";
/// Packets that a processor's queue had no room for.
pub const SOFTNET_DROPPED: &str = "softnet.dropped";
/// Packets that an interface had received and dropped, by `namespace/interface`.
pub const RECEIVED_DROPPED: &str = "interface.rx_dropped";
/// Packets that an interface was to send and dropped.
pub const SENT_DROPPED: &str = "interface.tx_dropped";

/// Ticks of a processor that the hypervisor gave to others.
pub const STOLEN_TICKS: &str = "cpu.steal_ticks";

/// What was counted, by host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Host, counter, what it is about → how much it grew.
    grew: BTreeMap<(String, String, String), i64>,
    /// Readings of any counter.
    n_readings: usize,
    /// Host and process → its cgroups, as it was told.
    cgroups: BTreeMap<(String, u32), Vec<String>>,
}

impl Counters {
    /// Of all hosts of some bundles. What can't be read is not counted here: the bundle's own reading says so.
    pub fn read(bundles: &Bundles) -> Counters {
        let mut all = Counters::default();
        for (host, named) in (0..).zip(&bundles.hosts) {
            let batches = bundles.batches(host, &counters::TABLE).flatten();
            let rows = batches.flat_map(|batch| counters::rows(&batch)).collect();
            all.learn(&named.name, rows);
            let batches = bundles.batches(host, &processes::TABLE).flatten();
            for row in batches.flat_map(|batch| processes::rows(&batch)) {
                if let Some(cgroup) = row.cgroup {
                    all.add_cgroup(&named.name, row.pid, &cgroup);
                }
            }
        }
        all
    }

    /// Of a host's rows, in any order.
    fn learn(&mut self, host: &str, mut rows: Vec<CounterRow>) {
        self.n_readings += rows.len();
        let begin_ns = rows.iter().map(|row| row.time_ns).min().unwrap_or(0);
        rows.retain(|row| OF_INTEREST.contains(&row.name.as_str()));
        rows.sort_by_key(|row| row.time_ns);
        let mut first: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in rows {
            let subject = row.subject.unwrap_or_default();
            // What had counted nothing until then is told of first when it counts.
            let is_new = row.time_ns.saturating_sub(begin_ns) > FIRST_READING_NS;
            let before = if is_new { 0 } else { row.value };
            let began = *first.entry((row.name.clone(), subject.clone())).or_insert(before);
            let grew = row.value.saturating_sub(began);
            self.add(host, &row.name, &subject, grew);
        }
    }

    /// Notes how much a counter of a host grew.
    pub fn add(&mut self, host: &str, name: &str, subject: &str, grew: i64) {
        let key = (host.to_string(), name.to_string(), subject.to_string());
        let known = self.grew.entry(key).or_default();
        *known = (*known).max(grew);
    }

    /// Notes the cgroup of a process.
    pub fn add_cgroup(&mut self, host: &str, pid: u32, cgroup: &str) {
        self.cgroups.entry((host.to_string(), pid)).or_default().push(cgroup.to_string());
    }

    /// How much a counter about `subject` grew; 0 if it was not recorded.
    pub fn grew(&self, host: &str, name: &str, subject: &str) -> i64 {
        let key = (host.to_string(), name.to_string(), subject.to_string());
        self.grew.get(&key).copied().unwrap_or(0)
    }

    /// Every subject of a counter at a host, with how much it grew.
    pub fn subjects<'a>(
        &'a self,
        host: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a str, i64)> + 'a {
        let all = self.grew.iter().filter(move |((h, n, _), _)| h == host && n == name);
        all.map(|((_, _, subject), grew)| (subject.as_str(), *grew)).filter(|(_, grew)| *grew > 0)
    }

    /// For how many nanoseconds the quota of a process's cgroup, or of one above it, stopped it.
    pub fn throttled_ns(&self, host: &str, pid: u32) -> i64 {
        let Some(cgroups) = self.cgroups.get(&(host.to_string(), pid)) else { return 0 };
        let within = |subject: &str| {
            let is_below = |cgroup: &String| {
                cgroup
                    .strip_prefix(subject)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            subject != "/" && cgroups.iter().any(is_below)
        };
        let most = |name: &'static str| {
            self.subjects(host, name).filter(|(subject, _)| within(subject)).map(|(_, n)| n).max()
        };
        let us = most(THROTTLED_US).unwrap_or(0).saturating_mul(1_000);
        us.max(most(THROTTLED_NS).unwrap_or(0))
    }

    /// Cgroups of a host that a quota stopped, with for how many nanoseconds.
    pub fn stopped<'a>(&'a self, host: &'a str) -> BTreeMap<&'a str, i64> {
        let us = self.subjects(host, THROTTLED_US).map(|(s, us)| (s, us.saturating_mul(1_000)));
        self.subjects(host, THROTTLED_NS).chain(us).collect()
    }

    /// Cgroups of a host that a quota stopped and that no process is known to be in, with for how many nanoseconds.
    pub fn other_quotas(&self, host: &str) -> Vec<(String, i64)> {
        let stopped = self.stopped(host);
        let all = self.cgroups.iter().filter(|((h, _), _)| h == host).flat_map(|(_, all)| all);
        let known: BTreeSet<&str> = all.map(String::as_str).collect();
        let others = stopped.into_iter().filter(|(cgroup, _)| {
            *cgroup != "/" && !known.iter().any(|known| known.starts_with(cgroup))
        });
        others.map(|(cgroup, ns)| (cgroup.to_string(), ns)).collect()
    }

    /// Whether anything was counted at all.
    pub fn is_empty(&self) -> bool {
        self.n_readings == 0 && self.grew.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as (second, value): how much it grew.
    fn check(rows: &[(i64, i64)], expected: i64) {
        let row = |&(second, value): &(i64, i64)| CounterRow {
            time_ns: second * 1_000_000_000,
            name: LISTEN_OVERFLOWS.to_string(),
            subject: Some("pod".to_string()),
            value,
        };
        let other = CounterRow { name: "psi.cpu.some_us".to_string(), ..row(&(0, 9)) };
        let mut counters = Counters::default();
        counters.learn("box", rows.iter().map(row).chain([other]).collect());
        assert_eq!(counters.grew("box", LISTEN_OVERFLOWS, "pod"), expected);
    }

    #[test]
    fn what_was_counted_before_is_left_out() {
        check(&[(0, 70), (3, 75), (5, 90)], 20);
        check(&[(4, 6)], 6);
        check(&[(0, 70)], 0);
        check(&[], 0);
    }

    #[test]
    fn a_quota_stops_all_below_its_cgroup() {
        let mut counters = Counters::default();
        counters.add("box", THROTTLED_US, "/slice/web", 700);
        counters.add_cgroup("box", 7, "/slice/web/worker");
        counters.add_cgroup("box", 8, "/slice/website");
        assert_eq!(counters.throttled_ns("box", 7), 700_000);
        assert_eq!(counters.throttled_ns("box", 8), 0);
        assert_eq!(counters.throttled_ns("other", 7), 0);
    }
}
