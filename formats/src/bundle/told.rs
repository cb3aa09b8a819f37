//! What one table's file says of the host, as far as other files and the manifest say it too. Never compares files.

use super::manifest::FileEntry;
use super::packet_file::PacketFile;
use super::table_file::TableFile;
use super::verify::Secret;
use crate::error::{At, Error, Kind};
use crate::table::interfaces::InterfaceRow;
use crate::table::{self, Table, capture_blocks, hosts, interfaces, losses, packets};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type};
use std::collections::BTreeMap;
use std::path::Path;

/// pcapng Decryption Secrets Block.
const SECRETS_BLOCK: u32 = 10;

/// What one file says.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) table: &'static str,
    /// Its path in the bundle.
    pub(super) path: String,
    /// The host's folder value.
    pub(super) host: String,
    pub(super) n_rows: u64,
    /// Hosts' names.
    pub(super) names: Vec<String>,
    pub(super) interfaces: Vec<InterfaceRow>,
    /// Sums of losses by cause.
    pub(super) losses: BTreeMap<String, i64>,
    /// Packets by interface.
    pub(super) packets: BTreeMap<u32, i64>,
    /// First and last packet.
    pub(super) range_ns: Option<(i64, i64)>,
    pub(super) secrets: Vec<Secret>,
}

impl Told {
    /// Reads an opened file; what is wrong within it goes to `problems`.
    pub(super) fn read(
        entry: &FileEntry,
        table: &'static Table,
        file: &TableFile,
        problems: &mut Vec<Error>,
    ) -> Told {
        let mut told = Told {
            table: table.name,
            path: entry.path.clone(),
            host: entry.host.clone(),
            ..Told::default()
        };
        told.n_rows = file.n_rows();
        match table.name {
            name if name == packets::TABLE.name => {
                let packets =
                    PacketFile::new(0, file.clone(), std::sync::Arc::from([]), &entry.blake3);
                told.packets(&packets, problems);
            }
            name if name == capture_blocks::TABLE.name => told.blocks(file, problems),
            name if name == hosts::TABLE.name => {
                let rows = file.read_all(problems);
                let rows = rows.iter().flat_map(hosts::rows);
                told.names = rows.map(|row| row.name).collect();
            }
            name if name == interfaces::TABLE.name => {
                let rows = file.read_all(problems);
                told.interfaces = rows.iter().flat_map(interfaces::rows).collect();
            }
            name if name == losses::TABLE.name => {
                for row in file.read_all(problems).iter().flat_map(losses::rows) {
                    let sum = told.losses.entry(row.cause).or_default();
                    *sum = sum.saturating_add(row.count);
                }
            }
            name if name == table::clock::TABLE.name => {
                file.read_all(problems);
            }
            _ => {}
        }
        told
    }

    fn blocks(&mut self, file: &TableFile, problems: &mut Vec<Error>) {
        let (mut before, mut at) = (i64::MIN, 0);
        for batch in file.groups() {
            let batches = batch.unwrap_or_else(|error| {
                problems.push(error);
                Vec::new()
            });
            for row in batches.iter().flat_map(capture_blocks::rows) {
                if row.source_row <= before && at > 0 {
                    return problems.push(unordered(&file.path, at));
                }
                (before, at) = (row.source_row, at + 1);
                if row.block_type == SECRETS_BLOCK {
                    self.secrets.push(Secret {
                        host: self.host.clone(),
                        source_row: row.source_row,
                        bytes: row.bytes.len() as u64,
                    });
                }
            }
        }
    }

    fn packets(&mut self, file: &PacketFile, problems: &mut Vec<Error>) {
        let mut before = None;
        let mut at = 0u64;
        let mut batches = file.read_compared();
        while let Some(batch) = batches.next() {
            let wrong = match &batch {
                Ok(batch) => self.batch(batch, file.path(), at, &mut before),
                Err(error) => Some(error.clone()),
            };
            if wrong.is_some() {
                return problems.extend(wrong);
            }
            at += batch.map_or(0, |batch| batch.num_rows() as u64);
        }
    }

    /// Looks at a batch whose first row is `at`; gives what is wrong first.
    fn batch(
        &mut self,
        batch: &RecordBatch,
        path: &Path,
        at: u64,
        before: &mut Option<(i64, i64, i64)>,
    ) -> Option<Error> {
        let column =
            |name: &str| batch.column_by_name(name).expect("the column was asked for").as_ref();
        let ints = |name: &str| column(name).as_primitive::<Int64Type>().values();
        let words = |name: &str| column(name).as_primitive::<UInt32Type>().values();
        let (flows, times, rows) = (ints("flow_hash"), ints("time_ns"), ints("source_row"));
        let (points, lengths) = (words("interface_id"), words("captured_length"));
        let frames = column("frame").as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let here = (flows[row], times[row], rows[row]);
            if before.is_some_and(|before| here <= before) {
                return Some(unordered(path, at + row as u64));
            }
            *before = Some(here);
            *self.packets.entry(points[row]).or_default() += 1;
            let (first, last) = self.range_ns.unwrap_or((times[row], times[row]));
            self.range_ns = Some((first.min(times[row]), last.max(times[row])));
            if frames.value_length(row) as u32 != lengths[row] {
                let why = format!(
                    "a frame of {} bytes, captured_length {}",
                    frames.value_length(row),
                    lengths[row]
                );
                return Some(Error::new(path, At::Row(at + row as u64), Kind::FrameLength(why)));
            }
        }
        None
    }
}

fn unordered(path: &Path, row: u64) -> Error {
    Error::new(path, At::Row(row), Kind::UnorderedRows)
}
