//! Kernel → formats: the recorder. So far it only knows which probes a machine could run; recording is not built yet.
//! It never interprets what it records: no protocol, no latency, no association.

pub mod error;
pub mod filter;
mod kernel;
pub mod machine;
pub mod missing;
pub mod payload;
pub mod probes;
pub mod run;

pub use error::{Error, Result};
