//! Bundles that are whole file by file but say one thing here and another there: verifying names each; what can be read is.

use afterpath_formats::bundle::{Bundles, verify};
use std::fs;
use std::path::Path;

#[path = "made/bundles.rs"]
mod bundles;
mod made;
use bundles::{bundle, table};
use made::Scratch;

/// Changes the manifest's text: verifying names these problems.
fn check_manifest(change: impl Fn(&str) -> String, expected: &[&str]) {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    let path = bundle.join("manifest.json");
    let text = fs::read_to_string(&path).expect("readable");
    let changed = change(&text);
    assert_ne!(changed, text);
    fs::write(&path, changed).expect("writable");
    let found = verify(&bundle).expect("verifiable");
    let names: std::collections::BTreeSet<_> =
        found.problems.iter().map(|problem| problem.kind.name()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected, "{:?}", found.problems);
}

/// The JSON text with one key of the whole given another value.
fn with(text: &str, key: &str, change: impl Fn(&mut serde_json::Value)) -> String {
    let mut json: serde_json::Value = serde_json::from_str(text).expect("JSON");
    change(&mut json[key]);
    json.to_string()
}

#[test]
fn a_manifest_that_contradicts_the_tables_is_not_whole() {
    let none = |value: &mut serde_json::Value| *value = serde_json::json!([]);
    check_manifest(|text| with(text, "hosts", none), &["hosts-differ"]);
    check_manifest(|text| with(text, "domains", none), &["unknown-domain"]);
    check_manifest(|text| with(text, "losses", none), &["losses-differ"]);
    let unlist = |table: &'static str| {
        move |text: &str| {
            with(text, "files", |files| {
                files.as_array_mut().expect("a list").retain(|file| file["table"] != table);
            })
        }
    };
    check_manifest(unlist("packets"), &["counts-differ", "missing-table", "unlisted-file"]);
    check_manifest(unlist("losses"), &["losses-differ", "missing-table", "unlisted-file"]);
    check_manifest(unlist("clock"), &["missing-table", "unlisted-file"]);
    check_manifest(|text| text.replace(r#""name": "a","#, r#""name": "c","#), &["hosts-differ"]);
    let rename = |hosts: &mut serde_json::Value| hosts[0]["captures"][0]["n_rows"] = 7.into();
    check_manifest(|text| with(text, "hosts", rename), &["counts-differ"]);
    check_manifest(|text| text.replace("\"sealed\"", "\"unsealed\""), &["unsealed"]);
    let earlier = |files: &mut serde_json::Value| {
        for file in files.as_array_mut().expect("a list") {
            file["first_ns"] =
                if file["first_ns"].is_null() { serde_json::Value::Null } else { 0.into() };
        }
    };
    check_manifest(|text| with(text, "files", earlier), &["counts-differ"]);
}

#[test]
fn a_file_that_is_not_listed_is_a_problem() {
    let scratch = Scratch::new();
    let bundle = bundle(&scratch);
    fs::write(bundle.join("evil.sh"), "rm -rf /").expect("writable");
    let problems = verify(&bundle).expect("verifiable").problems;
    assert_eq!(problems.iter().map(|p| p.kind.name()).collect::<Vec<_>>(), ["unlisted-file"]);
    assert!(problems[0].path.ends_with("evil.sh"));
}

/// Writes a table's file anew with its batches changed, listed as if it had always been so.
fn rewritten(
    bundle: &Path,
    of: &str,
    properties: parquet::file::properties::WriterProperties,
    change: impl Fn(arrow::array::RecordBatch) -> arrow::array::RecordBatch,
) {
    let path = table(bundle, of, "a");
    let open = |path: &Path| fs::File::open(path).expect("readable");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(open(&path), 8192);
    let batches: Vec<_> =
        reader.expect("Parquet").map(|batch| change(batch.expect("whole"))).collect();
    let out = fs::File::create(&path).expect("writable");
    let writer = parquet::arrow::ArrowWriter::try_new(out, batches[0].schema(), Some(properties));
    let mut writer = writer.expect("a schema");
    batches.iter().for_each(|batch| writer.write(batch).expect("written"));
    writer.close().expect("written");
    let bytes = fs::read(&path).expect("readable");
    let manifest = bundle.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("readable");
    let name = path.strip_prefix(bundle).expect("below it").to_string_lossy().into_owned();
    let text = with(&text, "files", |files| {
        let files = files.as_array_mut().expect("a list");
        let entry = files.iter_mut().find(|file| file["path"] == name.as_str()).expect("listed");
        entry["bytes"] = bytes.len().into();
        entry["blake3"] = blake3::hash(&bytes).to_hex().to_string().into();
    });
    fs::write(&manifest, text).expect("writable");
}

fn plain_properties() -> parquet::file::properties::WriterProperties {
    parquet::file::properties::WriterProperties::builder().build()
}

/// The first rows' interface ids replaced.
fn other_interfaces(
    batch: arrow::array::RecordBatch,
    n: usize,
    id: u32,
) -> arrow::array::RecordBatch {
    use arrow::array::AsArray;
    let at = batch.schema().index_of("interface_id").expect("a column");
    let ids = batch.column(at).as_primitive::<arrow::datatypes::UInt32Type>().values();
    let ids = ids.iter().enumerate().map(|(row, old)| if row < n { id } else { *old });
    let mut columns = batch.columns().to_vec();
    columns[at] = std::sync::Arc::new(ids.collect::<arrow::array::UInt32Array>());
    arrow::array::RecordBatch::try_new(batch.schema(), columns).expect("a batch")
}

#[test]
fn packets_of_no_interface_are_counted_and_of_one_unknown_point() {
    for id in [1, 2, 70_000, u32::MAX] {
        let scratch = Scratch::new();
        let bundle = bundle(&scratch);
        rewritten(&bundle, "packets", plain_properties(), |batch| other_interfaces(batch, 3, id));
        let problems = verify(&bundle).expect("verifiable").problems;
        let names: Vec<_> = problems.iter().map(|problem| problem.kind.name()).collect();
        assert_eq!(names, ["unknown-interface", "counts-differ"], "{problems:?}");
        let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("openable");
        let names: Vec<_> = bundles.interfaces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "unknown", "b"]);
        let loss = bundles.losses.iter().find(|loss| loss.row.cause == "unknown-interface");
        assert_eq!(loss.map(|loss| (loss.host, loss.row.count)), Some((0, 3)));
        assert_eq!(
            bundles.warnings.iter().map(|w| w.kind.name()).collect::<Vec<_>>(),
            ["unknown-interface"]
        );
        let mut points = Vec::new();
        for batch in bundles.packet_files[0].read(0..u64::MAX) {
            let batch = batch.expect("whole");
            points.extend((0..batch.len()).map(|row| batch.packet(row).interface));
        }
        assert_eq!(points.iter().filter(|point| **point == 1).count(), 3);
        assert_eq!(points.len(), 2000);
        let exported =
            afterpath_formats::export::export_pcapng(&bundles, &[0], Vec::new(), Path::new("out"));
        let exported = exported.expect("exportable");
        assert_eq!((exported.n_packets, exported.warnings.len()), (1997, 1));
    }
}

#[test]
fn frames_of_other_lengths_and_rows_out_of_order_are_problems() {
    use arrow::array::AsArray;
    let check = |change: &dyn Fn(arrow::array::RecordBatch) -> arrow::array::RecordBatch,
                 expected: &str| {
        let scratch = Scratch::new();
        let bundle = bundle(&scratch);
        rewritten(&bundle, "packets", plain_properties(), change);
        let problems = verify(&bundle).expect("verifiable").problems;
        assert_eq!(problems.iter().map(|p| p.kind.name()).collect::<Vec<_>>(), [expected]);
    };
    let shorter = |batch: arrow::array::RecordBatch| {
        let at = batch.schema().index_of("frame").expect("a column");
        let frames = batch.column(at).as_binary::<i32>();
        let frames = frames.iter().map(|frame| frame.map(|frame| &frame[..frame.len() / 2]));
        let frames = frames.collect::<arrow::array::BinaryArray>();
        let mut columns = batch.columns().to_vec();
        columns[at] = std::sync::Arc::new(frames);
        arrow::array::RecordBatch::try_new(batch.schema(), columns).expect("a batch")
    };
    check(&shorter, "frame-length");
    let backwards = |batch: arrow::array::RecordBatch| {
        let rows = (0..batch.num_rows() as u32).rev().collect::<arrow::array::UInt32Array>();
        arrow::compute::take_record_batch(&batch, &rows).expect("a batch")
    };
    check(&backwards, "unordered-rows");
}

#[test]
fn other_codecs_are_read_and_those_that_are_not_are_named() {
    use parquet::basic::{Compression, GzipLevel};
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
    ];
    for codec in codecs {
        let scratch = Scratch::new();
        let bundle = bundle(&scratch);
        let properties = || {
            let builder = parquet::file::properties::WriterProperties::builder();
            builder.set_compression(codec).build()
        };
        rewritten(&bundle, "packets", properties(), |batch| batch);
        rewritten(&bundle, "interfaces", properties(), |batch| batch);
        assert_eq!(verify(&bundle).expect("verifiable").problems, [], "{codec:?}");
        let bundles = Bundles::open(std::slice::from_ref(&bundle)).expect("openable");
        assert_eq!(bundles.warnings, []);
        let batches = bundles.packet_files[0].read(0..u64::MAX);
        assert_eq!(batches.map(|batch| batch.expect("whole").len()).sum::<usize>(), 2000);
    }
}
