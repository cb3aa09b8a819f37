//! Captures → bundle.

pub mod chunk;
pub mod counts;
pub mod options;
mod pcap;
mod pcapng;
pub mod reader;
pub mod source;
pub mod ticks;
