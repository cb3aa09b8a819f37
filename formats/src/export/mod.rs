//! Bundle → captures.

pub mod pcapng;
