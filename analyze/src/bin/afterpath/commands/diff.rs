//! `diff`: the gate. Exits with 3 where a row regressed, with 4 where nothing can be said.

use super::report::{shown_options, to_stdout};
use crate::arguments::Diff;
use crate::failure::Failure;
use crate::runs::{self, Named};
use crate::terminal::Progress;
use afterpath::diff::{Compared, Run, Wanted, compare};
use afterpath::report::diff::{self, Shown};
use anyhow::Result;
use std::path::PathBuf;

/// Runs it.
pub(crate) fn run(a: &Diff) -> Result<()> {
    let [base, candidate] = sides(a)?;
    let wanted = Wanted {
        alpha: a.alpha,
        floor_share: a.floor_share / 100.0,
        floor_ns: a.floor_us * 1_000.0,
    };
    let progress = Progress::begin("reading recordings");
    let [base, candidate] = [runs::read(&base, &a.analyzed)?, runs::read(&candidate, &a.analyzed)?];
    progress.now("comparing");
    let (base, candidate) = (unzipped(base), unzipped(candidate));
    let mut compared = compare(&base.1, &candidate.1, &wanted);
    drop(progress);
    if a.allow_different {
        let allowed = std::mem::take(&mut compared.different);
        compared.notes.extend(allowed.into_iter().map(|text| format!("{text} (allowed)")));
    }
    let shown =
        Shown { compared: &compared, wanted: &wanted, names: [base.0, candidate.0], all: a.all };
    to_stdout(|out| Ok(diff::write(&shown, &shown_options(&a.shown), out)?))?;
    verdict(&compared)
}

/// What is compared with what: two paths, or any number of each.
fn sides(a: &Diff) -> Result<[Vec<PathBuf>; 2]> {
    match (a.paths.as_slice(), a.base.is_empty(), a.candidate.is_empty()) {
        ([base, candidate], true, true) => Ok([vec![base.clone()], vec![candidate.clone()]]),
        ([], false, false) => Ok([a.base.clone(), a.candidate.clone()]),
        _ => Err(Failure::usage(
            "bad-sides",
            "give BASE and CANDIDATE, or --base and --candidate, each as often as there are recordings",
        )
        .into()),
    }
}

fn unzipped(named: Vec<Named>) -> (Vec<String>, Vec<Run>) {
    named.into_iter().map(|named| (named.name, named.run)).unzip()
}

fn verdict(compared: &Compared) -> Result<()> {
    let failure = match compared.regressed().count() {
        _ if !compared.different.is_empty() => Failure::not_enough(
            "different",
            format!(
                "{}; --allow-different compares them all the same",
                compared.different.join("; ")
            ),
        ),
        0 if !compared.is_enough => Failure::not_enough(
            "too-few",
            "so few recordings can't show a change: five of each side are enough, with the same load and machine",
        ),
        0 => return Ok(()),
        n => Failure::gate("regressed", format!("{n} rows regressed")),
    };
    Err(failure.into())
}
