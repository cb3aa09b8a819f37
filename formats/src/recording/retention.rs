//! What a ring lets go, oldest first: payloads, then packets, then what threads did, and what explains the rest last. Never
//! lets go of hosts, interfaces and losses, nor of anything without saying so in the manifest.

use super::options::Retention;
use super::state::{Inner, State};
use crate::bundle::blob::Blob;
use crate::bundle::manifest::{FileEntry, Reduction};
use crate::bundle::names;
use crate::bundle::table_file::TableFile;
use crate::error::{Error, Result};
use crate::table::{self, Layout, Table};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, UInt32Array, new_null_array};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

/// Tables that let go of their payloads first.
const WITH_PAYLOAD: [&str; 3] = ["packets", "plaintext", "socket_events"];

/// Tables whose parts go, in this order, and whether they hold events: a part whose events are old says nothing of now. Tables that are
/// not named here never go.
const ORDER: [(&str, bool); 13] = [
    ("packets", true),
    ("kernel_path", true),
    ("plaintext", true),
    ("wakeups", true),
    ("socket_events", true),
    ("spans", true),
    ("nat", false),
    ("tasks", false),
    ("tcp_info", true),
    ("counters", true),
    ("clock", false),
    ("sockets", false),
    ("processes", false),
];

/// The kind of reduction that names what a ring let go.
pub(super) const EVICTED: &str = "evicted";
/// What a part's name says when its payloads are gone.
const STRIPPED: &str = "-without-payload";

/// What was let go, by table and whether it was payload only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Evicted(BTreeMap<(String, bool), Gone>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Gone {
    n_parts: u64,
    n_rows: u64,
    range_ns: Option<(i64, i64)>,
}

impl State {
    /// Lets go of parts until what is left fits.
    pub(super) fn retain(&self, retention: &Retention) -> Result<()> {
        loop {
            let next = self.inner().next_to_go(retention);
            match next {
                None => break,
                Some((file, true)) => self.strip(&file)?,
                Some((file, false)) => {
                    let mut inner = self.inner();
                    inner.evicted.add(&file, false);
                    inner.unlist(&file.path);
                    inner.save(&self.root)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a part again without its payloads and lists that one instead.
    fn strip(&self, file: &FileEntry) -> Result<()> {
        let path = self.root.join(&file.path);
        let table = table::find(&file.table).expect("only parts of known tables are chosen");
        let blob = File::open(&path).and_then(Blob::whole).map_err(|e| Error::io(&path, &e))?;
        let mut damage = Vec::new();
        let batches = TableFile::open(&path, blob, table)?.read_all(&mut damage);
        if let Some(error) = damage.pop() {
            return Err(error);
        }
        let batches: Vec<RecordBatch> = batches.iter().map(|b| stripped(table, b)).collect();
        let number = names::part_number(&file.path).unwrap_or(0);
        let entry = self.part(table, &file.host, number, STRIPPED, &batches)?;
        let mut inner = self.inner();
        let listed = inner.listed.get(&file.path).copied();
        inner.evicted.add(file, true);
        inner.unlist(&file.path);
        let new = entry.path.clone();
        inner.list(Some(entry));
        // It is as old as its rows.
        inner.listed.extend(listed.map(|listed| (new, listed)));
        inner.save(&self.root)
    }
}

impl Inner {
    /// The part to let go of next, and whether of its payloads only.
    fn next_to_go(&self, retention: &Retention) -> Option<(FileEntry, bool)> {
        if let Some(age_ns) = retention.age_ns
            && let Some(file) = self.too_old(age_ns)
        {
            return Some((file, false));
        }
        if self.n_bytes() <= retention.bytes {
            return None;
        }
        let has_payload = |file: &&FileEntry| {
            WITH_PAYLOAD.contains(&file.table.as_str()) && !file.path.contains(STRIPPED)
        };
        let payload = self.oldest(has_payload).map(|file| (file, true));
        let whole = |(table, _): &(&str, bool)| self.oldest(|file| file.table == *table);
        payload.or_else(|| ORDER.iter().find_map(whole).map(|file| (file, false)))
    }

    fn too_old(&self, age_ns: i64) -> Option<FileEntry> {
        let of_events = ORDER.iter().filter(|(_, is_of_events)| *is_of_events);
        of_events.map(|(table, _)| table).find_map(|table| {
            let of_table = || self.manifest.files.iter().filter(|file| file.table == *table);
            let newest = of_table().filter_map(|file| file.last_ns).max()?;
            let limit = newest.saturating_sub(age_ns);
            of_table().find(|file| file.last_ns.is_some_and(|last| last < limit)).cloned()
        })
    }

    fn oldest(&self, is_one: impl Fn(&&FileEntry) -> bool) -> Option<FileEntry> {
        let files = self.manifest.files.iter().filter(is_one);
        files.min_by_key(|file| self.listed.get(&file.path)).cloned()
    }
}

impl Evicted {
    fn add(&mut self, file: &FileEntry, payload_only: bool) {
        let gone = self.0.entry((file.table.clone(), payload_only)).or_default();
        gone.n_parts += 1;
        gone.n_rows += file.n_rows;
        let range = file.first_ns.zip(file.last_ns);
        gone.range_ns = match (gone.range_ns, range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (here, there) => here.or(there),
        };
    }

    /// As the manifest says it.
    pub(super) fn reductions(&self, host: Option<&str>) -> Vec<Reduction> {
        let one = |((table, payload_only), gone): (&(String, bool), &Gone)| {
            let what = if *payload_only { "the payloads of " } else { "" };
            let when = gone
                .range_ns
                .map_or_else(String::new, |(from, to)| format!(", from {from} to {to} ns"));
            let Gone { n_parts, n_rows, .. } = gone;
            Reduction {
                host: host.map(str::to_string),
                kind: EVICTED.to_string(),
                detail: format!("{table}: {what}{n_rows} rows in {n_parts} parts{when}"),
            }
        };
        self.0.iter().map(one).collect()
    }
}

/// A batch without its payloads: null where that may be, else empty, and a frame's captured length with it.
fn stripped(table: &Table, batch: &RecordBatch) -> RecordBatch {
    let n = batch.num_rows();
    let columns = table.columns.iter().map(|column| -> ArrayRef {
        match column.layout {
            Layout::Payload if column.nullable => new_null_array(&column.kind.arrow(), n),
            Layout::Payload => Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n([], n))),
            _ if column.name == "captured_length" => Arc::new(UInt32Array::from(vec![0; n])),
            _ => {
                batch.column_by_name(column.name).expect("the file's columns were checked").clone()
            }
        }
    });
    RecordBatch::try_new(table.schema(), columns.collect()).expect("columns of the table's types")
}
