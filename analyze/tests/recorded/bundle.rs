//! A recorded bundle from rows: packets through a capture and its import, the recorder's tables as Parquet beside them. Never
//! what a recorder would not write.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::bundle::manifest::{DomainEntry, FileEntry, Manifest};
use afterpath_formats::import::{FilePlan, HostPlan, ImportPlan, import};
use afterpath_formats::table::clock::{self, ClockRow};
use afterpath_formats::table::processes::{self, ProcessRow};
use afterpath_formats::table::socket_events::{self, SocketEventRow, SocketEventRows};
use afterpath_formats::table::sockets::{self, SocketRow};
use afterpath_formats::table::{Table, interfaces, packets};
use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One frame: namespace, Unix time, bytes from the IP header on.
pub(crate) type Frame = (String, i64, Vec<u8>);

/// An event that owns its bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) row: SocketEventRow<'static>,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// All rows of a recording of one host.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) frames: Vec<Frame>,
    pub(crate) clock: Vec<ClockRow>,
    pub(crate) processes: Vec<ProcessRow>,
    pub(crate) sockets: Vec<SocketRow>,
    pub(crate) events: Vec<Event>,
    /// Of the interfaces of each namespace.
    pub(crate) addresses: BTreeMap<String, String>,
}

impl Rows {
    /// Writes them as a bundle in `folder` and opens it.
    pub(crate) fn open(&self, folder: &Path, netns: &[&str]) -> Bundles {
        let path = self.import(folder, netns);
        self.add_tables(&path);
        let bundles = Bundles::open(&[path]).unwrap();
        assert!(bundles.warnings.is_empty(), "{:?}", bundles.warnings);
        bundles
    }

    fn import(&self, folder: &Path, netns: &[&str]) -> PathBuf {
        let mut plan = ImportPlan { output: folder.join("x.afterpath"), ..ImportPlan::default() };
        for name in netns {
            let path = folder.join(format!("{name}.pcap"));
            let mut frames: Vec<_> = self.frames.iter().filter(|f| f.0 == *name).collect();
            frames.sort_by_key(|frame| frame.1);
            fs::write(&path, pcap(&frames)).unwrap();
            let file = FilePlan { interface: Some("eth0".into()), path };
            let (host, netns) = (Some("box".into()), Some((*name).into()));
            plan.hosts.push(HostPlan { name: host, netns, files: vec![file] });
        }
        import(&plan, &|_| {}).unwrap();
        plan.output
    }

    fn add_tables(&self, path: &Path) {
        let mut manifest = manifest(path);
        let boottime = DomainEntry { name: "box boottime".into(), clock: "boottime".into() };
        manifest.hosts[0].boottime_domain = Some(manifest.domains.len() as u32);
        manifest.domains.push(boottime);
        self.add_addresses(path, &mut manifest);
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.row.time_ns);
        add(path, &mut manifest, &clock::TABLE, 1, &clock::batch(&self.clock));
        add(path, &mut manifest, &processes::TABLE, 0, &processes::batch(&self.processes));
        add(path, &mut manifest, &sockets::TABLE, 0, &sockets::batch(&self.sockets));
        // As a recorder does: several parts.
        let half = events.len() / 2;
        for (part, some) in [&events[..half], &events[half..]].into_iter().enumerate() {
            let mut rows = SocketEventRows::default();
            for event in some {
                rows.push(&SocketEventRow { bytes: event.bytes.as_deref(), ..event.row });
            }
            add(path, &mut manifest, &socket_events::TABLE, part, &rows.finish());
        }
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        fs::write(path.join("manifest.json"), manifest.to_bytes()).unwrap();
    }

    /// An import knows no addresses of interfaces, a recorder does.
    fn add_addresses(&self, path: &Path, manifest: &mut Manifest) {
        let table = &interfaces::TABLE;
        let entry = manifest.files.iter().find(|entry| entry.table == table.name).unwrap();
        let batch = read(&path.join(&entry.path));
        let netns = batch.column_by_name("netns").unwrap().as_string::<i32>().clone();
        let address = |name: Option<&str>| self.addresses.get(name.unwrap_or_default());
        let addresses: StringArray = netns.iter().map(address).collect();
        let at = batch.schema().index_of("addresses").unwrap();
        let mut columns = batch.columns().to_vec();
        columns[at] = Arc::new(addresses);
        add(path, manifest, table, 0, &RecordBatch::try_new(batch.schema(), columns).unwrap());
    }
}

/// All rows of a file of the bundle.
fn read(path: &Path) -> RecordBatch {
    let read = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn manifest(path: &Path) -> Manifest {
    let bytes = fs::read(path.join("manifest.json")).unwrap();
    Manifest::parse(Path::new("m"), &bytes).unwrap().0
}

/// Writes one more part of a table.
fn add(path: &Path, manifest: &mut Manifest, table: &Table, part: usize, batch: &RecordBatch) {
    let host = manifest.hosts[0].folder.clone();
    let name = format!("{}/host={host}/part-{part:05}.parquet", table.name);
    let file = path.join(&name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let out = File::create(&file).unwrap();
    let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(table.properties())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let bytes = fs::read(&file).unwrap();
    manifest.files.retain(|entry| entry.path != name);
    manifest.files.push(FileEntry {
        path: name,
        table: table.name.into(),
        host,
        bytes: bytes.len() as u64,
        n_rows: batch.num_rows() as u64,
        first_ns: None,
        last_ns: None,
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    });
}

/// Cuts the packets of a bundle's only host into `n` parts by time, as a recorder's segments are.
pub(crate) fn split_packets(path: &Path, n: i64) {
    let mut manifest = manifest(path);
    let entry = manifest.files.iter().find(|entry| entry.table == "packets").unwrap().clone();
    let batch = read(&path.join(&entry.path));
    let times = batch.column_by_name("time_ns").unwrap().as_primitive::<Int64Type>();
    let all = times.values().to_vec();
    let (first, last) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
    for part in 0..n {
        let bound = |i: i64| first + (last + 1 - first) / n * i;
        let upper = if part + 1 == n { i64::MAX } else { bound(part + 1) };
        let lower = if part == 0 { i64::MIN } else { bound(part) };
        let keep: BooleanArray =
            all.iter().map(|time| Some((lower..upper).contains(time))).collect();
        let some = filter_record_batch(&batch, &keep).unwrap();
        assert!(some.num_rows() > 0, "part {part} has rows");
        add(path, &mut manifest, &packets::TABLE, part as usize, &some);
    }
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    fs::write(path.join("manifest.json"), manifest.to_bytes()).unwrap();
}

/// A capture of raw IP packets with nanoseconds.
fn pcap(frames: &[&Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4du32, 0x0004_0002, 0, 0, 65_535, 101] {
        bytes.extend(word.to_le_bytes());
    }
    for (_, time_ns, frame) in frames {
        let length = frame.len() as u32;
        let halves = [(time_ns / 1_000_000_000) as u32, (time_ns % 1_000_000_000) as u32];
        for word in [halves[0], halves[1], length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}
