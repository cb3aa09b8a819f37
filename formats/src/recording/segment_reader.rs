//! Reading a segment: every whole frame before the first bad one, then what is left behind and why. Never gives a row that
//! was not checked, never reads more into memory than a frame may hold, never fails on damage.

use super::ipc::Decoder;
use super::segment::{FRAME_HEAD, FrameHead, FrameKind, header_length, read_header, seal};
use crate::error::{At, Error, Kind, Result};
use crate::table::Table;
use arrow::array::RecordBatch;
use std::io::Read;
use std::path::Path;

/// How far a segment could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) n_rows: u64,
    pub(crate) n_batches: u64,
    /// Whether its seal was there: nothing is missing.
    pub(crate) is_sealed: bool,
    /// What could not be read.
    pub(crate) cut: Option<Cut>,
}

/// Where a segment stops being readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first byte that is not used.
    pub(crate) at: u64,
    /// Bytes from there to the file's end.
    pub(crate) n_bytes: u64,
    why: String,
}

/// Reads the `length` bytes of a segment of `table`, batch by batch. `Err` is `each`'s own.
pub(crate) fn read(
    mut from: impl Read,
    length: u64,
    table: &'static Table,
    mut each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<Extent> {
    let mut extent = Extent::default();
    if length == 0 {
        // Made, but nothing was written yet.
        return Ok(extent);
    }
    let cut = |at: u64, why: String| Some(Cut { at, n_bytes: length - at, why });
    match read_header(&mut from) {
        Ok(name) if name == table.name => {}
        Ok(name) => {
            extent.cut = cut(0, format!("its header names the table {name:?}"));
            return Ok(extent);
        }
        Err(why) => {
            extent.cut = cut(0, why);
            return Ok(extent);
        }
    }
    let mut at = header_length(table.name);
    let mut frames = Frames { decoder: Decoder::new(table), n_frames: 0 };
    while at < length {
        let step = match next_frame(&mut from, at, length) {
            Ok((head, payload)) => frames.take(&head, payload, &mut extent).map(|batch| (head, batch)),
            Err(why) => Err(why),
        };
        match step {
            Ok((head, batch)) => {
                batch.map_or(Ok(()), &mut each)?;
                at += (FRAME_HEAD + head.length) as u64;
            }
            Err(why) => {
                extent.cut = cut(at, why);
                break;
            }
        }
    }
    Ok(extent)
}

impl Extent {
    /// The line about what could not be read of the segment shown as `path`.
    pub(crate) fn warning(&self, path: &Path) -> Option<Error> {
        let Cut { at, n_bytes, why } = self.cut.as_ref()?;
        let why = format!(
            "{n_bytes} bytes from here to its end are not used ({why}); the {} rows before are",
            self.n_rows
        );
        Some(Error::new(path, At::Byte(*at), Kind::CutSegment(why)))
    }
}

struct Frames {
    decoder: Decoder,
    n_frames: u64,
}

impl Frames {
    /// Takes a frame whose checksum fits; what its kind asks for is compared too.
    fn take(
        &mut self,
        head: &FrameHead,
        payload: Vec<u8>,
        extent: &mut Extent,
    ) -> std::result::Result<Option<RecordBatch>, String> {
        if extent.is_sealed {
            return Err("something stands behind its seal".to_string());
        }
        if (head.kind == FrameKind::Schema) != (self.n_frames == 0) {
            return Err("its frames are not in order".to_string());
        }
        let batch = match head.kind {
            FrameKind::Schema => self.decoder.schema(payload).map(|()| None)?,
            FrameKind::Batch => {
                let batch = self.decoder.batch(payload, head.n_rows)?;
                extent.n_rows += batch.num_rows() as u64;
                extent.n_batches += 1;
                Some(batch)
            }
            FrameKind::Seal if payload[..] == seal(extent.n_rows, extent.n_batches) => {
                extent.is_sealed = true;
                None
            }
            FrameKind::Seal => return Err("its seal counts other rows".to_string()),
        };
        self.n_frames += 1;
        Ok(batch)
    }
}

fn next_frame(
    from: &mut impl Read,
    at: u64,
    length: u64,
) -> std::result::Result<(FrameHead, Vec<u8>), String> {
    let ends = || "a frame is cut".to_string();
    let left = (length - at).checked_sub(FRAME_HEAD as u64).ok_or_else(ends)?;
    let mut head = [0; FRAME_HEAD];
    from.read_exact(&mut head).map_err(|error| error.to_string())?;
    let head = FrameHead::read(&head).ok_or("no frame begins here")?;
    if head.length as u64 > left {
        return Err(ends());
    }
    let mut payload = vec![0; head.length];
    from.read_exact(&mut payload).map_err(|error| error.to_string())?;
    match head.fits(at, &payload) {
        true => Ok((head, payload)),
        false => Err("a frame's checksum does not fit".to_string()),
    }
}
