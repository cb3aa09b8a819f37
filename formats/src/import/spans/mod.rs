//! Spans of tracers (Jaeger, OTLP, both as JSON) → bundle. Each part of the table is sorted; memory is bounded by one part and what a
//! trace or a resource's spans take in a document, but for a few bytes a trace to count them, and but for [`SpanPlan::forget_parents`],
//! which needs all spans of a host at once. Never says what a span means for a call.

mod forget;
mod jaeger;
mod losses;
mod otlp;
mod value;
mod walk;
mod write;

pub use forget::forget_parents;
pub use write::{Written, write};

use super::hosts::{self, HostToImport};
use super::losses::{Counted, counted};
use super::plan::ImportPlan;
use super::source::Source;
use super::{Progress, stdin_start};
use crate::bundle::manifest::CaptureEntry;
use crate::bundle::write::BundleWriter;
use crate::error::{At, Error, Kind, Result};
use crate::table::spans::{SpanRow, TIMES_NS};
use losses::Losses;
use serde_json::Value;
use std::cell::Cell;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use write::HostWriter;

/// What tells replicas of a service apart, of a resource's or a process's attributes; the first that is there.
const INSTANCE: &[&str] =
    &["service.instance.id", "k8s.pod.name", "host.name", "hostname", "container.id", "ip"];
/// The service of spans that name none (OpenTelemetry's resource conventions).
const NO_SERVICE: &str = "unknown_service";
/// Bytes between two words about progress.
const PROGRESS_BYTES: u64 = 4 << 20;

/// How spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanFormat {
    /// Jaeger's JSON (api_v2, as its UI saves it).
    Jaeger,
    /// OTLP's JSON encoding.
    Otlp,
}

/// How spans are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanPlan {
    /// How they are written.
    pub format: SpanFormat,
    /// Forget which request a service was working on when it called another; see [`forget_parents()`].
    pub forget_parents: bool,
}

/// What an import of spans did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpansSummary {
    /// The bundle.
    pub bundle: PathBuf,
    /// What was written.
    pub written: Written,
    /// Bytes read, decompressed.
    pub n_bytes: u64,
    /// Damage of files; what preceded it is in the bundle.
    pub warnings: Vec<Error>,
    /// What could not be used, or is doubtful, by host, file and cause.
    pub losses: Vec<Counted>,
}

impl SpanFormat {
    /// As it stands in the manifest and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            SpanFormat::Jaeger => "jaeger",
            SpanFormat::Otlp => "otlp",
        }
    }
}

/// A span's times, which make sense.
struct Timed {
    start_ns: i64,
    end_ns: i64,
}

impl Timed {
    /// Both, or nothing, which is counted. An end before its start is taken for it, and counted.
    fn of(start_ns: Option<i64>, end_ns: Option<i64>, losses: &mut Losses) -> Option<Timed> {
        let is_time = |ns: &i64| TIMES_NS.contains(ns);
        let times = (start_ns.filter(is_time), end_ns.filter(is_time));
        let (Some(start_ns), Some(end_ns)) = times else {
            losses.count("no-span-time");
            return None;
        };
        if end_ns < start_ns {
            losses.count("negative-duration");
        }
        Some(Timed { start_ns, end_ns: end_ns.max(start_ns) })
    }
}

/// Imports documents of spans into a new bundle. `progress` is called from this thread.
///
/// An error leaves nothing behind: no span at all, a file that can't be opened, an output that exists.
pub fn import(
    plan: &ImportPlan,
    spans: &SpanPlan,
    progress: &dyn Fn(Progress<'_>),
) -> Result<SpansSummary> {
    plan.check()?;
    if let Some(netns) = plan.hosts.iter().find_map(|host| host.netns.as_ref()) {
        let why = "spans come from no network namespace: --netns is for captures".to_string();
        return Err(Error::new(netns, At::File, Kind::BadArguments(why)));
    }
    let stdin_start = stdin_start(plan)?;
    let hosts = hosts::hosts(plan, &stdin_start)?;
    let mut bundle = BundleWriter::create(&plan.output, plan.force)?;
    let mut summary = SpansSummary {
        bundle: plan.output.clone(),
        written: Written::default(),
        n_bytes: 0,
        warnings: Vec::new(),
        losses: Vec::new(),
    };
    for host in &hosts {
        import_host(&mut bundle, host, spans, &stdin_start, progress, &mut summary)?;
    }
    if summary.written.n_spans == 0 {
        let path = &hosts[0].files[0].1.path;
        let unreadable = summary.warnings.into_iter().next();
        return Err(unreadable.unwrap_or_else(|| Error::new(path, At::File, Kind::NotSpans)));
    }
    bundle.finish()?;
    Ok(summary)
}

fn import_host(
    bundle: &mut BundleWriter,
    host: &HostToImport,
    plan: &SpanPlan,
    stdin_start: &[u8],
    progress: &dyn Fn(Progress<'_>),
    summary: &mut SpansSummary,
) -> Result<()> {
    let mut writer = HostWriter::new(&host.name, &host.id, &host.folder, plan.forget_parents);
    let mut rows = Vec::new();
    for (_, file) in &host.files {
        let (name, first_source_row) = (file_name(&file.path), writer.n_spans());
        let n_before = summary.n_bytes;
        let told =
            |n_bytes| progress(Progress::Reading { host: &host.name, n_bytes: n_before + n_bytes });
        let read = read(&file.path, stdin_start, plan.format, &name, &told, &mut |row| {
            writer.add(bundle, row, &mut summary.written)
        })?;
        summary.n_bytes += read.n_bytes;
        rows.extend(read.losses.rows);
        summary.warnings.extend(read.warning);
        writer.captures.push(CaptureEntry {
            name,
            format: plan.format.name().to_string(),
            pcap_header: None,
            first_source_row,
            n_rows: writer.n_spans() - first_source_row,
        });
    }
    summary.losses.extend(counted(&host.name, &rows));
    writer.finish(bundle, &rows, &mut summary.written)
}

/// What reading one file gave besides rows.
struct FileRead {
    n_bytes: u64,
    losses: Losses,
    warning: Option<Error>,
}

fn read(
    path: &Path,
    stdin_start: &[u8],
    format: SpanFormat,
    name: &str,
    told: &dyn Fn(u64),
    each: &mut dyn FnMut(SpanRow) -> Result<()>,
) -> Result<FileRead> {
    let mut source = match path == Path::new("-") {
        true => {
            Source::from_reader(path, Cursor::new(stdin_start.to_vec()).chain(std::io::stdin()))?
        }
        false => Source::open(path)?,
    };
    let (shape, spans) = match format {
        SpanFormat::Jaeger => (jaeger::SHAPE, jaeger::spans as Spans),
        SpanFormat::Otlp => (otlp::SHAPE, otlp::spans as Spans),
    };
    let mut losses = Losses::new(name.to_string());
    let mut failed = None;
    let n_read = Cell::new(0);
    let counting = Counting { source: &mut source, n_read: &n_read, n_told: 0, told };
    let (n_bytes, broken) = walk::walk(counting, shape, &mut losses, &mut |unit, losses| {
        spans(unit, losses, &mut |row| {
            if failed.is_none() {
                failed = each(row).err();
            }
        });
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let warning =
        broken.map(|error| Error::new(path, At::Byte(n_bytes), source.error_kind(&error)));
    if let Some(error) = &warning {
        losses.add_at(error.kind.name(), 1, n_bytes);
    }
    Ok(FileRead { n_bytes, losses, warning })
}

type Spans = fn(Value, &mut Losses, &mut dyn FnMut(SpanRow));

/// Says now and then how far reading is.
struct Counting<'a> {
    source: &'a mut Source,
    n_read: &'a Cell<u64>,
    n_told: u64,
    told: &'a dyn Fn(u64),
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.n_read.set(self.n_read.get() + n as u64);
        if self.n_read.get() >= self.n_told + PROGRESS_BYTES {
            self.n_told = self.n_read.get();
            (self.told)(self.n_told);
        }
        Ok(n)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
