//! From paths on the command line to an analysis: stored results where they fit, else the analysis itself, then stored.
//! Says on stderr what it does again and why.

use crate::arguments::Analyzed;
use crate::failure::Failure;
use crate::results::{self, Key, Stored};
use crate::terminal::{self, Progress, note, warn};
use afterpath::analysis::Analysis;
use afterpath::loss::{DAMAGED, Loss};
use afterpath::pipeline::{self, Config};
use afterpath::quantity::plural;
use afterpath_formats::bundle::Bundles;
use anyhow::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

/// An analysis and whether its bundles were damaged.
pub(crate) struct Input {
    pub(crate) analysis: Analysis,
    pub(crate) n_warnings: usize,
}

/// Reads what `paths` name.
pub(crate) fn read(paths: &[PathBuf], analyzed: &Analyzed) -> Result<Input> {
    let config = analyzed.config()?;
    if let [folder] = paths
        && results::is_folder(folder)
    {
        return from_results(folder);
    }
    let bundles = open(paths)?;
    let damage = damage(&bundles, paths);
    let key = key_of(&bundles, &damage, &config);
    let stored = if analyzed.again { Stored::Missing } else { results::load(&paths[0], &key) };
    let analysis = match stored {
        Stored::Found(analysis) => *analysis,
        Stored::Missing => analyze(&bundles, &damage, &config, &paths[0], &key),
        Stored::Unusable(why) => {
            note(&format!("stored results are not used ({why}); analyzing again"));
            analyze(&bundles, &damage, &config, &paths[0], &key)
        }
    };
    let found_reading = analysis.losses.iter().filter(|l| l.is_damage() && !damage.contains(l));
    let n_warnings = bundles.warnings.len() + found_reading.clone().count();
    found_reading.for_each(warn_of_loss);
    Ok(Input { analysis, n_warnings })
}

/// What results of these bundles are found by.
pub(crate) fn key(paths: &[PathBuf], analyzed: &Analyzed) -> Result<Key> {
    let bundles = Bundles::open(paths)?;
    Ok(key_of(&bundles, &damage(&bundles, paths), &analyzed.config()?))
}

/// A bundle whole again has other results than it had damaged, though its manifest is the same.
fn key_of(bundles: &Bundles, damage: &[Loss], config: &Config) -> Key {
    Key::of(&format!("{} {damage:?}", bundles.hash), &format!("{config:?}"))
}

/// Damage that only reading the packets showed.
fn warn_of_loss(loss: &Loss) {
    let name = loss.cause.trim_start_matches(DAMAGED);
    let count = plural(loss.count, "packet");
    let what = match name {
        "altered-file" => {
            format!("the file is not the one recorded; none of its {count} is certain")
        }
        _ => format!("{count} could not be read"),
    };
    note(&format!(
        "warning[{name}]: {}: {what}; `afterpath verify` checks the whole bundle",
        loss.place
    ));
}

/// Opens bundles, each once, warning of what is damaged in them.
pub(crate) fn open(paths: &[PathBuf]) -> Result<Bundles> {
    let bundles = Bundles::open(&distinct(paths)?)?;
    bundles.warnings.iter().for_each(warn);
    Ok(bundles)
}

/// The paths without those that hold the same recording as an earlier one, packed or not: its hosts would appear twice.
fn distinct(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.len() < 2 {
        return Ok(paths.to_vec());
    }
    let mut seen: BTreeMap<String, &PathBuf> = BTreeMap::new();
    let mut distinct = Vec::new();
    for path in paths {
        // The hash of its manifest, which lists the hash of every file.
        match seen.entry(Bundles::open(std::slice::from_ref(path))?.hash) {
            Entry::Vacant(entry) => {
                entry.insert(path);
                distinct.push(path.clone());
            }
            Entry::Occupied(entry) => note(&format!(
                "warning[same-bundle]: {} is the same recording as {}; it is read once",
                path.display(),
                entry.get().display()
            )),
        }
    }
    Ok(distinct)
}

/// What opening found missing or damaged, as losses by file; what is only worth a note is none.
fn damage(bundles: &Bundles, paths: &[PathBuf]) -> Vec<Loss> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for warning in bundles.warnings.iter().filter(|w| !w.kind.is_note()) {
        let cause = format!("{DAMAGED}{}", warning.kind.name());
        *counts.entry((place(&warning.path, paths), cause)).or_default() += 1;
    }
    counts.into_iter().map(|((place, cause), count)| Loss { place, cause, count }).collect()
}

/// A file by its bundle's name, wherever that stands: the same bundle gives the same results from any directory.
fn place(file: &Path, paths: &[PathBuf]) -> String {
    let named = |bundle: &PathBuf| {
        let below = file.strip_prefix(bundle).ok()?;
        let whole = Path::new(bundle.file_name()?).join(below);
        // Joining nothing leaves a separator at the end.
        Some(whole.components().as_path().display().to_string())
    };
    paths.iter().find_map(named).unwrap_or_else(|| file.display().to_string())
}

/// An error under `--strict` when something was damaged or lost.
pub(crate) fn check_strict(input: &Input, strict: bool) -> Result<()> {
    let counts = |loss: &&Loss| {
        !loss.is_other_traffic()
            && !loss.is_damage()
            && afterpath_formats::table::losses::is_damage(&loss.cause)
    };
    let n_lost = input.analysis.losses.iter().filter(counts).count();
    if !strict || (n_lost == 0 && input.n_warnings == 0) {
        return Ok(());
    }
    let text = format!(
        "{} and {} of loss, which --strict forbids; `afterpath analyze` lists them",
        plural(input.n_warnings as u64, "warning"),
        plural(n_lost as u64, "kind")
    );
    Err(Failure::new("strict", text).into())
}

fn analyze(
    bundles: &Bundles,
    damage: &[Loss],
    config: &Config,
    first: &Path,
    key: &Key,
) -> Analysis {
    let progress = Progress::begin("analyzing");
    let mut analysis = pipeline::analyze(bundles, config);
    analysis.losses.extend_from_slice(damage);
    analysis.losses.sort_by(|a, b| (&a.place, &a.cause).cmp(&(&b.place, &b.cause)));
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
        Stored::Found(analysis) => {
            let n_warnings = analysis.losses.iter().filter(|loss| loss.is_damage()).count();
            Ok(Input { analysis: *analysis, n_warnings })
        }
        Stored::Missing => Err(unusable(folder, "there are none in it")),
        Stored::Unusable(why) => Err(unusable(folder, &why)),
    }
}

fn unusable(folder: &Path, why: &str) -> anyhow::Error {
    let text =
        format!("{}: results can't be used ({why}); give the bundle instead", folder.display());
    Failure::new("bad-results", text).into()
}
