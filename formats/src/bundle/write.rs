//! Writing a bundle: beside its place, renamed when whole. Never leaves anything behind on failure, never overwrites a
//! directory that is no bundle.

use super::manifest::{FileEntry, LossSum, Manifest};
use super::names::{self, MANIFEST};
use super::plain_column::{PlainChunk, PlainColumn};
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;
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
            sink.append(group.close([])?)?;
        }
        sink.finish(self, None)
    }

    /// Begins a table of `host`.
    pub(crate) fn sink(&self, table: &Table, host: &str) -> Result<Sink> {
        self.part(table, host, 0)
    }

    /// Begins a part of a table of `host`.
    pub(crate) fn part(&self, table: &Table, host: &str, part: usize) -> Result<Sink> {
        let entry = FileEntry::begun(names::table_file(table.name, host, part), table.name, host);
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
    descriptors: Vec<ColumnDescPtr>,
    columns: Vec<Encoder>,
}

/// What encodes a column.
enum Encoder {
    Arrays(Box<ArrowColumnWriter>),
    /// A [`PlainColumn`] that was given away.
    Plain,
}

/// A column of a row group, ready for the file.
pub(crate) enum Encoded {
    Arrays(Box<ArrowColumnChunk>),
    Plain(Box<PlainChunk>),
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
        let columns = columns.into_iter().map(|column| Encoder::Arrays(Box::new(column)));
        Ok(Group {
            shown: self.shown.clone(),
            schema: self.schema.clone(),
            descriptors: self.writer.schema_descr().columns().to_vec(),
            columns: columns.collect(),
        })
    }

    /// Appends an encoded row group.
    pub(crate) fn append(&mut self, columns: Vec<Encoded>) -> Result<()> {
        let bad = |error| parquet_error(&self.shown, &error);
        let mut group = self.writer.next_row_group().map_err(bad)?;
        for column in columns {
            match column {
                Encoded::Arrays(chunk) => chunk.append_to_row_group(&mut group),
                Encoded::Plain(chunk) => group.append_column(&chunk.bytes, chunk.close),
            }
            .map_err(bad)?;
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
    /// A column to be laid out by the caller; batches no longer hold it.
    pub(crate) fn plain_column(&mut self, name: &str) -> PlainColumn {
        let index = self.schema.index_of(name).expect("the table has the column");
        self.columns[index] = Encoder::Plain;
        PlainColumn::new(self.descriptors[index].clone())
    }

    /// Encodes a batch of the columns that were not given away, in parallel.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let encode =
            |((writer, field), array): ((&mut ArrowColumnWriter, &FieldRef), &ArrayRef)| {
                compute_leaves(field, array)?.iter().try_for_each(|leaf| writer.write(leaf))
            };
        let writers: Vec<_> = self.columns.iter_mut().filter_map(Encoder::arrays).collect();
        let schema = batch.schema_ref();
        let columns = writers.into_par_iter().zip(&schema.fields()[..]).zip(batch.columns());
        columns
            .with_max_len(1)
            .try_for_each(encode)
            .map_err(|error| parquet_error(&self.shown, &error))
    }

    /// The encoded columns; those given away come back in the table's order.
    pub(crate) fn close(self, plain: impl IntoIterator<Item = PlainChunk>) -> Result<Vec<Encoded>> {
        let mut plain = plain.into_iter();
        let mut close = |column| match column {
            Encoder::Arrays(writer) => writer.close().map(|chunk| Encoded::Arrays(Box::new(chunk))),
            Encoder::Plain => {
                let chunk = plain.next().expect("every column given away comes back");
                Ok(Encoded::Plain(Box::new(chunk)))
            }
        };
        let columns: std::result::Result<_, _> = self.columns.into_iter().map(&mut close).collect();
        columns.map_err(|error| parquet_error(&self.shown, &error))
    }

    /// The error of a column given away.
    pub(crate) fn failed(&self, error: &ParquetError) -> Error {
        parquet_error(&self.shown, error)
    }
}

impl Encoder {
    fn arrays(&mut self) -> Option<&mut ArrowColumnWriter> {
        match self {
            Encoder::Arrays(writer) => Some(writer),
            Encoder::Plain => None,
        }
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
