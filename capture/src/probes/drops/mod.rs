//! Packets the kernel dropped: where and why, headers only. Reasons are numbers that differ between kernels: their names are read
//! from the running one. Never says that a drop was a fault: many are how networks work.

mod names;

use super::Probe;
use super::needs::Needs;
use super::passage;
use crate::machine::Kernel;
use names::Dropped;

/// The program, built from `drops.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("drops.bpf.o");

/// `kfree_skb` says why.
const DROP_REASONS: Kernel = Kernel::new(5, 17);

/// Dropped packets.
pub(super) const PROBE: Probe = Probe {
    name: "drops",
    about: "packets the kernel dropped, with the reason, header-only",
    on_by_default: true,
    kernel_floor: DROP_REASONS,
    check: |machine| {
        Needs::of(machine, DROP_REASONS, "drop reasons")
            .ebpf()
            .events(&["skb/kfree_skb"])
            .feature(
                machine.drop_reasons || !machine.has_event("skb/kfree_skb"),
                "a `reason` field in skb/kfree_skb",
                "Linux 5.17",
            )
            .done()
    },
    start: Some(|settings, _| passage::start("drops", OBJECT, Dropped::of_this_kernel(), settings)),
};
