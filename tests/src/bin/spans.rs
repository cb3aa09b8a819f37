//! Scores links on spans of tracers: each file is imported whole, for the truth, and with the parents forgotten that a service would have to know;
//! then linked without ids, ours and the baselines. Never changes a file.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath::analysis::Analysis;
use afterpath::dissect::sockets::log::Sockets;
use afterpath::link::baseline::{self, Baseline};
use afterpath::link::{self, Evidence, Known};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::spans::{SpanFormat, SpanPlan, import};
use afterpath_formats::import::{ImportPlan, Word};
use afterpath_formats::table::spans::SpanRow;
use afterpath_tests::spans::{Score, bundles, is_named, load, rows, score};
use anyhow::{Context, Result};
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::{Path, PathBuf};

/// Links in spans whose references were forgotten, held against what the references were.
#[derive(Parser)]
struct Arguments {
    /// Files of spans: OTLP where `otlp` is in the name, else Jaeger. None: all of $AFTERPATH_DATA/spans.
    files: Vec<PathBuf>,
    /// Divide the gaps between the starts of traces: every trace stays as it was, so many times more are under way at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    compress: i64,
    /// So many copies of the spans, to see that time grows with them.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    sizes: Vec<u32>,
    /// List wrong links, at most so many.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50")]
    misses: Option<usize>,
}

/// The baselines that need nothing but times.
const BASELINES: [&str; 3] = ["first-come", "most-recent", "delay"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let files = match arguments.files.is_empty() {
        true => given()?,
        false => arguments.files.clone(),
    };
    if files.is_empty() {
        println!(
            "not given: name files, or set AFTERPATH_DATA to a folder that has a folder `spans`"
        );
    }
    files.iter().try_for_each(|file| run(file, &arguments))
}

/// The files of the folder that the environment names.
fn given() -> Result<Vec<PathBuf>> {
    let Some(data) = std::env::var_os("AFTERPATH_DATA") else { return Ok(Vec::new()) };
    let folder = Path::new(&data).join("spans");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    Ok(files)
}

fn run(file: &Path, arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format = if name.contains("otlp") { SpanFormat::Otlp } else { SpanFormat::Jaeger };
    let bundle = folder.path().join("imported.afterpath");
    let plan = ImportPlan::parse(&[Word::File(file.to_path_buf())], &bundle)?;
    let summary = import(&plan, &SpanPlan { format, forget_parents: false }, &|_| {})?;
    let mut all = rows(&bundle)?;
    load::compress(&mut all, arguments.compress);
    println!(
        "{name}: {} spans, {} traces, {} services, load × {}",
        all.len(),
        summary.written.n_traces(),
        summary.written.n_services(),
        arguments.compress
    );
    for loss in &summary.losses {
        println!("  {} × {}", loss.count, loss.cause);
    }
    quality(all.clone(), arguments)?;
    println!("  CPU seconds (user + system) per 1000 traces:");
    for n in &arguments.sizes {
        cost(&all, *n, summary.written.n_traces())?;
    }
    Ok(())
}

/// What is right, by ours and by others.
fn quality(all: Vec<SpanRow>, arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [whole, forgotten] = bundles(all, folder.path())?;
    let whole = analyze(&whole, &Config::default());
    let linked = |baseline: Option<&'static dyn Baseline>| {
        analyze(
            &forgotten,
            &Config { evidence: Evidence::WITHOUT_IDS, baseline, ..Config::default() },
        )
    };
    let open = linked(None);
    let ours = score(&whole, &open, &open);
    print(&ours, "afterpath");
    for name in BASELINES {
        let other = baseline::named(name).context("a baseline of this name")?;
        print(&score(&whole, &open, &linked(Some(other))), name);
    }
    for miss in ours.misses.iter().take(arguments.misses.unwrap_or(0)) {
        let shown = |request: Option<(i64, i64)>| match request {
            Some((from, long)) => {
                format!("{:>9.3} ms before, {:>9.3} ms long", ms(miss.at_ns - from), ms(long))
            }
            None => format!("{:>36}", "none"),
        };
        println!(
            "    {} → {} in {}: right {}, given {}, confidence {:.2} of {}",
            miss.service,
            miss.asked,
            miss.trace,
            shown(miss.right),
            shown(miss.given),
            miss.confidence,
            miss.candidates
        );
    }
    Ok(())
}

fn print(score: &Score, name: &str) {
    let errors = score.calibration.errors();
    let of = |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value:.4}"));
    println!(
        "  {name:<12} {} · whole traces {:.2} % of {} · calibration error {} · Brier {}",
        score.links,
        score.traces.percent(),
        score.traces.all,
        of(errors.map(|e| e.expected_calibration_error)),
        of(errors.map(|e| e.brier)),
    );
}

/// What so many copies cost.
fn cost(all: &[SpanRow], n: u32, n_traces: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [_, forgotten] = bundles(load::replicate(all, n), folder.path())?;
    let config = Config { evidence: Evidence::WITHOUT_IDS, ..Config::default() };
    let begin = cpu_s()?;
    let analysis = analyze(&forgotten, &config);
    let whole_s = cpu_s()? - begin;
    let linking_s = linking(analysis)?;
    let thousands = n_traces as f64 * f64::from(n) / 1_000.0;
    println!(
        "    × {n:<4} {:>9.0} traces: linking {:.3}, whole analysis {:.3}",
        thousands * 1_000.0,
        linking_s / thousands,
        whole_s / thousands
    );
    drop::<Bundles>(forgotten);
    Ok(())
}

/// Links the same calls once more.
fn linking(analysis: Analysis) -> Result<f64> {
    let Analysis { points, flows, mut calls, .. } = analysis;
    let named =
        |call: &afterpath::call::Call| Some(call.link.as_ref()?.parent).filter(|_| is_named(call));
    let references: Vec<_> = calls.iter().map(named).collect();
    calls.iter_mut().for_each(|call| call.link = None);
    let sockets = Sockets::default();
    let known =
        Known { points: &points, flows: &flows, sockets: &sockets, references: &references };
    let begin = cpu_s()?;
    link::link(&mut calls, &known, &Evidence::WITHOUT_IDS);
    Ok(cpu_s()? - begin)
}

/// What this process took so far, user and system.
fn cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn ms(ns: i64) -> f64 {
    ns as f64 / 1e6
}
