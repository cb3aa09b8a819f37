//! A host's spans → its tables: parts of bounded size, each sorted. Never changes a span but for a parent that is to be forgotten.

use super::forget::forget_parents;
use crate::bundle::manifest::{CaptureEntry, HostEntry, Reduction};
use crate::bundle::names;
use crate::bundle::write::BundleWriter;
use crate::error::Result;
use crate::table::hosts::HostRow;
use crate::table::losses::LossRow;
use crate::table::spans::SpanRow;
use crate::table::{self, ROW_GROUP_ROWS, Table, spans};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// Memory that the rows of a part take.
const PART_BYTES: usize = 256 << 20;

/// The reduction by which a bundle says that parents were forgotten.
pub(super) const FORGOTTEN: &str = "forgotten-parents";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Spans.
    pub n_spans: u64,
    /// Services with their instances.
    pub instances: BTreeMap<String, BTreeSet<Option<String>>>,
    /// First start and last end, Unix time in nanoseconds.
    pub range_ns: Option<(i64, i64)>,
    /// Parents that were forgotten.
    pub n_forgotten: u64,
    /// Hashes of the traces' ids.
    traces: HashSet<u64>,
}

impl Written {
    /// Traces.
    pub fn n_traces(&self) -> u64 {
        self.traces.len() as u64
    }

    /// Services.
    pub fn n_services(&self) -> u64 {
        self.instances.len() as u64
    }

    fn add(&mut self, row: &SpanRow) {
        self.n_spans += 1;
        let (first, last) = self.range_ns.unwrap_or((row.start_ns, row.end_ns));
        self.range_ns = Some((first.min(row.start_ns), last.max(row.end_ns)));
        let [high, low] = [0, 8].map(|at| {
            let half: [u8; 8] = row.trace_id[at..at + 8].try_into().expect("half of 16 bytes");
            u64::from_be_bytes(half)
        });
        self.traces.insert(high.rotate_left(32) ^ low);
        // Nearly every instance is known.
        let known = self.instances.get(&row.service);
        if !known.is_some_and(|instances| instances.contains(&row.instance)) {
            self.instances.entry(row.service.clone()).or_default().insert(row.instance.clone());
        }
    }
}

/// Spans of one host into a new bundle, as an import writes them: for whoever has them otherwise.
pub fn write(rows: Vec<SpanRow>, host: &str, output: &Path) -> Result<Written> {
    let id = names::host_id(host.as_bytes());
    let folder = names::host_folder(host, &id);
    let mut bundle = BundleWriter::create(output, false)?;
    let (mut writer, mut written) =
        (HostWriter::new(host, &id, &folder, false), Written::default());
    for row in rows {
        writer.add(&mut bundle, row, &mut written)?;
    }
    writer.finish(&mut bundle, &[], &mut written)?;
    bundle.finish()?;
    Ok(written)
}

/// One host being written.
pub(super) struct HostWriter<'a> {
    name: &'a str,
    id: &'a str,
    folder: &'a str,
    forgets: bool,
    rows: Vec<SpanRow>,
    bytes: usize,
    n_parts: usize,
    n_spans: i64,
    pub(super) captures: Vec<CaptureEntry>,
}

impl<'a> HostWriter<'a> {
    pub(super) fn new(name: &'a str, id: &'a str, folder: &'a str, forgets: bool) -> Self {
        let (rows, captures) = (Vec::new(), Vec::new());
        HostWriter { name, id, folder, forgets, rows, bytes: 0, n_parts: 0, n_spans: 0, captures }
    }

    pub(super) fn n_spans(&self) -> i64 {
        self.n_spans
    }

    pub(super) fn add(
        &mut self,
        bundle: &mut BundleWriter,
        row: SpanRow,
        written: &mut Written,
    ) -> Result<()> {
        written.add(&row);
        self.n_spans += 1;
        self.bytes += memory(&row);
        self.rows.push(row);
        // Whose parent is whose may stand in any part.
        match self.bytes >= PART_BYTES && !self.forgets {
            true => self.part(bundle),
            false => Ok(()),
        }
    }

    pub(super) fn finish(
        mut self,
        bundle: &mut BundleWriter,
        losses: &[LossRow],
        written: &mut Written,
    ) -> Result<()> {
        if self.forgets {
            self.forget(bundle, written);
        }
        if !self.rows.is_empty() || self.n_parts == 0 {
            self.part(bundle)?;
        }
        let row = HostRow {
            name: self.name.to_string(),
            origin: "imported".to_string(),
            ..HostRow::default()
        };
        bundle.table(&table::hosts::TABLE, self.folder, &table::hosts::batch(&[row]))?;
        bundle.table(&table::losses::TABLE, self.folder, &table::losses::batch(losses))?;
        losses.iter().for_each(|loss| bundle.lost(self.folder, &loss.cause, loss.count));
        for table in EMPTY {
            let none = RecordBatch::new_empty(table.written_schema());
            bundle.table(table, self.folder, &none)?;
        }
        bundle.manifest.hosts.push(HostEntry {
            id: self.id.to_string(),
            name: self.name.to_string(),
            folder: self.folder.to_string(),
            captures: self.captures,
            boottime_domain: None,
        });
        Ok(())
    }

    fn forget(&mut self, bundle: &mut BundleWriter, written: &mut Written) {
        let n = forget_parents(&mut self.rows);
        written.n_forgotten += n;
        bundle.manifest.reductions.push(Reduction {
            host: Some(self.folder.to_string()),
            kind: FORGOTTEN.to_string(),
            detail: format!("parents of {n} client and producer spans: requests that their own service was working on"),
        });
    }

    /// Writes the rows so far, sorted.
    fn part(&mut self, bundle: &mut BundleWriter) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(SpanRow::place);
        let range = rows.first().zip(rows.iter().map(|row| row.end_ns).max());
        let range = range.map(|(first, last)| (first.start_ns, last));
        let mut sink = bundle.part(&spans::TABLE, self.folder, self.n_parts)?;
        for rows in rows.chunks(ROW_GROUP_ROWS) {
            let mut group = sink.group()?;
            group.write(&spans::batch(rows))?;
            sink.append(group.close([])?)?;
        }
        (self.bytes, self.n_parts) = (0, self.n_parts + 1);
        sink.finish(bundle, range)
    }
}

/// What every host has, and an import of spans has no rows for.
const EMPTY: [&Table; 4] = [
    &table::clock::TABLE,
    &table::interfaces::TABLE,
    &table::packets::TABLE,
    &table::capture_blocks::TABLE,
];

fn memory(row: &SpanRow) -> usize {
    let texts = row.service.len() + row.name.len();
    let further = [&row.instance, &row.attributes].map(|text| text.as_ref().map_or(0, String::len));
    size_of::<SpanRow>() + texts + further[0] + further[1]
}
