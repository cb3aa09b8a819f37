//! The kernel edge: eBPF objects loaded and attached, what they count, the clocks. Never knows what a record means.

pub(crate) mod clock;
mod counts;
mod detach;
mod object;
mod window;

pub(crate) use counts::{Count, Counts};
pub(crate) use detach::Detaching;
pub(crate) use object::Object;
pub(crate) use window::Window;
