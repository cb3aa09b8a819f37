//! Recording: probes run, their rows are drained into a bundle. Never interprets a row.

mod source;

pub use source::{Rows, Source};
