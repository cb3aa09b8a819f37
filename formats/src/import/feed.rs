//! A host's capture files, one after the other, as chunks; what is no packet goes straight to the bundle. Never decodes.

use super::Progress;
use super::counts::Counts;
use super::hosts::HostToImport;
use super::leading::Leading;
use super::losses::Losses;
use super::plan::{FilePlan, stem};
use super::points::FileFacts;
use super::reader::CaptureReader;
use super::run::{Loaded, links};
use super::source::Source;
use crate::bundle::manifest::CaptureEntry;
use crate::bundle::write::Sink;
use crate::error::{Error, Kind, Result};
use crate::table::capture_blocks::{self, CaptureBlockRow};
use std::io::{Cursor, Read};
use std::path::Path;

const BLOCK_ROWS: usize = 64 << 10;
const BLOCK_BYTES: usize = 8 << 20;

/// Reads one host's captures.
pub(super) struct Feed<'a> {
    host: &'a HostToImport,
    /// What was already read of standard input.
    stdin_start: &'a [u8],
    chunk_bytes: usize,
    progress: &'a dyn Fn(Progress<'_>),
    blocks: Blocks,
    current: Option<(CaptureReader, u64)>,
    leading: Leading,
    next_file: usize,
    next_row: i64,
    pub(super) seen: Seen,
}

/// What reading gave besides records.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) files: Vec<FileFacts>,
    pub(super) captures: Vec<CaptureEntry>,
    pub(super) losses: Losses,
    pub(super) n_bytes: u64,
    pub(super) n_blocks: u64,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        host: &'a HostToImport,
        stdin_start: &'a [u8],
        chunk_bytes: usize,
        progress: &'a dyn Fn(Progress<'_>),
        blocks: Sink,
    ) -> Feed<'a> {
        let blocks = Blocks { sink: blocks, rows: Vec::new(), n_bytes: 0 };
        let seen = Seen::default();
        Feed {
            host,
            stdin_start,
            chunk_bytes,
            progress,
            blocks,
            current: None,
            leading: Leading::default(),
            next_file: 0,
            next_row: 0,
            seen,
        }
    }

    /// The next chunk that holds records; `None` behind the last file.
    pub(super) fn next(&mut self) -> Result<Option<Loaded>> {
        loop {
            let Some((reader, before)) = &mut self.current else {
                if self.next_file == self.host.files.len() {
                    return Ok(None);
                }
                self.open()?;
                continue;
            };
            let next = reader.next_chunk(self.chunk_bytes);
            self.seen.n_bytes += reader.position() - *before;
            *before = reader.position();
            match next {
                Ok(Some(mut chunk)) => {
                    let file = self.next_file as u32 - 1;
                    let (host, stdin_start) = (self.host, self.stdin_start);
                    let plan = &host.files[self.next_file - 1].1;
                    self.leading.settle(&mut chunk, || reread(plan, stdin_start));
                    let base = self.next_row;
                    let others = std::mem::take(&mut chunk.others);
                    let last = |ordinal: Option<u64>| ordinal.map_or(0, |ordinal| ordinal + 1);
                    let n_rows = last(chunk.records.last().map(|record| record.ordinal))
                        .max(last(others.last().map(|block| block.ordinal)));
                    let entry = &mut self.seen.captures[file as usize];
                    entry.n_rows = entry.n_rows.max(n_rows as i64);
                    let links = links(reader.interfaces());
                    for block in others {
                        self.seen.n_blocks += 1;
                        self.blocks.push(CaptureBlockRow {
                            source_row: base + block.ordinal as i64,
                            capture_file: file,
                            section: block.section,
                            block_type: block.block_type,
                            big_endian: block.big_endian,
                            bytes: block.bytes,
                        })?;
                    }
                    (self.progress)(Progress::Reading {
                        host: &self.host.name,
                        n_bytes: self.seen.n_bytes,
                    });
                    if !chunk.records.is_empty() {
                        return Ok(Some(Loaded { chunk, file, base, links }));
                    }
                }
                Ok(None) => self.close(),
                Err(error) => self.damaged(error),
            }
        }
    }

    /// Ends the reading; gives the sink of other blocks back, everything in it.
    pub(super) fn finish(mut self) -> Result<(Seen, Sink)> {
        self.blocks.flush()?;
        Ok((self.seen, self.blocks.sink))
    }

    fn open(&mut self) -> Result<()> {
        let (netns, plan) = &self.host.files[self.next_file];
        self.next_file += 1;
        let stem = stem(&plan.path);
        let shown = match plan.path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => stem.clone(),
        };
        let mut entry = CaptureEntry {
            name: shown,
            format: "unreadable".to_string(),
            pcap_header: None,
            first_source_row: self.next_row,
            n_rows: 0,
        };
        let mut facts = FileFacts {
            stem,
            netns: netns.clone(),
            interface: plan.interface.clone(),
            interfaces: Vec::new(),
        };
        match self.reader(plan) {
            Ok(reader) => {
                let hex =
                    |bytes: [u8; 24]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                entry.pcap_header = reader.pcap_header().map(hex);
                entry.format =
                    if entry.pcap_header.is_some() { "pcap" } else { "pcapng" }.to_string();
                facts.interfaces = reader.interfaces().to_vec();
                self.current = Some((reader, 0));
            }
            // A name mistyped is not damage: the user would not want half of what was asked for.
            Err(error) if matches!(error.kind, Kind::Io(_)) => return Err(error),
            Err(error) => {
                self.seen.losses.damaged(&entry.name, error);
                self.seen.losses.close(&entry.name, &plan.path, &Counts::default());
            }
        }
        self.seen.captures.push(entry);
        self.seen.files.push(facts);
        Ok(())
    }

    fn reader(&self, plan: &FilePlan) -> Result<CaptureReader> {
        if plan.path != Path::new("-") {
            return CaptureReader::open(&plan.path);
        }
        let all = Cursor::new(self.stdin_start.to_vec()).chain(std::io::stdin());
        CaptureReader::new(Source::from_reader("-", all)?)
    }

    fn close(&mut self) {
        let Some((reader, _)) = self.current.take() else { return };
        let file = self.next_file - 1;
        self.seen.files[file].interfaces = reader.interfaces().to_vec();
        let entry = &self.seen.captures[file];
        self.next_row += entry.n_rows;
        self.leading = Leading::default();
        let path = &self.host.files[file].1.path;
        self.seen.losses.close(&entry.name, path, reader.counts());
    }

    fn damaged(&mut self, error: Error) {
        let name = &self.seen.captures[self.next_file - 1].name;
        self.seen.losses.damaged(name, error);
    }
}

/// Opens a capture once more; of standard input only what was kept of its beginning.
fn reread(plan: &FilePlan, stdin_start: &[u8]) -> Option<Result<CaptureReader>> {
    if plan.path == Path::new("-") {
        let start = Cursor::new(stdin_start.to_vec());
        return Some(Source::from_reader("-", start).and_then(CaptureReader::new));
    }
    // Reading a pipe again would take from what is still to come.
    plan.path.is_file().then(|| CaptureReader::open(&plan.path))
}

/// The capture_blocks table, written as it comes.
struct Blocks {
    sink: Sink,
    rows: Vec<CaptureBlockRow>,
    n_bytes: usize,
}

impl Blocks {
    fn push(&mut self, row: CaptureBlockRow) -> Result<()> {
        self.n_bytes += row.bytes.len();
        self.rows.push(row);
        if self.rows.len() >= BLOCK_ROWS || self.n_bytes >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.sink.group()?;
        group.write(&capture_blocks::batch(&self.rows))?;
        self.sink.append(group.close([])?)?;
        self.rows.clear();
        self.n_bytes = 0;
        Ok(())
    }
}
