//! Formats → answers: full-path traces with per-hop latency, reconstructed from bundles. Pure: opens no file, reads no
//! clock, starts no thread outside `pipeline`.

pub mod align;
pub mod analysis;
pub mod assemble;
pub mod call;
pub mod critical;
pub mod diff;
pub mod dissect;
pub mod finding;
pub mod findings;
pub mod fingerprint;
pub mod flow;
pub mod hops;
pub mod issue;
pub mod join;
pub mod link;
pub mod loss;
pub mod lost;
pub mod measure;
pub mod names;
pub mod pair;
pub mod pipeline;
pub mod point;
pub mod protocol;
pub mod quantity;
pub mod report;
pub mod routes;
pub mod spans;
