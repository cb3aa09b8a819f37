//! The kernel edge: eBPF objects loaded and attached, what they count, the clocks. Never knows what a record means.

pub(crate) mod clock;
mod counts;
mod object;

pub(crate) use counts::{Count, Counts};
pub(crate) use object::Object;
