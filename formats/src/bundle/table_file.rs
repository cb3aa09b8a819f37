//! One Parquet file of a bundle, opened: its footer read and its columns checked. Never reads rows on opening.

use super::blob::Blob;
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy};
use parquet::file::statistics::Statistics;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// A Parquet file whose footer could be read and whose columns are those of its table.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    pub(super) path: PathBuf,
    pub(super) blob: Blob,
    pub(super) metadata: ArrowReaderMetadata,
    /// Columns this version does not know.
    pub(super) unknown_columns: Vec<String>,
}

impl TableFile {
    /// Reads the footer and page index of `blob`, shown as `path`.
    pub(crate) fn open(path: &Path, blob: Blob, table: &Table) -> Result<TableFile> {
        let options = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_skip_arrow_metadata(true);
        let metadata = guarded(|| ArrowReaderMetadata::load(&blob, options))
            .map_err(|why| Error::new(path, At::File, Kind::BadParquet(why)))?;
        if let Some(codec) = unsupported(&metadata) {
            return Err(Error::new(path, At::File, Kind::UnsupportedCodec(codec)));
        }
        // The Arrow types are those Parquet's own annotations give; 16-byte binaries and text need no hint.
        let unknown_columns = table
            .check(metadata.schema())
            .map_err(|why| Error::new(path, At::File, Kind::BadSchema(why)))?;
        Ok(TableFile { path: path.into(), blob, metadata, unknown_columns })
    }

    /// Rows, as the footer says.
    pub(crate) fn n_rows(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| group.num_rows().max(0) as u64).sum()
    }

    /// The highest value of an unsigned 32-bit column, from the statistics.
    pub(super) fn highest_u32(&self, column: &str) -> Option<u32> {
        let groups = self.metadata.metadata().row_groups();
        let chunks = groups.iter().flat_map(|group| group.columns());
        let of_column = chunks.filter(|chunk| chunk.column_path().string() == column);
        let highest = |chunk: &ColumnChunkMetaData| match chunk.statistics()? {
            Statistics::Int32(values) => values.max_opt().map(|value| *value as u32),
            _ => None,
        };
        of_column.filter_map(highest).max()
    }

    /// Rows whose unsigned 32-bit column is `limit` or more, and what could not be read.
    pub(super) fn count_above(&self, column: &str, limit: u32) -> (u64, Vec<Error>) {
        let mut unreadable = Vec::new();
        let mut n = 0;
        for group in 0..self.metadata.metadata().num_row_groups() {
            match self.read_columns(group, Some(column)) {
                Ok(batches) => {
                    for batch in batches {
                        let values = batch.column(0).as_primitive::<UInt32Type>().values();
                        n += values.iter().filter(|value| **value >= limit).count() as u64;
                    }
                }
                Err(error) => unreadable.push(error),
            }
        }
        (n, unreadable)
    }

    /// Adds to `counts` how many rows have each value of an unsigned 32-bit column.
    pub(crate) fn count_by(&self, column: &str, counts: &mut BTreeMap<u32, i64>) -> Result<()> {
        for group in 0..self.metadata.metadata().num_row_groups() {
            for batch in self.read_columns(group, Some(column))? {
                for value in batch.column(0).as_primitive::<UInt32Type>().values() {
                    *counts.entry(*value).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// All rows of a small table, row group by row group; what can't be read is named in `warnings`.
    pub(crate) fn read_all(&self, warnings: &mut Vec<Error>) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for group in self.groups() {
            match group {
                Ok(more) => batches.extend(more),
                Err(error) => warnings.push(error),
            }
        }
        batches
    }

    /// The row groups one by one, each whole.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Result<Vec<RecordBatch>>> {
        (0..self.metadata.metadata().num_row_groups()).map(|group| self.read_group(group))
    }

    /// As [`TableFile::groups`], for whoever keeps nothing else of the file.
    pub(super) fn into_groups(self) -> impl Iterator<Item = Result<Vec<RecordBatch>>> {
        (0..self.metadata.metadata().num_row_groups()).map(move |group| self.read_group(group))
    }

    /// An error about row group `group`.
    pub(super) fn damaged(&self, group: usize, why: String) -> Error {
        Error::new(&self.path, At::RowGroup(group), Kind::BadParquet(why))
    }

    fn read_group(&self, group: usize) -> Result<Vec<RecordBatch>> {
        self.read_columns(group, None)
    }

    /// One row group; of its columns all, or one.
    pub(super) fn read_columns(
        &self,
        group: usize,
        column: Option<&str>,
    ) -> Result<Vec<RecordBatch>> {
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.blob.clone(),
            self.metadata.clone(),
        );
        if let Some(column) = column {
            let mask = ProjectionMask::columns(self.metadata.parquet_schema(), [column]);
            builder = builder.with_projection(mask);
        }
        let read = || {
            builder
                .with_row_groups(vec![group])
                .build()?
                .collect::<std::result::Result<Vec<_>, _>>()
        };
        guarded(|| read().map_err(parquet::errors::ParquetError::from))
            .map_err(|why| self.damaged(group, why))
    }
}

/// The first compression in the file that is not read here.
fn unsupported(metadata: &ArrowReaderMetadata) -> Option<String> {
    let groups = metadata.metadata().row_groups();
    let mut codecs = groups.iter().flat_map(|group| group.columns()).map(|c| c.compression());
    codecs.find_map(|codec| match codec {
        Compression::BROTLI(_) => Some("brotli".to_string()),
        Compression::LZO => Some("lzo".to_string()),
        _ => None,
    })
}

/// What zstd's bindings panic with where there is no memory for a context.
const NO_MEMORY: &str = "zstd returned null pointer";

/// Runs a piece of Parquet decoding. The decoder may panic on damaged bytes; to us that is one more kind of damage. A lack of memory is none:
/// it ends the run, as it does everywhere else.
pub(crate) fn guarded<T>(
    decode: impl FnOnce() -> std::result::Result<T, parquet::errors::ParquetError>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            if text.is_some_and(|text| text.starts_with(NO_MEMORY)) {
                resume_unwind(panic);
            }
            Err("the decoder gave up on these bytes".to_string())
        }
    }
}
