//! Under what conditions a recording was made: on which machines, and whether something spoilt it as a measurement. Never a judgement of the
//! services.

use crate::analysis::Analysis;
use crate::findings::counters::{Counters, STOLEN_TICKS};
use crate::quantity;
use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::hosts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// More of a recording's time spoils it: stopped by a quota, or taken by other machines on the same hardware.
const SHARE: f64 = 0.01;
/// What `/proc/stat` counts in (USER_HZ, 100 a second on Linux).
const TICK_NS: f64 = 1e7;

/// A machine, as far as it may make a difference; never its name, which is another in every job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Machine {
    /// Processors; `None`: not recorded.
    pub cpus: Option<u32>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

/// Conditions of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Its machines, sorted; none where nothing is known of them.
    pub machines: Vec<Machine>,
    /// What spoilt it, in words.
    pub spoilt: Vec<String>,
}

impl Conditions {
    /// As the recorders wrote them down. Bundles of captures know no machine.
    pub fn read(bundles: &Bundles, analysis: &Analysis) -> Conditions {
        let (mut machines, mut cpus) = (Vec::new(), BTreeMap::new());
        for host in 0..bundles.hosts.len() as u32 {
            let batches = bundles.batches(host, &hosts::TABLE).flatten();
            for row in batches.flat_map(|batch| hosts::rows(&batch)) {
                cpus.extend(row.cpus.map(|n| (row.name.clone(), n)));
                machines.extend(machine(row));
            }
        }
        machines.sort();
        let spoilt = spoilt(&Counters::read(bundles), analysis, &cpus);
        Conditions { machines, spoilt }
    }
}

fn machine(row: hosts::HostRow) -> Option<Machine> {
    let kernel = row.kernel.as_deref().and_then(|kernel| kernel.split_whitespace().next());
    let machine = Machine { cpus: row.cpus, kernel: kernel.map(str::to_string) };
    (row.cpus.is_some() || row.kernel.is_some()).then_some(machine)
}

/// `cpus`: processors of each host, by its name.
fn spoilt(counters: &Counters, analysis: &Analysis, cpus: &BTreeMap<String, u32>) -> Vec<String> {
    let recorded_ns = crate::measure::recorded_ns(analysis).max(1) as f64;
    let hosts: BTreeSet<&str> = analysis.points.iter().map(|point| point.host.as_str()).collect();
    let mut found = Vec::new();
    for host in hosts {
        let stopped = counters.stopped(host).into_iter().filter(|(cgroup, _)| *cgroup != "/");
        let most = stopped.max_by_key(|(_, ns)| *ns);
        if let Some((cgroup, ns)) = most.filter(|(_, ns)| *ns as f64 > SHARE * recorded_ns) {
            let ns = quantity::duration(ns);
            found.push(format!("its CPU quota stopped {cgroup} of {host} for {ns}"));
        }
        let stolen: i64 = counters.subjects(host, STOLEN_TICKS).map(|(_, ticks)| ticks).sum();
        let n_cpus = cpus.get(host).copied().unwrap_or(1).max(1);
        let share = stolen as f64 * TICK_NS / (recorded_ns * f64::from(n_cpus));
        if share > SHARE {
            let share = quantity::share(share, 1.0);
            found
                .push(format!("{share} of {host}'s processor time went to other machines (steal)"));
        }
    }
    let lost = analysis.findings.iter().filter(|finding| finding.judge == "recording");
    found.extend(lost.map(|finding| finding.sentence.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::counters::THROTTLED_US;
    use crate::report::sample;

    /// What spoilt the shop's recording, where a counter of its first host grew so much for each second that it took.
    fn check(name: &str, each_second: f64, n_cpus: u32, expected: Option<&str>) {
        let analysis = sample::shop();
        let host = analysis.points[0].host.clone();
        let seconds = crate::measure::recorded_ns(&analysis) as f64 / 1e9;
        let mut counters = Counters::default();
        counters.add(&host, name, "web", (each_second * seconds).ceil() as i64);
        let found = spoilt(&counters, &analysis, &[(host, n_cpus)].into());
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        assert!(expected.is_none_or(|words| found[0].contains(words)), "{found:?}");
    }

    #[test]
    fn more_than_a_hundredth_of_its_time() {
        check(THROTTLED_US, 20_000.0, 1, Some("quota stopped web"));
        check(THROTTLED_US, 5_000.0, 1, None);
        // A processor has a hundred ticks a second: 10 % of four.
        check(STOLEN_TICKS, 40.0, 4, Some("steal"));
        check(STOLEN_TICKS, 40.0, 256, None);
    }
}
