//! Bytes as changes to the rows of recorded bundles, which stay well-formed Parquet with right checksums: what they say is what no recorder
//! would have written. Analyzed, everything printed.
//!
//! First byte: which bundle. Then changes of seven bytes: what is done, table, column, a row and another or a value in two bytes each.

use super::{Way, answer, folder};
use crate::checkout::root;
use afterpath_formats::bundle::manifest::Manifest;
use afterpath_formats::bundle::names::MANIFEST;
use afterpath_formats::table::{self, Table};
use anyhow::{Context, Result};
use arrow::array::*;
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, UInt8Type, UInt16Type, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

pub(super) const WAY: Way = Way { name: "tables", endure, is_quick: false };

/// Recordings whose tables together are all there are: sockets of two clocks, packets, lost packets.
static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let samples = ["mesh-clock", "mesh-loss", "mesh-refused"];
    let read = |name: &str| Recorded::read(&root().join("samples").join(name));
    samples.map(|name| read(name).expect("a sample")).into()
});

fn endure(bytes: &[u8]) {
    let [which, changes @ ..] = bytes else { return };
    let folder = folder();
    let recorded = &RECORDED[usize::from(*which) % RECORDED.len()];
    recorded.write(changes, folder.path()).expect("room for it");
    answer(folder.path().to_path_buf());
}

/// A bundle's tables, a tenth of its time.
struct Recorded {
    manifest: Manifest,
    /// In the manifest's order.
    tables: Vec<(&'static Table, RecordBatch)>,
}

impl Recorded {
    fn read(sample: &Path) -> Result<Recorded> {
        let mut archive =
            tar::Archive::new(std::fs::File::open(sample.join("bundle.afterpath.tar"))?);
        let mut files = std::collections::BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(path, bytes);
        }
        let manifest = files.get(MANIFEST).context("a manifest")?;
        let (manifest, _) = Manifest::parse(Path::new(MANIFEST), manifest)?;
        let mut tables = Vec::new();
        for entry in &manifest.files {
            let table = table::find(&entry.table).context("a table that is known")?;
            let bytes = files.remove(&entry.path).context("a file that is listed")?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))?;
            let schema = reader.schema().clone();
            let batches = reader.build()?.collect::<Result<Vec<_>, _>>()?;
            tables.push((table, middle(&concat_batches(&schema, &batches)?)?));
        }
        Ok(Recorded { manifest, tables })
    }

    /// Into a folder, changed.
    fn write(&self, changes: &[u8], folder: &Path) -> Result<()> {
        let mut tables = self.tables.clone();
        for change in changes.chunks_exact(7) {
            let [what, which, column, a, b, c, d]: [u8; 7] =
                change.try_into().expect("chunks of seven");
            let (_, batch) = &mut tables[usize::from(which) % self.tables.len()];
            let (row, other) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            // What a table can't hold (an absent value where one must be) is left as it was.
            if let Ok(changed) = changed(batch, what, column, usize::from(row), usize::from(other))
            {
                *batch = changed;
            }
        }
        let mut manifest = self.manifest.clone();
        for (entry, (table, batch)) in manifest.files.iter_mut().zip(tables) {
            let mut writer =
                ArrowWriter::try_new(Vec::new(), batch.schema(), Some(table.properties()))?;
            writer.write(&batch)?;
            let bytes = writer.into_inner()?;
            entry.n_rows = batch.num_rows() as u64;
            entry.bytes = bytes.len() as u64;
            entry.blake3 = blake3::hash(&bytes).to_hex().to_string();
            let file = folder.join(&entry.path);
            std::fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
            std::fs::write(file, bytes)?;
        }
        std::fs::write(folder.join(MANIFEST), manifest.to_bytes())?;
        Ok(())
    }
}

/// Rows in the middle of a table's time, if it has one; clocks and counters are few, and wanted whole.
fn middle(batch: &RecordBatch) -> Result<RecordBatch> {
    let Some(times) = batch.column_by_name("time_ns").filter(|_| batch.num_rows() > 500) else {
        return Ok(batch.clone());
    };
    let times = times.as_primitive::<Int64Type>();
    let (first, last) = times
        .iter()
        .flatten()
        .fold((i64::MAX, i64::MIN), |(first, last), time| (first.min(time), last.max(time)));
    let tenth = (last - first) / 10;
    let within = (first + 4 * tenth)..(first + 5 * tenth);
    let kept = times.iter().map(|time| Some(time.is_some_and(|time| within.contains(&time))));
    Ok(filter_record_batch(batch, &kept.collect::<BooleanArray>())?)
}

fn changed(
    batch: &RecordBatch,
    what: u8,
    column: u8,
    row: usize,
    other: usize,
) -> Result<RecordBatch> {
    let n = batch.num_rows();
    anyhow::ensure!(n > 0, "no rows");
    let (row, value) = (row % n, other);
    let other = other % n;
    let rows = |order: Vec<u32>| Ok(take_record_batch(batch, &UInt32Array::from(order))?);
    let all = 0..n as u32;
    match what % 8 {
        0 => with(batch, column, |at| at == row, value),
        1 => with(batch, column, |_| true, value),
        2 => with(batch, column, |at| at >= row.min(other) && at <= row.max(other), value >> 8),
        3 => rows(all.filter(|at| *at as usize != row).collect()),
        4 => rows(all.chain([row as u32]).collect()),
        5 => rows(all.filter(|at| *at as usize <= row).collect()),
        6 => {
            let mut order: Vec<u32> = all.collect();
            order.swap(row, other);
            rows(order)
        }
        // One value becomes that of another row.
        _ => {
            let column = usize::from(column) % batch.num_columns();
            let mut order: Vec<u32> = all.collect();
            order[row] = other as u32;
            let of_others = take_record_batch(batch, &UInt32Array::from(order))?;
            let mut columns = batch.columns().to_vec();
            columns[column] = of_others.column(column).clone();
            Ok(RecordBatch::try_new(batch.schema(), columns)?)
        }
    }
}

/// Some rows of a column with another value.
fn with(
    batch: &RecordBatch,
    column: u8,
    rows: impl Fn(usize) -> bool,
    value: usize,
) -> Result<RecordBatch> {
    let column = usize::from(column) % batch.num_columns();
    let old = batch.column(column);
    macro_rules! numbers {
        ($kind:ty, $native:ty) => {{
            let old = old.as_primitive::<$kind>().iter().enumerate();
            let new = |old| number(old, value).map(|new| new as $native);
            let values =
                old.map(|(at, old)| if rows(at) { new(old.map(|old| old as i64)) } else { old });
            Arc::new(values.collect::<PrimitiveArray<$kind>>()) as ArrayRef
        }};
    }
    let new: ArrayRef = match old.data_type() {
        DataType::Int64 => numbers!(Int64Type, i64),
        DataType::UInt32 => numbers!(UInt32Type, u32),
        DataType::UInt16 => numbers!(UInt16Type, u16),
        DataType::UInt8 => numbers!(UInt8Type, u8),
        DataType::Boolean => {
            let values = old.as_boolean().iter().enumerate();
            Arc::new(
                values
                    .map(|(at, old)| if rows(at) { Some(value % 2 == 1) } else { old })
                    .collect::<BooleanArray>(),
            )
        }
        DataType::Utf8 => {
            let values = old.as_string::<i32>().iter().enumerate();
            Arc::new(
                values
                    .map(|(at, old)| if rows(at) { text(value) } else { old })
                    .collect::<StringArray>(),
            )
        }
        DataType::Binary => {
            let values = old.as_binary::<i32>().iter().enumerate();
            let new = text(value).map(str::as_bytes);
            Arc::new(
                values.map(|(at, old)| if rows(at) { new } else { old }).collect::<BinaryArray>(),
            )
        }
        DataType::FixedSizeBinary(16) => {
            let values = old.as_fixed_size_binary().iter().enumerate();
            let new = number(None, value).map(|number| i128::from(number).to_le_bytes());
            let values = values
                .map(|(at, old)| if rows(at) { new.map(Vec::from) } else { old.map(Vec::from) });
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16)?)
        }
        other => anyhow::bail!("no table has {other}"),
    };
    let mut columns = batch.columns().to_vec();
    columns[column] = new;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// Where arithmetic ends, what is near the old value, or none.
fn number(old: Option<i64>, value: usize) -> Option<i64> {
    const EXTREMES: [i64; 12] = [
        0,
        1,
        -1,
        i64::MIN,
        i64::MAX,
        i64::MIN + 1,
        u32::MAX as i64,
        u16::MAX as i64,
        i64::MAX / 2,
        i64::MIN / 2,
        1 << 40,
        -(1 << 40),
    ];
    const STEPS: [i64; 8] =
        [1, -1, 1_000, -1_000, 1_000_000, -1_000_000, 3_600_000_000_000, -3_600_000_000_000];
    let value = value % (EXTREMES.len() + STEPS.len() + 1);
    match value.checked_sub(EXTREMES.len()) {
        None => Some(EXTREMES[value]),
        Some(step) => STEPS.get(step).map(|step| old.unwrap_or_default().wrapping_add(*step)),
    }
}

/// What no name is, words that tables know, or none.
fn text(value: usize) -> Option<&'static str> {
    const TEXTS: [&str; 14] = [
        "",
        "\u{1b}[2J",
        "\u{202e}",
        "\0",
        "../../x",
        "a b\nc",
        "stream",
        "datagram",
        "client",
        "listener",
        "write",
        "read",
        "go",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ];
    TEXTS.get(value % (TEXTS.len() + 1)).copied()
}
