//! `demo`: the two-minute tour over the sample built in. Writes one folder, shows one waterfall, says what to try next.
//!
//! The sample is `analyze/assets/demo.afterpath.tar`, recorded in the testbed: one request was held back for 170 ms on its
//! way through the L4 gateway (`analyze/assets/README.md`).

use super::report::{shown_options, to_stdout, write_report};
use crate::arguments::{Analyzed, Demo};
use crate::failure::Failure;
use crate::input::{self, Input};
use crate::replaceable::Output;
use crate::staging::Staging;
use crate::terminal::Progress;
use crate::written::written;
use afterpath::analysis::Analysis;
use afterpath::call::Trace;
use afterpath::measure;
use afterpath::quantity::plural;
use afterpath::report::page::{self, Wanted};
use afterpath::report::{Options, calls, harmless};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const SAMPLE: &[u8] = include_bytes!("../../../../assets/demo.afterpath.tar");

const FOLDER: &str = "afterpath-demo";
const BUNDLE: &str = "demo.afterpath.tar";
const WATERFALL: &str = "waterfall.txt";
const CALLS: &str = "calls.jsonl";
const README: &str = "README.md";
const PAGE: &str = "report.html";
/// All that the demo, and the commands it suggests, write there.
const CONTENTS: &[&str] = &[BUNDLE, "demo.afterpath.tar.analysis", PAGE, WATERFALL, CALLS, README];

/// Runs it.
pub(crate) fn run(a: &Demo) -> Result<()> {
    let staging = Staging::of(Output::Named(CONTENTS), Path::new(FOLDER), a.force, &[])?;
    let folder = staging.path();
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let sample = folder.join(BUNDLE);
    fs::write(&sample, SAMPLE).with_context(|| sample.display().to_string())?;
    let progress = Progress::begin("analyzing the sample");
    let analyzed = Analyzed {
        ignore_ids: false,
        without_evidence: Vec::new(),
        id_field: Vec::new(),
        again: false,
    };
    let input = input::read(&[sample], &analyzed)?;
    drop(progress);
    let Some(trace) = showpiece(&input.analysis) else {
        return Err(Failure::new("empty-sample", "no trace was found in the sample").into());
    };
    let options = Options { trace: calls::id(trace.id), ..shown_options(&a.shown) };
    write_files(&folder, &input, &options)?;
    staging.commit()?;
    to_stdout(|out| tour(&input.analysis, &options, out))
}

/// The slowest trace: something is wrong on its path.
fn showpiece(analysis: &Analysis) -> Option<&Trace> {
    let duration = |t: &Trace| {
        measure::root(analysis, t).map_or(0, |root| measure::duration(analysis, root).ns)
    };
    analysis.traces.iter().max_by_key(|t| duration(t))
}

fn write_files(folder: &Path, input: &Input, options: &Options) -> Result<()> {
    let plain = Options { colour: false, json: false, width: 120, ..options.clone() };
    let write = |name: &str, report: &str| -> Result<()> {
        let mut bytes = Vec::new();
        write_report(report, &input.analysis, &plain, &mut bytes)?;
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    write(WATERFALL, "trace")?;
    write(CALLS, "calls")?;
    let path = folder.join(PAGE);
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let wanted = Wanted { title: BUNDLE.to_string(), most_traces: usize::MAX, zone: options.zone };
    written(file, PAGE, |out| Ok(page::write(&input.analysis, &wanted, out)?))?;
    let path = folder.join(README);
    fs::write(&path, readme(&options.trace)).with_context(|| path.display().to_string())
}

fn readme(trace: &str) -> String {
    format!(
        "# What `afterpath demo` wrote\n\n\
         | file | what it is |\n|---|---|\n\
         | `{PAGE}` | all of it as one page for a browser: begin here |\n\
         | `{BUNDLE}` | the recording: packets captured at many points of a small network |\n\
         | `{BUNDLE}.analysis/` | results of its analysis, read by the commands below |\n\
         | `{WATERFALL}` | one request, every hop, as the demo showed it |\n\
         | `{CALLS}` | every call as a line of JSON; fields are documented in `CALLS.md` of the source |\n\n\
         ## To try, beside this folder\n\n```\n{}\n```\n",
        suggestions(trace).map(|(command, _)| command).join("\n")
    )
}

/// This program as it was called, as a shell takes it: what is suggested can be typed as it stands, in PATH or not.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_else(|| "afterpath".into());
    let called = called.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match called.chars().all(is_plain) {
        true => called.into_owned(),
        false => format!("'{}'", called.replace('\'', r"'\''")),
    }
}

/// Commands with what they show.
fn suggestions(trace: &str) -> [(String, &'static str); 6] {
    let program = program();
    let on = |command: String| format!("{program} {command} {FOLDER}/{BUNDLE}");
    let id = &trace[..trace.len().min(8)];
    [
        (on("traces --slowest 5".into()), "the slowest requests, and where their time went"),
        (on(format!("trace {id} -v")), "this one again, every point on a line of its own"),
        (on("hops".into()), "latency of every hop, percentiles over all requests"),
        (on("services".into()), "requests, errors, durations; who calls whom"),
        (on("traces --where 'duration > 100ms'".into()), "conditions on any field of a call"),
        (on("explain +1s".into()), "what happened a second into the recording"),
    ]
}

fn tour(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> Result<()> {
    if options.json {
        return write_report("trace", analysis, options, out);
    }
    let points: Vec<String> = analysis.points.iter().map(afterpath::point::Point::label).collect();
    let intro = format!(
        "A small network was recorded with tcpdump at {}; nothing was changed in its services. From these {} \
         afterpath reconstructed {} and put {} together. This is one of them: every call, every point it passed, the \
         time on every hop.",
        plural(points.len() as u64, "point"),
        plural(analysis.n_packets, "packet"),
        plural(analysis.calls.len() as u64, "call"),
        plural(analysis.traces.len() as u64, "trace")
    );
    writeln!(out, "{}\n", folded(&intro, options.width))?;
    write_report("trace", analysis, options, out)?;
    writeln!(out, "\nWritten to ./{FOLDER}/ (its README.md says what is what). Next:\n")?;
    for (command, what) in suggestions(&options.trace) {
        writeln!(out, "  {command}\n      {what}")?;
    }
    let program = program();
    writeln!(out, "\nWith captures of your own:\n")?;
    writeln!(out, "  {program} import a.pcap b.pcap -o mine.afterpath")?;
    writeln!(out, "  {program} report mine.afterpath")?;
    let page = format!(
        "Worth opening first: ./{FOLDER}/{PAGE}, in any browser. All of this recording on one page: what is unusual, \
         whose it is, and every hop of every request."
    );
    Ok(writeln!(out, "\n{}", folded(&page, options.width))?)
}

fn folded(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |l| harmless::width(l));
        if last > 0 && last + 1 + harmless::width(word) > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}
