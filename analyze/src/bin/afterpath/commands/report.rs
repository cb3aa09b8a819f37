//! Reports on stdout: traces, trace, hops, services, flows, links, findings, clocks, explain. Never anything of its own on stdout.

use crate::arguments::{
    Colour, Explain, Findings, Reading, Selected, Selection, Shown, Trace, Traces,
};
use crate::failure::Failure;
use crate::written::written;
use crate::{input, terminal};
use afterpath::findings::verdict;
use afterpath::report::names::Names;
use afterpath::report::{self, Options, waterfall};
use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write;

/// `traces`.
pub(crate) fn traces(a: &Traces, strict: bool) -> Result<()> {
    let options = Options { slowest: a.slowest, ..selected_options(&a.reading, &a.selection)? };
    write("traces", &a.reading, &options, strict)
}

/// `hops`, `services`, `flows`, `links`.
pub(crate) fn selected(name: &str, a: &Selected, strict: bool) -> Result<()> {
    write(name, &a.reading, &selected_options(&a.reading, &a.selection)?, strict)
}

/// `clocks`.
pub(crate) fn clocks(a: &Reading, strict: bool) -> Result<()> {
    write("clocks", a, &shown_options(&a.shown), strict)
}

/// `findings`.
pub(crate) fn findings(a: &Findings, strict: bool) -> Result<()> {
    let input = input::read(&a.reading.bundles, &a.reading.analyzed)?;
    if let Some(service) = &a.service {
        let names = Names::of(&input.analysis);
        let ends = || input.analysis.calls.iter().map(|call| &call.server);
        if !ends().any(|end| verdict::is_called(&names, end, service)) {
            let known: BTreeSet<String> = ends().map(|end| names.server(end)).collect();
            let known: Vec<String> = known.into_iter().collect();
            let text = format!("no service is called `{service}`; there are: {}", known.join(", "));
            return Err(Failure::new("unknown-service", text).into());
        }
    }
    let options = Options { for_service: a.service.clone(), ..shown_options(&a.reading.shown) };
    to_stdout(|out| write_report("findings", &input.analysis, &options, out))?;
    input::check_strict(&input, strict)
}

/// `explain TIME`.
pub(crate) fn explain(a: &Explain, strict: bool) -> Result<()> {
    let options = Options {
        moment: Some(a.moment()?),
        window_ns: a.window,
        ..selected_options(&a.reading, &a.selection)?
    };
    write("explain", &a.reading, &options, strict)
}

/// `trace ID`.
pub(crate) fn trace(a: &Trace, strict: bool) -> Result<()> {
    let input = input::read(&a.reading.bundles, &a.reading.analyzed)?;
    if waterfall::find(&input.analysis, &a.id).is_empty() {
        let text = format!(
            "no trace, call or planted id is or begins with `{}` (4 digits at least); `afterpath traces` lists them",
            a.id
        );
        return Err(Failure::new("unknown-trace", text).into());
    }
    let options =
        Options { trace: a.id.clone(), verbose: a.verbose, ..shown_options(&a.reading.shown) };
    to_stdout(|out| write_report("trace", &input.analysis, &options, out))?;
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
    analysis: &afterpath::call::Analysis,
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

fn selected_options(reading: &Reading, selection: &Selection) -> Result<Options> {
    let filter = selection.filter(reading.shown.tz)?;
    Ok(Options { failed: selection.failed, filter, ..shown_options(&reading.shown) })
}

fn write(name: &str, reading: &Reading, options: &Options, strict: bool) -> Result<()> {
    let input = input::read(&reading.bundles, &reading.analyzed)?;
    to_stdout(|out| write_report(name, &input.analysis, options, out))?;
    input::check_strict(&input, strict)
}
