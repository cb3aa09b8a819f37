//! Recording: probes run, their rows are drained into a bundle. Never interprets a row.

mod choice;
mod cost;
pub(crate) mod host;
mod queue;
mod recorder;
mod settings;
mod source;
mod stop;
mod writer;

pub(crate) use cost::used;
pub use recorder::{Finished, record};
pub use settings::{Ring, Sample, Settings, Wanted};
pub use source::{Rows, Source};
pub use stop::Reason;
