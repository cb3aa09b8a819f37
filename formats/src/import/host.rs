//! One host's captures → its tables. Memory is bounded by one run and a few row groups, whatever the captures hold.

use super::encode::Queue;
use super::feed::{Feed, Seen};
use super::hosts::HostToImport;
use super::merge::merge;
use super::points::{self, Lookup, PointFacts, PointKey};
use super::run::{Cutter, Examined, Loaded, Rows, Run};
use super::spill::{Gathered, HEAD_BYTES, spill};
use super::{Clocks, Progress, Work};
use crate::bundle::manifest::{DomainEntry, HostEntry};
use crate::bundle::write::BundleWriter;
use crate::error::{Error, Result};
use crate::table::hosts::HostRow;
use crate::table::interfaces::InterfaceRow;
use crate::table::losses::LossRow;
use crate::table::packets::ROW_GROUP_FRAME_BYTES;
use crate::table::{self, ROW_GROUP_ROWS};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// What importing a host gave.
pub(super) struct Imported {
    pub(super) n_packets: u64,
    pub(super) n_spilled: u64,
    pub(super) seen: Seen,
}

/// What the records add up to.
#[derive(Default)]
struct Sums {
    points: BTreeMap<PointKey, PointFacts>,
    clocks: BTreeMap<(u32, u32), ClockSum>,
}

#[derive(Default)]
struct ClockSum {
    last_ns: Option<i64>,
    n_backwards: i64,
    n_unknown_link: i64,
}

/// Imports one host into `bundle`.
pub(super) fn import_host(
    bundle: &mut BundleWriter,
    host: &HostToImport,
    stdin_start: &[u8],
    clocks: Clocks,
    work: &Work<'_>,
) -> Result<Imported> {
    let Work { workers, limits, progress } = work;
    let blocks = bundle.sink(&table::capture_blocks::TABLE, &host.folder)?;
    let mut feed = Feed::new(host, stdin_start, limits.chunk_bytes, progress, blocks);
    let mut sums = Sums::default();
    let mut spilled: Vec<PathBuf> = Vec::new();
    let last = loop {
        let (run, is_last) = read_run(&mut feed, &mut sums, work)?;
        if is_last && spilled.is_empty() {
            break Some(run);
        }
        if run.n_rows() > 0 {
            spilled.push(bundle.scratch().join(format!("run-{}", spilled.len())));
            workers.install(|| spill(&run, &spilled[spilled.len() - 1]))?;
        }
        if is_last {
            break None;
        }
    };
    let (mut seen, blocks) = feed.finish()?;
    blocks.finish(bundle, None)?;
    let (mut rows, lookup) = points::rows(&seen.files, &sums.points);
    give_domains(bundle, host, clocks, &mut rows);
    let imported = rows.iter().map(|row| row.n_packets as u64).sum();
    progress(Progress::Writing { host: &host.name, n_packets: imported });
    let n_spilled = spilled.len() as u64;
    write_packets(bundle, host, last, spilled, (&lookup, &sums), workers)?;
    losses(&mut seen, &sums, &rows, &lookup);
    write_small_tables(bundle, host, &mut seen, &rows)?;
    Ok(Imported { n_packets: imported, n_spilled, seen })
}

/// Reads until a run is full or the captures end (true). Chunks are examined while the next are read.
fn read_run(feed: &mut Feed<'_>, sums: &mut Sums, work: &Work<'_>) -> Result<(Run, bool)> {
    let (done, examined) = channel();
    let mut is_last = false;
    work.workers.in_place_scope(|scope| -> Result<()> {
        let mut memory = 0;
        for number in 0usize.. {
            if memory >= work.limits.run_bytes {
                break;
            }
            let Some(loaded) = feed.next()? else {
                is_last = true;
                break;
            };
            memory += loaded.memory();
            let done = done.clone();
            scope.spawn(move |_| {
                let found = loaded.examine();
                // The receiver lives until the scope has ended.
                let _ = done.send((number, loaded, found));
            });
        }
        Ok(())
    })?;
    drop(done);
    let mut all: Vec<(usize, Loaded, Examined)> = examined.iter().collect();
    all.sort_unstable_by_key(|(number, _, _)| *number);
    let mut chunks = Vec::with_capacity(all.len());
    let mut found = Vec::with_capacity(all.len());
    for (_, loaded, examined) in all {
        sums.add(&examined);
        chunks.push(loaded);
        found.push(examined);
    }
    Ok((work.workers.install(|| Run::new(chunks, &mut found)), is_last))
}

impl Sums {
    /// Chunks come in source order.
    fn add(&mut self, examined: &Examined) {
        for (key, facts) in &examined.points {
            self.points.entry(*key).or_default().join(*facts);
        }
        for clock in &examined.clocks {
            let sum = self.clocks.entry((clock.file, clock.interface)).or_default();
            sum.n_backwards += clock.n_backwards;
            sum.n_unknown_link += clock.n_unknown_link;
            let Some((first_ns, last_ns)) = clock.range_ns else { continue };
            sum.n_backwards += i64::from(sum.last_ns.is_some_and(|last| first_ns < last));
            sum.last_ns = Some(last_ns);
        }
    }

    fn range_ns(&self) -> Option<(i64, i64)> {
        let mut all = PointFacts::default();
        self.points.values().for_each(|facts| all.join(*facts));
        all.range_ns
    }
}

fn write_packets(
    bundle: &mut BundleWriter,
    host: &HostToImport,
    run: Option<Run>,
    spilled: Vec<PathBuf>,
    (lookup, sums): (&Lookup, &Sums),
    workers: &rayon::ThreadPool,
) -> Result<()> {
    let mut sink = bundle.sink(&table::packets::TABLE, &host.folder)?;
    let scratch = bundle.scratch();
    workers.in_place_scope(|scope| -> Result<()> {
        let mut queue = Queue::new(scope, lookup, &mut sink);
        if let Some(run) = &run {
            for cut in run.cuts(ROW_GROUP_ROWS, ROW_GROUP_FRAME_BYTES) {
                queue.push(run, cut)?;
            }
            return queue.finish();
        }
        let mut cutter = Cutter::new(ROW_GROUP_ROWS, ROW_GROUP_FRAME_BYTES);
        let empty = || Gathered::with_capacity(ROW_GROUP_ROWS, ROW_GROUP_FRAME_BYTES);
        let mut gathered = empty();
        merge(spilled, scratch, |row| {
            if cutter.cuts_before(row.len() - HEAD_BYTES) {
                let full = Box::new(std::mem::replace(&mut gathered, empty()).finish());
                let n_rows = full.n_rows();
                queue.push(full, 0..n_rows)?;
            }
            gathered.push(row);
            Ok(())
        })?;
        let rest = Box::new(gathered.finish());
        let n_rows = rest.n_rows();
        if n_rows > 0 {
            queue.push(rest, 0..n_rows)?;
        }
        queue.finish()
    })?;
    sink.finish(bundle, sums.range_ns())
}

/// Each host one clock, all hosts one, or each observation point its own.
fn give_domains(
    bundle: &mut BundleWriter,
    host: &HostToImport,
    clocks: Clocks,
    rows: &mut [InterfaceRow],
) {
    let domains = &mut bundle.manifest.domains;
    let mut add = |name: String| {
        domains.push(DomainEntry { name, clock: "realtime".to_string() });
        domains.len() as u32 - 1
    };
    match clocks {
        Clocks::PerHost => {
            let domain = add(host.name.clone());
            rows.iter_mut().for_each(|row| row.domain_id = domain);
        }
        Clocks::Shared => {
            if bundle.manifest.domains.is_empty() {
                let name = "shared".to_string();
                bundle.manifest.domains.push(DomainEntry { name, clock: "realtime".to_string() });
            }
        }
        Clocks::PerInterface => {
            for at in 0..rows.len() {
                let point = rows[at].point as usize;
                rows[at].domain_id = if point < at {
                    rows[point].domain_id
                } else {
                    let netns = rows[at].netns.as_ref().map(|netns| format!("{netns}/"));
                    add(format!("{}/{}{}", host.name, netns.unwrap_or_default(), rows[at].name))
                };
            }
        }
    }
}

/// What the sums and the interfaces say was lost or is doubtful.
fn losses(seen: &mut Seen, sums: &Sums, rows: &[InterfaceRow], lookup: &Lookup) {
    let mut add = |row: &InterfaceRow, cause: &str, count: i64| {
        let file = row.capture_file.and_then(|file| seen.captures.get(file as usize));
        if count > 0 {
            seen.losses.rows.push(LossRow {
                source: file.map(|file| file.name.clone()).unwrap_or_default(),
                cause: cause.to_string(),
                count,
                cpu: None,
                interface_id: Some(row.interface_id),
                first_offset: None,
                from_ns: row.valid_from_ns,
                to_ns: row.valid_to_ns,
            });
        }
    };
    rows.iter().for_each(|row| add(row, "interface-drops", row.dropped.unwrap_or(0)));
    for ((file, interface), sum) in &sums.clocks {
        let id = lookup.id(PointKey { file: *file, interface: *interface, cooked: None });
        add(&rows[id as usize], "clock-backwards", sum.n_backwards);
        add(&rows[id as usize], "unknown-link-type", sum.n_unknown_link);
    }
}

fn write_small_tables(
    bundle: &mut BundleWriter,
    host: &HostToImport,
    seen: &mut Seen,
    rows: &[InterfaceRow],
) -> Result<()> {
    let row =
        HostRow { name: host.name.clone(), origin: "imported".to_string(), ..HostRow::default() };
    bundle.table(&table::hosts::TABLE, &host.folder, &table::hosts::batch(&[row]))?;
    let no_clock = RecordBatch::new_empty(table::clock::TABLE.schema());
    bundle.table(&table::clock::TABLE, &host.folder, &no_clock)?;
    bundle.table(&table::interfaces::TABLE, &host.folder, &table::interfaces::batch(rows))?;
    bundle.table(&table::losses::TABLE, &host.folder, &table::losses::batch(&seen.losses.rows))?;
    seen.losses.rows.iter().for_each(|loss| bundle.lost(&host.folder, &loss.cause, loss.count));
    bundle.manifest.hosts.push(HostEntry {
        id: host.id.clone(),
        name: host.name.clone(),
        folder: host.folder.clone(),
        captures: std::mem::take(&mut seen.captures),
        boottime_domain: None,
    });
    Ok(())
}

impl Imported {
    /// The damage that left nothing of the host.
    pub(super) fn first_error(&self) -> Option<&Error> {
        self.seen.losses.warnings.first().filter(|_| self.n_packets == 0 && self.seen.n_blocks == 0)
    }
}
