//! Scores reconstructions of the testbed's recordings against what its services logged: ours, and the baselines', on the same calls.
//! Records anew by itself, or takes what was kept. Never changes a recording that was kept.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]
#![allow(clippy::print_stderr, reason = "and its progress to stderr")]

use afterpath::analysis::Analysis;
use afterpath::link::Evidence;
use afterpath::link::baseline::BASELINES;
use afterpath::link::evidence::{KINDS, Kind};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::checkout::root;
use afterpath_tests::machine;
use afterpath_tests::oracle;
use afterpath_tests::recording::Recording;
use afterpath_tests::score::table::{Page, Row, Run, WITHOUT};
use afterpath_tests::score::{OURS, Score, is_recorded, score};
use afterpath_tests::scrub::{self, Secrets};
use afterpath_tests::truth::Truth;
use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};

/// Holds reconstructions against the truth that the testbed's services logged, beside other ways to link.
#[derive(Parser)]
struct Arguments {
    /// Which recordings are made: a few minutes' worth, or all.
    #[arg(value_enum, default_value_t = Extent::Short, conflicts_with = "kept")]
    extent: Extent,
    /// A kept recording (`testbed record --out DIR`) and its bundle, scored as it is.
    #[arg(long, value_names = ["RECORDING", "BUNDLE"], num_args = 2)]
    kept: Option<Vec<PathBuf>>,
    /// Only runs with this in their name (`c = 32`).
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Only this linker, and no other (`afterpath`, or a baseline's name).
    #[arg(long, value_name = "NAME")]
    linker: Option<String>,
    /// Make each recording so many times, each with another load.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Leave out each kind of evidence in turn, too; the long form does at 32 at once.
    #[arg(long)]
    each_evidence: bool,
    /// Show what was missed, too.
    #[arg(long)]
    misses: bool,
    /// Write the page, as Markdown and JSON, to tests/scores.
    #[arg(long, conflicts_with_all = ["only", "linker", "kept"])]
    write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Extent {
    Short,
    Long,
}

/// A recording to be made.
struct Plan {
    extent: Extent,
    topology: &'static str,
    profile: &'static str,
    concurrency: u32,
    requests: [u32; 2],
    by_recorder: bool,
    fault: &'static str,
}

const fn plan(profile: &'static str, concurrency: u32, requests: [u32; 2]) -> Plan {
    Plan {
        extent: Extent::Short,
        topology: "mesh",
        profile,
        concurrency,
        requests,
        by_recorder: true,
        fault: "",
    }
}

const fn long(plan: Plan) -> Plan {
    Plan { extent: Extent::Long, ..plan }
}

const fn faulty(concurrency: u32, fault: &'static str) -> Plan {
    long(Plan { fault, ..plan("causal", concurrency, [0, 150]) })
}

/// All recordings, with their requests in the short form and in the long one.
const PLANS: &[Plan] = &[
    plan("causal", 1, [60, 250]),
    plan("causal", 32, [300, 1000]),
    plan("causal", 256, [60, 500]),
    plan("timers", 16, [200, 600]),
    Plan { by_recorder: false, ..plan("causal", 8, [150, 500]) },
    Plan { fault: "delay:l4gw:5ms", ..plan("causal", 8, [100, 400]) },
    long(plan("timers", 32, [0, 600])),
    long(Plan { topology: "shop", ..plan("causal", 1, [0, 250]) }),
    long(Plan { topology: "shop", ..plan("causal", 8, [0, 500]) }),
    long(Plan { topology: "shop", ..plan("causal", 32, [0, 800]) }),
    long(Plan { by_recorder: false, ..plan("causal", 32, [0, 600]) }),
    faulty(32, "delay:l4gw:5ms"),
    faulty(256, "delay:l4gw:5ms"),
    faulty(1, "loss:podB:2%"),
    faulty(32, "loss:podB:2%"),
    faulty(32, "loss:l4gw:2%"),
    Plan { by_recorder: false, ..faulty(32, "loss:podB:2%") },
    faulty(32, "stall:C:500ms"),
    faulty(32, "cpu:B:5%"),
    faulty(32, "slow-query"),
    faulty(32, "pool-exhausted"),
    faulty(32, "reset"),
    faulty(32, "refused"),
    faulty(32, "dns-slow"),
    faulty(32, "dns-nxdomain"),
    faulty(32, "mtu"),
    faulty(32, "accept-backlog"),
    faulty(32, "nagle"),
    faulty(32, "bypass"),
    faulty(32, "clock:podC:+37ms,+40ppm"),
    faulty(32, "clock:podC:step"),
];

/// First come, first served must get fewer whole traces right than this, in percent, at 32 at once: else the load is too easy.
const TOO_EASY: f64 = 60.0;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let rows = match arguments.kept.as_deref() {
        Some([recording, bundle]) => kept(recording, bundle, &arguments)?,
        _ => fresh(&arguments)?,
    };
    let page = Page::new(command(&arguments), rows);
    println!("{}", page.markdown());
    if arguments.write {
        let folder = root().join("tests/scores");
        let name = if arguments.extent == Extent::Long { "long" } else { "short" };
        let path = folder.join(format!("{}-{name}", machine::today()));
        std::fs::write(path.with_extension("md"), page.markdown())?;
        std::fs::write(path.with_extension("json"), page.json())?;
    }
    Ok(())
}

fn command(arguments: &Arguments) -> String {
    let extent = if arguments.extent == Extent::Long { "long" } else { "short" };
    let mut command = format!("cargo run --release -p afterpath-tests --bin score -- {extent}");
    for (name, given) in [("only", &arguments.only), ("linker", &arguments.linker)] {
        command.extend(given.iter().map(|given| format!(" --{name} '{given}'")));
    }
    command.extend((arguments.repeat > 1).then(|| format!(" --repeat {}", arguments.repeat)));
    command.extend(arguments.each_evidence.then_some(" --each-evidence"));
    command
}

impl Plan {
    fn name(&self) -> String {
        let Plan { topology, profile, concurrency, fault, .. } = self;
        format!("{topology} {profile} c = {concurrency} {fault}").trim_end().to_string()
    }

    /// For `testbed record`.
    fn options(&self, is_long: bool) -> Vec<String> {
        let mut options = vec![
            format!("--topology={}", self.topology),
            format!("--profile={}", self.profile),
            format!("--requests={}", self.requests[usize::from(is_long)]),
            format!("--concurrency={}", self.concurrency),
        ];
        if self.by_recorder {
            // The sidecars' mTLS, where it can be read.
            options.push("--recorder-arguments=--with tls".to_string());
        }
        if !self.fault.is_empty() {
            options.push(format!("--fault={}", self.fault));
        }
        options
    }
}

/// Records and scores all that is planned; fails when a load was too easy to count.
fn fresh(arguments: &Arguments) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let is_long = arguments.extent == Extent::Long;
    let plans = PLANS.iter().filter(|plan| is_long || plan.extent == Extent::Short);
    for (round, plan) in (0..arguments.repeat).flat_map(|n| plans.clone().map(move |p| (n, p))) {
        let name = plan.name();
        if arguments.only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        eprintln!("recording: {name}");
        let mut options = plan.options(is_long);
        // The first as always; each further one is another load.
        options.extend((round > 0).then(|| format!("--seed={}", 1_000 + round)));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let record = if plan.by_recorder { Recording::by_recorder } else { Recording::fresh };
        let recording = record(&options).context("this machine can't record")?;
        let truth = Truth::read(&recording.path());
        let capture = if plan.by_recorder { "recorder" } else { "tcpdump" };
        if plan.by_recorder {
            rows.extend(scored(&recording.bundles, &truth, capture, "visible", arguments)?);
            scrub::scrub(&recording.bundle(), &Secrets::of(&truth))?;
            let bundles = Bundles::open(&[recording.bundle()])?;
            rows.extend(scored(&bundles, &truth, capture, "masked", arguments)?);
        } else {
            rows.extend(scored(&recording.bundles, &truth, capture, "masked", arguments)?);
        }
        ensure_hard(&rows)?;
    }
    ensure!(!rows.is_empty(), "no run has this in its name; `--help` shows how they are called");
    Ok(rows)
}

fn kept(recording: &Path, bundle: &Path, arguments: &Arguments) -> Result<Vec<Row>> {
    let bundles = Bundles::open(&[bundle.to_path_buf()]).context("the bundle")?;
    let truth = Truth::read(recording);
    scored(&bundles, &truth, "kept", "masked", arguments)
}

/// A load counts only if the naive rule fails on it.
fn ensure_hard(rows: &[Row]) -> Result<()> {
    for row in rows.iter().filter(|row| {
        row.run.concurrency == 32 && row.linker == "first-come" && row.run.fault.is_empty()
    }) {
        let whole = row.whole_traces.percent();
        ensure!(
            whole < TOO_EASY,
            "{}: too easy, first-come gets {whole:.1} % of the traces",
            row.run.name()
        );
    }
    Ok(())
}

/// Our row, then one per baseline (those only with ids masked: they are the question).
fn scored(
    bundles: &Bundles,
    truth: &Truth,
    capture: &'static str,
    ids: &'static str,
    arguments: &Arguments,
) -> Result<Vec<Row>> {
    let run = Run {
        topology: truth.recording.topology.clone(),
        profile: truth.recording.profile.clone(),
        concurrency: truth.recording.concurrency,
        capture,
        fault: truth.faults.iter().map(|f| f.fault.as_str()).collect::<Vec<_>>().join(", "),
        n_requests: truth.requests.len(),
        n_calls: truth.requests.iter().map(|request| request.calls.len()).sum(),
        busy: truth.recording.cpu.machine,
    };
    let evidence = if ids == "masked" { Evidence::WITHOUT_IDS } else { Evidence::ALL };
    let config = |evidence, baseline| Config { evidence, baseline, ..Config::default() };
    let mut ways: Vec<(String, Config)> = vec![(OURS.to_string(), config(evidence, None))];
    if ids == "masked" {
        let others = BASELINES.iter();
        ways.extend(others.map(|other| (other.name().to_string(), config(evidence, Some(*other)))));
    }
    ways.retain(|(name, _)| arguments.linker.as_deref().is_none_or(|only| only == *name));
    let is_of_long = arguments.extent == Extent::Long && run.concurrency == 32;
    if ids == "masked" && run.fault.is_empty() && (is_of_long || arguments.each_evidence) {
        let others = KINDS.iter().filter(|named| named.kind != Kind::Ids);
        ways.extend(others.map(|named| {
            let evidence = evidence.without(named.kind);
            (format!("{WITHOUT}{}", named.name), config(evidence, None))
        }));
    }
    let mut rows = Vec::new();
    for (name, config) in ways {
        let analysis = analyze(bundles, &config);
        let score = score(&analysis, truth);
        if arguments.misses {
            show(&name, &analysis, &score);
        }
        let mut row = Row::new(&run, &name, ids, &score);
        row.oracle = (name == OURS && ids == "masked")
            .then(|| oracle::best(truth, |call| is_recorded(call, &analysis)));
        rows.push(row);
    }
    if rows.is_empty() && arguments.linker.is_some() && ids == "masked" {
        bail!("no linker has this name");
    }
    Ok(rows)
}

fn show(name: &str, analysis: &Analysis, score: &Score) {
    let Analysis { n_packets, flows, calls, traces, .. } = analysis;
    println!(
        "## {name}\n{n_packets} packets, {} flows, {} calls, {} traces",
        flows.len(),
        calls.len(),
        traces.len()
    );
    println!("{score}");
}
