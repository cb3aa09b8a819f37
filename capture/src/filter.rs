//! What to record, decided in the kernel before anything is copied. Never looks at a payload.

/// Lists of what is wanted; an empty list wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Process ids.
    pub processes: Vec<u32>,
    /// Cgroup ids (v2).
    pub cgroups: Vec<u64>,
    /// Network namespaces' inode numbers.
    pub namespaces: Vec<u32>,
    /// Of packets, those of this expression in the syntax of pcap-filter(7), as far as `packets` understands it.
    pub packets: Option<String>,
}
