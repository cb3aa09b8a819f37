//! Sorted runs on disk, while a bundle is written or exported. Never outlives that, never read by anything else.

use super::run::{NEAR_ROWS, Row, Rows, Run, fetch};
use crate::error::{Error, Result};
use crate::frame::LinkType;
use crate::record::{BlockKind, Record};
use bytes::Bytes;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a spilled row before its options and frame.
pub(super) const HEAD_BYTES: usize = 60;
const SLICE_ROWS: usize = 16 * 1024;
const SLICE_BYTES: usize = 8 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// What rows are ordered by: (flow_hash, time_ns, source_row).
pub(super) type Order = (i64, i64, i64);

/// Writes `run` to `path`, sorted; slices are laid out in parallel and written in order.
pub(super) fn spill(run: &Run, path: &Path) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        let slices = run.cuts(SLICE_ROWS, SLICE_BYTES);
        for some in slices.chunks(2 * rayon::current_num_threads().min(8)) {
            let lay_out = |slice: &Range<usize>| lay_out(run, slice.clone());
            let laid_out: Vec<Vec<u8>> = some.par_iter().map(lay_out).collect();
            laid_out.iter().try_for_each(|bytes| file.write_all(bytes))?;
        }
        file.flush()
    };
    write().map_err(|error| Error::io(path, &error))
}

fn lay_out(run: &Run, slice: Range<usize>) -> Vec<u8> {
    let n_bytes = slice.clone().map(|index| HEAD_BYTES + run.frame_bytes(index)).sum();
    let mut bytes = Vec::with_capacity(n_bytes);
    let mut some = Vec::with_capacity(NEAR_ROWS);
    for near in slice.clone().step_by(NEAR_ROWS) {
        fetch(run, near..slice.end.min(near + NEAR_ROWS), &mut some);
        some.iter().for_each(|row| push(&mut bytes, row));
    }
    bytes
}

/// Reads a spilled run, row by row.
pub(super) struct SpilledRun {
    path: PathBuf,
    file: BufReader<File>,
    /// The current row's bytes.
    row: Vec<u8>,
}

impl SpilledRun {
    /// Opens a run at its first row.
    pub(super) fn open(path: &Path) -> Result<SpilledRun> {
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(SpilledRun { path: path.into(), file, row: Vec::new() })
    }

    /// Goes to the next row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        let mut read = || -> io::Result<bool> {
            let mut length = [0; 4];
            match self.file.read_exact(&mut length) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                other => other?,
            }
            let length = u32::from_le_bytes(length) as usize;
            self.row.resize(length, 0);
            self.row[..4].copy_from_slice(&(length as u32).to_le_bytes());
            self.file.read_exact(&mut self.row[4..])?;
            Ok(true)
        };
        read().map_err(|error| Error::io(&self.path, &error))
    }

    /// The current row's bytes.
    pub(super) fn row(&self) -> &[u8] {
        &self.row
    }
}

/// Where a spilled row stands among others.
pub(super) fn order(row: &[u8]) -> Order {
    (i64_at(row, 4), i64_at(row, 12), i64_at(row, 20))
}

/// Rows copied out of runs, in order: one row group.
pub(super) struct Gathered {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Gathered {
    /// Room for one row group at once: growing would copy it, and leave what was copied to the allocator. Pages not filled
    /// cost nothing.
    pub(super) fn with_capacity(n_rows: usize, n_bytes: usize) -> Gathered {
        Gathered { bytes: Vec::with_capacity(n_rows * HEAD_BYTES + n_bytes), starts: Vec::new() }
    }

    /// Appends a spilled row.
    pub(super) fn push(&mut self, row: &[u8]) {
        self.starts.push(self.bytes.len() as u32);
        self.bytes.extend_from_slice(row);
    }

    /// No more rows follow.
    pub(super) fn finish(self) -> GatheredRows {
        GatheredRows { bytes: self.bytes.into(), starts: self.starts }
    }
}

/// The rows of [`Gathered`].
pub(super) struct GatheredRows {
    bytes: Bytes,
    starts: Vec<u32>,
}

impl Rows for GatheredRows {
    fn frame_bytes(&self, index: usize) -> usize {
        u32_at(&self.bytes, self.starts[index] as usize) as usize - HEAD_BYTES
    }

    fn n_rows(&self) -> usize {
        self.starts.len()
    }

    fn row(&self, index: usize) -> Row<'_> {
        let start = self.starts[index];
        parse(&self.bytes[start as usize..])
    }
}

/// Appends a row.
pub(crate) fn push(bytes: &mut Vec<u8>, row: &Row<'_>) {
    let record = &row.record;
    let length = HEAD_BYTES + record.options.len() + record.frame.len();
    let (high, low) = record.raw_stamp.unwrap_or_default();
    let flags = u8::from(record.raw_stamp.is_some()) | u8::from(record.big_endian) << 1;
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
    for number in [row.flow_hash, record.time_ns, row.source_row] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let options = record.options.len() as u32;
    for number in [high, low, row.file, record.interface, record.original_length, options] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&record.drops.to_le_bytes());
    bytes.extend_from_slice(&row.link.number().to_le_bytes());
    bytes.extend_from_slice(&[record.kind as u8, flags, 0, 0]);
    bytes.extend_from_slice(record.options);
    bytes.extend_from_slice(record.frame);
}

/// The row that `bytes` begins with.
pub(crate) fn parse(bytes: &[u8]) -> Row<'_> {
    let length = u32_at(bytes, 0) as usize;
    let options = HEAD_BYTES + u32_at(bytes, 48) as usize;
    let flags = bytes[57];
    let record = Record {
        time_ns: i64_at(bytes, 12),
        raw_stamp: (flags & 1 != 0).then(|| (u32_at(bytes, 28), u32_at(bytes, 32))),
        interface: u32_at(bytes, 40),
        original_length: u32_at(bytes, 44),
        kind: kind(bytes[56]),
        big_endian: flags & 2 != 0,
        drops: u16::from_le_bytes([bytes[52], bytes[53]]),
        options: &bytes[HEAD_BYTES..options],
        frame: &bytes[options..length],
    };
    let link = LinkType::from_number(u16::from_le_bytes([bytes[54], bytes[55]]));
    Row {
        flow_hash: i64_at(bytes, 4),
        source_row: i64_at(bytes, 20),
        file: u32_at(bytes, 36),
        link,
        record,
    }
}

fn kind(number: u8) -> BlockKind {
    match number {
        1 => BlockKind::Enhanced,
        2 => BlockKind::Simple,
        3 => BlockKind::Obsolete,
        _ => BlockKind::Pcap,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
