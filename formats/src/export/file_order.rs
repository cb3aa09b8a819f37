//! A host's packets back in the order of their capture files. Never holds more than one run in memory: the rest is sorted
//! through temporary files.

use crate::bundle::PacketFile;
use crate::error::{At, Error, Kind, Result};
use crate::frame::LinkType;
use crate::import::merge::merge;
use crate::import::run::Row;
use crate::import::spill::{parse, push};
use crate::record::{BlockKind, Record};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type, UInt8Type, UInt32Type};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Calls `take(source_row, interface_id, record)` for every packet of `files` in the order of `source_row`; records have
/// their own kind, stamps, options and frame, but not their section's byte order. What can't be read is in `warnings`.
pub(super) fn in_file_order(
    files: &[&PacketFile],
    run_bytes: usize,
    warnings: &mut Vec<Error>,
    mut take: impl FnMut(i64, u32, Record<'_>) -> Result<()>,
) -> Result<()> {
    let mut take_row = |bytes: &[u8]| {
        let row = parse(bytes);
        take(row.source_row, row.file, row.record)
    };
    let scratch = tempfile::tempdir().map_err(|error| Error::no_temporary(&error))?;
    let mut spilled: Vec<PathBuf> = Vec::new();
    let mut run = Run::default();
    for file in files {
        let mut batches = file.read_blocks(0..file.n_rows());
        while let Some(batch) = batches.next() {
            match batch {
                Ok(batch) => run.add(&batch),
                Err(error) => warnings.push(error),
            }
            if run.memory() >= run_bytes {
                spilled.push(scratch.path().join(format!("run-{}", spilled.len())));
                run.spill(&spilled[spilled.len() - 1])?;
            }
        }
    }
    if spilled.is_empty() {
        return run.rows().try_for_each(take_row);
    }
    spilled.push(scratch.path().join("run-last"));
    run.spill(&spilled[spilled.len() - 1])?;
    merge(spilled, scratch.path(), |bytes| take_row(bytes))
}

/// Rows as spilled, and where each begins by source row.
#[derive(Default)]
struct Run {
    bytes: Vec<u8>,
    rows: Vec<(i64, usize)>,
}

impl Run {
    fn memory(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<(i64, usize)>()
    }

    fn add(&mut self, batch: &RecordBatch) {
        let columns = Columns::new(batch);
        for index in 0..batch.num_rows() {
            let row = columns.row(index);
            self.rows.push((row.source_row, self.bytes.len()));
            push(&mut self.bytes, &row);
        }
    }

    fn rows(&mut self) -> impl Iterator<Item = &[u8]> {
        self.rows.sort_unstable();
        let bytes = &self.bytes;
        let row = |at: usize| {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            &bytes[at..at + length as usize]
        };
        self.rows.iter().map(move |(_, at)| row(*at))
    }

    fn spill(&mut self, path: &Path) -> Result<()> {
        let failed = |error| Error::io(path, &error);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
        self.rows().try_for_each(|row| file.write_all(row)).map_err(failed)?;
        file.flush().map_err(failed)?;
        self.bytes.clear();
        self.rows.clear();
        Ok(())
    }
}

/// The columns of one batch.
struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch) -> Columns<'a> {
        Columns(batch)
    }

    fn column(&self, name: &str) -> &'a dyn Array {
        self.0.column_by_name(name).expect("the schema was checked, the column was asked for")
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str, row: usize) -> Option<T::Native> {
        let column = self.column(name).as_primitive::<T>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn bytes(&self, name: &str, row: usize) -> &'a [u8] {
        let column = self.column(name).as_binary::<i32>();
        if column.is_valid(row) { column.value(row) } else { &[] }
    }

    /// The row, ordered by its source row alone; `file` holds its interface_id.
    fn row(&self, index: usize) -> Row<'a> {
        let source_row = self.number::<Int64Type>("source_row", index).unwrap_or(0);
        let kind = match self.number::<UInt8Type>("kind", index) {
            Some(1) => BlockKind::Enhanced,
            Some(2) => BlockKind::Simple,
            Some(3) => BlockKind::Obsolete,
            _ => BlockKind::Pcap,
        };
        let drops = self.number::<Int64Type>("drop_count", index);
        let halves = (
            self.number::<UInt32Type>("raw_stamp_high", index),
            self.number::<UInt32Type>("raw_stamp_low", index),
        );
        let record = Record {
            time_ns: self.number::<Int64Type>("time_ns", index).unwrap_or(0),
            raw_stamp: halves.0.zip(halves.1),
            interface: 0,
            original_length: self.number::<UInt32Type>("original_length", index).unwrap_or(0),
            kind,
            big_endian: false,
            drops: match kind {
                BlockKind::Obsolete => {
                    drops.and_then(|n| u16::try_from(n).ok()).unwrap_or(u16::MAX)
                }
                _ => 0,
            },
            options: self.bytes("block_options", index),
            frame: self.bytes("frame", index),
        };
        let file = self.number::<UInt32Type>("interface_id", index).unwrap_or(0);
        Row { flow_hash: source_row, source_row, file, link: LinkType::Other(0), record }
    }
}

/// An error about writing `output`.
pub(super) fn unwritable(output: &Path, error: &std::io::Error) -> Error {
    Error::new(output, At::File, Kind::Io(error.to_string()))
}
