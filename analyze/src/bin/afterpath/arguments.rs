//! The command line: every subcommand and option with its help, but for those of reports (`asked.rs`). Only what exists.

use crate::asked::Asked;
use afterpath::link::Evidence;
use afterpath::link::evidence::{self, KINDS, Kind};
use afterpath::pipeline::Config;
use afterpath::protocol::IdFields;
use afterpath::report::{Filter, Zone};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Columns a report can be written in.
pub(crate) const COLUMNS: RangeInclusive<i64> = 40..=1000;

/// Full-path traces, after the fact: captures in, every hop of every request out.
#[derive(Parser)]
#[command(name = "afterpath", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Work with N threads, 1 to 256 [default: one per processor]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Exit with 1 when something was damaged, lost or unusable, although the rest was done
    #[arg(long, global = true)]
    pub(crate) strict: bool,
}

/// The subcommands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// The two-minute tour: analyzes the sample built into this program, writes ./afterpath-demo/
    Demo(Demo),
    /// Captures (pcap, pcapng; rotated sets), or spans of tracers (Jaeger, OTLP), plain, gzip or zstd, into a bundle
    Import(Import),
    /// Each of the library's.
    #[command(flatten)]
    Report(Asked),
    /// All of it as one page for a browser, which needs nothing beside it: verdict, map, hops, traces, replay
    #[command(name = "report")]
    Page(Page),
    /// The gate: did a candidate's requests become slower than a base's, on which hop, and is it more than chance? Exits with 3 if so
    Diff(Diff),
    /// To other programs: packets as pcapng, calls as JSON Lines, tables as Parquet
    Export(Export),
    /// Compares every file of a bundle with its manifest; exits with 1 when something is wrong
    Verify(Verify),
    /// A bundle into one file, the same bytes every time
    Pack(Pack),
    /// Seals a bundle whose recorder was killed; says what was cut
    Repair(Repair),
    /// Records on this machine: all that follows goes to afterpath-record (see `afterpath record --help`)
    #[command(disable_help_flag = true)]
    Record {
        /// Its command and options, as in `run -o x.afterpath --for 30s`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<std::ffi::OsString>,
    },
    /// A completion script for a shell, on stdout
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Man pages, one per command
    Man(Man),
}

/// What every reading command takes.
#[derive(Args, Clone)]
pub(crate) struct Reading {
    /// Bundles (directories or packed) or a folder of results
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) shown: Shown,
    #[command(flatten)]
    pub(crate) analyzed: Analyzed,
}

/// How text looks.
#[derive(Args, Clone)]
pub(crate) struct Shown {
    /// JSON Lines instead of text, each with its schema
    #[arg(long)]
    pub(crate) json: bool,
    /// Zone of instants: UTC or an offset like +02:00
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone, allow_hyphen_values = true)]
    pub(crate) tz: Zone,
    /// Columns of text, 40 to 1000; under 60 numbers may be cut [default: the terminal's, else 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(COLUMNS))]
    pub(crate) width: Option<u16>,
    /// Only ASCII characters
    #[arg(long)]
    pub(crate) ascii: bool,
    /// When to colour what is slow or failed; NO_COLOR is honoured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Colour,
}

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// What an analysis depends on.
#[derive(Args, Clone)]
pub(crate) struct Analyzed {
    /// Link without the ids that tracers planted, to see how well the rest does
    #[arg(long)]
    pub(crate) ignore_ids: bool,
    /// Link without one kind of evidence; may be given several times
    #[arg(long, value_name = "NAME", value_parser = kinds_of_evidence())]
    pub(crate) without_evidence: Vec<Kind>,
    /// A header field that names a request, like X-Order-Id, beside those of tracers; may be given several times
    ///
    /// Of HTTP/1, HTTP/2, gRPC's metadata and NATS, in any case, at most 32 of them. Its whole value narrows the possible
    /// parents of a call, if it has 8 bytes or more. The recorder overwrites values of fields that sound like credentials
    /// (x-session-id, order-token) unless it ran with --payload raw, and what was overwritten names nothing.
    #[arg(long, value_name = "NAME")]
    pub(crate) id_field: Vec<String>,
    /// Analyze again even if there are results
    #[arg(long)]
    pub(crate) again: bool,
}

impl Analyzed {
    /// What the library is told.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let id_fields = IdFields::with(&self.id_field)
            .map_err(|text| crate::Failure::usage("bad-option", format!("--id-field: {text}")))?;
        Ok(Config { evidence: self.evidence(), id_fields, ..Config::default() })
    }

    /// What may be used for linking.
    fn evidence(&self) -> Evidence {
        let ids = self.ignore_ids.then_some(Kind::Ids);
        let left_out = self.without_evidence.iter().copied().chain(ids);
        left_out.fold(Evidence::ALL, Evidence::without)
    }
}

/// Their names, as the library knows them.
fn kinds_of_evidence() -> impl TypedValueParser<Value = Kind> {
    let possible = KINDS.iter().map(|named| PossibleValue::new(named.name).help(named.about));
    PossibleValuesParser::new(possible).try_map(|name| evidence::kind(&name).ok_or("no such kind"))
}

/// Which calls.
#[derive(Args, Clone)]
pub(crate) struct Selection {
    /// Only what failed: error statuses, refused, unanswered
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only what meets conditions on the fields of `export --format calls`, like 'duration > 5ms and status >= 400'
    ///
    /// Conditions are FIELD OP VALUE joined by `and`; operators are =, !=, <, <=, >, >= and ~ (contains). <, <=, >, >=
    /// with a number compare numbers, and text that is none doesn't match. Durations need a unit (5ms, 300us, 2s), only
    /// fields typed with _ns at their end take bare numbers, as nanoseconds. failed is true or false (or yes, no).
    /// = null and != null ask whether something is known: 'parent = null' are the calls that begin traces. Values with
    /// spaces stand in quotes.
    #[arg(long = "where", value_name = "CONDITIONS")]
    pub(crate) conditions: Option<String>,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// Replace ./afterpath-demo/
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What import reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Packets: pcap, pcapng
    Capture,
    /// Spans of tracers: what Jaeger's UI saves and /api/traces gives (JSON, one document or many)
    Jaeger,
    /// Spans of tracers: OTLP's JSON (one document or many)
    Otlp,
}

#[derive(Args)]
pub(crate) struct Import {
    /// Captures, each from a host of its own, or documents of spans; - is stdin
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_enum, default_value_t = ImportFormat::Capture)]
    pub(crate) format: ImportFormat,
    /// Of spans: forget which request a service was working on when it called another, as if it did not pass context on
    #[arg(long)]
    pub(crate) forget_parents: bool,
    /// The bundle to write
    #[arg(short, long, value_name = "BUNDLE")]
    pub(crate) output: PathBuf,
    /// Captures of one host: NAME=FILE,FILE… (rotated files append), or NAME before --netns
    #[arg(long, value_name = "NAME[=FILES]")]
    pub(crate) host: Vec<String>,
    /// Captures of one network namespace of the host before: NAME=[INTERFACE@]FILE,…
    #[arg(long, value_name = "NAME=FILES")]
    pub(crate) netns: Vec<String>,
    /// All hosts share one clock
    #[arg(long)]
    pub(crate) same_clock: bool,
    /// Each interface has a clock of its own (hardware stamps, mirrors, merged files)
    #[arg(long, conflicts_with = "same_clock")]
    pub(crate) clock_per_interface: bool,
    /// Replace an existing bundle
    #[arg(long)]
    pub(crate) force: bool,
    /// JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What export writes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The packets, exactly as they were captured
    Pcapng,
    /// Every call as a line of JSON
    Calls,
    /// Calls, observations, hops and flows as tables in a directory
    Parquet,
}

#[derive(Args)]
pub(crate) struct Export {
    /// What to write
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// Where: a file, or a directory for parquet [default: -, that is stdout; parquet needs a directory]
    #[arg(short, long, value_name = "OUTPUT", default_value = "-", hide_default_value = true)]
    pub(crate) output: PathBuf,
    /// Only packets of these hosts (pcapng)
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Replace an existing output
    #[arg(long)]
    pub(crate) force: bool,
    /// Bundles (directories or packed) or a folder of results
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) analyzed: Analyzed,
}

#[derive(Args)]
pub(crate) struct Page {
    /// The file to write; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// What the page is called [default: the bundles' names]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// The page holds so many traces with all their calls: those that failed or were slow first, of the others an even share
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub(crate) traces: usize,
    /// Zone of instants: UTC or an offset like +02:00
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone, allow_hyphen_values = true)]
    pub(crate) tz: Zone,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
    /// Bundles (directories or packed) or a folder of results
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) analyzed: Analyzed,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// BASE and CANDIDATE: each a bundle, a folder of results, or a folder of several of either
    #[arg(value_name = "BASE CANDIDATE", num_args = 0..=2)]
    pub(crate) paths: Vec<PathBuf>,
    /// A recording of the base, or a folder of several; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) base: Vec<PathBuf>,
    /// A recording of the candidate, or a folder of several; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) candidate: Vec<PathBuf>,
    /// With what probability anything at all may be called a change where there is none
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = probability)]
    pub(crate) alpha: f64,
    /// A duration must change by more than this many percent …
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = positive)]
    pub(crate) floor_share: f64,
    /// … and by more than this many microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 200.0, value_parser = positive)]
    pub(crate) floor_us: f64,
    /// Compare although machine or load differ
    #[arg(long)]
    pub(crate) allow_different: bool,
    /// Every row, not only those that changed
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) shown: Shown,
    #[command(flatten)]
    pub(crate) analyzed: Analyzed,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// Bundles
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    /// JSON Lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Pack {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The file to write [default: BUNDLE.tar]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct Repair {
    /// The bundle, a directory
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Man {
    /// Where to write them
    pub(crate) dir: PathBuf,
    /// Replace pages that differ
    #[arg(long)]
    pub(crate) force: bool,
}

impl Selection {
    /// The conditions, read.
    pub(crate) fn filter(&self, zone: Zone) -> anyhow::Result<Filter> {
        let Some(text) = &self.conditions else { return Ok(Filter::default()) };
        Filter::parse(text, zone)
            .map_err(|e| crate::Failure::usage("bad-condition", e.to_string()).into())
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let p: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if p > 0.0 && p < 1.0 { Ok(p) } else { Err("give a number between 0 and 1".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    let is_usable = number.is_finite() && number >= 0.0;
    if is_usable { Ok(number) } else { Err("give a number, 0 or more".to_owned()) }
}

fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text).ok_or_else(|| "give UTC or an offset like +02:00".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
