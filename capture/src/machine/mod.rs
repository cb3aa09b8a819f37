//! What a probe can know of the machine it would run on: a plain value, so that tests make one.
//! Gathering it reads a few files below `/proc` and `/sys`; it never loads, attaches, mounts or changes anything.

mod gather;

use std::collections::BTreeSet;
use std::fmt;

pub use gather::gather;

/// A kernel release, as far as features depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    /// `6` of `6.1.0-18-amd64`.
    pub major: u32,
    /// `1` of `6.1.0-18-amd64`.
    pub minor: u32,
}

impl Kernel {
    /// The kernel of this number.
    pub const fn new(major: u32, minor: u32) -> Kernel {
        Kernel { major, minor }
    }

    /// Reads `uname -r`; `None` when it does not begin with two numbers.
    pub fn parse(release: &str) -> Option<Kernel> {
        let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Kernel { major, minor })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One privilege; the value is its bit (`include/uapi/linux/capability.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Connection tracking, interfaces.
    NetAdmin = 12,
    /// Packet sockets.
    NetRaw = 13,
    /// What other users' processes are: their executables, their namespaces.
    SysPtrace = 19,
    /// Everything eBPF before 5.8; other namespaces.
    SysAdmin = 21,
    /// Reading kernel memory, tracepoints, uprobes.
    Perfmon = 38,
    /// Loading eBPF.
    Bpf = 39,
}

impl Capability {
    /// As `capabilities(7)` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

/// The effective set of `/proc/self/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Whether the set holds `capability`.
    pub fn has(self, capability: Capability) -> bool {
        self.0 >> (capability as u8) & 1 == 1
    }
}

/// What the tracefs `events` folder says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Events {
    /// Not mounted at either of its usual places.
    #[default]
    NotMounted,
    /// There, but this user may not look.
    Unreadable,
    /// `category/name` of each event, of the categories that probes use.
    Listed(BTreeSet<String>),
}

/// Whether this process may call bpf(2), as far as can be told without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BpfCall {
    /// The kernel has no such call.
    #[default]
    Absent,
    /// The kernel has it, but a seccomp filter is in force and may refuse it (containers).
    PerhapsFiltered,
    /// The kernel has it, and no filter is in force.
    Present,
}

/// A machine and this process's standing on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// `linux`, `macos`, …
    pub system: String,
    /// `uname -r` in full; empty when unknown.
    pub release: String,
    /// `release`, read.
    pub kernel: Option<Kernel>,
    /// Privileges in force.
    pub capabilities: Capabilities,
    /// False inside a user namespace, where privileges over the kernel itself do not count.
    pub initial_user_namespace: bool,
    /// The kernel describes its own types at `/sys/kernel/btf/vmlinux`.
    pub btf: bool,
    /// Tracepoints.
    pub events: Events,
    /// The `kfree_skb` tracepoint has a `reason` field.
    pub drop_reasons: bool,
    /// bpf(2).
    pub bpf: BpfCall,
    /// Lockdown is at `confidentiality`: eBPF may not read kernel memory.
    pub lockdown_confidentiality: bool,
    /// `kernel.perf_event_paranoid` is above 2: perf events, by which tracepoints and uprobes are attached, take CAP_SYS_ADMIN. A
    /// setting of Debian's and Ubuntu's kernels.
    pub perf_event_paranoid: bool,
    /// The kernel has uprobes.
    pub uprobes: bool,
    /// The kernel has packet sockets.
    pub packet_sockets: bool,
    /// `/proc/net/netstat` can be read.
    pub netstat: bool,
}

impl Machine {
    /// Whether the tracepoint `category/name` is known to be there.
    pub fn has_event(&self, name: &str) -> bool {
        matches!(&self.events, Events::Listed(listed) if listed.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(release: &str, expected: Option<(u32, u32)>) {
        assert_eq!(
            Kernel::parse(release),
            expected.map(|(major, minor)| Kernel::new(major, minor))
        );
    }

    #[test]
    fn releases_as_distributions_write_them() {
        check("6.1.0-18-amd64\n", Some((6, 1)));
        check("5.15.167.4-microsoft-standard-WSL2", Some((5, 15)));
        check("4.18.0-553.el8_10.x86_64", Some((4, 18)));
        check("6.18-rc1", Some((6, 18)));
        check("6", None);
        check("", None);
        check("four.one", None);
        check("99999999999.1", None);
    }

    #[test]
    fn kernels_are_ordered_by_number_not_by_text() {
        assert!(Kernel::new(5, 8) < Kernel::new(5, 17));
        assert!(Kernel::new(5, 17) < Kernel::new(6, 1));
    }

    #[test]
    fn capabilities_are_bits() {
        let all = Capabilities(0x1ff_ffff_ffff);
        assert!(all.has(Capability::Bpf) && all.has(Capability::NetAdmin));
        let only_raw = Capabilities(1 << 13);
        assert!(only_raw.has(Capability::NetRaw) && !only_raw.has(Capability::SysAdmin));
    }
}
