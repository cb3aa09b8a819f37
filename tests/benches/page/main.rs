//! The bench of the page: what `afterpath report` writes of many traces, how long that takes, and how soon a browser can be used with it.
//! Run: `cargo build --release --workspace && cargo run --release -p afterpath-tests --bin bench-page`. It never looks at what is shown.

use afterpath_tests::machine;
use afterpath_tests::tool::{own, usable};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Measures the page of many traces.
#[derive(Parser)]
struct Arguments {
    /// Traces that are made up, of a dozen calls each.
    #[arg(long, default_value_t = 5_000)]
    traces: u64,
    /// A bundle to measure instead.
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Writes the page to this file, too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/page.py");
/// Spans of one made-up trace: a request, and calls below one another and beside.
const SPANS: u64 = 24;
const MEASURED: [&str; 3] = ["interactive_ms", "search_ms", "trace_ms"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(usable("chromedriver", "the bench of the page"), "there is no browser");
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let bundle = match &arguments.bundle {
        Some(bundle) => bundle.clone(),
        None => made(folder.path(), arguments.traces)?,
    };
    let page = folder.path().join("report.html");
    let report = || afterpath(&["report", "--force", "-o"], &[&page, &bundle]);
    // Analyzes; what follows takes stored results.
    report()?;
    let mut milliseconds = Vec::new();
    for _ in 0..arguments.rounds {
        let begin = Instant::now();
        report()?;
        milliseconds.push(1_000.0 * begin.elapsed().as_secs_f64());
    }
    let mut seen: Vec<Vec<f64>> = vec![Vec::new(); MEASURED.len()];
    for _ in 0..arguments.rounds {
        let times = opened(&page, folder.path())?;
        for (values, name) in seen.iter_mut().zip(MEASURED) {
            values.push(times[name].as_f64().with_context(|| format!("no {name}"))?);
        }
    }
    let mut text = format!("# Bench of the page, {}\n\n", machine::today());
    writeln!(text, "Machine: {}. {}.", machine::describe(), machine::version("chromium"))?;
    let what = match &arguments.bundle {
        Some(_) => "a recording".to_string(),
        None => format!("{} traces of {} calls, made up", arguments.traces, SPANS / 2),
    };
    writeln!(text, "{what}; medians of {} rounds, least and most behind.\n", arguments.rounds)?;
    text.push_str("| what | |\n|---|---|\n");
    let size_bytes = fs::metadata(&page)?.len();
    writeln!(text, "| size of the page | {:.2} MB |", size_bytes as f64 / 1e6)?;
    writeln!(text, "| written from stored results, ms | {} |", told(&mut milliseconds))?;
    let rows = ["until it can be used, ms", "a search answered, ms", "a trace drawn, ms"];
    for (row, values) in rows.iter().zip(&mut seen) {
        writeln!(text, "| {row} | {} |", told(values))?;
    }
    io::stdout().write_all(text.as_bytes())?;
    if let Some(path) = &arguments.write {
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// `12.3 (11.9–14.0)`.
fn told(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    format!("{:.1} ({:.1}–{:.1})", at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}

fn afterpath(arguments: &[&str], paths: &[&Path]) -> Result<()> {
    let output = Command::new(own("afterpath")).args(arguments).args(paths).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn opened(page: &Path, folder: &Path) -> Result<Value> {
    let output =
        Command::new("/usr/bin/python3").arg(DRIVER).args([page, folder]).arg("times").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    Ok(seen["times"].clone())
}

/// A bundle of so many traces, as a tracer's spans.
fn made(folder: &Path, n_traces: u64) -> Result<PathBuf> {
    let file = folder.join("spans.jsonl");
    let mut out = io::BufWriter::new(fs::File::create(&file)?);
    for trace in 0..n_traces {
        let spans: Vec<Value> = (0..SPANS).map(|span| span_of(trace, span)).collect();
        let processes: serde_json::Map<String, Value> = (0..8)
            .map(|n| (format!("p{n}"), json!({"serviceName": format!("service-{n}")})))
            .collect();
        let document = json!({"data": [{
            "traceID": format!("{:x}", trace + 1), "spans": spans, "processes": processes,
        }]});
        writeln!(out, "{document}")?;
    }
    out.flush()?;
    let bundle = folder.join("made.afterpath");
    afterpath(&["import", "--format", "jaeger", "-o"], &[&bundle, &file])?;
    Ok(bundle)
}

/// Even spans ask, odd ones answer; each asks below the answer before, or below the first.
fn span_of(trace: u64, span: u64) -> Value {
    let id = |span: u64| format!("{:x}", trace * SPANS + span + 1);
    let parent = match span {
        0 => None,
        n if n % 2 == 1 => Some(n - 1),
        n if n % 6 == 0 => Some(1),
        n => Some(n - 1),
    };
    let references: Vec<Value> = parent
        .map(|parent| json!({"refType": "CHILD_OF", "traceID": format!("{:x}", trace + 1), "spanID": id(parent)}))
        .into_iter()
        .collect();
    // Whoever asks first is asked by nobody.
    let service = if span == 0 { 8 } else { span.div_ceil(2) % 8 };
    // Spread by a multiplier, so that traces differ and stay the same from run to run.
    let spread = (trace * 2_654_435_761 + span * 40_503) % 1_000;
    json!({
        "traceID": format!("{:x}", trace + 1), "spanID": id(span), "references": references,
        "operationName": format!("GET /thing/{}", trace % 97 + span / 2),
        "startTime": 1_700_000_000_000_000 + trace * 2_000 + span * 90,
        "duration": 40_000 + spread * 20 - span * 150,
        "processID": format!("p{service}"),
        "tags": [{"key": "span.kind", "value": if span.is_multiple_of(2) { "client" } else { "server" }},
                 {"key": "http.status_code", "value": if spread == 7 { 503 } else { 200 }}],
    })
}
