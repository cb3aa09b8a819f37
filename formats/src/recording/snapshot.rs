//! A sealed copy of a recording as it stands, its recorder at work: what happened is kept while recording goes on. Never touches
//! the recording, never waits for its recorder.

use super::disk;
use super::pending::pending;
use super::repair::{Repaired, repair};
use crate::bundle::names::MANIFEST;
use crate::bundle::open::read_manifest;
use crate::error::{At, Error, Kind, Result};
use std::fs::{self, File};
use std::path::Path;

/// Times that a copy is begun anew because the recorder removed something meanwhile.
const TRIES: usize = 20;

/// Copies the bundle in the folder `from` to `to`, where nothing stands, and seals the copy. Finished parts are linked where both are
/// on one file system.
pub fn snapshot(from: &Path, to: &Path) -> Result<Repaired> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::new(to, At::File, Kind::OutputExists));
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut n_left = TRIES;
    loop {
        n_left -= 1;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".snapshot.");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let beside = builder.tempdir_in(parent).map_err(|error| Error::disk(to, &error))?;
        match copy(from, beside.path()) {
            // The recorder went on in between: what was copied may not belong together.
            Ok(false) if n_left > 0 => continue,
            Err(error) if n_left > 0 && is_gone(&error) => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let done = repair(beside.path())?;
        fs::rename(beside.path(), to).map_err(|error| Error::disk(to, &error))?;
        let _ = beside.keep();
        disk::sync_folder(parent)?;
        return Ok(done);
    }
}

/// A file that a manifest named, and that was removed since.
fn is_gone(error: &Error) -> bool {
    error.kind == Kind::MissingFile
}

/// Copies what counts; false when the manifest changed meanwhile.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let (source, manifest, bytes) = read_manifest(from, &mut Vec::new())?;
    let segments = pending(&source, &manifest, &mut Vec::new())?;
    for name in manifest.files.iter().map(|file| &file.path) {
        place(to, name)?;
        link(&from.join(name), &to.join(name))?;
    }
    for segment in &segments {
        place(to, &segment.name)?;
        // Whole frames only: the one that is being written is no loss.
        let extent = segment.read(|_| Ok(()))?;
        let n_bytes = extent.cut.map_or(segment.blob.length(), |cut| cut.at);
        let path = to.join(&segment.name);
        let mut file = disk::new_file(&path)?;
        let mut whole = std::io::Read::take(segment.blob.reader(0), n_bytes);
        std::io::copy(&mut whole, &mut file).map_err(|error| Error::disk(&path, &error))?;
    }
    disk::replace(&to.join(MANIFEST), &bytes)?;
    let now = fs::read(from.join(MANIFEST)).unwrap_or_default();
    Ok(now == bytes[..])
}

/// Makes the folders of a file.
fn place(root: &Path, name: &str) -> Result<()> {
    let mut folder = root.to_path_buf();
    let mut elements: Vec<&str> = name.split('/').collect();
    elements.pop();
    for element in elements {
        folder.push(element);
        disk::folder(&folder)?;
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let gone = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(from, At::File, Kind::MissingFile),
        _ => Error::io(from, &error),
    };
    let mut read = File::open(from).map_err(gone)?;
    let mut written = disk::new_file(to)?;
    std::io::copy(&mut read, &mut written).map(drop).map_err(|error| Error::disk(to, &error))
}
