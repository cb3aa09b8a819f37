//! The gate: recordings of a base against recordings of a candidate. A recording becomes a [`Run`]; runs are matched by names, compared row
//! by row, and the change of users' requests is attributed to hops. A difference is called one only where chance, among all that was
//! tested, gives it less than α, and only where it is large enough to matter; what can't be told is said to be so.

mod attributed;
mod compared;
mod conditions;
mod matched;
mod rows;
mod run;
mod statistics;
#[cfg(test)]
mod tests;
mod told;
pub mod value;

pub use attributed::{Attributed, Contribution};
pub use compared::compare;
pub use conditions::{Conditions, Machine};
pub use run::{Key, Made, Row, Run, Value};
pub use told::{Change, Compared, Estimate, PERMILLES, RowCompared, Tested, Wanted};

use crate::analysis::Analysis;
use crate::call::Call;

/// The clock of a call's first point.
fn domain(analysis: &Analysis, call: &Call) -> u32 {
    let point = call.spans.first().and_then(|span| analysis.points.get(span.point as usize));
    point.map_or(0, |point| point.domain)
}
