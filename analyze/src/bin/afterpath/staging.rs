//! Outputs written beside their place and renamed into it: whoever looks sees all of an output or none of it, also after
//! Ctrl-C. Never replaces anything without being told to, and never what [`Output::check`] doesn't know as its like.

use crate::failure::Failure;
use crate::replaceable::{Output, check_not_input};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Folders to remove when interrupted. Whoever holds the lock is the only one to make, move or remove one.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Folders of this run and what each is written for: errors name the latter.
static PLACES: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());

/// Attempts at what other threads may be in the way of.
const ATTEMPTS: u32 = 100;

/// A place beside an output.
pub(crate) struct Staging {
    folder: PathBuf,
    target: PathBuf,
    kind: Output,
    force: bool,
}

impl Staging {
    /// For the bundle `target`; an error if it exists and `force` is not given.
    pub(crate) fn beside(target: &Path, force: bool) -> Result<Self> {
        Staging::of(Output::Bundle, target, force, &[])
    }

    /// The same for any output, which must be none of `inputs`.
    pub(crate) fn of(kind: Output, target: &Path, force: bool, inputs: &[PathBuf]) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| {
            Failure::usage("bad-output", format!("{} names no file to write", target.display()))
        })?;
        check_not_input(target, inputs)?;
        kind.check(target, force)?;
        let parent =
            target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut unfinished = lock(&UNFINISHED);
        // A name may be as long as the file system allows; this one is longer.
        let beginning: String = name.to_string_lossy().chars().take(32).collect();
        let folder = tempfile::Builder::new()
            .prefix(&format!(".{beginning}."))
            .suffix(".partial")
            .tempdir_in(parent)
            .map_err(|error| unwritable(target, &error))?
            .keep();
        unfinished.push(folder.clone());
        lock(&PLACES).push((folder.clone(), target.to_path_buf()));
        Ok(Staging { folder, target: target.to_path_buf(), kind, force })
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
        self.kind.check(&self.target, self.force)?;
        // An interruption waits until the old output or the new one is in its place.
        let _unfinished = lock(&UNFINISHED);
        let replaced = self.folder.join("replaced");
        let failed = |error: std::io::Error| unwritable(&self.target, &error);
        if self.target.is_dir() {
            // A directory can't be renamed onto another: the old one moves aside and goes with the staging.
            std::fs::rename(&self.target, &replaced).map_err(failed)?;
        }
        std::fs::rename(self.path(), &self.target).map_err(|error| {
            // Without the new one the old one has to stay.
            let _ = std::fs::rename(&replaced, &self.target);
            failed(error)
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let mut unfinished = lock(&UNFINISHED);
        let _ = std::fs::remove_dir_all(&self.folder);
        unfinished.retain(|folder| *folder != self.folder);
    }
}

/// Removes all that is unfinished, although threads may still be writing there, and calls `end` before anything can be begun
/// anew.
pub(crate) fn abandon(end: impl FnOnce()) {
    let unfinished = lock(&UNFINISHED);
    unfinished.iter().for_each(|folder| remove_blocking(folder));
    // From here on a thread could make one again: nothing comes between this and the end.
    for folder in unfinished.iter() {
        let _ = std::fs::remove_file(folder);
    }
    end();
}

/// `text` with the outputs it is about instead of the places they are staged at.
pub(crate) fn naming_targets(text: &str) -> String {
    let mut text = text.to_owned();
    for (folder, target) in lock(&PLACES).iter() {
        let folder = folder.display().to_string();
        let target = target.display().to_string();
        let name = Path::new(&target).file_name().unwrap_or_default().to_string_lossy();
        text = text.replace(&format!("{folder}/{name}"), &target);
        // What else is in the folder is nobody's business: the output is what can't be written.
        while let Some(at) = text.find(&folder) {
            let rest = &text[at + folder.len()..];
            let end = rest.find(": ").unwrap_or(rest.len());
            text.replace_range(at..at + folder.len() + end, &target);
        }
    }
    text
}

/// Why an output can't be written, without the temporary name beside it.
fn unwritable(target: &Path, error: &std::io::Error) -> anyhow::Error {
    let why = error.to_string();
    let why = why.split(" at path ").next().unwrap_or_default();
    Failure::new("io", format!("{}: can't be written: {why}", target.display())).into()
}

/// Removes a folder and leaves a file of its name, so that threads that make folders as they need them can't make it again.
fn remove_blocking(folder: &Path) {
    let mut moved = Vec::new();
    for attempt in 0..ATTEMPTS {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".{attempt}"));
        let aside = PathBuf::from(name);
        moved.extend(std::fs::rename(folder, &aside).ok().map(|()| aside));
        if std::fs::File::create_new(folder).is_ok() {
            break;
        }
    }
    for aside in moved {
        (0..ATTEMPTS).find(|_| {
            std::fs::remove_dir_all(&aside).is_ok() || std::fs::symlink_metadata(&aside).is_err()
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    fn check(text: &str, expected: &str) {
        let (folder, target) = ("out/.b.XYZ.partial", "out/b");
        lock(&PLACES).push((folder.into(), target.into()));
        assert_eq!(naming_targets(text), expected);
    }

    #[test]
    fn errors_name_the_output_and_not_its_staging() {
        check("error[io]: out/.b.XYZ.partial/b: full", "error[io]: out/b: full");
        check("error[io]: out/.b.XYZ.partial/b/hosts/x: full", "error[io]: out/b/hosts/x: full");
        check("error[io]: out/.b.XYZ.partial/.b.QR/run-0: full", "error[io]: out/b: full");
        check("error[io]: out/.b.XYZ.partial", "error[io]: out/b");
        check("error[io]: elsewhere: full", "error[io]: elsewhere: full");
    }

    #[test]
    fn a_folder_goes_and_stays_away_while_threads_make_files_in_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(".x.partial");
        let (started, stop) = (AtomicU32::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (folder, started, stop) = (&folder, &started, &stop);
                // Like a writer of tables: a folder for each, and no giving up.
                scope.spawn(move || {
                    let mut i = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let own = folder.join(format!("{writer}-{i}"));
                        let _ = std::fs::create_dir_all(&own);
                        let _ = std::fs::write(own.join("file"), [0; 64]);
                        started.fetch_max(i, Ordering::Relaxed);
                        i += 1;
                    }
                });
            }
            while started.load(Ordering::Relaxed) < 50 {
                std::thread::yield_now();
            }
            remove_blocking(&folder);
            stop.store(true, Ordering::Relaxed);
        });
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().collect();
        assert!(left.len() == 1 && left[0].path() == folder && folder.is_file(), "{left:?}");
    }
}
