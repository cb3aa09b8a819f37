//! Kernel → formats: the recorder. It writes down what the kernel did, and
//! never interprets what it records: no protocol, no latency, no association.

pub mod broker;
pub mod error;
pub mod filter;
mod kernel;
pub mod machine;
pub mod missing;
pub mod payload;
pub mod probes;
pub mod run;
pub mod settings;
pub mod source;

pub use error::{Error, Result};
