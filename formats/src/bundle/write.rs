//! Writing a bundle: beside its place, renamed when whole. Never leaves anything behind on failure, never overwrites a
//! directory that is no bundle.

use super::manifest::{FileEntry, LossSum, Manifest};
use super::names::{self, MANIFEST};
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bundle being written.
pub(crate) struct BundleWriter {
    output: PathBuf,
    force: bool,
    /// Removed when dropped, with everything not renamed out of it.
    beside: tempfile::TempDir,
    /// What will be the manifest.
    pub(crate) manifest: Manifest,
}

impl BundleWriter {
    /// Begins the bundle that will stand at `output`.
    pub(crate) fn create(output: &Path, force: bool) -> Result<BundleWriter> {
        check_output(output, force)?;
        let io = |error: io::Error| Error::io(output, &error);
        let name = output.file_name().ok_or_else(|| {
            let why = "the output has no name".to_string();
            Error::new(output, At::File, Kind::BadArguments(why))
        })?;
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let prefix = format!(".{}.", name.to_string_lossy());
        let beside = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(io)?;
        fs::create_dir(beside.path().join("bundle")).map_err(io)?;
        Ok(BundleWriter { output: output.into(), force, beside, manifest: Manifest::empty() })
    }

    /// A folder on the same disk for files that don't outlive the writing.
    pub(crate) fn scratch(&self) -> &Path {
        self.beside.path()
    }

    /// Writes a small table whole.
    pub(crate) fn table(&mut self, table: &Table, host: &str, batch: &RecordBatch) -> Result<()> {
        let mut sink = self.sink(table, host)?;
        if batch.num_rows() > 0 {
            let mut group = sink.group()?;
            group.write(batch)?;
            sink.append(group.close()?)?;
        }
        sink.finish(self, None)
    }

    /// Begins a table of `host`.
    pub(crate) fn sink(&self, table: &Table, host: &str) -> Result<Sink> {
        let entry = FileEntry::begun(names::table_file(table.name, host, 0), table.name, host);
        let path = self.beside.path().join("bundle").join(&entry.path);
        let shown = self.output.join(&entry.path);
        let io = |error: io::Error| Error::io(&shown, &error);
        fs::create_dir_all(path.parent().expect("a table's file stands in a folder"))
            .map_err(io)?;
        let file = File::create(&path).map_err(io)?;
        Sink::new(file, shown, entry, table, table.written_schema())
    }

    /// Adds to the sums of losses.
    pub(crate) fn lost(&mut self, host: &str, cause: &str, count: i64) {
        let losses = &mut self.manifest.losses;
        match losses.iter_mut().find(|sum| sum.host == host && sum.cause == cause) {
            Some(sum) => sum.count = sum.count.saturating_add(count),
            None => losses.push(LossSum { host: host.into(), cause: cause.into(), count }),
        }
    }

    /// Writes the manifest and puts the bundle in its place.
    pub(crate) fn finish(mut self) -> Result<PathBuf> {
        self.manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        let bundle = self.beside.path().join("bundle");
        let io = |error: io::Error| Error::io(&self.output, &error);
        let mut file = File::create(bundle.join(MANIFEST)).map_err(io)?;
        file.write_all(&self.manifest.to_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        check_output(&self.output, self.force)?;
        if self.output.exists() {
            fs::rename(&self.output, self.beside.path().join("replaced")).map_err(io)?;
        }
        fs::rename(&bundle, &self.output).map_err(io)?;
        Ok(self.output.clone())
    }
}

/// What stands there may be replaced only with `--force`, and only if it is a bundle.
fn check_output(output: &Path, force: bool) -> Result<()> {
    if fs::symlink_metadata(output).is_err() {
        return Ok(());
    }
    if !force {
        return Err(Error::new(output, At::File, Kind::OutputExists));
    }
    if output.join(MANIFEST).is_file() {
        return Ok(());
    }
    let why = "it is no bundle, so --force doesn't replace it".to_string();
    Err(Error::new(output, At::File, Kind::BadArguments(why)))
}

/// A Parquet file being written, row group by row group.
pub(crate) struct Sink {
    shown: PathBuf,
    entry: FileEntry,
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    writer: SerializedFileWriter<HashingFile>,
    next_group: usize,
}

/// A row group being encoded; any number may be at work at once.
pub(crate) struct Group {
    shown: PathBuf,
    schema: SchemaRef,
    columns: Vec<ArrowColumnWriter>,
}

impl Sink {
    /// Begins `table` in `file`, an empty one; `schema` is that of the batches to come.
    pub(crate) fn new(
        file: File,
        shown: PathBuf,
        entry: FileEntry,
        table: &Table,
        schema: SchemaRef,
    ) -> Result<Sink> {
        let file = HashingFile::new(file);
        let bad = |error| parquet_error(&shown, &error);
        let descriptor = ArrowSchemaConverter::new().convert(&schema).map_err(bad)?;
        let properties = Arc::new(table.properties());
        let writer = SerializedFileWriter::new(file, descriptor.root_schema_ptr(), properties)
            .map_err(bad)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, schema.clone());
        Ok(Sink { shown, entry, schema, factory, writer, next_group: 0 })
    }

    /// Begins the next row group. Groups are appended in the order they were begun.
    pub(crate) fn group(&mut self) -> Result<Group> {
        let columns = self.factory.create_column_writers(self.next_group);
        let columns = columns.map_err(|error| parquet_error(&self.shown, &error))?;
        self.next_group += 1;
        Ok(Group { shown: self.shown.clone(), schema: self.schema.clone(), columns })
    }

    /// Appends an encoded row group.
    pub(crate) fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<()> {
        let bad = |error| parquet_error(&self.shown, &error);
        let mut group = self.writer.next_row_group().map_err(bad)?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group).map_err(bad)?;
        }
        group.close().map(|_| ()).map_err(bad)
    }

    /// Writes the footer, syncs, and lists the file in the bundle's manifest.
    pub(crate) fn finish(self, bundle: &mut BundleWriter, range: Option<(i64, i64)>) -> Result<()> {
        bundle.manifest.files.push(self.close(range)?);
        Ok(())
    }

    /// Writes the footer, syncs, and gives what a manifest lists.
    pub(crate) fn close(self, range: Option<(i64, i64)>) -> Result<FileEntry> {
        let Sink { shown, mut entry, mut writer, .. } = self;
        let metadata = writer.finish().map_err(|error| parquet_error(&shown, &error))?;
        entry.n_rows = metadata.file_metadata().num_rows().max(0) as u64;
        entry.first_ns = range.map(|(first, _)| first);
        entry.last_ns = range.map(|(_, last)| last);
        (entry.bytes, entry.blake3) =
            writer.inner_mut().finish().map_err(|error| Error::disk(&shown, &error))?;
        Ok(entry)
    }
}

impl Group {
    /// Encodes a batch, its columns in parallel.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let encode = |((writer, field), array): ((&mut ArrowColumnWriter, _), &ArrayRef)| {
            compute_leaves(field, array)?.iter().try_for_each(|leaf| writer.write(leaf))
        };
        let fields: Vec<_> = self.schema.fields().iter().map(|field| field.as_ref()).collect();
        let columns = self.columns.par_iter_mut().zip(fields).zip(batch.columns());
        columns
            .with_max_len(1)
            .try_for_each(encode)
            .map_err(|error| parquet_error(&self.shown, &error))
    }

    /// The encoded columns.
    pub(crate) fn close(self) -> Result<Vec<ArrowColumnChunk>> {
        let shown = self.shown;
        let chunks = self.columns.into_iter().map(ArrowColumnWriter::close);
        chunks.collect::<std::result::Result<_, _>>().map_err(|error| parquet_error(&shown, &error))
    }
}

fn parquet_error(path: &Path, error: &ParquetError) -> Error {
    let refused = match error {
        ParquetError::External(cause) => cause.downcast_ref::<io::Error>(),
        _ => None,
    };
    refused.map_or_else(
        || Error::new(path, At::File, Kind::Io(error.to_string())),
        |refused| Error::disk(path, refused),
    )
}

/// A file whose bytes are hashed as they are written.
struct HashingFile {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl HashingFile {
    fn new(file: File) -> HashingFile {
        let file = BufWriter::with_capacity(1 << 20, file);
        HashingFile { file, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn finish(&mut self) -> io::Result<(u64, String)> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok((self.bytes, self.hasher.finalize().to_hex().to_string()))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
