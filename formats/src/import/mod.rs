//! Captures → bundle.

pub mod chunk;
pub mod counts;
pub(crate) mod interface_block;
pub mod options;
mod pcap;
pub(crate) mod pcapng;
pub mod reader;
pub mod source;
pub mod ticks;
