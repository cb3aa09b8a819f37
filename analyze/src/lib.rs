//! Formats → answers: full-path traces with per-hop latency, reconstructed from bundles. Pure: opens no file, reads no
//! clock, starts no thread outside `pipeline`.

pub mod call;
pub mod issue;
pub mod protocol;
pub mod report;
