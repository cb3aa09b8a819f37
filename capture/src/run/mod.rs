//! Recording: probes run, their rows are drained into a bundle. Never interprets a row.

mod choice;
mod cost;
mod host;
mod queue;
mod recorder;
mod stop;
mod writer;

pub use recorder::{Finished, record};
pub use stop::Reason;
