//! Formats → answers: full-path traces with per-hop latency, reconstructed from bundles. Pure: opens no file, reads no
//! clock, starts no thread outside `pipeline`.

pub mod call;
pub mod dissect;
pub mod issue;
pub mod pair;
pub mod protocol;
