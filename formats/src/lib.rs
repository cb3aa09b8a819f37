//! The Afterpath bundle: what a recording is on disk, how captures and recorders make one, how packets leave it.
//! Knows no L7 protocol (but for `mask`, which hides credentials), no eBPF and no latency; the specification is `formats/README.md`.

pub mod bundle;
pub mod clock;
pub mod error;
pub mod export;
pub mod frame;
pub mod import;
pub mod mask;
pub mod packet;
pub mod record;
pub mod recording;
pub mod span_kinds;
pub mod table;

pub use error::{Error, Kind, Result};
