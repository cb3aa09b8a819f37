//! `pack`: a bundle into one file.

use crate::arguments::Pack;
use crate::replaceable::Output;
use crate::staging::Staging;
use crate::terminal::{Progress, note};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Runs it.
pub(crate) fn run(a: &Pack) -> Result<()> {
    let output = a.output.clone().unwrap_or_else(|| packed_name(&a.bundle));
    let staging = Staging::of(Output::File, &output, a.force, std::slice::from_ref(&a.bundle))?;
    let progress = Progress::begin("packing");
    afterpath_formats::bundle::pack(&a.bundle, &staging.path(), false)
        .map_err(|error| staging.renamed(error))?;
    drop(progress);
    staging.commit()?;
    note(&format!("packed into {}", output.display()));
    Ok(())
}

fn packed_name(bundle: &Path) -> PathBuf {
    // `x/` packs to `x.tar`, not into it.
    let mut name = bundle.components().as_path().as_os_str().to_owned();
    name.push(".tar");
    PathBuf::from(name)
}
