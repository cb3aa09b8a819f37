//! `import`: captures, or spans of tracers, → bundle. The order of `--host` and `--netns` counts: a namespace belongs to the host before it.

use super::report::to_stdout;
use crate::arguments::Import;
use crate::failure::Failure;
use crate::staging::Staging;
use crate::terminal::{Progress, note, warn};
use afterpath::quantity;
use afterpath::report::harmless::harmless;
use afterpath_formats::Error;
use afterpath_formats::import::{self, Counted, ImportPlan, ImportSummary, Word};
use anyhow::Result;
use clap::ArgMatches;
use std::path::{Path, PathBuf};

mod spans;

/// The files, `--host` and `--netns` in the order they were given.
pub(crate) fn words(a: &Import, matches: &ArgMatches) -> Vec<Word> {
    let at = |name: &str| matches.indices_of(name).into_iter().flatten().collect::<Vec<_>>();
    let files = at("files").into_iter().zip(a.files.iter().cloned().map(Word::File));
    let hosts = at("host").into_iter().zip(a.host.iter().cloned().map(Word::Host));
    let namespaces = at("netns").into_iter().zip(a.netns.iter().cloned().map(Word::Netns));
    let mut words: Vec<(usize, Word)> = files.chain(hosts).chain(namespaces).collect();
    words.sort_by_key(|(at, _)| *at);
    words.into_iter().map(|(_, word)| word).collect()
}

/// Runs it.
pub(crate) fn run(a: &Import, words: &[Word], strict: bool) -> Result<()> {
    // Written into a staging of our own, so that Ctrl-C removes it.
    let output: PathBuf = a.output.components().collect();
    check_output(&output)?;
    if let Some(plan) = spans::plan(a)? {
        return spans::run(a, words, &plan, &output, strict);
    }
    ImportPlan::parse(words, &output)?;
    let staging = Staging::beside(&output, a.force)?;
    let mut plan = ImportPlan::parse(words, staging.path())?;
    (plan.same_clock, plan.clock_per_interface) = (a.same_clock, a.clock_per_interface);
    let progress = Progress::begin("importing");
    let imported = import::import(&plan, &|p| progress.now(&shown(p)));
    let mut summary = imported.map_err(|error| staging.renamed(error))?;
    summary.warnings = summary.warnings.into_iter().map(|w| staging.renamed(w)).collect();
    drop(progress);
    staging.commit()?;
    summary.warnings.iter().for_each(warn);
    notes(&summary.warnings, &summary.losses).iter().for_each(|text| note(text));
    to_stdout(|out| {
        let text = if a.json { json(&summary, &output) } else { sentence(&summary, &output) };
        Ok(writeln!(out, "{text}")?)
    })?;
    forbid(strict, &summary.warnings, &summary.losses)
}

/// What `--strict` makes of warnings and losses.
fn forbid(strict: bool, warnings: &[Error], losses: &[Counted]) -> Result<()> {
    let damage = losses.iter().filter(|loss| loss.is_damage).count();
    if strict && damage + warnings.len() > 0 {
        let text = format!(
            "{} and {} of damage, which --strict forbids",
            quantity::plural(warnings.len() as u64, "warning"),
            quantity::plural(damage as u64, "cause")
        );
        return Err(Failure::new("strict", text).into());
    }
    Ok(())
}

/// What was counted and not told by a warning already, a line each.
fn notes(warnings: &[Error], losses: &[Counted]) -> Vec<String> {
    let told = |cause: &str| warnings.iter().any(|warning| warning.kind.name() == cause);
    let hosts_of = |source: &str| {
        let of = losses.iter().filter(|loss| loss.source == source);
        of.map(|loss| &loss.host).collect::<std::collections::BTreeSet<_>>().len()
    };
    let note = |loss: &Counted| {
        let count = quantity::count(u64::try_from(loss.count).unwrap_or(0));
        let host = match hosts_of(&loss.source) {
            0 | 1 => String::new(),
            _ => format!(" of {}", loss.host),
        };
        format!("note: {count} × {} ({}{host})", loss.cause, loss.source)
    };
    losses.iter().filter(|loss| !told(&loss.cause)).map(note).collect()
}

/// A bundle is a directory: no stream, and not in the place of a file.
fn check_output(output: &Path) -> Result<()> {
    if output == Path::new("-") {
        let text = "a bundle is a directory and can't go to stdout; name one with -o";
        return Err(Failure::usage("bad-arguments", text).into());
    }
    Ok(())
}

fn shown(progress: import::Progress<'_>) -> String {
    match progress {
        import::Progress::Reading { host, n_bytes } => {
            format!("reading {host}: {}", quantity::bytes(n_bytes))
        }
        import::Progress::Writing { host, n_packets } => {
            format!("writing {host}: {}", quantity::plural(n_packets, "packet"))
        }
    }
}

fn sentence(summary: &ImportSummary, output: &std::path::Path) -> String {
    let text = format!(
        "{}: {} from {}, {} read",
        output.display(),
        quantity::plural(summary.n_packets, "packet"),
        quantity::plural(summary.n_hosts, "host"),
        quantity::bytes(summary.n_bytes)
    );
    harmless(&text).into_owned()
}

fn json(summary: &ImportSummary, output: &std::path::Path) -> String {
    serde_json::json!({
        "schema": "afterpath.import/1",
        "bundle": output.display().to_string(),
        "n_hosts": summary.n_hosts,
        "n_packets": summary.n_packets,
        "n_blocks": summary.n_blocks,
        "n_bytes": summary.n_bytes,
        "losses": summary.losses.iter().map(loss).collect::<Vec<_>>(),
        "warnings": summary.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
    .to_string()
}

fn loss(loss: &Counted) -> serde_json::Value {
    serde_json::json!({
        "host": loss.host,
        "source": loss.source,
        "cause": loss.cause,
        "count": loss.count,
        "first_offset": loss.first_offset,
        "is_damage": loss.is_damage,
    })
}
