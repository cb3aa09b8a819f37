//! Reads a [`Machine`] from `/proc` and `/sys`. A file that is missing or unreadable means "no": it never fails.

use super::{BpfCall, Capabilities, Events, Kernel, Machine};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Event categories that some probe uses.
const CATEGORIES: [&str; 7] = ["syscalls", "sock", "tcp", "sched", "task", "skb", "net"];

/// This machine, or one whose `/proc` and `/sys` were copied below `root`.
pub fn gather(root: &Path) -> Machine {
    let release = text(root, "proc/sys/kernel/osrelease").trim().to_string();
    let status = text(root, "proc/self/status");
    let events_dir = events_dir(root);
    Machine {
        system: std::env::consts::OS.to_string(),
        kernel: Kernel::parse(&release),
        release,
        capabilities: capabilities(&status),
        initial_user_namespace: initial_user_namespace(&text(root, "proc/self/uid_map")),
        btf: root.join("sys/kernel/btf/vmlinux").exists(),
        drop_reasons: drop_reasons(events_dir.as_deref().unwrap_or(root)),
        events: events_dir.map_or(Events::NotMounted, |dir| events(&dir)),
        bpf: bpf_call(root, &status),
        lockdown_confidentiality: text(root, "sys/kernel/security/lockdown")
            .contains("[confidentiality]"),
        perf_event_paranoid: text(root, "proc/sys/kernel/perf_event_paranoid")
            .trim()
            .parse::<i32>()
            .is_ok_and(|level| level > 2),
        uprobes: root.join("sys/bus/event_source/devices/uprobe/type").exists(),
        packet_sockets: root.join("proc/net/packet").exists(),
        netstat: !text(root, "proc/net/netstat").is_empty(),
    }
}

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn capabilities(status: &str) -> Capabilities {
    let hex = field(status, "CapEff").unwrap_or_default();
    Capabilities(u64::from_str_radix(hex, 16).unwrap_or_default())
}

/// The initial namespace maps every id to itself.
fn initial_user_namespace(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The setting is there exactly when the kernel was built with the call (`CONFIG_BPF_SYSCALL`).
fn bpf_call(root: &Path, status: &str) -> BpfCall {
    if !root.join("proc/sys/kernel/unprivileged_bpf_disabled").exists() {
        BpfCall::Absent
    } else if field(status, "Seccomp") == Some("2") {
        BpfCall::PerhapsFiltered
    } else {
        BpfCall::Present
    }
}

/// The mounted tracefs; an unmounted one is an empty folder, an unreadable one still is a folder.
fn events_dir(root: &Path) -> Option<PathBuf> {
    let candidates = ["sys/kernel/tracing", "sys/kernel/debug/tracing"].map(|dir| root.join(dir));
    candidates.into_iter().find_map(|tracing| {
        let events = tracing.join("events");
        match fs::metadata(&events) {
            Ok(_) => Some(events),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(events),
            Err(_) => None,
        }
    })
}

fn events(dir: &Path) -> Events {
    if fs::read_dir(dir).is_err() {
        return Events::Unreadable;
    }
    let mut listed = BTreeSet::new();
    for category in CATEGORIES {
        for entry in fs::read_dir(dir.join(category)).into_iter().flatten().flatten() {
            listed.insert(format!("{category}/{}", entry.file_name().to_string_lossy()));
        }
    }
    Events::Listed(listed)
}

fn drop_reasons(events: &Path) -> bool {
    text(events, "skb/kfree_skb/format").contains(" reason;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Capability;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn an_empty_root_is_a_machine_without_anything() {
        let machine = gather(root(&[]).path());
        let nothing = Machine { system: machine.system.clone(), ..Machine::default() };
        assert_eq!(machine, nothing);
    }

    #[test]
    fn a_container_on_a_distribution_kernel() {
        let root = root(&[
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("proc/self/status", "Name:\tx\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n"),
            ("proc/self/uid_map", "         0     100000      65536\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("proc/net/packet", ""),
            ("proc/net/netstat", "TcpExt: SyncookiesSent\nTcpExt: 0\n"),
            ("sys/kernel/btf/vmlinux", ""),
            ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        ]);
        let machine = gather(root.path());
        assert_eq!(machine.kernel, Some(Kernel::new(6, 1)));
        assert!(machine.capabilities.has(Capability::NetRaw));
        assert!(!machine.capabilities.has(Capability::SysAdmin));
        assert!(!machine.initial_user_namespace && !machine.lockdown_confidentiality);
        assert!(machine.btf && machine.packet_sockets && machine.netstat);
        assert_eq!((machine.bpf, machine.events), (BpfCall::PerhapsFiltered, Events::NotMounted));
    }

    #[test]
    fn events_are_listed_by_category_and_name() {
        let root = root(&[
            ("proc/self/uid_map", "0 0 4294967295\n"),
            (
                "sys/kernel/debug/tracing/events/skb/kfree_skb/format",
                "\tfield:enum x reason;\toffset",
            ),
            ("sys/kernel/debug/tracing/events/sched/sched_wakeup/format", ""),
            ("sys/kernel/debug/tracing/events/xfs/xfs_read/format", ""),
        ]);
        let machine = gather(root.path());
        let expected = ["sched/sched_wakeup", "skb/kfree_skb"].map(String::from).into();
        assert_eq!(machine.events, Events::Listed(expected));
        assert!(machine.drop_reasons && machine.initial_user_namespace);
    }

    #[test]
    fn this_machine_can_be_read() {
        let machine = gather(Path::new("/"));
        assert_eq!(machine.system, std::env::consts::OS);
        assert_eq!(machine.kernel.is_some(), cfg!(target_os = "linux"));
    }
}
