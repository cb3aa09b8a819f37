//! Is a bundle whole? Every listed file is read once and compared with the manifest, every open segment with its checksums. Never changes anything.

use super::cross_check::cross_check;
use super::manifest::{FileEntry, LossSum, Manifest, Reduction, Seal};
use super::names::MANIFEST;
use super::open::open_file;
use super::snapshot::Opening;
use super::source::Source;
use super::told::Told;
use crate::error::{At, Error, Kind, Result};
use crate::recording::LOCK;
use crate::recording::pending::{Pending, is_recordings_own};
use crate::table;
use rayon::prelude::*;
use std::path::Path;

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The manifest.
    pub manifest: Manifest,
    /// What is wrong: hashes, schemas, order, seal, missing and unlisted files, tables that contradict the manifest or one
    /// another. Empty: the bundle is whole.
    pub problems: Vec<Error>,
    /// What is odd but not wrong (unknown tables and columns, compression).
    pub notes: Vec<Error>,
    /// Decryption-secret blocks, still in the bundle.
    pub secrets: Vec<Secret>,
    /// What the recordings are known to lack.
    pub losses: Vec<LossSum>,
    /// What was left out on purpose.
    pub reductions: Vec<Reduction>,
    /// Files compared.
    pub n_files: usize,
    /// Bytes compared.
    pub n_bytes: u64,
}

/// A block that holds keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The host's folder value.
    pub host: String,
    /// Its place in the capture, see the packets table.
    pub source_row: i64,
    /// The whole block's length in bytes.
    pub bytes: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the bundle at `path`. `Err` only when there is no readable manifest to compare with.
pub fn verify(path: &Path) -> Result<Verification> {
    let mut notes = Vec::new();
    let Opening { source, manifest, bytes, pending } = Opening::snapshot(path, &mut notes)?;
    let mut found = Verification {
        problems: Vec::new(),
        secrets: Vec::new(),
        losses: manifest.losses.clone(),
        reductions: manifest.reductions.clone(),
        n_files: manifest.files.len() + pending.len() + 1,
        n_bytes: bytes.len() as u64,
        notes,
        manifest,
    };
    // A pack without its end is not what was packed, even if every listed file is there.
    let is_note = |note: &Error| note.kind.is_note();
    (found.notes, found.problems) = found.notes.drain(..).partition(is_note);
    found.check_seal(path);
    found.check_unlisted(&source);
    let mut checked: Vec<Checked> =
        found.manifest.files.par_iter().map(|entry| check_file(&source, entry)).collect();
    checked.par_extend(pending.par_iter().map(check_segment));
    let told: Vec<Told> = checked.iter().filter_map(|file| file.told.clone()).collect();
    let is_all_told = told.len() == checked.iter().filter(|file| file.is_known).count();
    for file in checked {
        found.n_bytes += file.n_bytes;
        found.problems.extend(file.problems);
        found.notes.extend(file.notes);
        found.secrets.extend(file.secrets);
    }
    found.problems.extend(cross_check(&source, &found.manifest, &told, is_all_told));
    Ok(found)
}

impl Verification {
    fn check_seal(&mut self, path: &Path) {
        if self.manifest.seal == Seal::Unsealed {
            self.problems.push(Error::new(path, At::File, Kind::Unsealed));
        }
    }

    fn check_unlisted(&mut self, source: &Source) {
        let names = match source.names() {
            Ok(names) => names,
            Err(error) => return self.problems.push(error),
        };
        let listed: std::collections::HashSet<&str> =
            self.manifest.files.iter().map(|file| file.path.as_str()).collect();
        let is_unsealed = self.manifest.seal == Seal::Unsealed;
        let is_expected = |name: &str| {
            // The lock goes last; what else a recorder leaves is looked at as segments, or superseded by them.
            name == MANIFEST || name == LOCK || (is_unsealed && is_recordings_own(name))
        };
        let is_listed = |name: &&String| listed.contains(name.as_str());
        for name in names.iter().filter(|name| !is_expected(name) && !is_listed(name)) {
            self.problems.push(Error::new(source.shown(name), At::File, Kind::UnlistedFile));
        }
    }
}

#[derive(Default)]
struct Checked {
    problems: Vec<Error>,
    notes: Vec<Error>,
    secrets: Vec<Secret>,
    n_bytes: u64,
    /// Whether its table is known.
    is_known: bool,
    /// What it says, where it could be read whole.
    told: Option<Told>,
}

/// Reads a segment, comparing every checksum. Its rows are compared with nothing else before it is a part.
fn check_segment(segment: &Pending) -> Checked {
    let extent = segment.read(|_| Ok(()));
    let problems = match extent {
        Ok(extent) => extent.warning(&segment.shown).into_iter().collect(),
        Err(error) => vec![error],
    };
    Checked { problems, n_bytes: segment.blob.length(), ..Checked::default() }
}

fn check_file(source: &Source, entry: &FileEntry) -> Checked {
    let mut checked =
        Checked { is_known: table::find(&entry.table).is_some(), ..Checked::default() };
    if let Err(error) = check_hash(source, entry, &mut checked) {
        checked.problems.push(error);
        return checked;
    }
    let Some(table) = table::find(&entry.table) else {
        let kind = Kind::UnknownTable(entry.table.clone());
        checked.notes.push(Error::new(source.shown(&entry.path), At::File, kind));
        return checked;
    };
    match open_file(source, entry, table) {
        Err(error) => checked.problems.push(error),
        Ok(file) => {
            if !file.unknown_columns.is_empty() {
                let kind = Kind::UnknownColumns(file.unknown_columns.join(", "));
                checked.notes.push(Error::new(&file.path, At::File, kind));
            }
            let n_before = checked.problems.len();
            let told = Told::read(entry, table, &file, &mut checked.problems);
            checked.secrets.extend(told.secrets.iter().cloned());
            checked.told = (checked.problems.len() == n_before).then_some(told);
        }
    }
    checked
}

fn check_hash(source: &Source, entry: &FileEntry, checked: &mut Checked) -> Result<()> {
    let blob = source.blob(&entry.path)?;
    let shown = source.shown(&entry.path);
    let hash = blob.blake3().map_err(|error| Error::io(&shown, &error))?;
    checked.n_bytes = blob.length();
    if hash != entry.blake3 {
        let how = format!(
            "its hash is not the one listed ({} bytes, {} listed)",
            blob.length(),
            entry.bytes
        );
        return Err(Error::new(&shown, At::File, Kind::AlteredFile(how)));
    }
    Ok(())
}
