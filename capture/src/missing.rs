//! Why a probe can't run, and what would help: everything that lacks, not only the first thing.
//! It never decides whether recording goes on without the probe.

use crate::machine::{Capability, Kernel};
use std::fmt;

/// One thing a probe needs and the machine has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The recorder is for Linux.
    Linux {
        /// What this is.
        system: String,
    },
    /// An older kernel, or one whose release can't be read.
    Kernel {
        /// The oldest that will do.
        floor: Kernel,
        /// What needs it.
        what: &'static str,
        /// `uname -r`.
        release: String,
    },
    /// A privilege.
    Capability(Capability),
    /// Privileges here end at a user namespace.
    InitialUserNamespace,
    /// The kernel's own type descriptions.
    Btf,
    /// Tracefs is not mounted.
    Tracefs,
    /// Tracefs is there, but not for this user.
    TracefsReadable,
    /// A tracepoint, as `category/name`.
    Event(&'static str),
    /// bpf(2).
    BpfCall,
    /// Lockdown hides kernel memory.
    KernelMemory,
    /// Debian's kernels let only CAP_SYS_ADMIN open perf events above `kernel.perf_event_paranoid = 2`.
    PerfEventParanoid,
    /// A kernel feature, with the build option that gives it.
    Feature {
        /// In words.
        what: &'static str,
        /// `CONFIG_…`.
        option: &'static str,
    },
}

impl Lack {
    /// A stable name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Lack::Linux { .. } => "linux",
            Lack::Kernel { .. } => "kernel",
            Lack::Capability(capability) => capability.name(),
            Lack::InitialUserNamespace => "initial-user-namespace",
            Lack::Btf => "btf",
            Lack::Tracefs => "tracefs",
            Lack::TracefsReadable => "tracefs-readable",
            Lack::Event(_) => "event",
            Lack::BpfCall => "bpf-call",
            Lack::KernelMemory => "kernel-memory",
            Lack::PerfEventParanoid => "perf-event-paranoid",
            Lack::Feature { .. } => "feature",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Linux { system } => write!(f, "needs Linux, this is {system}"),
            Lack::Kernel { floor, what, release } if release.is_empty() => {
                write!(f, "needs Linux {floor} ({what}), the release of this kernel can't be read")
            }
            Lack::Kernel { floor, what, release } => {
                write!(f, "needs Linux {floor} ({what}), this is {release}")
            }
            Lack::Capability(capability) => {
                write!(f, "needs {}: run as root, or grant it", capability.name())
            }
            Lack::InitialUserNamespace => f.write_str(
                "runs in a user namespace (rootless container?): run on the host itself",
            ),
            Lack::Btf => f.write_str("needs /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)"),
            Lack::Tracefs => {
                f.write_str("needs tracefs: mount -t tracefs tracefs /sys/kernel/tracing")
            }
            Lack::TracefsReadable => f.write_str("may not read /sys/kernel/tracing: run as root"),
            Lack::Event(event) => {
                write!(f, "needs the tracepoint {event}, which this kernel lacks")
            }
            Lack::BpfCall => f.write_str("needs the bpf system call (CONFIG_BPF_SYSCALL)"),
            Lack::KernelMemory => f.write_str(
                "kernel lockdown is at `confidentiality`: eBPF may not read kernel memory",
            ),
            Lack::PerfEventParanoid => f.write_str(
                "may not attach while kernel.perf_event_paranoid is above 2: grant CAP_SYS_ADMIN, or set it to 2",
            ),
            Lack::Feature { what, option } => write!(f, "needs {what} ({option})"),
        }
    }
}

/// Everything one probe lacks; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(Vec<Lack>);

impl Missing {
    /// `Ok` when nothing lacks.
    pub fn unless_empty(lacks: Vec<Lack>) -> Result<(), Missing> {
        if lacks.is_empty() { Ok(()) } else { Err(Missing(lacks)) }
    }

    /// In the order they were looked for.
    pub fn lacks(&self) -> &[Lack] {
        &self.0
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, lack) in self.0.iter().enumerate() {
            write!(f, "{}{lack}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Missing {}
