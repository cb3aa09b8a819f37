//! The whole way of a tracer's spans: made from a seed, written in both formats, packed, imported, forgotten, linked, scored. Never external data.

use super::*;
use afterpath::link::Evidence;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::import::spans::{SpanFormat, SpanPlan, import};
use afterpath_formats::import::{ImportPlan, Word};

const MADE: application::Recipe =
    application::Recipe { seed: 7, n_traces: 200, spacing_ns: 4_000_000 };

/// Imports `bytes` twice, and scores what is linked without ids.
fn scored(bytes: &[u8], format: SpanFormat) -> Score {
    let folder = tempfile::tempdir().expect("it works");
    let file = folder.path().join("spans");
    std::fs::write(&file, bytes).expect("it works");
    let config = Config { evidence: Evidence::WITHOUT_IDS, ..Config::default() };
    let [whole, open] = [false, true].map(|forget_parents| {
        let output = folder.path().join(format!("{forget_parents}.afterpath"));
        let plan = ImportPlan::parse(&[Word::File(file.clone())], &output).expect("it works");
        let summary =
            import(&plan, &SpanPlan { format, forget_parents }, &|_| {}).expect("it works");
        assert_eq!(summary.losses, []);
        analyze(&Bundles::open(&[output]).expect("it works"), &config)
    });
    score(&whole, &open, &open)
}

fn check(format: SpanFormat, pack: fn(String) -> Vec<u8>) {
    let rows = application::spans(MADE);
    let text = match format {
        SpanFormat::Jaeger => document::jaeger(&rows),
        SpanFormat::Otlp => document::otlp(&rows, 50),
    };
    let score = scored(&pack(text), format);
    let of_requests = |row: &&SpanRow| row.kind == spans::SpanKind::Client;
    assert_eq!(score.links.n_true, rows.iter().filter(of_requests).count() as u64);
    assert_eq!(score.traces.all, u64::from(MADE.n_traces));
    let f1 = score.links.f1().expect("it works");
    assert!(f1 > 0.9, "F1 {f1} in {format:?}");
}

fn gzip(text: String) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut writer, text.as_bytes()).expect("it works");
    writer.finish().expect("it works")
}

fn zstandard(text: String) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).expect("it works")
}

#[test]
fn links_are_found_again_from_either_format_however_packed() {
    check(SpanFormat::Jaeger, String::into_bytes);
    check(SpanFormat::Otlp, String::into_bytes);
    check(SpanFormat::Otlp, gzip);
    check(SpanFormat::Jaeger, zstandard);
}

#[test]
fn what_the_tracer_names_is_right() {
    let folder = tempfile::tempdir().expect("it works");
    let [whole, _] = bundles(application::spans(MADE), folder.path()).expect("it works");
    let whole = analyze(&whole, &Config::default());
    assert_eq!(whole.traces.len(), MADE.n_traces as usize);
    assert_eq!(whole.losses, []);
    for call in whole.calls.iter().filter(|call| call.link.is_some()) {
        assert!(is_named(call) && call.client.process.is_some());
    }
}
