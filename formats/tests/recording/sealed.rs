//! From the first row to the seal, nothing going wrong.

use super::made::{
    FIRST_NS, PACKETS, SOCKET_EVENTS, batch, n_prefix, recording, rolling, scratch, warnings,
};
use afterpath_formats::bundle::{Bundles, pack, verify};
use afterpath_formats::recording::{RecordingOptions, repair};
use afterpath_formats::table::interfaces::{self, InterfaceRow};
use afterpath_formats::table::losses::LossRow;
use arrow::array::BinaryViewArray;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Every number of rows and of segments gives one whole bundle.
fn check(n_rows: i64, n_at_once: i64, rows_per_segment: u64, n_parts: usize) {
    let scratch = scratch();
    let output = scratch.path().join("a.afterpath");
    let mut recording = recording(&output, &rolling(rows_per_segment));
    for begin in (0..n_rows).step_by(n_at_once as usize) {
        let rows = begin..n_rows.min(begin + n_at_once);
        recording.append(PACKETS, batch(PACKETS, rows.clone())).expect("room");
        recording.append(&SOCKET_EVENTS, batch(&SOCKET_EVENTS, rows)).expect("room");
        recording.sync().expect("room");
    }
    let sealed = recording.seal().expect("room");
    let packets =
        sealed.written.iter().find(|written| written.table == "packets").expect("packets");
    assert_eq!(packets.n_rows, n_rows as u64);
    let found = verify(&output).expect("verifiable");
    assert_eq!((found.problems.as_slice(), found.notes.as_slice()), (&[][..], &[][..]));
    let parts = found.manifest.files.iter().filter(|file| file.table == "packets").count();
    assert_eq!(parts, n_parts);
    assert_eq!(n_prefix(&output, PACKETS), n_rows as usize);
    assert_eq!(n_prefix(&output, &SOCKET_EVENTS), n_rows as usize);
    assert_eq!(warnings(&output), Vec::<&str>::new());
}

#[test]
fn what_was_appended_is_there_when_sealed() {
    check(0, 1, 100, 1);
    check(1, 1, 100, 1);
    check(1000, 100, 100, 10);
    check(1050, 100, 200, 6);
    check(30_000, 7000, 1 << 20, 1);
}

#[test]
fn parts_are_in_the_tables_order_and_name_their_times() {
    let scratch = scratch();
    let output = scratch.path().join("a.afterpath");
    let mut recording = recording(&output, &rolling(500));
    for begin in [0, 500] {
        recording.append(PACKETS, batch(PACKETS, begin..begin + 500)).expect("room");
        recording.sync().expect("room");
    }
    recording.seal().expect("room");
    let bundles = Bundles::open(std::slice::from_ref(&output)).expect("openable");
    let [first, second] = &bundles.packet_files[..] else { panic!("two parts") };
    for file in [first, second] {
        let mut order = Vec::new();
        for batch in file.read(0..u64::MAX) {
            let batch = batch.expect("whole");
            let key = |row| {
                let packet = batch.packet(row);
                (packet.flow_hash, packet.time_ns, packet.source_row)
            };
            order.extend((0..batch.len()).map(key));
        }
        assert!(order.len() == 500 && order.is_sorted());
    }
    let found = verify(&output).expect("verifiable");
    let times: Vec<_> = found.manifest.files.iter().filter(|f| f.table == "packets").collect();
    assert_eq!(times[1].first_ns, Some(FIRST_NS + 500_000));
    assert_eq!(times[1].last_ns, Some(FIRST_NS + 999_000));
    // The interfaces' packets are counted over both.
    assert_eq!(bundles.interfaces.iter().map(|i| i.n_packets).collect::<Vec<_>>(), [500, 500]);
}

#[test]
fn a_bundle_is_private_and_its_own() {
    let scratch = scratch();
    let output = scratch.path().join("a.afterpath");
    let mut recording = recording(&output, &RecordingOptions::default());
    recording.append(PACKETS, batch(PACKETS, 0..10)).expect("room");
    recording.sync().expect("room");
    let again = afterpath_formats::recording::Recording::create(
        &output,
        &RecordingOptions::default(),
        super::made::host(),
        Vec::new(),
    );
    assert_eq!(again.map(|_| ()).map_err(|error| error.kind.name()), Err("output-exists"));
    assert_eq!(repair(&output).map(|_| ()).map_err(|error| error.kind.name()), Err("in-use"));
    private(&output);
    let packed = scratch.path().join("a.tar");
    assert_eq!(pack(&output, &packed, false).map_err(|e| e.kind.name()), Err("unsealed"));
    recording.seal().expect("room");
    private(&output);
    pack(&output, &packed, false).expect("packable");
    assert_eq!(n_prefix(&packed, PACKETS), 10);
    assert!(repair(&output).expect("sealed").was_sealed);
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("readable").flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let names: Vec<_> = std::fs::read_dir(&output).expect("readable").flatten().collect();
    assert!(names.iter().all(|entry| entry.file_name() != "recording.lock"));
}

fn private(path: &Path) {
    let mode = std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("readable");
        entries.for_each(|entry| private(&entry.expect("readable").path()));
    }
}

#[test]
fn interfaces_are_told_again_and_losses_are_summed() {
    let scratch = scratch();
    let output = scratch.path().join("a.afterpath");
    let mut recording = recording(&output, &RecordingOptions::default());
    let row = |id, name: &str| InterfaceRow {
        interface_id: id,
        point: id,
        name: name.to_string(),
        kind: "veth".to_string(),
        valid_to_ns: Some(7),
        ..InterfaceRow::default()
    };
    let append = |recording: &mut afterpath_formats::recording::Recording, row| {
        let rows = interfaces::batch(&[row]);
        recording.append(&interfaces::TABLE, rows).map_err(|error| error.kind.name())
    };
    assert_eq!(append(&mut recording, row(1, "renamed")), Ok(()));
    assert_eq!(append(&mut recording, row(3, "no 2 before it")), Err("bad-schema"));
    recording.append(PACKETS, batch(PACKETS, 0..9)).expect("room");
    let lost = |count| LossRow {
        source: "packets".into(),
        cause: "ring-full".into(),
        count,
        ..LossRow::default()
    };
    recording.lost(&[lost(3), lost(4)]).expect("room");
    recording.reduction("window", "one second in ten");
    recording.sync().expect("room");
    let look = |path: &Path| {
        let bundles = Bundles::open(&[path.to_path_buf()]).expect("openable");
        let points: Vec<_> =
            bundles.interfaces.iter().map(|i| format!("{}:{}", i.name, i.n_packets)).collect();
        let lost: i64 = bundles.losses.iter().map(|loss| loss.row.count).sum();
        (points.join(" "), lost, bundles.reductions.len())
    };
    assert_eq!(look(&output), ("eth0:5 renamed:4".to_string(), 7, 1));
    let sealed = recording.seal().expect("room");
    assert_eq!((sealed.losses[0].count, sealed.reductions.len()), (7, 1));
    assert_eq!(look(&output), ("eth0:5 renamed:4".to_string(), 7, 1));
    assert!(verify(&output).expect("verifiable").is_whole());
}

#[test]
fn views_are_taken_and_other_columns_refused() {
    let scratch = scratch();
    let output = scratch.path().join("a.afterpath");
    let mut recording = recording(&output, &RecordingOptions::default());
    let plain = batch(PACKETS, 0..5);
    let mut columns = plain.columns().to_vec();
    let frames = (0..5).map(super::made::payload);
    *columns.last_mut().expect("frame") = Arc::new(BinaryViewArray::from_iter_values(frames));
    let schema = {
        let mut fields: Vec<_> = plain.schema().fields().iter().cloned().collect();
        let frame = fields.pop().expect("frame").as_ref().clone();
        fields.push(Arc::new(frame.with_data_type(arrow::datatypes::DataType::BinaryView)));
        Arc::new(arrow::datatypes::Schema::new(fields))
    };
    let views = arrow::array::RecordBatch::try_new(schema, columns).expect("a batch");
    recording.append(PACKETS, views).expect("room");
    let wrong = recording.append(&SOCKET_EVENTS, plain);
    assert_eq!(wrong.map_err(|error| error.kind.name()), Err("bad-schema"));
    recording.seal().expect("room");
    assert_eq!(n_prefix(&output, PACKETS), 5);
}
