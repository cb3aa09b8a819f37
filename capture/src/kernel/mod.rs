//! The kernel edge: eBPF objects loaded and attached, what they count, the clocks. Never knows what a record means.

pub(crate) mod clock;
mod conntrack;
mod counts;
mod detach;
mod links;
pub(crate) mod messages;
mod namespace;
mod netlink;
mod object;
mod packet_ring;
mod privileges;
mod signals;
pub(crate) mod uprobe;
mod window;

pub(crate) use conntrack::{Translation, translations};
pub(crate) use counts::{Count, Counts};
pub(crate) use detach::Detaching;
pub(crate) use links::{Link, links};
pub(crate) use namespace::{Namespace, all as namespaces, of as namespaces_of, within};
pub(crate) use object::{Object, fill};
pub(crate) use packet_ring::{Instruction, PacketRing, RingFrame, RingLosses};
pub(crate) use privileges::keep as keep_privileges;
pub(crate) use signals::unblocked;
pub(crate) use window::Window;
