//! Formats → answers: full-path traces with per-hop latency, reconstructed from bundles. Pure: opens no file, reads no
//! clock, starts no thread outside `pipeline`.

pub mod align;
pub mod assemble;
pub mod call;
pub mod critical;
pub mod dissect;
pub mod findings;
pub mod fingerprint;
pub mod hops;
pub mod issue;
pub mod join;
pub mod link;
pub mod lost;
pub mod pair;
pub mod pipeline;
pub mod protocol;
pub mod report;
pub mod routes;
pub mod spans;
