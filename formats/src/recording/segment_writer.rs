//! One open segment: frames appended, synced when asked. Never leaves half a frame behind if the disk lets it be taken back.

use super::disk;
use super::ipc::Encoder;
use super::rows::n_bytes;
use super::segment::{self, FrameKind, MAX_PAYLOAD};
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of rows that go into one frame, about.
const FRAME_BYTES: usize = 8 << 20;

/// A segment being written.
pub(super) struct SegmentWriter {
    path: PathBuf,
    file: File,
    encoder: Encoder,
    /// Where the next frame will stand.
    offset: u64,
    pub(super) n_rows: u64,
    n_batches: u64,
    /// Bytes of its rows in memory.
    pub(super) n_bytes: u64,
    pub(super) begun: Instant,
    is_dirty: bool,
    /// Whether half a frame could not be taken back.
    is_torn: bool,
}

impl SegmentWriter {
    /// Makes the segment `number` of `table` at `path`, in a folder that is there.
    pub(super) fn create(path: &Path, table: &Table, number: u32) -> Result<SegmentWriter> {
        let bad = |error| failed(path, &error);
        let mut encoder = Encoder::new(table).map_err(bad)?;
        let schema = encoder.take();
        let file = disk::new_file(path)?;
        let mut writer = SegmentWriter {
            path: path.into(),
            file,
            encoder,
            offset: 0,
            n_rows: 0,
            n_batches: 0,
            n_bytes: 0,
            begun: Instant::now(),
            is_dirty: false,
            is_torn: false,
        };
        let begun = writer.begin(&segment::header(table.name, number), &schema);
        if begun.is_err() {
            // Nothing is in it yet.
            let _ = disk::remove(path);
        }
        begun.map(|()| writer)
    }

    /// Bytes on disk.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    /// Appends a batch, in as many frames as it takes. After an error what was appended before stands as it stood, with the
    /// first rows of this batch: the result says how many of them.
    pub(super) fn append(
        &mut self,
        batch: &RecordBatch,
    ) -> std::result::Result<(), (usize, Error)> {
        let n_parts = n_bytes(batch).div_ceil(FRAME_BYTES).clamp(1, batch.num_rows().max(1));
        let step = batch.num_rows().div_ceil(n_parts).max(1);
        for begin in (0..batch.num_rows()).step_by(step) {
            let part = batch.slice(begin, step.min(batch.num_rows() - begin));
            self.append_part(&part).map_err(|(n, error)| (begin + n, error))?;
        }
        Ok(())
    }

    /// Makes what was appended survive a crash.
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.is_dirty {
            self.file.sync_data().map_err(|error| Error::disk(&self.path, &error))?;
            self.is_dirty = false;
        }
        Ok(())
    }

    /// Ends the segment. On a full disk it stays without its seal, which says only that nothing is missing.
    pub(super) fn seal(&mut self) -> Result<()> {
        let seal = segment::seal(self.n_rows, self.n_batches);
        match self.frame(FrameKind::Seal, 0, &seal) {
            Err(error) if !matches!(error.kind, Kind::DiskFull(_)) => Err(error),
            _ => self.sync(),
        }
    }

    fn begin(&mut self, header: &[u8], schema: &[u8]) -> Result<()> {
        self.write(header)?;
        self.frame(FrameKind::Schema, 0, schema)?;
        self.sync()?;
        self.path.parent().map_or(Ok(()), disk::sync_folder)
    }

    fn append_part(&mut self, part: &RecordBatch) -> std::result::Result<(), (usize, Error)> {
        let encoded = self.encoder.batch(part).map_err(|error| (0, failed(&self.path, &error)))?;
        if encoded.len() > MAX_PAYLOAD {
            // Rows of very different sizes.
            let half = part.num_rows() / 2;
            if half == 0 {
                let why = format!("a row takes {} bytes, more than a frame holds", encoded.len());
                return Err((0, Error::new(&self.path, At::File, Kind::BadArguments(why))));
            }
            self.append_part(&part.slice(0, half))?;
            let rest = part.slice(half, part.num_rows() - half);
            return self.append_part(&rest).map_err(|(n, error)| (half + n, error));
        }
        let n_rows = part.num_rows() as u32;
        self.frame(FrameKind::Batch, n_rows, &encoded).map_err(|error| (0, error))?;
        self.n_rows += u64::from(n_rows);
        self.n_batches += 1;
        self.n_bytes += n_bytes(part) as u64;
        Ok(())
    }

    fn frame(&mut self, kind: FrameKind, n_rows: u32, payload: &[u8]) -> Result<()> {
        self.write(&segment::frame(kind, n_rows, self.offset, payload))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let path = &self.path;
        let failed = |error: io::Error| Error::disk(path, &error);
        if self.is_torn {
            return Err(failed(io::ErrorKind::StorageFull.into()));
        }
        self.is_dirty = true;
        if let Err(error) = self.file.write_all(bytes) {
            // Whatever came behind half a frame could not be read.
            let back = self.file.set_len(self.offset);
            self.is_torn =
                back.and_then(|()| self.file.seek(SeekFrom::Start(self.offset))).is_err();
            return Err(failed(error));
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn failed(path: &Path, error: &ArrowError) -> Error {
    Error::new(path, At::File, Kind::Io(error.to_string()))
}
