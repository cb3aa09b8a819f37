//! Spans of tracers through import: what documents say is what rows say, in both formats, however they are packed, cut or damaged.
//! Never depends on data that the project did not make.

use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::error::Kind;
use afterpath_formats::import::ImportPlan;
use afterpath_formats::import::Word;
use afterpath_formats::import::spans::{SpanFormat, SpanPlan, SpansSummary, import};
use afterpath_formats::table::spans::{self, SpanRow};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;

const JAEGER: &str = r#"{"data":[{"traceID":"a1","spans":[
 {"traceID":"00a1","spanID":"0B","operationName":"GET /","references":[],"startTime":1000000,"duration":500,
  "tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"http.status_code","type":"int64","value":200},{"key":"sampler.type","value":"const"}],"processID":"p1"},
 {"traceID":"a1","spanID":"c","operationName":"ask","references":[{"refType":"FOLLOWS_FROM","traceID":"a1","spanID":"dd"},{"refType":"CHILD_OF","traceID":"a1","spanID":"b"}],
  "startTime":1000100,"duration":300,"tags":[{"key":"span.kind","value":"client"},{"key":"error","type":"bool","value":true}],"processID":"p1"},
 {"traceID":"a1","spanID":"d","operationName":"work","parentSpanID":"c","startTime":"1000200","duration":100,
  "process":{"serviceName":"back","tags":[]}}],
 "processes":{"p1":{"serviceName":"front","tags":[{"key":"ip","value":"10.0.0.1"},{"key":"hostname","value":"front-1"}]}}}],"total":0}
"#;

const OTLP: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"front"}},{"key":"k8s.pod.name","value":{"stringValue":"front-1"}}]},
 "scopeSpans":[{"scope":{},"spans":[
 {"traceId":"000000000000000000000000000000A1","spanId":"000000000000000b","parentSpanId":"","name":"GET /","kind":2,"startTimeUnixNano":"1000000000","endTimeUnixNano":1000500000,
  "attributes":[{"key":"http.status_code","value":{"intValue":"200"}}],"status":{}},
 {"traceId":"000000000000000000000000000000a1","spanId":"000000000000000c","parentSpanId":"000000000000000b","name":"ask","kind":"SPAN_KIND_CLIENT","startTimeUnixNano":"1000100000","endTimeUnixNano":"1000400000",
  "attributes":[{"key":"error","value":{"boolValue":true}}],"status":{"code":"STATUS_CODE_ERROR"}}]}]},
 {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"back"}}]},"instrumentationLibrarySpans":[{"spans":[
 {"traceId":"000000000000000000000000000000a1","spanId":"000000000000000d","parentSpanId":"000000000000000c","name":"work","startTimeUnixNano":"1000200000","endTimeUnixNano":"1000300000"}]}]}]}
"#;

/// What both say.
const ROWS: [&str; 3] = [
    "1000000000..1000500000 a1/b <- None front front-1 GET / Server Unset {\"http.status_code\":200}",
    "1000100000..1000400000 a1/c <- Some(11) front front-1 ask Client Error {\"error\":true}",
    "1000200000..1000300000 a1/d <- Some(12) back - work Unspecified Unset -",
];

fn imported(
    bytes: &[u8],
    plan: SpanPlan,
    folder: &Path,
) -> Result<(SpansSummary, Vec<SpanRow>), Kind> {
    let (file, output) = (folder.join("spans.json"), folder.join("x.afterpath"));
    std::fs::write(&file, bytes).expect("it works");
    let mut words = ImportPlan::parse(&[Word::File(file)], &output).expect("it works");
    words.force = true;
    let summary = import(&words, &plan, &|_| {}).map_err(|error| error.kind)?;
    let problems = verify(&output).expect("it works").problems;
    assert_eq!(problems, []);
    let bundles = Bundles::open(&[output]).expect("it works");
    assert_eq!(bundles.warnings, []);
    let rows =
        bundles.batches(0, &spans::TABLE).flat_map(|batch| spans::rows(&batch.expect("it works")));
    let rows: Vec<SpanRow> = rows.collect();
    let forgotten = bundles.reductions.iter().any(|(_, r)| r.kind == "forgotten-parents");
    assert_eq!(forgotten, plan.forget_parents);
    Ok((summary, rows))
}

fn shown(row: &SpanRow) -> String {
    let trace = u128::from_be_bytes(row.trace_id);
    let text = |text: &Option<String>| text.clone().unwrap_or("-".into());
    format!(
        "{}..{} {trace:x}/{:x} <- {:?} {} {} {} {:?} {:?} {}",
        row.start_ns,
        row.end_ns,
        row.span_id,
        row.parent_span_id,
        row.service,
        text(&row.instance),
        row.name,
        row.kind,
        row.status,
        text(&row.attributes)
    )
}

/// A document's rows and its losses as `cause count`.
fn check(bytes: &[u8], format: SpanFormat, expected: &[&str], lost: &[&str]) {
    let folder = tempfile::tempdir().expect("it works");
    let plan = SpanPlan { format, forget_parents: false };
    let (summary, rows) = imported(bytes, plan, folder.path()).expect("it works");
    assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(summary.written.n_spans, rows.len() as u64);
    let losses = summary.losses.iter().map(|loss| format!("{} {}", loss.cause, loss.count));
    assert_eq!(losses.collect::<Vec<_>>(), lost);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).expect("it works");
    writer.finish().expect("it works")
}

#[test]
fn both_formats_say_the_same_however_they_are_packed() {
    for (text, format) in [(JAEGER, SpanFormat::Jaeger), (OTLP, SpanFormat::Otlp)] {
        check(text.as_bytes(), format, &ROWS, &[]);
        check(text.replace('\n', "").as_bytes(), format, &ROWS, &[]);
        check(&gzip(text.as_bytes()), format, &ROWS, &[]);
        check(&zstd::encode_all(text.as_bytes(), 1).expect("it works"), format, &ROWS, &[]);
    }
}

#[test]
fn what_came_before_a_cut_is_kept() {
    let line = JAEGER.replace('\n', "");
    let cut = format!("{line}\n{}", &line[..line.len() / 2]);
    check(cut.as_bytes(), SpanFormat::Jaeger, &ROWS, &["cut-document 1"]);
    let broken = format!("{}?\n{line}\n", &line[..line.len() / 2]);
    check(broken.as_bytes(), SpanFormat::Jaeger, &ROWS, &["malformed-document 1"]);
}

#[test]
fn spans_that_make_no_sense_are_counted_by_cause() {
    let odd = r#"{"data":[7,{"spans":[8,
     {"spanID":"1","startTime":1,"duration":1},
     {"traceID":"1","spanID":"zz","startTime":1,"duration":1},
     {"traceID":"1","spanID":"1","duration":1},
     {"traceID":"1","spanID":"1","startTime":9223372036854775807,"duration":1},
     {"traceID":"1","spanID":"1","startTime":9223372036854775,"duration":9223372036854775},
     {"traceID":"1","spanID":"1","startTime":[],"duration":{}},
     {"traceID":"ffffffffffffffffffffffffffffffff","spanID":"ffffffffffffffff","startTime":9,"duration":-5,"tags":7,"references":[{"refType":"CHILD_OF","spanID":"x"}]}]}]}"#;
    let row = "9000..9000 ffffffffffffffffffffffffffffffff/ffffffffffffffff <- None unknown_service -  Unspecified Unset -";
    let lost = [
        "not-a-span 2",
        "no-span-id 2",
        "no-span-time 4",
        "negative-duration 1",
        "no-service 1",
        "bad-parent 1",
    ];
    check(odd.as_bytes(), SpanFormat::Jaeger, &[row], &lost);
}

#[test]
fn the_other_format_and_other_files_are_refused() {
    let folder = tempfile::tempdir().expect("it works");
    for text in [OTLP, "", "{}", "\u{0}\u{1}", "[[[["] {
        let plan = SpanPlan { format: SpanFormat::Jaeger, forget_parents: false };
        assert_eq!(imported(text.as_bytes(), plan, folder.path()), Err(Kind::NotSpans));
    }
}

#[test]
fn parents_are_forgotten_and_it_is_said() {
    let folder = tempfile::tempdir().expect("it works");
    let plan = SpanPlan { format: SpanFormat::Otlp, forget_parents: true };
    let (summary, rows) = imported(OTLP.as_bytes(), plan, folder.path()).expect("it works");
    let parents: Vec<_> = rows.iter().map(|row| row.parent_span_id).collect();
    assert_eq!((summary.written.n_forgotten, parents), (1, vec![None, None, Some(12)]));
}

proptest! {
    #[test]
    fn no_prefix_and_no_flip_panics(cut in 0.0..1.0_f64, at in 0.0..1.0_f64, to in any::<u8>(), otlp in any::<bool>()) {
        let (text, format) = if otlp { (OTLP, SpanFormat::Otlp) } else { (JAEGER, SpanFormat::Jaeger) };
        let mut bytes = [text, text].concat().into_bytes();
        let place = |share: f64| (share * bytes.len() as f64) as usize;
        let (cut, at) = (place(cut), place(at));
        bytes[at] = to;
        bytes.truncate(cut);
        let folder = tempfile::tempdir().expect("it works");
        let plan = SpanPlan { format, forget_parents: true };
        if let Ok((summary, rows)) = imported(&bytes, plan, folder.path()) {
            prop_assert_eq!(summary.written.n_spans, rows.len() as u64);
        }
    }
}

/// Damages the table of a bundle: what is then said, and how many rows are left.
fn check_damage(damage: impl Fn(&Path), said: &[&str], n_rows: usize) {
    let folder = tempfile::tempdir().expect("it works");
    let plan = SpanPlan { format: SpanFormat::Otlp, forget_parents: false };
    imported(OTLP.as_bytes(), plan, folder.path()).expect("it works");
    let bundle = folder.path().join("x.afterpath");
    let host = std::fs::read_dir(bundle.join("spans")).expect("it works").next();
    damage(&host.expect("a host").expect("it works").path().join("part-00000.parquet"));
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    let (mut errors, mut n) = (Vec::new(), 0);
    for batch in bundles.batches(0, &spans::TABLE) {
        match batch {
            Ok(batch) => n += spans::rows(&batch).len(),
            Err(error) => errors.push(error.kind.name()),
        }
    }
    assert_eq!((&errors[..], n), (said, n_rows));
}

#[test]
fn a_damaged_table_is_told() {
    check_damage(|_| {}, &[], 3);
    check_damage(|path| std::fs::remove_file(path).expect("it works"), &["missing-file"], 0);
    for cut in [0, 1, 100, 1_000] {
        let damage = |path: &Path| {
            let bytes = std::fs::read(path).expect("it works");
            std::fs::write(path, &bytes[..cut]).expect("it works");
        };
        check_damage(damage, &["altered-file"], 0);
    }
}
