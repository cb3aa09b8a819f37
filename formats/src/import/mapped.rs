//! A capture file as mapped bytes, window by window, so that sorting needs no copy of it. Never maps a file that was
//! written to a moment ago: it may be growing, or be cut short under our hands.

use crate::bundle::map::map;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Bytes mapped at once: what is done with is unmapped, and counts no longer as memory of ours.
const WINDOW_BYTES: u64 = 64 << 20;
/// Windows begin at a multiple of this, a multiple of every page size.
const ALIGNMENT: u64 = 64 << 10;
/// A file left alone for so long is not being written.
const SETTLED: Duration = Duration::from_secs(2);

/// A plain capture file that is not being written.
pub(super) struct Mapped {
    file: File,
    length: u64,
    window: Bytes,
    window_at: u64,
}

impl Mapped {
    /// The file at `path`, if it is a regular one and has settled.
    pub(super) fn open(path: &Path) -> Option<Mapped> {
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
        let settled = metadata.is_file() && age >= SETTLED;
        settled.then(|| Mapped { file, length: metadata.len(), window: Bytes::new(), window_at: 0 })
    }

    /// `want` bytes from `at` on, fewer at the file's end.
    pub(super) fn bytes(&mut self, at: u64, want: usize) -> io::Result<Bytes> {
        let end = self.length.min(at.saturating_add(want as u64));
        if at >= end {
            return Ok(Bytes::new());
        }
        if at < self.window_at || end > self.window_at + self.window.len() as u64 {
            self.move_window(at, end)?;
        }
        let from = (at - self.window_at) as usize;
        Ok(self.window.slice(from..from + (end - at) as usize))
    }

    fn move_window(&mut self, at: u64, end: u64) -> io::Result<()> {
        if self.file.metadata()?.len() < self.length {
            return Err(io::Error::other("the file was cut short while it was read"));
        }
        let begin = at - at % ALIGNMENT;
        let until = self.length.min(end.max(begin + WINDOW_BYTES));
        self.window = map(&self.file, begin..until)?;
        self.window_at = begin;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::import::reader::CaptureReader;
    use crate::import::source::Source;

    /// A nanosecond pcap of `n` frames of growing length, cut to `length` bytes.
    fn capture(n: u32, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 1u32] {
            bytes.extend(word.to_le_bytes());
        }
        for i in 0..n {
            for word in [1, i, i, i] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(std::iter::repeat_n(i as u8, i as usize));
        }
        bytes.truncate(length);
        bytes
    }

    /// All records as (time, frame), and how the reading ended.
    fn told(mut reader: CaptureReader, target: usize) -> (Vec<(i64, Vec<u8>)>, String) {
        let mut records = Vec::new();
        loop {
            match reader.next_chunk(target) {
                Ok(Some(chunk)) => records.extend((0..chunk.records.len()).map(|i| {
                    let record = chunk.record(i);
                    (record.time_ns, record.frame.to_vec())
                })),
                Ok(None) => return (records, String::new()),
                Err(error) => return (records, format!("{:?} {:?}", error.at, error.kind)),
            }
        }
    }

    /// A settled file is mapped, a fresh one is read; both say the same.
    fn check(length: usize, target: usize) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), capture(200, length)).expect("it can be written");
        let read = CaptureReader::new(Source::open(file.path()).unwrap()).unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        file.as_file().set_modified(old).expect("its time can be set");
        assert!(super::Mapped::open(file.path()).is_some());
        let mapped = CaptureReader::open(file.path()).unwrap();
        assert_eq!(told(mapped, target), told(read, target), "{length} bytes, {target} at once");
    }

    #[test]
    fn a_mapped_capture_says_what_a_read_one_says() {
        let whole = capture(200, usize::MAX).len();
        for length in [24, 25, 40, 1000, whole - 1, whole] {
            for target in [1, 100, 5000, 1 << 20] {
                check(length, target);
            }
        }
    }

    #[test]
    fn a_fresh_capture_is_not_mapped() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), capture(3, usize::MAX)).expect("it can be written");
        assert!(super::Mapped::open(file.path()).is_none());
    }
}
