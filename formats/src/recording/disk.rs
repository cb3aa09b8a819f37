//! Files and folders that only their owner may read, and that are there after a crash. Never overwrites one in place.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A new file, mode 0600.
pub(super) fn new_file(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.write(true).read(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Error::disk(path, &error))
}

/// Makes a folder, mode 0700, below one that is there; its name is there after a crash. One that is there is taken.
pub(super) fn folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::disk(path, &error))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder survive a crash.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    // Other systems can't open a folder; theirs is the file system's own promise.
    #[cfg(unix)]
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| Error::disk(path, &e))?;
    let _ = path;
    Ok(())
}

/// Puts `bytes` in the place of the file at `path`: either the old ones are there after a crash or these.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("tmp");
    remove(&beside)?;
    let write = |mut file: File| -> io::Result<()> {
        file.write_all(bytes)?;
        file.sync_all()
    };
    let written = new_file(&beside).and_then(|file| {
        write(file)
            .and_then(|()| fs::rename(&beside, path))
            .map_err(|error| Error::disk(path, &error))
    });
    if written.is_err() {
        // On a full disk it would only take room.
        let _ = fs::remove_file(&beside);
        return written;
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk(path, &error)),
        _ => Ok(()),
    }
}
