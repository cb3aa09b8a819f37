//! Probes on system calls and the scheduler: who did what with which socket, and who woke whom.
//! They see no packet, and nothing of what is inside a process.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};

/// Process life.
pub(super) const PROCESSES: Probe = Probe {
    name: "processes",
    about: "fork, exec, exit and thread names; cgroup, container and pod",
    on_by_default: true,
    kernel_floor: RING_BUFFER,
    check: |machine| {
        Needs::of(machine, RING_BUFFER, "BPF ring buffer")
            .ebpf()
            .events(&[
                "sched/sched_process_fork",
                "sched/sched_process_exec",
                "sched/sched_process_exit",
                "task/task_rename",
            ])
            .done()
    },
    start: None,
};

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
