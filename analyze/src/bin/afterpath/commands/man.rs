//! `man`: a page per command into a directory. Never replaces a file that says something else without being told to.

use crate::arguments::{Arguments, Man};
use crate::failure::Failure;
use crate::replaceable::Output;
use crate::staging::Staging;
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::fs;
use std::path::PathBuf;

/// Runs it.
pub(crate) fn run(a: &Man) -> Result<()> {
    let pages: Vec<(PathBuf, Vec<u8>)> =
        pages()?.into_iter().map(|(name, page)| (a.dir.join(name), page)).collect();
    let differs = |(path, page): &&(PathBuf, Vec<u8>)| fs::read(path).ok().as_ref() != Some(page);
    let different: Vec<_> = pages.iter().filter(differs).collect();
    let taken = different.iter().find(|(path, _)| fs::symlink_metadata(path).is_ok());
    if let Some((path, _)) = taken.filter(|_| !a.force) {
        let text = format!("{} exists and differs; give --force to replace it", path.display());
        return Err(Failure::new("output-exists", text).into());
    }
    fs::create_dir_all(&a.dir).with_context(|| a.dir.display().to_string())?;
    for (path, page) in different {
        let staging = Staging::of(Output::File, path, a.force, &[])?;
        fs::write(staging.path(), page).with_context(|| path.display().to_string())?;
        staging.commit()?;
    }
    Ok(())
}

/// Every page with its name, in the order of names.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    clap_mangen::generate_to(Arguments::command(), folder.path())?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        pages.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    pages.sort();
    Ok(pages)
}
