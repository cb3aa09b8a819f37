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
            Ok((head, payload)) => {
                frames.take(&head, payload, &mut extent).map(|batch| (head, batch))
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::segment_writer::SegmentWriter;
    use crate::table::losses::{self, LossRow, TABLE};

    const ROWS: usize = 7;

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % limit
        }
    }

    fn batch(number: usize) -> RecordBatch {
        let row = |row| LossRow {
            source: format!("{number}.{row}"),
            count: (number * ROWS + row) as i64,
            ..LossRow::default()
        };
        losses::batch(&(0..ROWS).map(row).collect::<Vec<_>>())
    }

    /// A sealed segment of five batches, and where each of its frames ends.
    fn segment() -> (Vec<u8>, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut writer = SegmentWriter::create(&path, &TABLE, 0).unwrap();
        let mut ends = Vec::new();
        for number in 0..5 {
            writer.append(&batch(number)).unwrap();
            ends.push(writer.length() as usize);
        }
        writer.seal().unwrap();
        (std::fs::read(path).unwrap(), ends)
    }

    /// Whole batches come out, the first ones, and nothing else; how many.
    fn check(bytes: &[u8], n_expected: Option<usize>) -> Extent {
        let mut batches = Vec::new();
        let taken = |batch| {
            batches.push(batch);
            Ok(())
        };
        let extent = read(bytes, bytes.len() as u64, &TABLE, taken).unwrap();
        let expected: Vec<_> = (0..batches.len()).map(batch).collect();
        assert_eq!(batches, expected);
        assert_eq!(extent.n_rows as usize, batches.len() * ROWS);
        assert!(n_expected.is_none_or(|n| n == batches.len()), "{} {n_expected:?}", batches.len());
        extent
    }

    #[test]
    fn a_whole_segment_is_read_and_a_cut_one_to_its_last_whole_frame() {
        let (whole, ends) = segment();
        assert_eq!(
            check(&whole, Some(5)),
            Extent { n_rows: 35, n_batches: 5, is_sealed: true, cut: None }
        );
        for cut in 0..whole.len() {
            let n = ends.iter().filter(|end| **end <= cut).count();
            let extent = check(&whole[..cut], Some(n));
            let begin = ends[..n].last().copied().unwrap_or(0);
            let at_an_end = cut == begin && n > 0;
            assert!(extent.cut.is_some() || at_an_end || cut == 0 || n == 0, "cut at {cut}");
            assert!(!extent.is_sealed);
        }
    }

    #[test]
    fn flipped_bits_zeros_and_noise_give_no_wrong_row() {
        let (whole, ends) = segment();
        let mut random = Random(1);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let n = ends.iter().filter(|end| **end <= bit / 8).count();
            assert!(check(&bytes, Some(n)).cut.is_some(), "bit {bit}");
        }
        for _ in 0..3000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(20) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.below(256) as u8;
            }
            check(&bytes, None);
        }
        for end in &ends {
            let mut bytes = whole[..*end].to_vec();
            bytes.resize(whole.len() + 5000, 0);
            assert!(check(&bytes, None).cut.is_some());
        }
    }

    #[test]
    fn a_forged_message_is_refused_before_anything_is_allocated_for_it() {
        let (whole, ends) = segment();
        let mut random = Random(2);
        let first = header_length(TABLE.name) as usize;
        let begin = {
            let head =
                FrameHead::read(whole[first..][..FRAME_HEAD].first_chunk().unwrap()).unwrap();
            first + FRAME_HEAD + head.length
        };
        let payload = &whole[begin + FRAME_HEAD..ends[0]];
        // Any bytes behind a checksum that fits: what a forger would write.
        for _ in 0..20_000 {
            let mut forged = payload.to_vec();
            for _ in 0..1 + random.below(4) {
                let at = random.below(forged.len() as u64) as usize;
                forged[at] = [0, 0x7f, 0xff, random.below(256) as u8][random.below(4) as usize];
            }
            let mut bytes = whole[..begin].to_vec();
            let frame = super::super::segment::frame(FrameKind::Batch, 7, begin as u64, &forged);
            bytes.extend_from_slice(&frame);
            read(&bytes[..], bytes.len() as u64, &TABLE, |_| Ok(())).unwrap();
        }
    }
}
