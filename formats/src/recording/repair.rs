//! Sealing what an interrupted recorder left: segments become parts, sums are counted again, the manifest is sealed. Never
//! works beside a recorder, never removes rows that could be read; killed in its middle it can be begun again.

use super::finish::TOLD_AGAIN;
use super::pending::{Pending, is_recordings_own, lists, pending};
use super::retention::EVICTED;
use super::state::{Finished, State, lock};
use super::{LOCK, disk};
use crate::bundle::cross_check::EVERY_HOST;
use crate::bundle::manifest::{Manifest, Reduction, Seal};
use crate::bundle::names::{self, MANIFEST};
use crate::bundle::open::read_manifest;
use crate::bundle::source::Source;
use crate::error::{At, Error, Kind, Result};
use crate::table::losses::{self, LossRow};
use std::collections::BTreeSet;
use std::path::Path;

/// What repairing did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Whether the bundle was sealed already: nothing was to be done.
    pub was_sealed: bool,
    /// Segments that became parts.
    pub n_segments: u64,
    /// Rows that they held.
    pub n_segments_rows: u64,
    /// Rows in the bundle now.
    pub n_rows: u64,
    /// What was cut, a segment each, and what else could not be used.
    pub warnings: Vec<Error>,
}

/// Seals the unsealed bundle in the folder `path`. Refused while a recorder (or another repair) holds its lock.
pub fn repair(path: &Path) -> Result<Repaired> {
    if path.is_file() {
        let why = "only a bundle in a folder is repaired: unpack it first".to_string();
        return Err(Error::new(path, At::File, Kind::BadArguments(why)));
    }
    // Looked at once before, so that nothing is left in a folder that is no bundle, nor in a sealed one.
    if read_manifest(path, &mut Vec::new())?.1.seal == Seal::Sealed && !path.join(LOCK).exists() {
        return Ok(Repaired { was_sealed: true, ..Repaired::default() });
    }
    let lock = lock(path)?;
    let mut done = Repaired::default();
    let (source, manifest, _) = read_manifest(path, &mut done.warnings)?;
    if manifest.seal == Seal::Sealed {
        disk::remove(&path.join(LOCK))?;
        return Ok(Repaired { was_sealed: true, ..done });
    }
    check_host(path, &manifest)?;
    clear(&source, &manifest, path, &mut done.warnings)?;
    let segments = pending(&source, &manifest, &mut done.warnings)?;
    let state = State::new(path, lock, manifest);
    let (told, segments): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|segment| TOLD_AGAIN.contains(&segment.table.name));
    declare_cuts(&state, &segments, &told, &mut done)?;
    for segment in &segments {
        let finished = Finished { table: segment.table, number: segment.number, n_rows: None };
        state.compact(&segment.host, &finished)?;
    }
    done.n_segments = (segments.len() + told.len()) as u64;
    state.finish(&told)?;
    done.n_rows = state.inner().manifest.files.iter().map(|file| file.n_rows).sum();
    Ok(done)
}

/// A recorder writes one host.
fn check_host(path: &Path, manifest: &Manifest) -> Result<()> {
    match &manifest.hosts[..] {
        [host] if names::host_folder(&host.name, &host.id) == host.folder => Ok(()),
        hosts => {
            let why = format!("a recording has one host in its own folder; {} named", hosts.len());
            Err(Error::new(path.join(MANIFEST), At::File, Kind::HostsDiffer(why)))
        }
    }
}

/// Removes what was being written beside its place, segments whose parts are listed, and parts that nobody lists: their
/// segments are there, or a ring let go of them. A part of which neither is known is left alone, and named.
fn clear(
    source: &Source,
    manifest: &Manifest,
    path: &Path,
    warnings: &mut Vec<Error>,
) -> Result<()> {
    let names = source.names()?;
    let listed: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for name in names.iter().filter(|name| *name != LOCK && !listed.contains(name.as_str())) {
        if let Some((table, host, number)) = names::segment_of(name) {
            if lists(manifest, table, host, number) {
                disk::remove(&path.join(name))?;
            }
        } else if is_recordings_own(name) {
            match names::part_number(name).is_some() && is_only_copy(name, &names, manifest) {
                true => warnings.push(Error::new(path.join(name), At::File, Kind::UnlistedFile)),
                false => disk::remove(&path.join(name))?,
            }
        }
    }
    Ok(())
}

/// Whether the rows of the unlisted part `name` may stand nowhere else.
fn is_only_copy(name: &str, names: &[String], manifest: &Manifest) -> bool {
    let Some((table, number)) = name.split('/').next().zip(names::part_number(name)) else {
        return false;
    };
    let segment = names::segment_file(table, &manifest.hosts[0].folder, number);
    let is_gone = |reduction: &Reduction| {
        reduction.kind == EVICTED && reduction.detail.starts_with(&format!("{table}: "))
    };
    let is_made_at_the_end = EVERY_HOST.contains(&table) && number == 0;
    !names.contains(&segment) && !is_made_at_the_end && !manifest.reductions.iter().any(is_gone)
}

/// Says in the losses table what is cut, before the segments that show it are gone. What an earlier repair said already, it
/// doesn't say again.
fn declare_cuts(
    state: &State,
    segments: &[Pending],
    told: &[Pending],
    done: &mut Repaired,
) -> Result<()> {
    let mut rows = Vec::new();
    for segment in segments.iter().chain(told) {
        let extent = segment.read(|_| Ok(()))?;
        done.n_segments_rows += extent.n_rows;
        done.warnings.extend(extent.warning(&segment.shown));
        if let Some(cut) = extent.cut {
            rows.push(LossRow {
                source: segment.name.clone(),
                cause: "cut-segment".to_string(),
                count: i64::try_from(cut.n_bytes).unwrap_or(i64::MAX),
                first_offset: i64::try_from(cut.at).ok(),
                ..LossRow::default()
            });
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let host = state.host();
    let said: BTreeSet<String> =
        state.losses(segments)?.into_iter().map(|row| row.source).collect();
    rows.retain(|row| !said.contains(&row.source));
    let of_losses = segments.iter().filter(|segment| segment.table.name == losses::TABLE.name);
    let number = of_losses.map(|segment| segment.number + 1).max().unwrap_or(0);
    let number = number.max(state.next_part(&losses::TABLE));
    let entry = state.part(&losses::TABLE, &host, number, "", &[losses::batch(&rows)])?;
    let mut inner = state.inner();
    inner.list(Some(entry));
    inner.save(&state.root)
}
