//! Going on behind damage: bytes are left behind until records follow one another again. Never holds more than a window of
//! them, and says how many they were.

use super::chain::{CHAIN_BYTES, Search, Until, WINDOW_BYTES};
use super::pcap::{FILE_HEADER_BYTES, Pcap};
use super::reader::{CaptureReader, Format, State};
use crate::error::{At, Error, Kind, Result};
use bytes::Bytes;

/// What may count as a place to go on at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Records(Until),
    /// Another file header or section header: what stands before it can't be read.
    Header,
    Nothing,
}

impl CaptureReader {
    /// Leaves behind what can't be read from here on and sets the state to what follows; gives the error to tell.
    pub(super) fn skip(&mut self, kind: Kind) -> Error {
        let from = self.position;
        let found = self.go_on(kind == Kind::TruncatedCapture);
        let n_skipped = self.position - from;
        let at = At::Byte(from);
        self.state = if let Ok(true) = found { State::Reading } else { State::Ended };
        if found == Ok(false) && kind == Kind::TruncatedCapture {
            return Error::new(self.source.path(), at, kind);
        }
        self.seen.counts.skipped_bytes.add_many(n_skipped, from);
        let why = match (found, kind) {
            (Err(error), _) => return error,
            (Ok(true), Kind::MalformedCapture(why)) => format!("{why}; {n_skipped} bytes skipped"),
            (Ok(true), _) => format!("a length over what follows; {n_skipped} bytes skipped"),
            (Ok(false), Kind::MalformedCapture(why)) => {
                format!("{why}; the rest is skipped, {n_skipped} bytes")
            }
            (Ok(false), _) => format!("the rest is skipped, {n_skipped} bytes"),
        };
        Error::new(self.source.path(), at, Kind::MalformedCapture(why))
    }

    /// Moves to where reading can go on, true, or to the end, false.
    fn go_on(&mut self, is_cut: bool) -> Result<bool> {
        let (first, _) = self.window()?;
        let mut wanted = self.wanted(&first, is_cut);
        let mut is_first = true;
        loop {
            let (bytes, at_end) = self.window()?;
            let found = match (&self.format, wanted) {
                (_, Wanted::Nothing) => Search::Nothing(bytes.len()),
                (Format::Pcapng(pcapng), Wanted::Records(until)) => {
                    pcapng.search(&bytes, is_first, at_end, until)
                }
                (Format::Pcapng(pcapng), Wanted::Header) => {
                    pcapng.search_section(&bytes, is_first, at_end)
                }
                (Format::Pcap(pcap), Wanted::Records(until)) => {
                    pcap.search(&bytes, is_first, at_end, until)
                }
                (Format::Pcap(_), Wanted::Header) => Pcap::search_header(&bytes, at_end),
            };
            match found {
                Search::Nothing(n) => {
                    self.leave(&bytes, n);
                    if at_end && n == bytes.len() {
                        return Ok(false);
                    }
                }
                Search::Found(place) => {
                    let from = if is_first { &first[..place.min(first.len())] } else { &first[..] };
                    if self.take_up(&bytes, place, from) {
                        return Ok(true);
                    }
                    wanted = Wanted::Header;
                }
            }
            is_first = false;
        }
    }

    /// What to look for behind the damaged record or block that `bytes` begin with.
    fn wanted(&self, bytes: &[u8], is_cut: bool) -> Wanted {
        let cut_alone = match &self.format {
            Format::Pcap(pcap) => pcap.is_cut(bytes),
            Format::Pcapng(pcapng) => pcapng.is_cut(bytes),
        };
        match &self.format {
            _ if is_cut && cut_alone => Wanted::Nothing,
            _ if is_cut => Wanted::Records(Until::End),
            Format::Pcapng(pcapng) if pcapng.is_foreign_section(bytes) => Wanted::Header,
            _ => Wanted::Records(Until::Links),
        }
    }

    /// Goes on at `place` of `bytes`, `damaged` being what the damage left; false if that is a file of another link type.
    fn take_up(&mut self, bytes: &Bytes, place: usize, damaged: &[u8]) -> bool {
        match &mut self.format {
            Format::Pcapng(pcapng) => {
                pcapng.learn(damaged, &mut self.seen);
                self.leave(bytes, place);
                true
            }
            Format::Pcap(pcap) => match Pcap::header_at(&bytes[place..]) {
                Some(header) => {
                    let adopted = pcap.adopt(header);
                    self.leave(bytes, place + FILE_HEADER_BYTES);
                    adopted
                }
                None => {
                    self.leave(bytes, place);
                    true
                }
            },
        }
    }

    /// The next bytes, enough to judge some places, and whether they are the file's last.
    fn window(&mut self) -> Result<(Bytes, bool)> {
        let position = At::Byte(self.position);
        let path = self.source.path().to_path_buf();
        let failed = |kind| Error::new(path, position, kind);
        if let Some(mapped) = &mut self.mapped {
            let bytes = mapped.bytes(self.position, WINDOW_BYTES);
            let bytes = bytes.map_err(|error| failed(Kind::Io(error.to_string())))?;
            let at_end = bytes.len() < WINDOW_BYTES;
            return Ok((bytes, at_end));
        }
        let enough = 2 * CHAIN_BYTES;
        let read = self.fill_pending(enough, WINDOW_BYTES);
        read.map_err(|error| failed(self.source.error_kind(&error)))?;
        Ok((self.pending.clone(), self.pending.len() < enough))
    }

    /// Moves behind the first `n` of `bytes`, which stand at the position.
    fn leave(&mut self, bytes: &Bytes, n: usize) {
        self.position += n as u64;
        if self.mapped.is_none() {
            self.pending = bytes.slice(n..);
        }
    }
}
