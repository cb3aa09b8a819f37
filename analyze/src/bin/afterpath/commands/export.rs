//! `export`: packets, calls or tables to other programs. A file appears whole or not at all.

use super::report::{into_output, write_report};
use crate::arguments::{Analyzed, Export, Format};
use crate::failure::Failure;
use crate::input;
use crate::replaceable::Output;
use crate::staging::Staging;
use crate::terminal::{Progress, warn};
use afterpath::analysis::Analysis;
use afterpath::names::Names;
use afterpath::quantity::plural;
use afterpath::report::tables::{TABLES, Table};
use afterpath::report::{Options, Zone};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::export::export_pcapng;
use anyhow::{Context, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;

/// Calls or flows in one batch of a table.
const ROWS: usize = 32_768;

/// Runs it.
pub(crate) fn run(a: &Export, strict: bool) -> Result<()> {
    refuse_what_does_not_apply(a)?;
    match a.format {
        Format::Pcapng => pcapng(a, strict),
        Format::Calls => calls(a, strict),
        Format::Parquet => parquet(a, strict),
    }
}

/// An option that would change nothing is an error: whoever gave it expects something else to come out.
fn refuse_what_does_not_apply(a: &Export) -> Result<()> {
    let chooses_calls = a.selection.failed || a.selection.conditions.is_some();
    let chooses_hosts = !a.host.is_empty();
    let Analyzed { ignore_ids, without_evidence, id_field, again } = &a.analyzed;
    let links_otherwise = *ignore_ids || !without_evidence.is_empty() || !id_field.is_empty();
    let (name, text) = match a.format {
        Format::Pcapng if chooses_calls => {
            ("bad-condition", "--where and --failed choose calls, pcapng holds packets: use --host")
        }
        Format::Pcapng if links_otherwise || *again => (
            "bad-option",
            "--ignore-ids, --without-evidence, --id-field and --again are about calls, pcapng holds packets",
        ),
        Format::Calls if chooses_hosts => (
            "bad-condition",
            "--host chooses packets (pcapng); of calls, --where 'points.host = NAME' does",
        ),
        Format::Parquet if chooses_calls || chooses_hosts => (
            "bad-condition",
            "parquet holds everything: choose rows with the program that reads it",
        ),
        _ => return Ok(()),
    };
    Err(Failure::usage(name, text).into())
}

fn pcapng(a: &Export, strict: bool) -> Result<()> {
    if a.output == Path::new("-") && std::io::stdout().is_terminal() {
        let text = "packets are no text for a terminal: give a file with -o, or pipe them on";
        return Err(Failure::usage("bad-output", text).into());
    }
    let bundles = input::open(&a.bundles)?;
    let hosts = hosts(&bundles, &a.host)?;
    let mut n_warnings = bundles.warnings.len();
    into_output(&a.output, a.force, &a.bundles, |out| {
        let _progress = Progress::begin("exporting packets");
        let exported = export_pcapng(&bundles, &hosts, out, &a.output)?;
        exported.warnings.iter().for_each(warn);
        n_warnings += exported.warnings.len();
        Ok(())
    })?;
    if strict && n_warnings > 0 {
        let text = format!("{}, which --strict forbids", plural(n_warnings as u64, "warning"));
        return Err(Failure::new("strict", text).into());
    }
    Ok(())
}

fn hosts(bundles: &Bundles, wanted: &[String]) -> Result<Vec<u32>> {
    let known: Vec<&str> = bundles.hosts.iter().map(|h| h.name.as_str()).collect();
    if let Some(unknown) = wanted.iter().find(|w| !known.contains(&w.as_str())) {
        let text = format!("there is no host `{unknown}`; there are {}", known.join(", "));
        return Err(Failure::usage("unknown-host", text).into());
    }
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    Ok((0..).zip(&known).filter(|(_, name)| chosen(name)).map(|(i, _)| i).collect())
}

fn calls(a: &Export, strict: bool) -> Result<()> {
    let filter = a.selection.filter(Zone::UTC)?;
    let input = input::read(&a.bundles, &a.analyzed)?;
    let options = Options { json: true, failed: a.selection.failed, filter, ..Options::default() };
    into_output(&a.output, a.force, &a.bundles, |out| {
        write_report("calls", &input.analysis, &options, out)
    })?;
    input::check_strict(&input, strict)
}

fn parquet(a: &Export, strict: bool) -> Result<()> {
    if a.output == Path::new("-") {
        let text = "parquet is several files: give a directory with -o";
        return Err(Failure::usage("bad-output", text).into());
    }
    let input = input::read(&a.bundles, &a.analyzed)?;
    let staging = Staging::of(Output::Tables, &a.output, a.force, &a.bundles)?;
    let folder = staging.path();
    std::fs::create_dir(&folder).with_context(|| a.output.display().to_string())?;
    let progress = Progress::begin("writing tables");
    let names = Names::of(&input.analysis);
    for table in TABLES {
        progress.now(&format!("writing {}", table.name));
        let file = format!("{}.parquet", table.name);
        write_table(table, &input.analysis, &names, &folder.join(&file))
            .with_context(|| a.output.join(&file).display().to_string())?;
    }
    drop(progress);
    staging.commit()?;
    input::check_strict(&input, strict)
}

fn write_table(table: &Table, analysis: &Analysis, names: &Names, path: &Path) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(concat!("afterpath ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let empty = (table.batch)(analysis, names, 0..0)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, empty.schema(), Some(properties))?;
    let n = (table.len)(analysis);
    for from in (0..n).step_by(ROWS) {
        writer.write(&(table.batch)(analysis, names, from..(from + ROWS).min(n))?)?;
    }
    writer.close()?;
    Ok(())
}
