//! A bundle as it stands at one moment, its recorder at work or gone: the manifest, and the segments that it doesn't list as
//! parts yet. Never waits for a recorder, never takes its lock.

use super::manifest::{Manifest, Seal};
use super::names::MANIFEST;
use super::open::{keep, open_file, read_manifest};
use super::source::Source;
use super::table_file::TableFile;
use crate::error::{Error, Result};
use crate::recording::pending::{Pending, pending};
use crate::table::Table;
use bytes::Bytes;
use std::path::Path;

/// Times that a manifest which changes meanwhile is read.
const TRIES: usize = 20;

/// A bundle being opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) source: Source,
    pub(super) manifest: Manifest,
    pub(super) bytes: Bytes,
    /// Segments that count; none in a sealed bundle.
    pub(super) pending: Vec<Pending>,
}

impl Opening {
    /// Reads the manifest and finds the segments that belong to it: a segment goes only after the manifest lists its part,
    /// so they belong together if the manifest is still the same when the segments are open.
    pub(super) fn snapshot(path: &Path, warnings: &mut Vec<Error>) -> Result<Opening> {
        let n_warnings = warnings.len();
        let mut n_left = TRIES;
        loop {
            n_left -= 1;
            warnings.truncate(n_warnings);
            let (source, manifest, bytes) = read_manifest(path, warnings)?;
            let pending = match manifest.seal {
                Seal::Sealed => Vec::new(),
                Seal::Unsealed => pending(&source, &manifest, warnings)?,
            };
            let opening = Opening { source, manifest, bytes, pending };
            if n_left == 0 || opening.manifest.seal == Seal::Sealed || opening.is_current() {
                return Ok(opening);
            }
        }
    }

    /// Whether the manifest on disk is still the one that was read.
    pub(super) fn is_current(&self) -> bool {
        let now = self.source.blob(MANIFEST).ok().and_then(|blob| blob.read_all().ok());
        now.is_none_or(|now| now == self.bytes)
    }

    /// Adds what this bundle is to `hasher`: its manifest, and how far its segments went.
    pub(super) fn identify(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.bytes.len() as u64).to_le_bytes()).update(&self.bytes);
        for segment in &self.pending {
            hasher.update(segment.name.as_bytes()).update(&segment.blob.length().to_le_bytes());
        }
    }

    /// The files of a host's table with their hashes: listed parts, then segments, read into temporary files. What can't be
    /// opened goes to `warnings`.
    pub(super) fn files(
        &self,
        host: &str,
        table: &'static Table,
        warnings: &mut Vec<Error>,
    ) -> Vec<(TableFile, String)> {
        let mut files = Vec::new();
        let listed = self.manifest.files.iter().filter(|f| f.table == table.name && f.host == host);
        for entry in listed {
            let opened = open_file(&self.source, entry, table);
            files.extend(keep(warnings, opened).map(|file| (file, entry.blake3.clone())));
        }
        let is_its = |segment: &&Pending| segment.table.name == table.name && segment.host == host;
        for segment in self.pending.iter().filter(is_its) {
            let opened = segment.spool(warnings).and_then(|(blob, entry)| {
                Ok((TableFile::open(&segment.shown, blob, table)?, entry.blake3))
            });
            files.extend(keep(warnings, opened));
        }
        files
    }
}
