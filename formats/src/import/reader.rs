//! Capture files → chunks of records, in file order and bounded memory. Never looks into a frame.

use super::chunk::{CaptureInterface, Chunk};
use super::counts::Counts;
use super::mapped::Mapped;
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::source::{Compression, Source};
use crate::error::{At, Error, Kind, Result};
use bytes::Bytes;
use std::io::Read;
use std::path::Path;

/// Bytes asked of the source at once.
const READ_BYTES: usize = 1 << 20;
/// A chunk's bytes are addressed by 32 bits, the last record included.
const LARGEST_TARGET: usize = 1 << 30;

/// Reads one capture file: classic pcap or pcapng, plain, gzip or zstd.
pub struct CaptureReader {
    pub(super) source: Source,
    /// Gives the bytes in place of `source` where the file may be mapped.
    pub(super) mapped: Option<Mapped>,
    pub(super) format: Format,
    pub(super) seen: Seen,
    /// Bytes read but not yet handed out: the start of a record.
    pub(super) pending: Bytes,
    /// Where `pending` begins in the decompressed file.
    pub(super) position: u64,
    pub(super) state: State,
    /// A classic capture's file header, byte for byte.
    pcap_header: Option<[u8; pcap::FILE_HEADER_BYTES]>,
}

pub(super) enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

pub(super) enum State {
    Reading,
    /// What is wrong behind the chunk just given; reading may go on behind it.
    Damaged(Kind),
    /// What is wrong behind the chunk just given; nothing can be read behind it.
    Failed(Error),
    Ended,
}

/// What scanning has learnt of the file so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) interfaces: Vec<CaptureInterface>,
    pub(super) counts: Counts,
    /// The time of the pcapng record before, 0 if there was none.
    pub(super) last_ns: i64,
    ordinal: u64,
}

/// How far a scan came: `end` is where the first record begins that it did not take.
pub(super) struct Scan {
    pub(super) end: usize,
    pub(super) stop: Stop,
}

/// Why a scan stopped.
pub(super) enum Stop {
    /// The next record has at least this many bytes, more than there are.
    Need(usize),
    /// The next record contradicts itself.
    Malformed(String),
}

impl CaptureReader {
    /// Opens the capture at `path`, `-` for standard input, and reads its first header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut reader = CaptureReader::new(Source::open(path)?)?;
        if reader.source.compression() == Compression::Plain {
            reader.mapped = Mapped::open(path);
        }
        Ok(reader)
    }

    /// Reads the capture that `source` gives.
    pub fn new(mut source: Source) -> Result<Self> {
        let mut pending = Vec::new();
        let read = fill(&mut source, &mut pending, pcap::FILE_HEADER_BYTES);
        let (format, position) = match format(&pending) {
            Ok(found) => found,
            // A damaged compressed stream says more than the bytes it failed to give.
            Err(kind) => {
                let kind = read.err().map_or(kind, |error| source.error_kind(&error));
                return Err(Error::new(source.path(), At::Byte(0), kind));
            }
        };
        let mut seen = Seen::default();
        if let Format::Pcap(pcap) = &format {
            seen.interfaces.push(pcap.interface());
        }
        let pcap_header = pending.first_chunk().filter(|_| position > 0).copied();
        pending.drain(..position);
        let state = match read {
            Ok(()) => State::Reading,
            Err(error) => State::Failed(Error::new(
                source.path(),
                At::Byte((position + pending.len()) as u64),
                source.error_kind(&error),
            )),
        };
        Ok(CaptureReader {
            source,
            mapped: None,
            format,
            seen,
            pending: pending.into(),
            position: position as u64,
            state,
            pcap_header,
        })
    }

    /// The file's interfaces declared so far; more may come with every chunk of a pcapng.
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.seen.interfaces
    }

    /// A classic capture's file header, byte for byte; `None` for pcapng.
    pub fn pcap_header(&self) -> Option<[u8; 24]> {
        self.pcap_header
    }

    /// Oddities met so far.
    pub fn counts(&self) -> &Counts {
        &self.seen.counts
    }

    /// Bytes of the decompressed file handed out so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next whole records and blocks: about `target_bytes` of them, at least one. None at the file's end.
    ///
    /// Whatever precedes damage is given first; the call after that returns the error, and later ones what stands behind it,
    /// if a place is found where reading can go on.
    /// Memory is bounded by `target_bytes` and one record.
    pub fn next_chunk(&mut self, target_bytes: usize) -> Result<Option<Chunk>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Ok(None),
            State::Failed(error) => Err(error),
            State::Damaged(kind) => Err(self.skip(kind)),
            State::Reading => {
                let target = target_bytes.clamp(1, LARGEST_TARGET);
                let chunk = match self.mapped.take() {
                    Some(mapped) => self.map_chunk(target, mapped),
                    None => self.read_chunk(target),
                };
                if chunk.records.is_empty() && chunk.others.is_empty() {
                    return match std::mem::replace(&mut self.state, State::Ended) {
                        State::Failed(error) => Err(error),
                        State::Damaged(kind) => Err(self.skip(kind)),
                        _ => Ok(None),
                    };
                }
                Ok(Some(chunk))
            }
        }
    }

    /// Fills and scans until there is a record or the file ends, and sets the state for the call after.
    fn read_chunk(&mut self, target: usize) -> Chunk {
        // What was read while looking for a place to go on is not read or copied again.
        let (mut want, mut chunk) =
            (target.min(self.pending.len().max(target / 2)), Chunk::default());
        loop {
            let read = self.fill_pending(want, target);
            let bytes = self.pending.clone();
            let at_end = read.is_err() || bytes.len() < want;
            let scan = self.scan(&bytes, at_end, &mut chunk);
            match scan.stop {
                // Less than the target can't be missing: all of that was there.
                Stop::Need(needed) if scan.end == 0 && !at_end => {
                    want = needed.max(bytes.len() + 1);
                }
                stop => {
                    self.state = self.state_after(scan.end, stop, read, at_end, bytes.len());
                    self.pending = bytes.slice(scan.end..);
                    self.position += scan.end as u64;
                    chunk.bytes = bytes.slice(..scan.end);
                    return chunk;
                }
            }
        }
    }

    /// Reads until `want` bytes are pending, or the file ends; if it has to read at all, until they are `target`.
    pub(super) fn fill_pending(&mut self, want: usize, target: usize) -> std::io::Result<()> {
        if self.pending.len() >= want {
            return Ok(());
        }
        let want = want.max(target);
        // At once, or growing would copy what was read; pages not filled cost nothing.
        let mut bytes = Vec::with_capacity(target.max(self.pending.len()));
        bytes.extend_from_slice(&self.pending);
        let read = fill(&mut self.source, &mut bytes, want);
        self.pending = bytes.into();
        read
    }

    /// As `read_chunk`, from the mapped file.
    fn map_chunk(&mut self, target: usize, mut mapped: Mapped) -> Chunk {
        let (mut want, mut chunk) = (target, Chunk::default());
        loop {
            let (bytes, read) = match mapped.bytes(self.position, want) {
                Ok(bytes) => (bytes, Ok(())),
                Err(error) => (Bytes::new(), Err(error)),
            };
            let at_end = read.is_err() || bytes.len() < want;
            let scan = self.scan(&bytes, at_end, &mut chunk);
            match scan.stop {
                Stop::Need(needed) if scan.end == 0 && !at_end => {
                    want = needed.max(bytes.len() + 1);
                }
                stop => {
                    self.state = self.state_after(scan.end, stop, read, at_end, bytes.len());
                    self.position += scan.end as u64;
                    self.mapped = Some(mapped);
                    chunk.bytes = bytes.slice(..scan.end);
                    return chunk;
                }
            }
        }
    }

    fn scan(&mut self, bytes: &[u8], at_end: bool, chunk: &mut Chunk) -> Scan {
        let Chunk { records, others, .. } = chunk;
        match &mut self.format {
            Format::Pcap(pcap) => pcap.scan(bytes, self.position, at_end, &mut self.seen, records),
            Format::Pcapng(pcapng) => {
                pcapng.scan(bytes, self.position, &mut self.seen, records, others)
            }
        }
    }

    /// What follows a scan that took `end` of `length` bytes.
    fn state_after(
        &self,
        end: usize,
        stop: Stop,
        read: std::io::Result<()>,
        at_end: bool,
        length: usize,
    ) -> State {
        let (at, kind) = match (stop, read) {
            (Stop::Malformed(why), _) => return State::Damaged(Kind::MalformedCapture(why)),
            (Stop::Need(_), Err(error)) => {
                (At::Byte(self.position + length as u64), self.source.error_kind(&error))
            }
            (Stop::Need(_), Ok(())) if at_end && end < length => {
                return State::Damaged(Kind::TruncatedCapture);
            }
            (Stop::Need(_), Ok(())) if at_end => return State::Ended,
            (Stop::Need(_), Ok(())) => return State::Reading,
        };
        State::Failed(Error::new(self.source.path(), at, kind))
    }
}

impl Seen {
    /// The next record's or block's place in the file.
    #[inline(always)]
    pub(super) fn next_ordinal(&mut self) -> u64 {
        self.ordinal += 1;
        self.ordinal - 1
    }

    /// Counts odd lengths of the record at `offset`.
    #[inline(always)]
    pub(super) fn note_lengths(&mut self, captured: u32, original: u32, snap: u32, offset: u64) {
        if captured == 0 {
            self.counts.zero_length.add(offset);
        }
        if captured > original || (snap > 0 && captured > snap) {
            self.counts.over_long.add(offset);
        }
    }
}

/// Whether a file that begins so is a capture.
pub(crate) fn is_capture(start: &[u8]) -> bool {
    format(start).is_ok()
}

/// What the file's first bytes are, and how many of them are spent.
fn format(start: &[u8]) -> std::result::Result<(Format, usize), Kind> {
    let magic = *start.first_chunk::<4>().ok_or(Kind::NotACapture)?;
    if Pcap::is_magic(magic) {
        let header = start.first_chunk().ok_or(Kind::TruncatedCapture)?;
        let pcap = Pcap::parse(header).ok_or(Kind::NotACapture)?;
        return Ok((Format::Pcap(pcap), pcap::FILE_HEADER_BYTES));
    }
    if pcapng::is_start(start) {
        return Ok((Format::Pcapng(Pcapng::default()), 0));
    }
    Err(Kind::NotACapture)
}

/// Reads until `bytes` holds `want` bytes or the source ends. Grows step by step: a length found in the file costs no
/// memory before its bytes are there.
fn fill(source: &mut Source, bytes: &mut Vec<u8>, want: usize) -> std::io::Result<()> {
    while bytes.len() < want {
        let step = (want - bytes.len()).min(READ_BYTES);
        bytes.reserve(step);
        // Reads into spare capacity, which need not be zeroed first.
        if source.by_ref().take(step as u64).read_to_end(bytes)? == 0 {
            break;
        }
    }
    Ok(())
}
