//! Times of packets that stand before their file's first stamp: simple packet blocks have none of their own. Never reads
//! further than that first stamp, and no file that can't be read twice.

use super::chunk::Chunk;
use super::reader::CaptureReader;
use crate::error::Result;
use crate::record::BlockKind;

/// Bytes looked through at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Where one file stands.
#[derive(Default)]
pub(super) struct Leading {
    /// Whether a stamp was met.
    is_over: bool,
    /// The first stamp, once it was looked for.
    first_ns: Option<i64>,
}

impl Leading {
    /// Gives the chunk's records before the first stamp of the file its time; 0 where there is none or `again`, which
    /// opens the same file anew, gives nothing.
    pub(super) fn settle(
        &mut self,
        chunk: &mut Chunk,
        again: impl FnOnce() -> Option<Result<CaptureReader>>,
    ) {
        if self.is_over || chunk.records.is_empty() {
            return;
        }
        let is_simple = |kind| kind == BlockKind::Simple;
        let n = chunk.records.iter().take_while(|record| is_simple(record.kind)).count();
        self.is_over = n < chunk.records.len();
        if n > 0 {
            let look = || again().and_then(Result::ok).and_then(first_stamp).unwrap_or(0);
            let first_ns = *self.first_ns.get_or_insert_with(look);
            // Between simple blocks there was no other: all times here are still 0.
            chunk.records[..n].iter_mut().for_each(|record| record.time_ns = first_ns);
        }
    }
}

/// The time of the first record that has one.
fn first_stamp(mut reader: CaptureReader) -> Option<i64> {
    // Damage ends the search.
    while let Ok(Some(chunk)) = reader.next_chunk(CHUNK_BYTES) {
        let mut stamped = chunk.records.iter().filter(|record| record.kind != BlockKind::Simple);
        if let Some(record) = stamped.next() {
            return Some(record.time_ns);
        }
    }
    None
}
