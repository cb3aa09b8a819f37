//! From paths on the command line to what `diff` compares: a bundle, a folder of results, a folder of several of either. What a recording
//! is reduced to is kept beside its results (`<bundle>.analysis/*.run`), small enough to keep one of every build; never trusted when it is
//! of another program, input or option.

use crate::arguments::Analyzed;
use crate::failure::Failure;
use crate::input;
use crate::replaceable::Output;
use crate::results::{self, Key};
use crate::staging::Staging;
use crate::terminal::note;
use afterpath::diff::{Conditions, Run};
use afterpath_formats::bundle::Bundles;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"afterpath run 1\n";
const SUFFIX: &str = ".run";
/// Small before quick: it is written once for each recording, and kept.
const LEVEL: i32 = 15;
/// More than any recording's.
const MOST_BYTES: u64 = 1 << 30;
/// Recordings in one folder.
const MOST_RUNS: usize = 10_000;

/// A recording and what it is called.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) run: Run,
}

/// All recordings that these paths name, in their order, those of a folder by name.
pub(crate) fn read(paths: &[PathBuf], analyzed: &Analyzed) -> Result<Vec<Named>> {
    let mut found = Vec::new();
    for path in paths {
        for path in several(path)? {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            found.push(Named { name, run: one(&path, analyzed)? });
        }
    }
    Ok(found)
}

/// The recordings in a folder of several, else the path itself.
fn several(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir()
        || path.join("manifest.json").exists()
        || results::is_folder(path)
        || is_kept(path)
    {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    inside.sort();
    let is_recording = |path: &Path| match path.is_dir() {
        true => path.join("manifest.json").exists() || results::is_folder(path) || is_kept(path),
        false => path.to_string_lossy().ends_with(".afterpath.tar"),
    };
    // Beside a bundle its results say the same.
    let bundle = |path: &Path| path.to_string_lossy().strip_suffix(".analysis").map(PathBuf::from);
    let is_beside = |path: &PathBuf| bundle(path).is_some_and(|bundle| bundle.exists());
    inside.retain(|path| is_recording(path) && !is_beside(path));
    if inside.is_empty() {
        let text =
            format!("{}: neither a bundle nor results, nor a folder of them", path.display());
        return Err(Failure::new("no-recording", text).into());
    }
    if inside.len() > MOST_RUNS {
        let text = format!("{}: more than {MOST_RUNS} recordings", path.display());
        return Err(Failure::new("too-many", text).into());
    }
    Ok(inside)
}

fn one(path: &Path, analyzed: &Analyzed) -> Result<Run> {
    if is_kept(path) || results::is_folder(path) {
        return of_results(path, analyzed);
    }
    let paths = [path.to_path_buf()];
    let key = input::key(&paths, analyzed)?;
    if !analyzed.again
        && let Some(run) = results::folders(path).iter().find_map(|folder| kept(folder, &key))
    {
        return Ok(run);
    }
    let input = input::read(&paths, analyzed)?;
    let conditions = Conditions::read(&Bundles::open(&paths)?, &input.analysis);
    let run = Run::of(&input.analysis, conditions);
    let stored = results::folders(path).iter().any(|folder| keep(folder, &key, &run).is_ok());
    if !stored {
        note(&format!(
            "warning[run-not-stored]: {}: the next diff reads it all again",
            path.display()
        ));
    }
    Ok(run)
}

/// Of a folder of results: what was kept of them, else the results themselves, which know nothing of machines.
fn of_results(folder: &Path, analyzed: &Analyzed) -> Result<Run> {
    match files(folder).as_slice() {
        [] => {
            let input = input::read(&[folder.to_path_buf()], analyzed)?;
            Ok(Run::of(&input.analysis, Conditions::default()))
        }
        [file] => decoded(file, None).map_err(|error| {
            Failure::new("bad-results", format!("{}: {error:#}", file.display())).into()
        }),
        _ => {
            let text = format!("{}: results of several options; keep one", folder.display());
            Err(Failure::new("bad-results", text).into())
        }
    }
}

fn is_kept(path: &Path) -> bool {
    path.is_dir() && !path.join("manifest.json").exists() && !files(path).is_empty()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(SUFFIX));
    files.sort();
    files
}

fn file(folder: &Path, key: &Key) -> PathBuf {
    folder.join(key.file_with(SUFFIX))
}

fn kept(folder: &Path, key: &Key) -> Option<Run> {
    decoded(&file(folder, key), Some(key)).ok()
}

fn decoded(path: &Path, key: Option<&Key>) -> Result<Run> {
    let bytes = fs::read(path)?;
    let head = MAGIC.len();
    let (Some(magic), Some(of), Some(sum), Some(body)) = (
        bytes.get(..head),
        bytes.get(head..head + 32),
        bytes.get(head + 32..head + 64),
        bytes.get(head + 64..),
    ) else {
        bail!("cut short");
    };
    if magic != MAGIC {
        bail!("of another version");
    }
    if blake3::hash(body).as_bytes() != sum {
        bail!("altered");
    }
    if key.is_some_and(|key| key.hash() != of) {
        bail!("of another recording or program");
    }
    let mut plain = Vec::new();
    zstd::Decoder::new(body)?.take(MOST_BYTES).read_to_end(&mut plain)?;
    Ok(postcard::from_bytes(&plain)?)
}

fn keep(folder: &Path, key: &Key, run: &Run) -> Result<()> {
    fs::create_dir_all(folder)?;
    let body = zstd::encode_all(postcard::to_allocvec(run)?.as_slice(), LEVEL)?;
    let staging = Staging::of(Output::File, &file(folder, key), true, &[])?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(key.hash());
    bytes.extend_from_slice(blake3::hash(&body).as_bytes());
    bytes.extend_from_slice(&body);
    fs::write(staging.path(), bytes)?;
    staging.commit()
}
