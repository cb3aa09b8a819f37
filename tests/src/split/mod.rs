//! Splits the recording of one machine into several, a namespace each, and bends their clocks in a way that is known: what
//! several kernels would have written of the same traffic. Never touches the bundle that it reads, nor a frame.

mod clock;
mod owners;

pub use clock::{Bend, Clock, Step};

use crate::rewrite;
use afterpath_formats::bundle::manifest::{
    DomainEntry, FileEntry, HostEntry, LossSum, Manifest, Reduction,
};
use afterpath_formats::bundle::names::{self, MANIFEST};
use afterpath_formats::table::losses::{self, LossRow};
use afterpath_formats::table::{self, Table, interfaces};
use anyhow::{Context, Result, bail, ensure};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{Int64Type, UInt32Type};
use owners::{Owner, Owners, numbers};
use parquet::arrow::ArrowWriter;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What a testbed's namespaces are called in the kernel, before their own name.
const PREFIX: &str = "ap-";
/// The one column of nanoseconds that is a length of time, not an instant, and not one of adjtimex' opinions.
const UNCERTAINTY: &str = "uncertainty_ns";

/// One of the machines to be.
struct Machine {
    entry: HostEntry,
    /// `None`: the clocks are those of the recording.
    clock: Option<Clock>,
    /// Its row of `interfaces` by the recording's.
    interfaces: BTreeMap<i64, u32>,
    realtime_domain: u32,
}

/// Writes `out`, a bundle of several machines; the rest of the namespaces stay the recording's own machine. Gives the clocks of
/// those that were split off.
///
/// # Errors
/// When the bundle is no recording of one machine, knows no such namespace, or can't be read or written.
pub fn split(bundle: &Path, out: &Path, bends: &[Bend]) -> Result<Vec<Clock>> {
    let manifest = rewrite::manifest(bundle)?;
    let [host] = manifest.hosts.as_slice() else { bail!("not the recording of one machine") };
    ensure!(host.boottime_domain.is_some(), "clocks are bent in recordings only, not in imports");
    let tables = read_all(bundle, &manifest)?;
    let rows = interfaces::rows(&tables["interfaces"]);
    for bend in bends {
        let named = |row: &interfaces::InterfaceRow| name_of(row.netns.as_deref()) == bend.netns;
        ensure!(rows.iter().any(named), "there is no namespace {}", bend.netns);
    }
    let machine_of = |netns: &str| {
        let name = name_of(Some(netns));
        bends.iter().position(|bend| bend.netns == name).map_or(0, |place| place + 1)
    };
    let mut owners = Owners::new(&rows, machine_of);
    owners.learn(&tables["processes"], &tables["threads"], &tables["sockets"]);
    let machines = machines(host, bends, &tables["clock"], &tables["interfaces"], &owners)?;
    let mut made =
        Manifest { domains: Vec::new(), hosts: Vec::new(), files: Vec::new(), ..manifest.clone() };
    made.losses.clear();
    fs::create_dir_all(out)?;
    for (at, machine) in machines.iter().enumerate() {
        made.domains.extend(["realtime", "boottime"].map(|clock| DomainEntry {
            name: format!("{} {clock}", machine.entry.name),
            clock: clock.to_string(),
        }));
        made.hosts.push(machine.entry.clone());
        for (name, batch) in &tables {
            let table = table::find(name).context("a table that is known")?;
            let own = share(table, batch, at, machine, &owners)?;
            made.losses.extend(sums(name, &own, &machine.entry.folder));
            made.files.push(write(out, table, &own, &machine.entry.folder)?);
        }
    }
    made.files.sort_by(|a, b| a.path.cmp(&b.path));
    made.reductions = manifest.reductions.iter().flat_map(|one| of_each(one, &machines)).collect();
    fs::write(out.join(MANIFEST), made.to_bytes())?;
    Ok(machines.into_iter().filter_map(|machine| machine.clock).collect())
}

fn name_of(netns: Option<&str>) -> &str {
    netns.map_or("", |name| name.strip_prefix(PREFIX).unwrap_or(name))
}

/// Every table of the recording, its parts one after the other.
fn read_all(bundle: &Path, manifest: &Manifest) -> Result<BTreeMap<String, RecordBatch>> {
    let needed = ["interfaces", "processes", "threads", "sockets", "clock", "losses"];
    let listed = manifest.files.iter().map(|file| file.table.as_str());
    let names: BTreeSet<&str> = listed.chain(needed).collect();
    let whole = |name: &str| {
        let batches = rewrite::batches(bundle, name)?;
        let schema = table::find(name).context("a table that is known")?.schema();
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        Ok((name.to_string(), concat_batches(&schema, &batches)?))
    };
    names.into_iter().map(whole).collect()
}

/// The recording's own machine, then one per bend.
fn machines(
    host: &HostEntry,
    bends: &[Bend],
    clock: &RecordBatch,
    interfaces: &RecordBatch,
    owners: &Owners,
) -> Result<Vec<Machine>> {
    let readings: Vec<(Option<i64>, Option<i64>)> =
        numbers(clock, "boottime_ns").into_iter().zip(numbers(clock, "realtime_ns")).collect();
    let reading = |pair: Option<&(Option<i64>, Option<i64>)>| {
        pair.and_then(|(boot, real)| Some(((*boot)?, (*real)?)))
            .context("the clocks were never read")
    };
    let (base, end) = (reading(readings.first())?, reading(readings.last())?);
    let mut machines = Vec::new();
    for at in 0..=bends.len() {
        let bend = at.checked_sub(1).map(|place| &bends[place]);
        let name = bend.map_or(&host.name, |bend| &bend.netns).clone();
        let id = names::host_id(name.as_bytes());
        let ids = numbers(interfaces, "interface_id").into_iter().flatten();
        let own = ids.filter(|id| owners.interface(*id) == Some(at));
        let realtime_domain = 2 * at as u32;
        machines.push(Machine {
            entry: HostEntry {
                folder: names::host_folder(&name, &id),
                id,
                name,
                captures: Vec::new(),
                boottime_domain: Some(realtime_domain + 1),
            },
            clock: bend.map(|bend| Clock::new(bend, base, end)),
            interfaces: own.zip(0..).collect(),
            realtime_domain,
        });
    }
    Ok(machines)
}

/// A machine's own rows of a table, as it would have written them.
fn share(
    table: &Table,
    batch: &RecordBatch,
    at: usize,
    machine: &Machine,
    owners: &Owners,
) -> Result<RecordBatch> {
    let mine = owners.of(table.name, batch);
    let mine: BooleanArray = mine
        .iter()
        .map(|owner| Some(matches!(owner, Owner::All) || *owner == Owner::One(at)))
        .collect();
    let own = filter_record_batch(batch, &mine)?;
    let mut columns = Vec::with_capacity(own.num_columns());
    for (field, column) in own.schema().fields().iter().zip(own.columns()) {
        columns.push(as_told(table.name, field.name(), column, &own, machine, (at, owners)));
    }
    let mut told = RecordBatch::try_new(own.schema(), columns)?;
    if table.name == "losses" {
        let noticed = losses::batch(
            &machine.clock.as_ref().and_then(noticed_step).into_iter().collect::<Vec<_>>(),
        );
        told = concat_batches(&told.schema(), [&told, &noticed])?;
    }
    if table.order.is_empty() || told.num_rows() == 0 {
        return Ok(told);
    }
    let order =
        table.order.iter().map(|name| SortColumn { values: told[*name].clone(), options: None });
    let order = lexsort_to_indices(&order.collect::<Vec<_>>(), None)?;
    Ok(take_record_batch(&told, &order)?)
}

/// A recorder says when its clock was set.
fn noticed_step(clock: &Clock) -> Option<LossRow> {
    let step = clock.step?;
    let at_ns =
        clock.boottime_ns(clock.base_boottime_ns + step.at_realtime_ns - clock.base_realtime_ns);
    Some(LossRow {
        source: "recorder".to_string(),
        cause: "clock-stepped".to_string(),
        count: 1,
        from_ns: Some(at_ns - 1_000_000_000),
        to_ns: Some(at_ns + 1_000_000_000),
        ..LossRow::default()
    })
}

/// A column as the machine tells it: its own interfaces, its own clocks, nothing of the others.
fn as_told(
    table: &str,
    name: &str,
    column: &ArrayRef,
    own: &RecordBatch,
    machine: &Machine,
    (at, owners): (usize, &Owners),
) -> ArrayRef {
    match (table, name) {
        (_, "interface_id") | ("interfaces", "point" | "parent") => {
            mapped(column, |id| machine.interfaces.get(&i64::from(id)).copied())
        }
        ("interfaces", "domain_id") => mapped(column, |_| Some(machine.realtime_domain)),
        ("interfaces", "peer") => peers(own),
        ("wakeups", "waker_tid") => mapped(column, |tid| {
            Some(if owners.thread(i64::from(tid)) == Some(at) { tid } else { 0 })
        }),
        ("hosts", "name") => same_text(column.len(), &machine.entry.name),
        ("hosts", "boot_id") if machine.clock.is_some() => {
            same_text(column.len(), &machine.entry.id)
        }
        _ => machine
            .clock
            .as_ref()
            .map_or(column.clone(), |clock| bent(table, name, column, own, clock)),
    }
}

/// A column of times as a machine's own clock tells them; any other as it is.
fn bent(table: &str, name: &str, column: &ArrayRef, own: &RecordBatch, clock: &Clock) -> ArrayRef {
    match (table, name) {
        ("clock", "stepped") => {
            let set = |at_ns: i64| clock.step.is_some_and(|step| at_ns >= step.at_realtime_ns);
            let readings: Vec<bool> =
                numbers(own, "realtime_ns").into_iter().flatten().map(set).collect();
            let first = readings.iter().position(|is_set| *is_set);
            let before = column.as_boolean().iter().map(Option::unwrap_or_default);
            Arc::new(
                before
                    .enumerate()
                    .map(|(row, was)| Some(was || first == Some(row)))
                    .collect::<BooleanArray>(),
            )
        }
        // Nobody disciplines this clock, and nobody says how wrong it is.
        ("clock", "synchronized") => Arc::new(BooleanArray::from(vec![Some(false); column.len()])),
        ("clock", "offset_ns" | "frequency_ppb" | "maximum_error_ns" | "estimated_error_ns") => {
            Arc::new(Int64Array::new_null(column.len()))
        }
        ("packets", "time_ns") | ("clock", "realtime_ns") => {
            times(column, |ns| clock.realtime_ns(ns))
        }
        (_, name) if name.ends_with("_ns") && name != UNCERTAINTY => {
            times(column, |ns| clock.boottime_ns(ns))
        }
        _ => column.clone(),
    }
}

fn times(column: &ArrayRef, of: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(of))
}

/// The other ends of veth pairs, where they are the machine's own: the kernel could not tell of others.
fn peers(interfaces: &RecordBatch) -> ArrayRef {
    let [own, peers] = ["ifindex", "peer"].map(|name| numbers(interfaces, name));
    let pairs: BTreeSet<_> = peers.iter().copied().zip(own.iter().copied()).collect();
    let kept =
        own.iter().zip(&peers).map(|(own, peer)| peer.filter(|_| pairs.contains(&(*own, *peer))));
    Arc::new(
        kept.map(|peer| peer.and_then(|peer| u32::try_from(peer).ok())).collect::<UInt32Array>(),
    )
}

fn mapped(column: &ArrayRef, of: impl Fn(u32) -> Option<u32>) -> ArrayRef {
    let values = column.as_primitive::<UInt32Type>().iter();
    Arc::new(values.map(|value| value.and_then(&of)).collect::<UInt32Array>())
}

fn same_text(n: usize, text: &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n)))
}

/// Losses counted as a manifest lists them.
fn sums(table: &str, batch: &RecordBatch, folder: &str) -> Vec<LossSum> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    if table == "losses" {
        for row in losses::rows(batch) {
            *sums.entry(row.cause).or_default() += row.count;
        }
    }
    sums.into_iter()
        .map(|(cause, count)| LossSum { host: folder.to_string(), cause, count })
        .collect()
}

fn of_each(reduction: &Reduction, machines: &[Machine]) -> Vec<Reduction> {
    if reduction.host.is_none() {
        return vec![reduction.clone()];
    }
    let of = |machine: &Machine| Reduction {
        host: Some(machine.entry.folder.clone()),
        ..reduction.clone()
    };
    machines.iter().map(of).collect()
}

fn write(out: &Path, table: &Table, batch: &RecordBatch, folder: &str) -> Result<FileEntry> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(table.properties()))?;
    writer.write(batch)?;
    let bytes = writer.into_inner()?;
    let path = names::table_file(table.name, folder, 0);
    let file = out.join(&path);
    fs::create_dir_all(file.parent().context("a table's file is in a folder")?)?;
    fs::write(&file, &bytes)?;
    let times: Vec<i64> = numbers(batch, "time_ns").into_iter().flatten().collect();
    Ok(FileEntry {
        path,
        table: table.name.to_string(),
        host: folder.to_string(),
        bytes: bytes.len() as u64,
        n_rows: batch.num_rows() as u64,
        first_ns: times.iter().min().copied(),
        last_ns: times.iter().max().copied(),
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    })
}
