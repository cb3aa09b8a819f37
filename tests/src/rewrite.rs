//! The tables of a bundle as they are on disk: read, or written again, changed, in their place, and told to its manifest. Never knows what they mean.

use afterpath_formats::bundle::manifest::Manifest;
use afterpath_formats::bundle::names::{self, MANIFEST};
use afterpath_formats::table::{self, Table};
use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs;
use std::path::Path;

/// Changes every batch of every table; rows may go, columns may not.
///
/// # Errors
/// When the bundle can't be read or written, or `change` says so.
pub fn tables(
    bundle: &Path,
    change: impl Fn(&Table, RecordBatch) -> Result<RecordBatch>,
) -> Result<()> {
    let mut manifest = manifest(bundle)?;
    for entry in &mut manifest.files {
        let file = bundle.join(&entry.path);
        let table = table::find(&entry.table).context("a table that is known")?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(fs::read(&file)?))?;
        let schema = reader.schema().clone();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(table.properties()))?;
        entry.n_rows = 0;
        for batch in reader.with_batch_size(table::ROW_GROUP_ROWS).build()? {
            let changed = change(table, batch?).context(entry.path.clone())?;
            entry.n_rows += changed.num_rows() as u64;
            writer.write(&changed)?;
        }
        let bytes = writer.into_inner()?;
        entry.bytes = bytes.len() as u64;
        entry.blake3 = blake3::hash(&bytes).to_hex().to_string();
        fs::write(&file, bytes)?;
    }
    fs::write(bundle.join(MANIFEST), manifest.to_bytes())?;
    Ok(())
}

/// Gives the bundle's first host another name; its row in `hosts` is not this function's to change.
///
/// # Errors
/// When the bundle can't be read or written.
pub fn rename_host(bundle: &Path, name: &str) -> Result<()> {
    let mut manifest = manifest(bundle)?;
    let host = manifest.hosts.first_mut().context("it has a host")?;
    let (old, old_name) = (host.folder.clone(), host.name.clone());
    host.id = names::host_id(name.as_bytes());
    host.name = name.to_string();
    host.folder = names::host_folder(name, &host.id);
    let new = host.folder.clone();
    for domain in &mut manifest.domains {
        if let Some(clock) = domain.name.strip_prefix(&format!("{old_name} ")) {
            domain.name = format!("{name} {clock}");
        }
    }
    for entry in manifest.files.iter_mut().filter(|entry| entry.host == old) {
        let path = entry.path.replace(&format!("host={old}/"), &format!("host={new}/"));
        let (from, to) = (bundle.join(&entry.path), bundle.join(&path));
        fs::create_dir_all(to.parent().context("a table's file is in a folder")?)?;
        fs::rename(&from, to)?;
        // The last file of a folder takes it along.
        if let Some(folder) = from.parent().filter(|folder| is_empty(folder)) {
            fs::remove_dir(folder)?;
        }
        (entry.path, entry.host) = (path, new.clone());
    }
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    manifest
        .losses
        .iter_mut()
        .filter(|loss| loss.host == old)
        .for_each(|loss| loss.host = new.clone());
    let reductions = manifest.reductions.iter_mut();
    reductions
        .filter(|one| one.host.as_ref() == Some(&old))
        .for_each(|one| one.host = Some(new.clone()));
    fs::write(bundle.join(MANIFEST), manifest.to_bytes())?;
    Ok(())
}

/// The bundle's manifest.
///
/// # Errors
/// When it can't be read.
pub fn manifest(bundle: &Path) -> Result<Manifest> {
    let path = bundle.join(MANIFEST);
    Ok(Manifest::parse(&path, &fs::read(&path)?)?.0)
}

/// All rows of a table, as they are on disk.
///
/// # Errors
/// When it can't be read.
pub fn batches(bundle: &Path, table: &str) -> Result<Vec<RecordBatch>> {
    let mut found = Vec::new();
    for entry in manifest(bundle)?.files.iter().filter(|entry| entry.table == table) {
        let file = fs::File::open(bundle.join(&entry.path))?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            found.push(batch?);
        }
    }
    Ok(found)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}
