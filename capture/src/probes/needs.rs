//! The things probes need, one small method each, gathered into a list of what lacks.
//! It never stops at the first lack: who fixes one wants to know the others.

use crate::machine::{BpfCall, Capability, Events, Kernel, Machine};
use crate::missing::{Lack, Missing};

/// The BPF ring buffer: what every eBPF probe here delivers through.
pub(super) const RING_BUFFER: Kernel = Kernel::new(5, 8);

/// `bpf_get_current_task_btf`: descriptors are looked up from the current task.
pub(super) const CURRENT_TASK: Kernel = Kernel::new(5, 11);

/// A machine being looked at for one probe.
pub(super) struct Needs<'a> {
    machine: &'a Machine,
    lacks: Vec<Lack>,
}

impl<'a> Needs<'a> {
    /// Begins with the system and the kernel's number; `what` is the feature that came with `floor`.
    pub(super) fn of(machine: &'a Machine, floor: Kernel, what: &'static str) -> Needs<'a> {
        let mut needs = Needs { machine, lacks: Vec::new() };
        if machine.system != "linux" {
            needs.lacks.push(Lack::Linux { system: machine.system.clone() });
        }
        let release = machine.release.clone();
        let new_enough = machine.kernel.is_some_and(|kernel| kernel >= floor);
        needs.unless(new_enough, Lack::Kernel { floor, what, release })
    }

    fn unless(mut self, has: bool, lack: Lack) -> Self {
        // Elsewhere than on Linux the list would be long and say nothing more.
        if !has && self.machine.system == "linux" {
            self.lacks.push(lack);
        }
        self
    }

    pub(super) fn capability(self, capability: Capability) -> Self {
        let has = self.machine.capabilities.has(capability);
        self.unless(has, Lack::Capability(capability))
    }

    /// Loading eBPF that reads kernel memory by CO-RE.
    pub(super) fn ebpf(self) -> Self {
        let machine = self.machine;
        let privileged = |capability| {
            machine.capabilities.has(capability) || machine.capabilities.has(Capability::SysAdmin)
        };
        self.unless(machine.bpf != BpfCall::Absent, Lack::BpfCall)
            .unless(machine.btf, Lack::Btf)
            .unless(!machine.lockdown_confidentiality, Lack::KernelMemory)
            .unless(machine.initial_user_namespace, Lack::InitialUserNamespace)
            .unless(privileged(Capability::Bpf), Lack::Capability(Capability::Bpf))
            .unless(privileged(Capability::Perfmon), Lack::Capability(Capability::Perfmon))
    }

    /// Attaching by perf events: to tracepoints of system calls, and to functions of programs.
    pub(super) fn perf_events(self) -> Self {
        let machine = self.machine;
        let may = !machine.perf_event_paranoid || machine.capabilities.has(Capability::SysAdmin);
        self.unless(may, Lack::PerfEventParanoid)
    }

    /// Tracepoints, as `category/name`.
    pub(super) fn events(self, names: &[&'static str]) -> Self {
        match &self.machine.events {
            Events::NotMounted => self.unless(false, Lack::Tracefs),
            Events::Unreadable => self.unless(false, Lack::TracefsReadable),
            Events::Listed(listed) => names
                .iter()
                .fold(self, |needs, name| needs.unless(listed.contains(*name), Lack::Event(name))),
        }
    }

    pub(super) fn feature(self, has: bool, what: &'static str, option: &'static str) -> Self {
        self.unless(has, Lack::Feature { what, option })
    }

    pub(super) fn done(self) -> Result<(), Missing> {
        Missing::unless_empty(self.lacks)
    }
}
