//! `verify`: is a bundle whole? What it contains, what it lacks, what keys are still in it.

use super::report::to_stdout;
use crate::arguments::Verify;
use crate::failure::Failure;
use crate::terminal::Progress;
use afterpath::quantity::{bytes, count, plural};
use afterpath::report::harmless::harmless;
use afterpath_formats::bundle::{Verification, verify};
use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// Runs it.
pub(crate) fn run(a: &Verify, strict: bool) -> Result<()> {
    let mut n_problems = 0;
    let (mut n_notes, mut n_losses) = (0, 0);
    to_stdout(|out| {
        for path in &a.bundles {
            let progress = Progress::begin(&format!("verifying {}", path.display()));
            let found = verify(path)?;
            drop(progress);
            n_problems += found.problems.len();
            n_notes += found.notes.len();
            n_losses += found.losses.len();
            if a.json {
                write_json(path, &found, out)?;
            } else {
                write_text(path, &found, out)?;
            }
        }
        Ok(())
    })?;
    if n_problems > 0 {
        let text = format!("{} found; see above", plural(n_problems as u64, "problem"));
        return Err(Failure::new("not-whole", text).into());
    }
    if strict && n_notes + n_losses > 0 {
        let text = format!(
            "{} and {} of loss, which --strict forbids",
            plural(n_notes as u64, "note"),
            plural(n_losses as u64, "kind")
        );
        return Err(Failure::new("strict", text).into());
    }
    Ok(())
}

fn write_text(path: &Path, found: &Verification, out: &mut dyn Write) -> Result<()> {
    let verdict = if found.is_whole() { "whole" } else { "NOT whole" };
    let what = format!(
        "{}: {verdict} · {}, {} compared · format {}, {}, by {}",
        path.display(),
        plural(found.n_files as u64, "file"),
        bytes(found.n_bytes),
        found.manifest.format_version,
        found.manifest.seal.name(),
        found.manifest.writer
    );
    writeln!(out, "{}", harmless(&what))?;
    for problem in &found.problems {
        writeln!(out, "  {}", harmless(&problem.to_string()))?;
    }
    for note in &found.notes {
        writeln!(out, "  {}", harmless(&note.to_string().replacen("error[", "note[", 1)))?;
    }
    for loss in &found.losses {
        let count = count(u64::try_from(loss.count).unwrap_or(0));
        writeln!(out, "  lost: {count} × {} ({})", harmless(&loss.cause), harmless(&loss.host))?;
    }
    for reduction in &found.reductions {
        let host = reduction.host.as_deref().unwrap_or("all hosts");
        let text = format!("reduced on purpose: {} ({host}): {}", reduction.kind, reduction.detail);
        writeln!(out, "  {}", harmless(&text))?;
    }
    match found.secrets.len() {
        0 => {}
        n => writeln!(
            out,
            "  contains {}: whoever has this bundle can decrypt with them",
            plural(n as u64, "block of decryption keys")
        )?,
    }
    Ok(())
}

fn write_json(path: &Path, found: &Verification, out: &mut dyn Write) -> Result<()> {
    let texts = |errors: &[afterpath_formats::error::Error]| -> Vec<_> {
        errors
            .iter()
            .map(|e| serde_json::json!({ "name": e.kind.name(), "path": e.path.display().to_string(), "text": harmless(&e.to_string()) }))
            .collect()
    };
    let line = serde_json::json!({
        "schema": "afterpath.verify/1",
        "bundle": path.display().to_string(),
        "whole": found.is_whole(),
        "n_files": found.n_files,
        "n_bytes": found.n_bytes,
        "problems": texts(&found.problems),
        "notes": texts(&found.notes),
        "losses": found.losses,
        "reductions": found.reductions,
        "n_secrets": found.secrets.len(),
    });
    Ok(writeln!(out, "{line}")?)
}
