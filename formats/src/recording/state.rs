//! What the recorder's thread and the compacting one share: the manifest as it stands, and what may be removed once it is on
//! disk. Never removes a file that the manifest on disk still needs.

use super::pending::{Pending, lists};
use super::retention::Evicted;
use super::{LOCK, compact, disk};
use crate::bundle::blob::Blob;
use crate::bundle::manifest::{FileEntry, Manifest, Reduction};
use crate::bundle::names::{self, MANIFEST};
use crate::bundle::write::Sink;
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bundle that is being recorded or repaired, by nobody else.
pub(super) struct State {
    pub(super) root: PathBuf,
    /// Held as long as this lives.
    _lock: File,
    inner: Mutex<Inner>,
}

/// What changes while recording.
pub(super) struct Inner {
    pub(super) manifest: Manifest,
    /// What was left out on purpose, as the recorder said.
    pub(super) declared: Vec<Reduction>,
    pub(super) evicted: Evicted,
    /// Bytes of segments by path.
    pub(super) segments: BTreeMap<String, u64>,
    /// When parts were listed, by path: what is old.
    pub(super) listed: BTreeMap<String, u64>,
    /// To be removed when the manifest is on disk.
    obsolete: Vec<String>,
    /// Whether the manifest on disk is an older one.
    pub(super) is_changed: bool,
    /// What went wrong on the compacting thread.
    pub(super) error: Option<Error>,
}

/// A finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) table: &'static Table,
    pub(super) number: u32,
    /// Rows that were written to it; `None`: whatever can be read.
    pub(super) n_rows: Option<u64>,
}

/// Takes the lock of the bundle at `root`.
pub(super) fn lock(root: &Path) -> Result<File> {
    let path = root.join(LOCK);
    let file = match disk::new_file(&path) {
        Ok(file) => file,
        Err(error) if !path.is_file() => return Err(error),
        Err(_) => File::open(&path).map_err(|error| Error::io(&path, &error))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(root, At::File, Kind::InUse)),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, &error)),
    }
}

impl State {
    /// Goes on with the bundle at `root`, whose lock is held.
    pub(super) fn new(root: &Path, lock: File, manifest: Manifest) -> State {
        let inner = Inner {
            declared: manifest.reductions.clone(),
            manifest,
            evicted: Evicted::default(),
            segments: BTreeMap::new(),
            listed: BTreeMap::new(),
            obsolete: Vec::new(),
            is_changed: false,
            error: None,
        };
        State { root: root.into(), _lock: lock, inner: Mutex::new(inner) }
    }

    /// What changes; a panic elsewhere leaves nothing half done in it.
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of the recorded host.
    pub(super) fn host(&self) -> String {
        self.inner().manifest.hosts.first().map(|host| host.folder.clone()).unwrap_or_default()
    }

    /// Makes a finished segment a listed part, then removes it. Gives the warning about what could not be read of it.
    pub(super) fn compact(&self, host: &str, finished: &Finished) -> Result<Option<Error>> {
        let name = names::segment_file(finished.table.name, host, finished.number);
        if lists(&self.inner().manifest, finished.table.name, host, finished.number) {
            let mut inner = self.inner();
            inner.retire(&name);
            return inner.save(&self.root).map(|()| None);
        }
        let shown = self.root.join(&name);
        let io = |error| Error::io(&shown, &error);
        let blob = File::open(&shown).and_then(Blob::whole).map_err(io)?;
        let (table, number) = (finished.table, finished.number);
        let segment =
            Pending { name, shown: shown.clone(), table, host: host.into(), number, blob };
        let (batches, extent) = segment.batches();
        let warning = extent.warning(&shown);
        if let (Some(n_rows), Some(warning)) = (finished.n_rows, &warning)
            && extent.n_rows != n_rows
        {
            // The disk lost what was written: the segment stays for whoever repairs it.
            return Err(warning.clone());
        }
        let entry = match extent.n_rows {
            0 => None,
            _ => Some(self.part(finished.table, host, finished.number, "", &batches)?),
        };
        let mut inner = self.inner();
        inner.list(entry);
        inner.retire(&segment.name);
        inner.save(&self.root).map(|()| warning)
    }

    /// Writes a part, complete and synced, at its place; it counts for nothing until it is listed.
    pub(super) fn part(
        &self,
        table: &'static Table,
        host: &str,
        number: u32,
        suffix: &str,
        batches: &[RecordBatch],
    ) -> Result<FileEntry> {
        let name = names::table_file(table.name, host, number as usize);
        let name = name.replace(".parquet", &format!("{suffix}.parquet"));
        let path = self.root.join(&name);
        let beside = path.with_extension("parquet.tmp");
        self.folder(table, host)?;
        disk::remove(&beside)?;
        let entry = FileEntry::begun(name, table.name, host);
        let file = disk::new_file(&beside)?;
        let written = Sink::new(file, path.clone(), entry, table, table.schema())
            .and_then(|sink| compact::write(table, batches, sink, &path));
        let placed = written.and_then(|entry| {
            fs::rename(&beside, &path).map_err(|error| Error::disk(&path, &error))?;
            path.parent().map_or(Ok(()), disk::sync_folder)?;
            Ok(entry)
        });
        if placed.is_err() {
            // On a full disk it would only take room.
            let _ = fs::remove_file(&beside);
        }
        placed
    }

    /// Makes the folder of a host's table.
    pub(super) fn folder(&self, table: &Table, host: &str) -> Result<()> {
        let folder = self.root.join(table.name);
        disk::folder(&folder)?;
        disk::folder(&folder.join(format!("host={host}")))
    }
}

impl Inner {
    /// Lists a part.
    pub(super) fn list(&mut self, entry: Option<FileEntry>) {
        let Some(entry) = entry else { return };
        let next = self.listed.values().max().map_or(0, |last| last + 1);
        self.listed.insert(entry.path.clone(), next);
        self.manifest.files.push(entry);
        self.is_changed = true;
    }

    /// Lists a part no longer; its file goes when the manifest is on disk.
    pub(super) fn unlist(&mut self, path: &str) {
        self.manifest.files.retain(|file| file.path != path);
        self.listed.remove(path);
        self.retire(path);
    }

    /// Bytes of all parts and segments.
    pub(super) fn n_bytes(&self) -> u64 {
        let parts: u64 = self.manifest.files.iter().map(|file| file.bytes).sum();
        parts + self.segments.values().sum::<u64>()
    }

    /// Puts the manifest on disk, then removes what it no longer needs.
    pub(super) fn save(&mut self, root: &Path) -> Result<()> {
        self.manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        let host = self.manifest.hosts.first().map(|host| host.folder.clone());
        self.manifest.reductions = self.declared.clone();
        self.manifest.reductions.extend(self.evicted.reductions(host.as_deref()));
        disk::replace(&root.join(MANIFEST), &self.manifest.to_bytes())?;
        self.is_changed = false;
        for name in self.obsolete.drain(..) {
            disk::remove(&root.join(&name))?;
        }
        Ok(())
    }

    /// Marks a file to be removed once the manifest is on disk.
    pub(super) fn retire(&mut self, path: &str) {
        self.segments.remove(path);
        self.obsolete.push(path.to_string());
        self.is_changed = true;
    }
}
