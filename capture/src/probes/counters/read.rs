//! Counter files below `/proc` and `/sys`, read into names and values. Never keeps one, never fails: what is not there counts
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// Takes a counter: its name, what it is about, its value.
pub(super) type Take<'a> = dyn FnMut(&str, &str, i64) + 'a;

/// Cgroups looked at, at most.
const MAX_CGROUPS: usize = 2000;

/// `/proc/net/netstat` and `snmp`: a line of names, then one of values, each behind the protocol. `nstat.TcpRetransSegs` …
pub(super) fn nstat(text: &str, subject: &str, take: &mut Take<'_>) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((protocol, names)) = names.split_once(':') else { return };
        let Some((_, values)) = values.split_once(':') else { return };
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if let Ok(value) = value.parse() {
                take(&format!("nstat.{protocol}{name}"), subject, value);
            }
        }
    }
}

/// `/proc/net/dev`: losses and errors of each interface.
pub(super) fn interfaces(text: &str, namespace: &str, take: &mut Take<'_>) {
    const COLUMNS: [(&str, usize); 8] = [
        ("interface.rx_packets", 1),
        ("interface.rx_errors", 2),
        ("interface.rx_dropped", 3),
        ("interface.rx_fifo_errors", 4),
        ("interface.tx_packets", 9),
        ("interface.tx_errors", 10),
        ("interface.tx_dropped", 11),
        ("interface.tx_fifo_errors", 12),
    ];
    for line in text.lines().skip(2) {
        let Some((name, values)) = line.split_once(':') else { continue };
        let values: Vec<&str> = values.split_whitespace().collect();
        let subject = format!("{namespace}/{}", name.trim());
        for (counter, column) in COLUMNS {
            if let Some(value) = values.get(column).and_then(|value| value.parse().ok()) {
                take(counter, &subject, value);
            }
        }
    }
}

/// `/proc/net/softnet_stat`: a line per processor, hexadecimal.
pub(super) fn softnet(text: &str, take: &mut Take<'_>) {
    for (n, line) in text.lines().enumerate() {
        let values: Vec<i64> =
            line.split_whitespace().filter_map(|v| i64::from_str_radix(v, 16).ok()).collect();
        // The processor's number is a column of its own since 5.10.
        let cpu = values.get(12).copied().unwrap_or(n as i64);
        let names = ["softnet.processed", "softnet.dropped", "softnet.time_squeeze"];
        for (name, value) in names.iter().zip(&values) {
            take(name, &format!("cpu{cpu}"), *value);
        }
    }
}

/// `/proc/stat`: ticks of each processor that something took away.
pub(super) fn processors(text: &str, take: &mut Take<'_>) {
    const COLUMNS: [(&str, usize); 5] = [
        ("cpu.user_ticks", 0),
        ("cpu.system_ticks", 2),
        ("cpu.idle_ticks", 3),
        ("cpu.softirq_ticks", 6),
        ("cpu.steal_ticks", 7),
    ];
    for line in text.lines().filter(|line| line.starts_with("cpu")) {
        let mut words = line.split_whitespace();
        let Some(subject) = words.next().filter(|name| *name != "cpu") else { continue };
        let values: Vec<&str> = words.collect();
        for (name, column) in COLUMNS {
            if let Some(value) = values.get(column).and_then(|value| value.parse().ok()) {
                take(name, subject, value);
            }
        }
    }
}

/// `/proc/pressure/…`: time in which some, or all, tasks waited, µs.
pub(super) fn pressure(root: &Path, take: &mut Take<'_>) {
    for what in ["cpu", "memory", "io"] {
        let text = fs::read_to_string(root.join("proc/pressure").join(what)).unwrap_or_default();
        for line in text.lines() {
            let kind = line.split(' ').next().unwrap_or_default();
            let total = line.split("total=").nth(1).and_then(|value| value.trim().parse().ok());
            if let Some(total) = total {
                take(&format!("psi.{what}.{kind}_us"), "", total);
            }
        }
    }
}

/// Throttling and memory events of every cgroup, of both hierarchies.
pub(super) fn cgroups(root: &Path, take: &mut Take<'_>) {
    let top = root.join("sys/fs/cgroup");
    // Where the controllers are mounted apart (v1, hybrid), only those that count something of interest.
    let is_v2 = top.join("cgroup.controllers").exists();
    let roots: Vec<PathBuf> = match is_v2 {
        true => vec![top],
        false => ["unified", "cpu", "memory"].iter().map(|name| top.join(name)).collect(),
    };
    let mut n_left = MAX_CGROUPS;
    for root in roots {
        walk(&root, &root, &mut n_left, take);
    }
}

fn walk(root: &Path, folder: &Path, n_left: &mut usize, take: &mut Take<'_>) {
    if *n_left == 0 {
        return;
    }
    *n_left -= 1;
    let subject = format!("/{}", folder.strip_prefix(root).unwrap_or(folder).display());
    cgroup(folder, &subject, take);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(root, &entry.path(), n_left, take);
        }
    }
}

fn cgroup(folder: &Path, subject: &str, take: &mut Take<'_>) {
    const FILES: [(&str, &[&str]); 3] = [
        ("cpu.stat", &["nr_throttled", "throttled_usec", "throttled_time"]),
        ("memory.events", &["high", "max", "oom", "oom_kill"]),
        ("memory.oom_control", &["oom_kill"]),
    ];
    for (file, wanted) in FILES {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(' ')
                && wanted.contains(&name)
                && let Ok(value) = value.trim().parse()
            {
                take(&format!("cgroup.{name}"), subject, value);
            }
        }
    }
    let failed = fs::read_to_string(folder.join("memory.failcnt")).unwrap_or_default();
    if let Ok(value) = failed.trim().parse() {
        take("cgroup.memory_failcnt", subject, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: impl FnOnce(&mut Take<'_>), expected: &[(&str, &str, i64)]) {
        let mut found = Vec::new();
        read(&mut |name, subject, value| {
            found.push((name.to_string(), subject.to_string(), value))
        });
        let found: Vec<_> = found.iter().map(|(n, s, v)| (n.as_str(), s.as_str(), *v)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_as_the_kernel_writes_them() {
        let text = "TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 4\nIpExt: InOctets\nIpExt: 18446744073709551615\n";
        check(
            |take| nstat(text, "podA", take),
            &[("nstat.TcpExtListenOverflows", "podA", 3), ("nstat.TcpExtListenDrops", "podA", 4)],
        );
        check(
            |take| softnet("0000000a 00000001 00000002 0 0 0 0 0 0 0 0 0 00000001\n", take),
            &[
                ("softnet.processed", "cpu1", 10),
                ("softnet.dropped", "cpu1", 1),
                ("softnet.time_squeeze", "cpu1", 2),
            ],
        );
        let dev = "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        check(
            |take| interfaces(dev, "podA", take),
            &[
                ("interface.rx_packets", "podA/eth0", 2),
                ("interface.rx_errors", "podA/eth0", 3),
                ("interface.rx_dropped", "podA/eth0", 4),
                ("interface.rx_fifo_errors", "podA/eth0", 5),
                ("interface.tx_packets", "podA/eth0", 10),
                ("interface.tx_errors", "podA/eth0", 11),
                ("interface.tx_dropped", "podA/eth0", 12),
                ("interface.tx_fifo_errors", "podA/eth0", 13),
            ],
        );
        check(
            |take| processors("cpu  1 1 1 1\ncpu0 1 2 3 4 5 6 7 8 9\nintr 5\n", take),
            &[
                ("cpu.user_ticks", "cpu0", 1),
                ("cpu.system_ticks", "cpu0", 3),
                ("cpu.idle_ticks", "cpu0", 4),
                ("cpu.softirq_ticks", "cpu0", 7),
                ("cpu.steal_ticks", "cpu0", 8),
            ],
        );
    }

    #[test]
    fn cgroups_of_both_hierarchies() {
        for (files, expected) in [
            (
                &[
                    ("cgroup.controllers", ""),
                    ("a/b/cpu.stat", "usage_usec 5\nnr_throttled 2\nthrottled_usec 70\n"),
                    ("a/b/memory.events", "low 0\noom_kill 1\n"),
                ][..],
                &[
                    ("cgroup.nr_throttled", "/a/b", 2),
                    ("cgroup.throttled_usec", "/a/b", 70),
                    ("cgroup.oom_kill", "/a/b", 1),
                ][..],
            ),
            (
                &[("cpu/a/cpu.stat", "nr_throttled 3\n"), ("memory/a/memory.failcnt", "9\n")],
                &[("cgroup.nr_throttled", "/a", 3), ("cgroup.memory_failcnt", "/a", 9)],
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join("sys/fs/cgroup").join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            check(|take| cgroups(root.path(), take), expected);
        }
    }
}
