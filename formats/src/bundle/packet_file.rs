//! Reading one file of the packets table by row ranges that respect flows. Never holds more than a batch and its pages.

use super::near_rows::add_near;
use super::table_file::{TableFile, guarded};
use crate::error::{At, Error, Kind, Result};
use crate::table::packet_batch::{PacketBatch, Point};
use crate::table::packets::{BLOCK_COLUMNS, HEADER_COLUMNS};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Most rows of a batch.
pub const BATCH_ROWS: usize = 4096;

const COMPARED_COLUMNS: [&str; 6] =
    ["time_ns", "source_row", "interface_id", "captured_length", "flow_hash", "frame"];

/// One file of the packets table: rows sorted by (flow_hash, time_ns, source_row).
#[derive(Debug, Clone)]
pub struct PacketFile {
    pub(super) host: u32,
    pub(super) table: TableFile,
    pub(super) points: Arc<[Point]>,
    /// The footer, with frames read as views of the decompressed pages.
    with_views: ArrowReaderMetadata,
    /// The hash that the manifest lists.
    blake3: Arc<str>,
    /// First row of each row group, then the number of rows.
    starts: Arc<[u64]>,
}

/// Which columns a reader decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Columns {
    Headers,
    Packets,
    Blocks,
    FlowHash,
    Compared,
}

impl PacketFile {
    pub(super) fn new(
        host: u32,
        table: TableFile,
        points: Arc<[Point]>,
        blake3: &str,
    ) -> PacketFile {
        let mut starts = vec![0u64];
        for group in table.metadata.metadata().row_groups() {
            starts.push(starts[starts.len() - 1] + group.num_rows().max(0) as u64);
        }
        let with_views = with_views(&table.metadata).unwrap_or_else(|| table.metadata.clone());
        let (blake3, starts) = (blake3.into(), starts.into());
        PacketFile { host, table, points, with_views, blake3, starts }
    }

    /// Index into the opened bundles' hosts.
    pub fn host(&self) -> u32 {
        self.host
    }

    /// The path to show for it.
    pub fn path(&self) -> &Path {
        &self.table.path
    }

    /// Rows.
    pub fn n_rows(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// Reads every byte and compares with the manifest's hash: Parquet itself notices few flipped bits.
    pub fn check_hash(&self) -> Result<()> {
        let path = &self.table.path;
        match self.table.blob.blake3() {
            Ok(found) if *found == *self.blake3 => Ok(()),
            Ok(_) => {
                let how = "its hash is not the listed one".to_string();
                Err(Error::new(path, At::File, Kind::AlteredFile(how)))
            }
            Err(error) => Err(Error::io(path, &error)),
        }
    }

    /// Row ranges of about `target_rows` each (a long flow makes a longer one) that begin and end at flow boundaries and
    /// together cover the file. Reads only `flow_hash`, and of it only the pages around the cuts.
    pub fn flow_cuts(&self, target_rows: u64) -> Result<Vec<Range<u64>>> {
        let target = target_rows.max(1);
        let mut cuts = Vec::new();
        let mut begin = 0;
        while begin < self.n_rows() {
            let end = match begin.checked_add(target).filter(|end| *end < self.n_rows()) {
                Some(end) => self.next_boundary(end)?,
                None => self.n_rows(),
            };
            cuts.push(begin..end);
            begin = end;
        }
        Ok(cuts)
    }

    /// The flow hash of a row; `None` where there is no such row, or it can't be read. Reads only the page that it lies in.
    pub fn flow_hash_at(&self, row: u64) -> Option<i64> {
        let batch =
            Batches::new(self, row..row.saturating_add(1), Columns::FlowHash).next()?.ok()?;
        batch.column(0).as_primitive::<Int64Type>().values().first().copied()
    }

    /// Where in `rows` the flows of these hashes, which are in order, lie; some rows of others lie between. Reads only `flow_hash`; a
    /// row group of which it can't be read holds none.
    pub fn rows_of_flows(&self, rows: Range<u64>, hashes: &[i64]) -> Vec<Range<u64>> {
        let mut batches = Batches::new(self, rows.clone(), Columns::FlowHash);
        let (mut at, mut ranges) = (rows.start, Vec::new());
        while let Some(batch) = batches.next() {
            let Ok(batch) = batch else {
                at = self.starts[batches.group + 1];
                continue;
            };
            let found = batch.column(0).as_primitive::<Int64Type>().values();
            for flow in found.chunk_by(|a, b| a == b) {
                let end = at + flow.len() as u64;
                if hashes.binary_search(&flow[0]).is_ok() {
                    add_near(&mut ranges, at..end);
                }
                at = end;
            }
        }
        ranges
    }

    /// Reads `rows` with headers and frames. Damage in one row group gives one error there, then the next row group.
    pub fn read(&self, rows: Range<u64>) -> PacketReader {
        self.packets(rows, Columns::Packets)
    }

    /// As [`PacketFile::read`], without frames: payloads are empty.
    pub fn read_headers(&self, rows: Range<u64>) -> PacketReader {
        self.packets(rows, Columns::Headers)
    }

    /// The columns packet blocks are rebuilt from.
    pub(crate) fn read_blocks(&self, rows: Range<u64>) -> Batches {
        Batches::new(self, rows, Columns::Blocks)
    }

    /// The columns that verifying compares.
    pub(super) fn read_compared(&self) -> Batches {
        Batches::new(self, 0..self.n_rows(), Columns::Compared)
    }

    fn packets(&self, rows: Range<u64>, columns: Columns) -> PacketReader {
        PacketReader { points: self.points.clone(), batches: Batches::new(self, rows, columns) }
    }

    /// The first row at or behind `row` (above 0) whose flow differs from the row before it.
    fn next_boundary(&self, row: u64) -> Result<u64> {
        let mut at = row - 1;
        let mut before = None;
        let mut batches = Batches::new(self, at..self.n_rows(), Columns::FlowHash);
        while let Some(batch) = batches.next() {
            let batch = batch?;
            for hash in batch.column(0).as_primitive::<Int64Type>().values() {
                if *before.get_or_insert(*hash) != *hash {
                    return Ok(at);
                }
                at += 1;
            }
        }
        Ok(self.n_rows())
    }
}

/// Gives the batches of a row range, in order.
pub struct PacketReader {
    points: Arc<[Point]>,
    batches: Batches,
}

impl PacketReader {
    /// The next batch of at most [`BATCH_ROWS`] rows; `None` at the range's end.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is one, below; the name is also usable without the trait"
    )]
    pub fn next(&mut self) -> Option<Result<PacketBatch>> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let checked = PacketBatch::new(&batch, self.points.clone());
        Some(checked.map_err(|why| self.batches.file.table.damaged(self.batches.group, why)))
    }
}

impl Iterator for PacketReader {
    type Item = Result<PacketBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        PacketReader::next(self)
    }
}

/// Record batches of a row range, one row group after the other.
pub(crate) struct Batches {
    file: PacketFile,
    rows: Range<u64>,
    columns: Columns,
    /// The row group being read.
    group: usize,
    next_group: usize,
    reader: Option<ParquetRecordBatchReader>,
}

impl Batches {
    fn new(file: &PacketFile, rows: Range<u64>, columns: Columns) -> Batches {
        let rows = rows.start..rows.end.min(file.n_rows());
        let next_group =
            file.starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        Batches { file: file.clone(), rows, columns, group: next_group, next_group, reader: None }
    }

    /// The next batch, an error once per damaged row group.
    pub(crate) fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if let Some(mut reader) = self.reader.take() {
                match guarded(|| Ok(reader.next().transpose()?)) {
                    Ok(None) => {}
                    Ok(Some(batch)) => {
                        self.reader = Some(reader);
                        return Some(Ok(batch));
                    }
                    Err(why) => return Some(Err(self.damaged(why))),
                }
            }
            if let Err(error) = self.open_next()? {
                return Some(Err(error));
            }
        }
    }

    /// Opens the next row group; `None` when the range has no more.
    fn open_next(&mut self) -> Option<Result<()>> {
        let starts = &self.file.starts;
        let group = self.next_group;
        if group + 1 >= starts.len() || self.rows.is_empty() || starts[group] >= self.rows.end {
            return None;
        }
        let (start, end) = (starts[group], starts[group + 1]);
        let skip = self.rows.start.saturating_sub(start);
        let take = (end.min(self.rows.end) - start).saturating_sub(skip);
        self.group = group;
        self.next_group += 1;
        let metadata = match self.columns {
            Columns::Packets => &self.file.with_views,
            _ => &self.file.table.metadata,
        };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.table.blob.clone(),
            metadata.clone(),
        );
        if take < end - start {
            let selectors = [RowSelector::skip(skip as usize), RowSelector::select(take as usize)];
            builder = builder.with_row_selection(RowSelection::from(selectors.to_vec()));
        }
        let mask = self.columns.mask(&self.file);
        let builder =
            builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(BATCH_ROWS);
        Some(match guarded(|| builder.build()) {
            Ok(reader) => {
                self.reader = Some(reader);
                Ok(())
            }
            Err(why) => Err(self.damaged(why)),
        })
    }

    fn damaged(&self, why: String) -> Error {
        self.file.table.damaged(self.group, why)
    }
}

/// The same metadata, but for the Arrow type that frames are read as: views copy no byte.
fn with_views(metadata: &ArrowReaderMetadata) -> Option<ArrowReaderMetadata> {
    let as_view = |field: &Arc<Field>| match field.name().as_str() {
        "frame" => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        _ => field.clone(),
    };
    let fields: Vec<_> = metadata.schema().fields().iter().map(as_view).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).ok()
}

impl Columns {
    fn mask(self, file: &PacketFile) -> ProjectionMask {
        let schema = file.table.metadata.parquet_schema();
        let headers = HEADER_COLUMNS.iter().copied();
        match self {
            Columns::Headers => ProjectionMask::columns(schema, headers),
            Columns::Packets => ProjectionMask::columns(schema, headers.chain(["frame"])),
            Columns::Blocks => ProjectionMask::columns(schema, BLOCK_COLUMNS.iter().copied()),
            Columns::FlowHash => ProjectionMask::columns(schema, ["flow_hash"]),
            Columns::Compared => ProjectionMask::columns(schema, COMPARED_COLUMNS),
        }
    }
}
