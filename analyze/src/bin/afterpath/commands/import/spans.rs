//! `import --format jaeger|otlp`: spans of tracers → bundle. Never takes what only captures have.

use super::{forbid, loss, notes, shown};
use crate::arguments::{Import, ImportFormat};
use crate::commands::report::to_stdout;
use crate::failure::Failure;
use crate::staging::Staging;
use crate::terminal::{Progress, note, warn};
use afterpath::quantity;
use afterpath::report::harmless::harmless;
use afterpath::report::instant::{self, Zone};
use afterpath_formats::import::spans::{self, SpanFormat, SpanPlan, SpansSummary};
use afterpath_formats::import::{ImportPlan, Word};
use anyhow::Result;
use std::path::Path;

/// How spans are to be imported; nothing where captures are.
pub(super) fn plan(a: &Import) -> Result<Option<SpanPlan>> {
    let format = match a.format {
        ImportFormat::Capture if a.forget_parents => {
            let text = "--forget-parents is about spans of tracers; packets name no parents: give --format jaeger or otlp";
            return Err(Failure::usage("bad-arguments", text).into());
        }
        ImportFormat::Capture => return Ok(None),
        ImportFormat::Jaeger => SpanFormat::Jaeger,
        ImportFormat::Otlp => SpanFormat::Otlp,
    };
    if a.same_clock || a.clock_per_interface {
        let text = "--same-clock and --clock-per-interface are about captures; each instance of a service has a clock of its own";
        return Err(Failure::usage("bad-arguments", text).into());
    }
    Ok(Some(SpanPlan { format, forget_parents: a.forget_parents }))
}

/// Runs it.
pub(super) fn run(
    a: &Import,
    words: &[Word],
    plan: &SpanPlan,
    output: &Path,
    strict: bool,
) -> Result<()> {
    ImportPlan::parse(words, output)?;
    let staging = Staging::beside(output, a.force)?;
    let files = ImportPlan::parse(words, staging.path())?;
    let progress = Progress::begin("importing");
    let imported = spans::import(&files, plan, &|p| progress.now(&shown(p)));
    let mut summary = imported.map_err(|error| staging.renamed(error))?;
    summary.warnings = summary.warnings.into_iter().map(|w| staging.renamed(w)).collect();
    drop(progress);
    staging.commit()?;
    summary.warnings.iter().for_each(warn);
    notes(&summary.warnings, &summary.losses).iter().for_each(|text| note(text));
    to_stdout(|out| {
        let text = if a.json { json(&summary, output) } else { sentence(&summary, plan, output) };
        Ok(writeln!(out, "{text}")?)
    })?;
    forbid(strict, &summary.warnings, &summary.losses)
}

fn sentence(summary: &SpansSummary, plan: &SpanPlan, output: &Path) -> String {
    let written = &summary.written;
    let mut text = format!(
        "{}: {} of {}, {}, {} read",
        output.display(),
        quantity::plural(written.n_spans, "span"),
        quantity::plural(written.n_traces(), "trace"),
        quantity::plural(written.n_services(), "service"),
        quantity::bytes(summary.n_bytes)
    );
    if let Some((first, last)) = written.range_ns {
        let over = quantity::duration(last - first);
        text.push_str(&format!("\n  from {} for {over}", instant::iso(first, Zone::default())));
    }
    if plan.forget_parents {
        text.push_str(&format!(
            "\n  {} forgotten",
            quantity::plural(written.n_forgotten, "parent")
        ));
    }
    let unusable: i64 =
        summary.losses.iter().filter(|l| is_left_out(&l.cause)).map(|l| l.count).sum();
    if unusable > 0 {
        let n = quantity::plural(unusable as u64, "span");
        text.push_str(&format!("\n  {n} left out, see the notes"));
    }
    text.lines().map(|line| harmless(line).into_owned()).collect::<Vec<_>>().join("\n")
}

/// Whether a cause leaves whole spans out.
fn is_left_out(cause: &str) -> bool {
    matches!(cause, "not-a-span" | "no-span-id" | "no-span-time")
}

fn json(summary: &SpansSummary, output: &Path) -> String {
    let written = &summary.written;
    let text = |ns: i64| ns.to_string();
    serde_json::json!({
        "schema": "afterpath.import-spans/1",
        "bundle": output.display().to_string(),
        "n_spans": written.n_spans,
        "n_traces": written.n_traces(),
        "n_services": written.n_services(),
        "n_instances": written.instances.values().map(|of| of.len() as u64).sum::<u64>(),
        "first_unix_ns": written.range_ns.map(|(first, _)| text(first)),
        "last_unix_ns": written.range_ns.map(|(_, last)| text(last)),
        "n_parents_forgotten": written.n_forgotten,
        "n_bytes": summary.n_bytes,
        "losses": summary.losses.iter().map(loss).collect::<Vec<_>>(),
        "warnings": summary.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
    .to_string()
}
