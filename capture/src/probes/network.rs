//! Probes on packets and on what the network stack counts.
//! They see no process: which socket a packet belongs to is found offline.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use crate::machine::Kernel;

/// `kfree_skb` says why.
const DROP_REASONS: Kernel = Kernel::new(5, 17);

/// Dropped packets.
pub(super) const DROPS: Probe = Probe {
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
    start: None,
};

/// Stack points.
pub(super) const KERNEL_PATH: Probe = Probe {
    name: "kernel_path",
    about: "header-only passage of packets through the host's stack points",
    on_by_default: false,
    kernel_floor: RING_BUFFER,
    check: |machine| {
        Needs::of(machine, RING_BUFFER, "BPF ring buffer")
            .ebpf()
            .events(&["net/netif_receive_skb", "net/net_dev_queue", "net/net_dev_start_xmit"])
            .done()
    },
    start: None,
};
