//! The end of a recording: tables that every host has, sums, the seal. Never begins before every segment is a part.

use super::pending::Pending;
use super::state::{Inner, State};
use super::{LOCK, disk, settle};
use crate::bundle::blob::Blob;
use crate::bundle::cross_check::EVERY_HOST;
use crate::bundle::manifest::{FileEntry, LossSum, Seal};
use crate::bundle::names;
use crate::bundle::table_file::TableFile;
use crate::error::{At, Error, Kind, Result};
use crate::table::{self, Table, hosts, interfaces, losses, packets};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::fs::File;

/// Tables whose rows are told again when they change; they become parts here.
pub(super) const TOLD_AGAIN: [&str; 2] = [hosts::TABLE.name, interfaces::TABLE.name];

impl State {
    /// Completes the bundle and seals it; every segment but those of [`TOLD_AGAIN`] is a part already.
    pub(super) fn finish(&self, told: &[Pending]) -> Result<()> {
        let host = self.host();
        let rows = |table: &Table| -> Vec<RecordBatch> {
            let of_table = told.iter().filter(|segment| segment.table.name == table.name);
            of_table.flat_map(|segment| segment.batches().0).collect()
        };
        self.settle(&hosts::TABLE, &host, || {
            let settled = settle::hosts(&rows(&hosts::TABLE))?;
            Ok(if settled.num_rows() > 0 { settled } else { self.unnamed_host() })
        })?;
        self.settle(&interfaces::TABLE, &host, || {
            let counts = self.packets_by_interface()?;
            Ok(settle::interfaces(&rows(&interfaces::TABLE), &counts)?)
        })?;
        for name in EVERY_HOST {
            let table = table::find(name).expect("every host's tables are tables");
            self.settle(table, &host, || Ok(RecordBatch::new_empty(table.schema())))?;
        }
        let sums = self.loss_sums(&host)?;
        let mut inner = self.inner();
        inner.manifest.losses = sums;
        told.iter().for_each(|segment| inner.retire(&segment.name));
        // Segments go before the seal is set: a sealed bundle has none.
        inner.save(&self.root)?;
        inner.manifest.seal = Seal::Sealed;
        inner.save(&self.root)?;
        disk::remove(&self.root.join(LOCK))
    }

    /// Writes a table's only part, unless one is listed already.
    fn settle(
        &self,
        table: &'static Table,
        host: &str,
        rows: impl FnOnce() -> std::result::Result<RecordBatch, Box<dyn std::error::Error>>,
    ) -> Result<()> {
        if self.files(table).is_empty() {
            let bad = |error: Box<dyn std::error::Error>| match error.downcast::<Error>() {
                Ok(error) => *error,
                Err(e) => Error::new(self.root.join(table.name), At::File, Kind::Io(e.to_string())),
            };
            let entry = self.part(table, host, 0, "", &[rows().map_err(bad)?])?;
            self.inner().list(Some(entry));
        }
        Ok(())
    }

    fn files(&self, table: &Table) -> Vec<FileEntry> {
        let inner = self.inner();
        inner.manifest.files.iter().filter(|file| file.table == table.name).cloned().collect()
    }

    fn unnamed_host(&self) -> RecordBatch {
        let name = self.inner().manifest.hosts.first().map(|host| host.name.clone());
        hosts::batch(&[hosts::HostRow {
            name: name.unwrap_or_default(),
            origin: "recorded".to_string(),
            ..hosts::HostRow::default()
        }])
    }

    fn packets_by_interface(&self) -> Result<BTreeMap<u32, i64>> {
        let mut counts = BTreeMap::new();
        for file in self.files(&packets::TABLE) {
            self.opened(&file, &packets::TABLE)?.count_by("interface_id", &mut counts)?;
        }
        Ok(counts)
    }

    fn loss_sums(&self, host: &str) -> Result<Vec<LossSum>> {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for file in self.files(&losses::TABLE) {
            let mut damage = Vec::new();
            let batches = self.opened(&file, &losses::TABLE)?.read_all(&mut damage);
            if let Some(error) = damage.pop() {
                return Err(error);
            }
            add_losses(&batches, &mut sums);
        }
        let one = |(cause, count)| LossSum { host: host.to_string(), cause, count };
        Ok(sums.into_iter().map(one).collect())
    }

    /// All rows of the losses table, those of open segments too.
    pub(super) fn losses(&self, segments: &[Pending]) -> Result<Vec<losses::LossRow>> {
        let mut rows = Vec::new();
        for file in self.files(&losses::TABLE) {
            let batches = self.opened(&file, &losses::TABLE)?.read_all(&mut Vec::new());
            rows.extend(batches.iter().flat_map(losses::rows));
        }
        for segment in segments.iter().filter(|s| s.table.name == losses::TABLE.name) {
            rows.extend(segment.batches().0.iter().flat_map(losses::rows));
        }
        Ok(rows)
    }

    /// A part number of `table` above all listed ones.
    pub(super) fn next_part(&self, table: &Table) -> u32 {
        let files = self.files(table);
        let numbers = files.iter().filter_map(|file| names::part_number(&file.path));
        numbers.max().map_or(0, |last| last + 1)
    }

    fn opened(&self, file: &FileEntry, table: &Table) -> Result<TableFile> {
        let path = self.root.join(&file.path);
        let blob = File::open(&path).and_then(Blob::whole).map_err(|e| Error::io(&path, &e))?;
        TableFile::open(&path, blob, table)
    }
}

/// Adds rows of the losses table to their sums.
fn add_losses(batches: &[RecordBatch], sums: &mut BTreeMap<String, i64>) {
    for row in batches.iter().flat_map(losses::rows) {
        let sum = sums.entry(row.cause).or_default();
        *sum = sum.saturating_add(row.count);
    }
}

impl Inner {
    /// Adds rows of the losses table to the manifest's sums.
    pub(super) fn add_losses(&mut self, batch: &RecordBatch) {
        let host = self.manifest.hosts.first().map(|host| host.folder.clone()).unwrap_or_default();
        let mut sums: BTreeMap<String, i64> =
            self.manifest.losses.drain(..).map(|sum| (sum.cause, sum.count)).collect();
        add_losses(std::slice::from_ref(batch), &mut sums);
        let one = |(cause, count)| LossSum { host: host.clone(), cause, count };
        self.manifest.losses = sums.into_iter().map(one).collect();
        self.is_changed = true;
    }
}
