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
