//! `analyze`: reconstructs, stores, sums up.

use super::report::{shown_options, to_stdout, write_report};
use crate::arguments::Reading;
use crate::input;
use anyhow::Result;

/// Runs it.
pub(crate) fn run(a: &Reading, strict: bool) -> Result<()> {
    let input = input::read(&a.bundles, &a.analyzed)?;
    let options = shown_options(&a.shown);
    to_stdout(|out| write_report("analyze", &input.analysis, &options, out))?;
    input::check_strict(&input, strict)
}
