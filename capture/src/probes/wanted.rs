//! The filters that act in the kernel before the copy, by process, cgroup and namespace (`wanted.bpf.h`): the same for every program
//! that includes it. Never looks at a record.

use crate::error::Result;
use crate::filter::Filter;
use crate::kernel::{Object, fill};

/// A filter as constants of a program.
pub(super) struct Wanted<'a> {
    filter: &'a Filter,
    /// Whether there is a list of processes, of cgroups, of namespaces.
    are_on: [u32; 3],
}

impl Wanted<'_> {
    pub(super) fn of(filter: &Filter) -> Wanted<'_> {
        let lists = [
            !filter.processes.is_empty(),
            !filter.cgroups.is_empty(),
            !filter.namespaces.is_empty(),
        ];
        Wanted { filter, are_on: lists.map(u32::from) }
    }

    /// The constants, and others.
    pub(super) fn globals<'a>(
        &'a self,
        others: &[(&'static str, &'a u32)],
    ) -> Vec<(&'static str, &'a u32)> {
        let names = ["filter_processes", "filter_cgroups", "filter_namespaces"];
        names.into_iter().zip(&self.are_on).chain(others.iter().copied()).collect()
    }

    /// Puts the lists into a loaded object.
    pub(super) fn fill(&self, object: &mut Object) -> Result<()> {
        let Object { probe, ebpf } = object;
        fill(probe, ebpf, "wanted_processes", &self.filter.processes)?;
        fill(probe, ebpf, "wanted_cgroups", &self.filter.cgroups)?;
        fill(probe, ebpf, "wanted_namespaces", &self.filter.namespaces)
    }
}
