//! Captures, and spans of tracers, → bundle. Never decodes by itself (`frame` does) and never overwrites without being told.

mod chain;
pub mod chunk;
pub mod counts;
mod encode;
mod feed;
mod host;
mod hosts;
pub(crate) mod interface_block;
mod leading;
pub mod losses;
mod mapped;
pub(crate) mod merge;
pub mod options;
mod pcap;
pub(crate) mod pcapng;
pub mod plan;
mod points;
pub mod reader;
pub(crate) mod run;
mod skip;
pub mod source;
pub mod spans;
pub(crate) mod spill;
pub mod ticks;

pub use losses::Counted;
pub use plan::{FilePlan, HostPlan, ImportPlan, Word};

use crate::bundle::write::BundleWriter;
use crate::error::{At, Error, Kind, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How much memory an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of records, keys included, sorted at once.
    pub run_bytes: usize,
    /// Bytes of a capture read at once.
    pub chunk_bytes: usize,
}

/// Threads an import works with at most: each holds encoders, slices and freed memory of its own, and more than these are not
/// faster, as one thread reads and one appends.
const MOST_WORKERS: usize = 4;

impl Default for Limits {
    fn default() -> Limits {
        Limits { run_bytes: 448 << 20, chunk_bytes: 4 << 20 }
    }
}

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Reading a host's captures.
    Reading {
        /// The host.
        host: &'a str,
        /// Bytes of its captures read so far, decompressed.
        n_bytes: u64,
    },
    /// Writing a host's packets.
    Writing {
        /// The host.
        host: &'a str,
        /// How many there are.
        n_packets: u64,
    },
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSummary {
    /// The bundle.
    pub bundle: PathBuf,
    /// Hosts in it.
    pub n_hosts: u64,
    /// Packets in it.
    pub n_packets: u64,
    /// Other blocks in it.
    pub n_blocks: u64,
    /// Bytes of captures read, decompressed.
    pub n_bytes: u64,
    /// Sorted runs that went through temporary files.
    pub n_spilled_runs: u64,
    /// Damage in the captures; what preceded it is in the bundle.
    pub warnings: Vec<Error>,
    /// What was lost or odd, by host, capture and cause; the warnings' causes too.
    pub losses: Vec<Counted>,
}

/// With what an import works.
struct Work<'a> {
    workers: &'a rayon::ThreadPool,
    limits: &'a Limits,
    progress: &'a dyn Fn(Progress<'_>),
}

/// Whose clock stamps what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clocks {
    PerHost,
    Shared,
    PerInterface,
}

/// Imports captures into a new bundle. `progress` is called from this thread.
///
/// An error leaves nothing behind: nothing readable at all, a file that can't be opened, an output that exists.
pub fn import(plan: &ImportPlan, progress: &dyn Fn(Progress<'_>)) -> Result<ImportSummary> {
    import_within(plan, &Limits::default(), progress)
}

/// As [`import`], within other limits; the bundle's bytes don't depend on them.
pub fn import_within(
    plan: &ImportPlan,
    limits: &Limits,
    progress: &dyn Fn(Progress<'_>),
) -> Result<ImportSummary> {
    plan.check()?;
    let stdin_start = stdin_start(plan)?;
    let hosts = hosts::hosts(plan, &stdin_start)?;
    let mut bundle = BundleWriter::create(&plan.output, plan.force)?;
    let clocks = match (plan.same_clock, plan.clock_per_interface) {
        (true, _) => Clocks::Shared,
        (_, true) => Clocks::PerInterface,
        _ => Clocks::PerHost,
    };
    let mut summary = ImportSummary {
        bundle: plan.output.clone(),
        n_hosts: hosts.len() as u64,
        n_packets: 0,
        n_blocks: 0,
        n_bytes: 0,
        n_spilled_runs: 0,
        warnings: Vec::new(),
        losses: Vec::new(),
    };
    let workers = rayon::ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads().min(MOST_WORKERS))
        .build()
        .map_err(|error| Error::new(&plan.output, At::File, Kind::Io(error.to_string())))?;
    let mut unreadable = Vec::new();
    for host in &hosts {
        let work = Work { workers: &workers, limits, progress };
        let imported = host::import_host(&mut bundle, host, &stdin_start, clocks, &work)?;
        unreadable.extend(imported.first_error().cloned());
        summary.n_packets += imported.n_packets;
        summary.n_blocks += imported.seen.n_blocks;
        summary.n_bytes += imported.seen.n_bytes;
        summary.n_spilled_runs += imported.n_spilled;
        summary.losses.extend(losses::counted(&host.name, &imported.seen.losses.rows));
        summary.warnings.extend(imported.seen.losses.warnings);
    }
    if unreadable.len() == hosts.len()
        && let Some(first) = unreadable.into_iter().next()
    {
        return Err(first);
    }
    bundle.finish()?;
    Ok(summary)
}

/// The beginning of standard input, if it is to be read: it enters the host's id.
fn stdin_start(plan: &ImportPlan) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut files = plan.hosts.iter().flat_map(|host| &host.files);
    if files.any(|file| file.path == Path::new("-")) {
        let stdin = std::io::stdin().lock();
        stdin
            .take(hosts::ID_BYTES)
            .read_to_end(&mut start)
            .map_err(|error| Error::io("-", &error))?;
    }
    Ok(start)
}
