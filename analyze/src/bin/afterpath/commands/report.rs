//! Reports on stdout. Never anything of its own on stdout.

use crate::arguments::{Colour, Shown};
use crate::asked::Asked;
use crate::failure::Failure;
use crate::replaceable::Output;
use crate::staging::Staging;
use crate::written::written;
use crate::{input, terminal};
use afterpath::report::{self, Options};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// Any report.
pub(crate) fn run(asked: &Asked, strict: bool) -> Result<()> {
    // What was asked wrongly is said before anything is read.
    let options = asked.options()?;
    // The process ends behind the report: freeing the strings of every call before that would be work for nobody.
    let input = ManuallyDrop::new(input::read(&asked.reading.bundles, &asked.reading.analyzed)?);
    asked.check(&input.analysis)?;
    to_stdout(|out| Ok((asked.report.write)(&input.analysis, &options, out)?))?;
    input::check_strict(&input, strict)
}

/// How a report is to look.
pub(crate) fn shown_options(shown: &Shown) -> Options {
    Options {
        json: shown.json,
        width: shown.width.map_or_else(terminal::width, usize::from),
        colour: match shown.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal::takes_colour(),
        },
        ascii: shown.ascii,
        zone: shown.tz,
        ..Options::default()
    }
}

/// Writes a report by its name.
pub(crate) fn write_report(
    name: &str,
    analysis: &afterpath::analysis::Analysis,
    options: &Options,
    out: &mut dyn Write,
) -> Result<()> {
    let report = report::named(name).ok_or_else(|| Failure::new("unknown-report", name))?;
    Ok((report.write)(analysis, options, out)?)
}

/// Buffered stdout, flushed at the end.
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    written(std::io::stdout().lock(), "stdout", write)
}

/// stdout for `-`, else a file that appears when it is whole.
pub(crate) fn into_output(
    output: &Path,
    force: bool,
    inputs: &[PathBuf],
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    if output == Path::new("-") {
        return to_stdout(write);
    }
    let staging = Staging::of(Output::File, output, force, inputs)?;
    let path = staging.path();
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    written(file, &output.display().to_string(), write)?;
    staging.commit()
}
