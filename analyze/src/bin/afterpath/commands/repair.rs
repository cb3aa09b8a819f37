//! `repair`: an unsealed bundle is sealed where it stands. What was cut is a line each; killed in its middle it begins again.

use super::report::to_stdout;
use crate::arguments::Repair;
use crate::failure::Failure;
use crate::terminal::{Progress, warn};
use afterpath::quantity::{count, plural};
use afterpath::report::harmless::harmless;
use afterpath_formats::recording::{Repaired, repair};
use anyhow::Result;

/// Runs it.
pub(crate) fn run(a: &Repair, strict: bool) -> Result<()> {
    let progress = Progress::begin("sealing");
    let repaired = repair(&a.bundle)?;
    drop(progress);
    repaired.warnings.iter().for_each(warn);
    to_stdout(|out| {
        let text = if a.json { json(a, &repaired) } else { sentence(a, &repaired) };
        Ok(writeln!(out, "{text}")?)
    })?;
    if strict && !repaired.warnings.is_empty() {
        let n_warnings = plural(repaired.warnings.len() as u64, "warning");
        let text = format!("{n_warnings}, which --strict forbids");
        return Err(Failure::new("strict", text).into());
    }
    Ok(())
}

fn sentence(a: &Repair, repaired: &Repaired) -> String {
    let path = a.bundle.display();
    let text = match repaired.was_sealed {
        true => format!("{path}: sealed already, nothing to do"),
        false => format!(
            "{path}: sealed · {} from {}, {} in all",
            plural(repaired.n_segments_rows, "row"),
            plural(repaired.n_segments, "segment"),
            count(repaired.n_rows)
        ),
    };
    harmless(&text).into_owned()
}

fn json(a: &Repair, repaired: &Repaired) -> String {
    serde_json::json!({
        "schema": "afterpath.repair/1",
        "bundle": a.bundle.display().to_string(),
        "was_sealed": repaired.was_sealed,
        "n_segments": repaired.n_segments,
        "n_segments_rows": repaired.n_segments_rows,
        "n_rows": repaired.n_rows,
        "warnings": repaired.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
    .to_string()
}
