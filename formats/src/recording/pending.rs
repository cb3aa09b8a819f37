//! Segments of an unsealed bundle that no listed part holds yet. Never changes one; what is read is what was there when the
//! bundle was opened.

use super::compact;
use super::finish::TOLD_AGAIN;
use super::segment_reader::{self, Extent};
use crate::bundle::blob::Blob;
use crate::bundle::manifest::{FileEntry, Manifest};
use crate::bundle::names::{self, MANIFEST};
use crate::bundle::source::Source;
use crate::bundle::write::Sink;
use crate::error::{Error, Kind, Result};
use crate::table::{self, Table};
use arrow::array::RecordBatch;
use std::io::BufReader;
use std::path::PathBuf;

/// A segment that counts.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// Its path in the bundle.
    pub(crate) name: String,
    /// Its path to show.
    pub(crate) shown: PathBuf,
    pub(crate) table: &'static Table,
    /// The host's folder value.
    pub(crate) host: String,
    pub(crate) number: u32,
    pub(crate) blob: Blob,
}

/// The segments that count beside the parts that `manifest` lists: a listed part of the same number wins. In order of table,
/// host and number; what can't be opened goes to `warnings`.
pub(crate) fn pending(
    source: &Source,
    manifest: &Manifest,
    warnings: &mut Vec<Error>,
) -> Result<Vec<Pending>> {
    let mut found = Vec::new();
    for name in source.names()? {
        let Some((table, host, number)) = names::segment_of(&name) else { continue };
        let is_known = manifest.hosts.iter().any(|entry| entry.folder == host);
        let Some(table) = table::find(table).filter(|_| is_known) else { continue };
        if lists(manifest, table.name, host, number) {
            continue;
        }
        match source.blob(&name) {
            Ok(blob) => found.push(Pending {
                shown: source.shown(&name),
                table,
                host: host.to_string(),
                number,
                blob,
                name,
            }),
            // Compacted meanwhile: the manifest tells.
            Err(error) if error.kind == Kind::MissingFile => {}
            Err(error) => warnings.push(error),
        }
    }
    found.sort_by(|a, b| (a.table.name, &a.host, a.number).cmp(&(b.table.name, &b.host, b.number)));
    Ok(found)
}

/// Whether `manifest` lists the part that holds this segment's rows: that of its number, or a settled table's only one.
pub(super) fn lists(manifest: &Manifest, table: &str, host: &str, number: u32) -> bool {
    let settled = TOLD_AGAIN.contains(&table);
    let is_it = |file: &FileEntry| {
        let same = settled || names::part_number(&file.path) == Some(number);
        file.table == table && file.host == host && same
    };
    manifest.files.iter().any(is_it)
}

/// Whether a file of this name belongs to a recording's ways, listed or not.
pub(crate) fn is_recordings_own(name: &str) -> bool {
    let is_part = name.contains("/host=") && names::part_number(name).is_some();
    name == super::LOCK
        || name == format!("{}.tmp", MANIFEST.trim_end_matches(".json"))
        || name.ends_with(".parquet.tmp")
        || names::segment_of(name).is_some()
        || is_part
}

impl Pending {
    /// Reads it batch by batch.
    pub(crate) fn read(&self, each: impl FnMut(RecordBatch) -> Result<()>) -> Result<Extent> {
        let from = BufReader::with_capacity(1 << 20, self.blob.reader(0));
        segment_reader::read(from, self.blob.length(), self.table, each)
    }

    /// All rows, in the order they were written.
    pub(crate) fn batches(&self) -> (Vec<RecordBatch>, Extent) {
        let mut batches = Vec::new();
        let extent = self.read(|batch| {
            batches.push(batch);
            Ok(())
        });
        (batches, extent.expect("taking a batch does not fail"))
    }

    /// Its rows as the part it would become, in a temporary file that goes away with its last reader; the part's hash.
    pub(crate) fn spool(&self, warnings: &mut Vec<Error>) -> Result<(Blob, FileEntry)> {
        let (batches, extent) = self.batches();
        warnings.extend(extent.warning(&self.shown));
        let file = tempfile::tempfile().map_err(|error| Error::no_temporary(&error))?;
        let same = file.try_clone().map_err(|error| Error::no_temporary(&error))?;
        let entry = FileEntry::begun(self.name.clone(), self.table.name, &self.host);
        let sink = Sink::new(file, self.shown.clone(), entry, self.table, self.table.schema())?;
        let entry = compact::write(self.table, &batches, sink, &self.shown)?;
        let blob = Blob::whole(same).map_err(|error| Error::no_temporary(&error))?;
        Ok((blob, entry))
    }
}
