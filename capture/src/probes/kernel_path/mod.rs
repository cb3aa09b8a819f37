//! Packets as they pass the host's stack points, in every namespace, headers only. Never in sequence with the packets of an
//! interface: the kernel clones and merges, so rows are keyed by what their headers say.

use super::Probe;
use super::needs::{Needs, RING_BUFFER};
use super::passage::{self, Names, Passage};

/// The program, built from `kernel_path.bpf.c`; CI builds it again and compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("kernel_path.bpf.o");

/// Names of `enum point`.
const POINTS: [&str; 3] = ["netif_receive_skb", "net_dev_queue", "net_dev_start_xmit"];

/// Stack points.
pub(super) const PROBE: Probe = Probe {
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
    start: Some(|settings, _| passage::start("kernel_path", OBJECT, Points, settings)),
};

struct Points;

impl Names for Points {
    fn of<'a>(&'a self, passage: &Passage<'_>) -> (&'a str, Option<&'a str>) {
        (POINTS.get(passage.point as usize).copied().unwrap_or("?"), None)
    }
}
