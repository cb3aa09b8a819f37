//! A bundle that is being recorded: rows appended to checksummed segments, synced, compacted to Parquet, sealed. A kill at any
//! instant costs what was not synced, nothing else. Never knows where rows come from.

mod compact;
mod compactor;
mod disk;
mod finish;
mod ipc;
mod look;
mod open_table;
mod options;
pub(crate) mod pending;
mod repair;
mod retention;
mod rows;
mod segment;
pub(crate) mod segment_reader;
mod segment_writer;
mod settle;
mod snapshot;
mod state;

pub use look::{Looked, look};
pub use options::{RecordingOptions, Retention, SegmentLimits};
pub use repair::{Repaired, repair};
pub use snapshot::snapshot;

use crate::bundle::manifest::{DomainEntry, HostEntry, LossSum, Manifest, Reduction, Seal};
use crate::bundle::names::MANIFEST;
use crate::bundle::source::Source;
use crate::error::{At, Error, Kind, Result};
use crate::table::losses::LossRow;
use crate::table::{Table, interfaces, losses};
use arrow::array::RecordBatch;
use compactor::Compactor;
use finish::TOLD_AGAIN;
use open_table::OpenTable;
use state::{Finished, State};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Held, locked, by whoever writes in a bundle; gone when it is sealed.
pub(crate) const LOCK: &str = "recording.lock";

/// A bundle being recorded. Dropped without [`Recording::seal`] it is as after a crash: what was synced is there.
pub struct Recording {
    output: PathBuf,
    state: Arc<State>,
    options: RecordingOptions,
    host: String,
    tables: BTreeMap<&'static str, OpenTable>,
    compactor: Compactor,
    n_interfaces: u32,
}

/// What a table holds so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The table.
    pub table: &'static str,
    /// Rows taken, those still in memory too; a ring may have let go of some.
    pub n_rows: u64,
    /// Bytes on disk, segments and parts.
    pub n_bytes: u64,
}

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The bundle.
    pub path: PathBuf,
    /// Rows by table, without what a ring let go.
    pub written: Vec<Written>,
    /// Sums of the losses table.
    pub losses: Vec<LossSum>,
    /// What was left out on purpose, what a ring let go too.
    pub reductions: Vec<Reduction>,
}

impl Recording {
    /// Makes the bundle at `output` (mode 0700, its files 0600), where nothing stands, and takes its lock. It can be opened
    /// from then on.
    pub fn create(
        output: &Path,
        options: &RecordingOptions,
        host: HostEntry,
        domains: Vec<DomainEntry>,
    ) -> Result<Recording> {
        if std::fs::symlink_metadata(output).is_ok() {
            return Err(Error::new(output, At::File, Kind::OutputExists));
        }
        let name = output.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| {
            let why = "the output has no name".to_string();
            Error::new(output, At::File, Kind::BadArguments(why))
        })?;
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let io = |error: std::io::Error| Error::disk(output, &error);
        // Made beside and renamed: the bundle is there with its manifest or not at all.
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let beside = builder.tempdir_in(parent).map_err(io)?;
        let lock = state::lock(beside.path())?;
        let folder = host.folder.clone();
        let manifest = Manifest {
            seal: Seal::Unsealed,
            writer: options.writer.clone(),
            hosts: vec![host],
            domains,
            ..Manifest::empty()
        };
        disk::replace(&beside.path().join(MANIFEST), &manifest.to_bytes())?;
        std::fs::rename(beside.path(), output).map_err(io)?;
        let _ = beside.keep();
        disk::sync_folder(parent)?;
        let state = Arc::new(State::new(output, lock, manifest));
        Ok(Recording {
            output: output.into(),
            compactor: Compactor::new(state.clone(), &folder, options.retention),
            state,
            options: options.clone(),
            host: folder,
            tables: BTreeMap::new(),
            n_interfaces: 0,
        })
    }

    /// Appends rows of `table`: its columns in its order; bytes may be views. Rows of `hosts` and `interfaces` may be told
    /// again when something changed (the last one counts); `interfaces.n_packets` is counted here. After an error the
    /// batch was not taken, and every batch before it still is.
    pub fn append(&mut self, table: &'static Table, batch: RecordBatch) -> Result<()> {
        let bad =
            |why| Error::new(self.state.root.join(table.name), At::File, Kind::BadSchema(why));
        let batch = rows::of_table(table, &batch).map_err(bad)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut n_interfaces = self.n_interfaces;
        if table.name == interfaces::TABLE.name {
            n_interfaces = settle::count(&batch, n_interfaces).map_err(bad)?;
        }
        let limits = self.options.limits_of(table);
        let host = &self.host;
        let open =
            self.tables.entry(table.name).or_insert_with(|| OpenTable::new(table, host, limits));
        if open.is_full(&batch, self.options.gather_bytes) {
            open.write(&self.state)?;
        }
        self.n_interfaces = n_interfaces;
        if table.name == losses::TABLE.name {
            self.state.inner().add_losses(&batch);
        }
        open.gather(batch);
        if open.is_due() && !TOLD_AGAIN.contains(&table.name) {
            open.roll(&self.state)?.into_iter().for_each(|done| self.compactor.push(done));
        }
        Ok(())
    }

    /// Makes everything appended so far survive a crash; to be called at least once a second. Gives the first thing that
    /// went wrong since the last call, on the compacting thread too; the other tables are synced all the same.
    pub fn sync(&mut self) -> Result<()> {
        let mut first = Ok(());
        for (name, open) in &mut self.tables {
            let done = open.write(&self.state).and_then(|()| open.sync());
            first = first.and(done);
            if open.is_due() && !TOLD_AGAIN.contains(name) {
                match open.roll(&self.state) {
                    Ok(finished) => finished.into_iter().for_each(|f| self.compactor.push(f)),
                    Err(error) => first = first.and(Err(error)),
                }
            }
        }
        let mut inner = self.state.inner();
        if inner.is_changed {
            first = first.and(inner.save(&self.state.root));
        }
        first.and(inner.error.take().map_or(Ok(()), Err))
    }

    /// Appends to the losses table; the manifest's sums follow.
    pub fn lost(&mut self, rows: &[LossRow]) -> Result<()> {
        self.append(&losses::TABLE, losses::batch(rows))
    }

    /// Declares that something is left out on purpose; it is on disk after the next sync.
    pub fn reduction(&mut self, kind: &str, detail: &str) {
        let mut inner = self.state.inner();
        inner.declared.push(Reduction {
            host: Some(self.host.clone()),
            kind: kind.to_string(),
            detail: detail.to_string(),
        });
        inner.is_changed = true;
    }

    /// What was appended so far, by table.
    pub fn written(&self) -> Vec<Written> {
        let inner = self.state.inner();
        let one = |(table, open): (&&'static str, &OpenTable)| {
            let parts = inner.manifest.files.iter().filter(|file| file.table == **table);
            let prefix = format!("{table}/");
            let segments = inner.segments.iter().filter(|(path, _)| path.starts_with(&prefix));
            let n_bytes = parts.map(|file| file.bytes).sum::<u64>()
                + segments.map(|(_, bytes)| bytes).sum::<u64>();
            Written { table, n_rows: open.n_rows, n_bytes }
        };
        self.tables.iter().map(one).collect()
    }

    /// Ends the recording: segments become parts, the manifest is sealed. After an error (a full disk) the bundle stays
    /// unsealed and holds everything that was written; `repair` seals it when there is room.
    pub fn seal(mut self) -> Result<Sealed> {
        let mut first = Ok(());
        for (name, open) in &mut self.tables {
            first = first.and(open.write(&self.state));
            // The segment is whole without its seal, too.
            let rolled = open.roll(&self.state);
            if let (Ok(Some(finished)), false) = (&rolled, TOLD_AGAIN.contains(name)) {
                self.compactor.push(*finished);
            }
            first = first.and(rolled.map(|_| ()));
        }
        self.compactor.finish();
        // A second try at what went wrong: compacting the others may have made room.
        let (mut warnings, root) = (Vec::new(), &self.state.root);
        let manifest = self.state.inner().manifest.clone();
        let left = pending::pending(&Source::open(root)?, &manifest, &mut warnings)?;
        for segment in left.iter().filter(|left| !TOLD_AGAIN.contains(&left.table.name)) {
            let finished = Finished { table: segment.table, number: segment.number, n_rows: None };
            let warning = self.state.compact(&self.host, &finished)?;
            first = first.and(warning.map_or(Ok(()), Err));
        }
        first?;
        if let Some(retention) = &self.options.retention {
            self.state.retain(retention)?;
        }
        let told: Vec<_> =
            left.into_iter().filter(|left| TOLD_AGAIN.contains(&left.table.name)).collect();
        self.state.finish(&told)?;
        Ok(sealed(self.output, &self.state))
    }
}

fn sealed(path: PathBuf, state: &State) -> Sealed {
    let inner = state.inner();
    let mut tables: BTreeMap<&'static str, Written> = BTreeMap::new();
    for file in &inner.manifest.files {
        let Some(table) = crate::table::find(&file.table) else { continue };
        let sum = tables.entry(table.name);
        let sum = sum.or_insert(Written { table: table.name, n_rows: 0, n_bytes: 0 });
        sum.n_rows += file.n_rows;
        sum.n_bytes += file.bytes;
    }
    Sealed {
        path,
        written: tables.into_values().collect(),
        losses: inner.manifest.losses.clone(),
        reductions: inner.manifest.reductions.clone(),
    }
}
