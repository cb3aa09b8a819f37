//! `report`: the page. A file appears whole or not at all.

use super::report::into_output;
use crate::arguments::Page;
use crate::input;
use crate::terminal::{Progress, note};
use afterpath::report::page::{self, Wanted};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Runs it.
pub(crate) fn run(a: &Page, strict: bool) -> Result<()> {
    let input = input::read(&a.bundles, &a.analyzed)?;
    let wanted = Wanted {
        title: a.title.clone().unwrap_or_else(|| title(&a.bundles)),
        most_traces: a.traces,
        zone: a.tz,
    };
    let progress = Progress::begin("writing the page");
    into_output(&a.output, a.force, &a.bundles, |out| {
        Ok(page::write(&input.analysis, &wanted, out)?)
    })?;
    drop(progress);
    if a.output != Path::new("-") {
        note(&format!("written: {}; any browser opens it", a.output.display()));
    }
    input::check_strict(&input, strict)
}

/// The names of the bundles.
fn title(bundles: &[PathBuf]) -> String {
    let names = bundles.iter().map(|path| path.file_name().unwrap_or(path.as_os_str()));
    names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
}
