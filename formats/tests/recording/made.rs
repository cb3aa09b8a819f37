//! Rows of tables that follow from their numbers alone, so that what comes out can be compared. Never random.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::bundle::manifest::{DomainEntry, HostEntry};
use afterpath_formats::bundle::names::{host_folder, segment_file};
use afterpath_formats::recording::{Recording, RecordingOptions, SegmentLimits};
use afterpath_formats::table::interfaces::{self, InterfaceRow};
use afterpath_formats::table::{Column, Table, Type, packets};
use arrow::array::{
    ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray,
    UInt8Array, UInt16Array, UInt32Array, new_null_array,
};
use arrow::datatypes::Int64Type;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use afterpath_formats::table::socket_events::TABLE as SOCKET_EVENTS;
pub(crate) const PACKETS: &Table = &packets::TABLE;
pub(crate) const FIRST_NS: i64 = 1_700_000_000_000_000_000;

/// A folder that goes away.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) fn host() -> HostEntry {
    let folder = host_folder("box", "0badcafe");
    HostEntry {
        id: "0badcafe".into(),
        name: "box".into(),
        folder,
        captures: Vec::new(),
        boottime_domain: Some(1),
    }
}

/// A recording of one host with two interfaces.
pub(crate) fn recording(output: &Path, options: &RecordingOptions) -> Recording {
    let domain = |name: &str| DomainEntry { name: name.into(), clock: name.into() };
    let domains = vec![domain("realtime"), domain("boottime")];
    let mut recording = Recording::create(output, options, host(), domains).expect("creatable");
    let row = |id: u32| InterfaceRow {
        interface_id: id,
        point: id,
        name: format!("eth{id}"),
        kind: "veth".to_string(),
        link_type: 1,
        ..InterfaceRow::default()
    };
    recording
        .append(&interfaces::TABLE, interfaces::batch(&[row(0), row(1)]))
        .expect("two interfaces");
    recording
}

/// Options by which segments roll after `rows` rows.
pub(crate) fn rolling(rows: u64) -> RecordingOptions {
    let limits = SegmentLimits { rows, bytes: u64::MAX, age: Duration::MAX };
    RecordingOptions { limits, table_limits: Vec::new(), ..RecordingOptions::default() }
}

/// Rows of `table` with these numbers: times grow with them, flows don't.
pub(crate) fn batch(table: &Table, numbers: Range<i64>) -> RecordBatch {
    let columns = table.columns.iter().map(|column| array(column, numbers.clone()));
    RecordBatch::try_new(table.schema(), columns.collect()).expect("columns of the table's types")
}

fn array(column: &Column, numbers: Range<i64>) -> ArrayRef {
    let n = (numbers.end - numbers.start) as usize;
    match (column.name, column.kind) {
        ("time_ns", _) => {
            Arc::new(Int64Array::from_iter_values(numbers.map(|i| FIRST_NS + i * 1000)))
        }
        ("source_row" | "result", _) => Arc::new(Int64Array::from_iter_values(numbers)),
        ("flow_hash", _) => Arc::new(Int64Array::from_iter_values(numbers.map(|i| i * 7919 % 13))),
        ("interface_id", _) => {
            Arc::new(UInt32Array::from_iter_values(numbers.map(|i| i as u32 % 2)))
        }
        ("captured_length", _) => {
            Arc::new(UInt32Array::from_iter_values(numbers.map(|i| payload(i).len() as u32)))
        }
        ("frame" | "bytes", _) => Arc::new(BinaryArray::from_iter_values(numbers.map(payload))),
        (_, kind) if column.nullable => new_null_array(&kind.arrow(), n),
        (_, Type::Int64) => Arc::new(Int64Array::from_iter_values(numbers)),
        (_, Type::UInt32) => Arc::new(UInt32Array::from_iter_values(numbers.map(|i| i as u32))),
        (_, Type::UInt16) => Arc::new(UInt16Array::from_iter_values(numbers.map(|i| i as u16))),
        (_, Type::UInt8) => Arc::new(UInt8Array::from_iter_values(numbers.map(|i| i as u8))),
        (_, Type::Text) => {
            Arc::new(StringArray::from_iter_values(numbers.map(|i| format!("t{i}"))))
        }
        (_, Type::Binary) => Arc::new(BinaryArray::from_iter_values(numbers.map(payload))),
        (_, Type::Boolean) => new_null_array(&column.kind.arrow(), n),
        (_, Type::Address) => {
            let addresses = numbers.map(|i| u128::from(i as u64).to_be_bytes());
            Arc::new(FixedSizeBinaryArray::try_from_iter(addresses).expect("16 bytes each"))
        }
    }
}

/// The large bytes of row `number`; hard to compress, so that damage hits them.
pub(crate) fn payload(number: i64) -> Vec<u8> {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let length = 1 + number as usize % 90;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The numbers of all rows of `table` that can be read of `bundles`, sorted; every row is compared whole with what went in.
pub(crate) fn numbers(bundles: &Bundles, table: &'static Table) -> Vec<i64> {
    let name = if table.name == PACKETS.name { "source_row" } else { "result" };
    let mut all = Vec::new();
    for batch in bundles.batches(0, table).filter_map(Result::ok) {
        let numbers = batch.column_by_name(name).expect("it is there").as_primitive::<Int64Type>();
        for (at, number) in numbers.values().iter().enumerate() {
            // A number that no row has would take long to make.
            assert!((0..1 << 32).contains(number), "row {number}");
            assert_eq!(batch.slice(at, 1), self::batch(table, *number..number + 1));
        }
        all.extend(numbers.values());
    }
    all.sort_unstable();
    all
}

/// Opens the bundle and compares every row: rows that come out are the first that went in. Gives how many.
pub(crate) fn n_prefix(bundle: &Path, table: &'static Table) -> usize {
    let bundles = Bundles::open(&[bundle.to_path_buf()]).expect("openable");
    let numbers = numbers(&bundles, table);
    assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
    numbers.len()
}

/// Names of an open bundle's warnings.
pub(crate) fn warnings(bundle: &Path) -> Vec<&'static str> {
    let bundles = Bundles::open(&[bundle.to_path_buf()]).expect("openable");
    bundles.warnings.iter().map(|warning| warning.kind.name()).collect()
}

pub(crate) fn segment(bundle: &Path, table: &Table, number: u32) -> PathBuf {
    bundle.join(segment_file(table.name, &host().folder, number))
}
