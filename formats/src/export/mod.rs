//! Bundle → captures.

mod file_order;
pub mod packets;
pub mod pcapng;

pub use packets::{Exported, export_pcapng};
