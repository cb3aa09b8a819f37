//! Outputs written beside their place and renamed into it: whoever looks sees all of an output or none of it, also after
//! Ctrl-C. Never replaces anything without being told to, and never a directory that this program can't have made.

use crate::failure::Failure;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Directories to remove when interrupted.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes what is unfinished on Ctrl-C, SIGTERM and SIGHUP, and ends with 130.
pub(crate) fn clean_up_when_interrupted() {
    // Without the handler an interrupt leaves a hidden directory behind; no reason not to work.
    let _ = ctrlc::set_handler(|| {
        for folder in unfinished().drain(..) {
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(130);
    });
}

/// A place beside an output.
pub(crate) struct Staging {
    folder: PathBuf,
    target: PathBuf,
    force: bool,
}

impl Staging {
    /// For `target`; an error if it exists and `force` is not given.
    pub(crate) fn beside(target: &Path, force: bool) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| {
            Failure::usage("bad-output", format!("{} names no file to write", target.display()))
        })?;
        refuse_to_overwrite(target, force)?;
        let parent =
            target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A name may be as long as the file system allows; this one is longer.
        let beginning: String = name.to_string_lossy().chars().take(32).collect();
        let prefix = format!(".{beginning}.");
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .tempdir_in(parent)
            .map_err(|error| unwritable(parent, &error))?
            .keep();
        unfinished().push(folder.clone());
        Ok(Staging { folder, target: target.to_path_buf(), force })
    }

    /// Where to write the output, file or directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(self.target.file_name().unwrap_or_default())
    }

    /// An error about the output, or a file in it, with the name it will have: that of the staging means nothing.
    pub(crate) fn renamed(
        &self,
        mut error: afterpath_formats::error::Error,
    ) -> afterpath_formats::error::Error {
        if let Ok(below) = error.path.strip_prefix(self.path()) {
            // `join` of nothing would append a slash.
            error.path = match below.as_os_str().is_empty() {
                true => self.target.clone(),
                false => self.target.join(below),
            };
        } else if error.path.starts_with(&self.folder) {
            error.path = self.target.clone();
        }
        error
    }

    /// Moves the output into its place.
    pub(crate) fn commit(self) -> Result<()> {
        refuse_to_overwrite(&self.target, self.force)?;
        if self.target.is_dir() {
            // A directory can't be renamed onto another: the old one moves aside and goes with the staging.
            std::fs::rename(&self.target, self.folder.join("replaced"))
                .with_context(|| format!("{}: can't be replaced", self.target.display()))?;
        }
        std::fs::rename(self.path(), &self.target)
            .with_context(|| format!("{}: can't be written", self.target.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        unfinished().retain(|folder| *folder != self.folder);
    }
}

/// Without the name of what could not be made there: it means nothing to anyone.
fn unwritable(folder: &Path, error: &std::io::Error) -> anyhow::Error {
    let text = error.to_string();
    let why = text.split(" at path ").next().unwrap_or_default();
    Failure::new("io", format!("{}: can't write there: {why}", folder.display())).into()
}

fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse_to_overwrite(target: &Path, force: bool) -> Result<()> {
    if std::fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    if !force {
        let text = format!("{} exists already; give --force to replace it", target.display());
        return Err(Failure::new("output-exists", text).into());
    }
    if target.is_dir() && !is_ours(target) {
        let text = format!(
            "{} is a directory that no afterpath wrote; remove it yourself",
            target.display()
        );
        return Err(Failure::new("output-exists", text).into());
    }
    Ok(())
}

/// A bundle, a folder of tables, the demo's folder, or an empty one.
fn is_ours(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let names: Vec<_> =
        entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.is_empty()
        || names.iter().any(|n| n == "manifest.json" || n == "demo.afterpath.tar")
        || names.iter().all(|n| n.ends_with(".parquet"))
}
