//! Probes on system calls and the scheduler: who did what with which socket, and who woke whom.
//! They see no packet, and nothing of what is inside a process.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};

/// Thread wake-ups.
pub(super) const WAKEUPS: Probe = Probe {
    name: "wakeups",
    about: "who woke whom, between threads that touch recorded sockets",
    on_by_default: false,
    kernel_floor: RING_BUFFER,
    check: |machine| {
        Needs::of(machine, RING_BUFFER, "BPF ring buffer")
            .ebpf()
            .events(&["sched/sched_waking", "sched/sched_wakeup"])
            .done()
    },
    start: None,
};
