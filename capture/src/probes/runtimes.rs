//! Probes inside processes: language runtimes, by uprobes.
//! Whether a given process has something to attach to is not asked here: only whether this machine lets anybody attach.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use crate::machine::Machine;
use crate::missing::Missing;

/// Go's goroutines.
pub(super) const COROUTINES: Probe = Probe {
    name: "coroutines",
    about: "goroutine at each socket call, and its ancestry",
    on_by_default: true,
    kernel_floor: RING_BUFFER,
    check: uprobes,
    start: None,
};

fn uprobes(machine: &Machine) -> Result<(), Missing> {
    Needs::of(machine, RING_BUFFER, "BPF ring buffer")
        .ebpf()
        .feature(machine.uprobes, "uprobes", "CONFIG_UPROBE_EVENTS")
        .done()
}
