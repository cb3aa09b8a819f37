//! What `--force` may replace: an output of the same kind that this program wrote, and nothing besides. Never trusts a name
//! alone, never one kind for another, never what is being read.

use crate::failure::Failure;
use afterpath::report::tables::TABLES;
use afterpath_formats::bundle::manifest::{MAX_BYTES, Manifest};
use afterpath_formats::bundle::names::MANIFEST;
use anyhow::Result;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// One file.
    File,
    /// The directory of a bundle.
    Bundle,
    /// The directory of `export --format parquet`.
    Tables,
    /// A directory with nothing but files and folders of these names.
    Named(&'static [&'static str]),
}

impl Output {
    /// Whether `target` is free, or may be replaced by this.
    pub(crate) fn check(self, target: &Path, force: bool) -> Result<()> {
        let Ok(found) = std::fs::symlink_metadata(target) else { return Ok(()) };
        if !force {
            return Err(exists(target, "exists already; give --force to replace it"));
        }
        let why = match self {
            _ if found.is_symlink() => Some("is a link; give the place it leads to".to_owned()),
            Output::File if found.is_file() => None,
            Output::File if found.is_dir() => Some("is a directory, the output a file".to_owned()),
            Output::File => Some("is a device or pipe; to write there, use -o - and >".to_owned()),
            _ if !found.is_dir() => Some("is a file, the output a directory".to_owned()),
            _ => self.foreign(target).map(|why| {
                format!("is not replaced: {why}; remove it yourself or write elsewhere")
            }),
        };
        why.map_or(Ok(()), |why| Err(exists(target, &why)))
    }

    /// Why a directory is not of this kind; an empty one is of any.
    fn foreign(self, folder: &Path) -> Option<String> {
        let names = match names(folder) {
            Ok(names) => names,
            Err(error) => return Some(format!("what it holds can't be read ({error})")),
        };
        if names.is_empty() {
            return None;
        }
        match self {
            Output::File => Some("it is a directory".to_owned()),
            Output::Bundle => foreign_in_bundle(folder),
            Output::Tables => foreign_in_tables(folder, &names),
            Output::Named(known) => {
                names.iter().find(|name| !known.contains(&name.as_str())).map(|name| not_ours(name))
            }
        }
    }
}

/// An output that is an input, holds one or lies in one would be lost before or while it is read.
pub(crate) fn check_not_input(target: &Path, inputs: &[PathBuf]) -> Result<()> {
    let Ok(place) = target.canonicalize() else { return Ok(()) };
    for input in inputs {
        let Ok(read) = input.canonicalize() else { continue };
        if read.starts_with(&place) || place.starts_with(&read) {
            let why = format!("is what is read ({}); write elsewhere", input.display());
            return Err(exists(target, &why));
        }
    }
    Ok(())
}

fn names(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    std::fs::read_dir(folder)?.map(name).collect()
}

fn exists(target: &Path, why: &str) -> anyhow::Error {
    Failure::new("output-exists", format!("{} {why}", target.display())).into()
}

fn not_ours(name: &str) -> String {
    format!("`{name}` in it is nothing that afterpath wrote")
}

/// A bundle holds its manifest and the files listed there.
fn foreign_in_bundle(folder: &Path) -> Option<String> {
    let path = folder.join(MANIFEST);
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.len() <= MAX_BYTES);
    let bytes = std::fs::read(&path).ok().filter(|_| is_small);
    let manifest = bytes.and_then(|bytes| Manifest::parse(&path, &bytes).ok());
    let Some((manifest, _)) = manifest else {
        return Some(format!("no {MANIFEST} in it says that it is an afterpath bundle"));
    };
    let listed = manifest.files.iter().map(|file| Path::new(&file.path));
    let listed: BTreeSet<&Path> = listed.chain([Path::new(MANIFEST)]).collect();
    match unlisted(folder, Path::new(""), &listed) {
        Ok(found) => found.map(|name| not_ours(&name.to_string_lossy())),
        Err(error) => Some(format!("what it holds can't be read ({error})")),
    }
}

/// The first file, by its path below `folder`, that is none of `listed`.
fn unlisted(
    folder: &Path,
    below: &Path,
    listed: &BTreeSet<&Path>,
) -> std::io::Result<Option<PathBuf>> {
    let mut entries: Vec<_> = std::fs::read_dir(folder.join(below))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = below.join(entry.file_name());
        let found = match entry.file_type()?.is_dir() {
            true => unlisted(folder, &name, listed)?,
            false => (!listed.contains(name.as_path())).then_some(name),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Exactly the tables, each with our name in its footer.
fn foreign_in_tables(folder: &Path, names: &BTreeSet<String>) -> Option<String> {
    let wanted: BTreeSet<String> = TABLES.iter().map(|t| format!("{}.parquet", t.name)).collect();
    if let Some(name) = names.difference(&wanted).next() {
        return Some(not_ours(name));
    }
    if let Some(name) = wanted.difference(names).next() {
        return Some(format!("an export by afterpath would hold `{name}`"));
    }
    let is_ours = |name: &&String| {
        written_by(&folder.join(name)).is_some_and(|by| by.starts_with("afterpath"))
    };
    wanted.iter().find(|name| !is_ours(name)).map(|name| not_ours(name))
}

fn written_by(path: &Path) -> Option<String> {
    let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    reader.metadata().file_metadata().created_by().map(str::to_owned)
}
