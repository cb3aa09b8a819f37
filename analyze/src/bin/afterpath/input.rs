//! From paths on the command line to an analysis: stored results where they fit, else the analysis itself, then stored.
//! Says on stderr what it does again and why.

use crate::arguments::Analyzed;
use crate::failure::Failure;
use crate::results::{self, Key, Stored};
use crate::terminal::{self, Progress, note, warn};
use afterpath::call::Analysis;
use afterpath::link::Evidence;
use afterpath::pipeline::{self, Config};
use afterpath_formats::bundle::Bundles;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// An analysis and whether its bundles were damaged.
pub(crate) struct Input {
    pub(crate) analysis: Analysis,
    pub(crate) n_warnings: usize,
}

/// Reads what `paths` name.
pub(crate) fn read(paths: &[PathBuf], analyzed: &Analyzed) -> Result<Input> {
    if let [folder] = paths
        && results::is_folder(folder)
    {
        return from_results(folder);
    }
    let bundles = open(paths)?;
    let config = Config { evidence: Evidence { ignore_ids: analyzed.ignore_ids } };
    let key = Key::of(&bundles.hash, &format!("{config:?}"));
    let n_warnings = bundles.warnings.len();
    let stored = if analyzed.again { Stored::Missing } else { results::load(&paths[0], &key) };
    let analysis = match stored {
        Stored::Found(analysis) => *analysis,
        Stored::Missing => analyze(&bundles, &config, &paths[0], &key),
        Stored::Unusable(why) => {
            note(&format!("stored results are not used ({why}); analyzing again"));
            analyze(&bundles, &config, &paths[0], &key)
        }
    };
    Ok(Input { analysis, n_warnings })
}

/// Opens bundles, warning of what is damaged in them.
pub(crate) fn open(paths: &[PathBuf]) -> Result<Bundles> {
    let bundles = Bundles::open(paths)?;
    bundles.warnings.iter().for_each(warn);
    Ok(bundles)
}

/// An error under `--strict` when something was damaged or lost.
pub(crate) fn check_strict(input: &Input, strict: bool) -> Result<()> {
    let is_damage = |loss: &&afterpath::call::Loss| {
        !loss.is_other_traffic() && afterpath_formats::table::losses::is_damage(&loss.cause)
    };
    let n_lost = input.analysis.losses.iter().filter(is_damage).count();
    if !strict || (n_lost == 0 && input.n_warnings == 0) {
        return Ok(());
    }
    let text = format!(
        "{} warnings and {n_lost} kinds of loss, which --strict forbids; `afterpath analyze` lists them",
        input.n_warnings
    );
    Err(Failure::new("strict", text).into())
}

fn analyze(bundles: &Bundles, config: &Config, first: &Path, key: &Key) -> Analysis {
    let progress = Progress::begin("analyzing");
    let analysis = pipeline::analyze(bundles, config);
    progress.now("storing results");
    if let Err(error) = results::store(first, key, &analysis) {
        drop(progress);
        terminal::note(&format!(
            "warning[results-not-stored]: {error:#}; the next command will analyze again"
        ));
    }
    analysis
}

fn from_results(folder: &Path) -> Result<Input> {
    match results::load_folder(folder) {
        Stored::Found(analysis) => Ok(Input { analysis: *analysis, n_warnings: 0 }),
        Stored::Missing => Err(unusable(folder, "there are none in it")),
        Stored::Unusable(why) => Err(unusable(folder, &why)),
    }
}

fn unusable(folder: &Path, why: &str) -> anyhow::Error {
    let text =
        format!("{}: results can't be used ({why}); give the bundle instead", folder.display());
    Failure::new("bad-results", text).into()
}
