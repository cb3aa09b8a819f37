//! `run`: records into a new bundle and says, in one line at its end, what was recorded, lost and kept.

use crate::units::{duration, shown, size};
use afterpath_capture::error::Error;
use afterpath_capture::filter::Filter;
use afterpath_capture::machine::gather;
use afterpath_capture::payload::{self, Mode};
use afterpath_capture::run::{Finished, Reason, record};
use afterpath_capture::settings::{Ring, Sample, Settings, Wanted};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What to record, and how.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The bundle to make; nothing may stand there [default: HOST-TIME.afterpath].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Stop after this time.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Only these probes (see `check`); refuse to start if one can't run.
    #[arg(long, value_name = "PROBE", value_delimiter = ',')]
    probes: Vec<String>,
    /// These probes too; refuse to start if one can't run.
    #[arg(long, value_name = "PROBE", value_delimiter = ',')]
    with: Vec<String>,
    /// Not these probes.
    #[arg(long, value_name = "PROBE", value_delimiter = ',')]
    without: Vec<String>,
    /// Only sockets and packets with these ports at either end.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    port: Vec<u16>,
    /// Only these processes; of packets, those of their network namespaces.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pid: Vec<u32>,
    /// Only processes of these cgroups and those below them (paths below /sys/fs/cgroup); of packets, those of their network namespaces.
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    cgroup: Vec<PathBuf>,
    /// Only these network namespaces: names of `ip netns`, or inode numbers.
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    netns: Vec<String>,
    /// Of packets, only those of these interfaces, in whatever namespace; a name may end in `*`.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    interface: Vec<String>,
    /// Of packets, only those of this expression (pcap-filter syntax: `host 10.0.0.1 and not port 22`).
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// What of payloads, and of command lines, is kept.
    #[arg(long, value_enum, default_value_t = PayloadMode::Masked)]
    payload: PayloadMode,
    /// Payload bytes kept of one socket event, at most 4096.
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(..=4096))]
    payload_bytes: u32,
    /// Bytes kept of a frame.
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..=262144))]
    snap_length: u32,
    /// Record the first ON of every PERIOD of wall-clock time only, like 1s/10s: the same seconds on every host.
    #[arg(long, value_name = "ON/PERIOD", value_parser = sample)]
    sample: Option<Sample>,
    /// Keep about this much, and let go of the oldest: payloads first, then packets, then socket events.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ring: Option<u64>,
    /// In a ring, let go of events older than this.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "ring")]
    ring_age: Option<Duration>,
    /// Stop when the disk has less than this left.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    keep_free: u64,
    /// Give up every privilege once recording began: what appears later in other namespaces is not recorded.
    #[arg(long)]
    no_follow: bool,
    /// Memory for kernel rings and queues.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    memory: u64,
    /// Record while this command runs; its exit code becomes the recorder's.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What of payloads is kept.
#[derive(Clone, Copy, clap::ValueEnum)]
enum PayloadMode {
    /// Nothing.
    None,
    /// Heads of protocols that are known, credentials overwritten.
    Heads,
    /// Everything, credentials overwritten at equal length.
    Masked,
    /// Everything, as it is.
    Raw,
}

/// Records.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = settings(arguments)?;
    let finished = record(&settings, &gather(Path::new("/")), &mut std::io::stderr())?;
    for warning in warnings(&finished) {
        eprintln!("{warning}");
    }
    eprintln!("{}", exit_line(&settings, &finished));
    let failed = finished.error.is_some()
        || finished.sealed.is_err()
        || matches!(finished.reason, Reason::WriteFailed | Reason::DiskNearlyFull);
    Ok(match finished.command_code {
        _ if failed => ExitCode::from(1),
        Some(code) if finished.reason == Reason::CommandEnded => {
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        _ => ExitCode::SUCCESS,
    })
}

fn settings(arguments: Arguments) -> Result<Settings, Error> {
    let output = arguments.output.unwrap_or_else(default_output);
    Ok(Settings {
        probes: Wanted { only: arguments.probes, with: arguments.with, without: arguments.without },
        filter: Filter {
            ports: arguments.port,
            processes: arguments.pid,
            cgroups: arguments.cgroup.iter().map(|path| cgroup(path)).collect::<Result<_, _>>()?,
            namespaces: arguments.netns.iter().map(|name| netns(name)).collect::<Result<_, _>>()?,
            interfaces: arguments.interface,
            packets: arguments.filter,
        },
        payload: match arguments.payload {
            PayloadMode::None => Mode::None,
            PayloadMode::Heads => Mode::Heads,
            PayloadMode::Masked => Mode::Masked,
            PayloadMode::Raw => Mode::Raw,
        },
        payload_bytes: arguments.payload_bytes,
        snap_length: arguments.snap_length,
        memory_bytes: arguments.memory,
        sample: arguments.sample,
        follow: !arguments.no_follow,
        ring: arguments.ring.map(|bytes| Ring { bytes, age: arguments.ring_age }),
        keep_free_bytes: arguments.keep_free,
        duration: arguments.duration,
        command: arguments.command,
        ..Settings::new(output)
    })
}

/// `HOST-TIME.afterpath` in the current folder.
fn default_output() -> PathBuf {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    PathBuf::from(format!("{host}-{}.afterpath", now.as_secs()))
}

/// A cgroup's id is its folder's inode number.
fn cgroup(path: &Path) -> Result<u64, Error> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let roots = ["/", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let found = roots
        .iter()
        .map(|root| Path::new(root).join(below))
        .find(|at| at.starts_with("/sys/fs/cgroup") && at.is_dir());
    let found = found.and_then(|folder| folder.metadata().ok());
    let none = || Error::BadArguments(format!("no cgroup is at {}", path.display()));
    found.map(|folder| folder.ino()).ok_or_else(none)
}

/// A namespace by name or by inode number.
fn netns(name: &str) -> Result<u32, Error> {
    let of_file = |path: PathBuf| std::fs::metadata(path).ok().map(|file| file.ino() as u32);
    let named = || of_file(Path::new("/run/netns").join(name));
    let none = || Error::BadArguments(format!("no network namespace is called {name:?}"));
    name.parse().ok().or_else(named).ok_or_else(none)
}

fn sample(text: &str) -> Result<Sample, String> {
    let both = text.split_once('/').ok_or("give two times, like 1s/10s")?;
    let (on, period) = (duration(both.0)?, duration(both.1)?);
    if on.is_zero() || on > period {
        return Err("the first time must be more than nothing and at most the second".to_string());
    }
    Ok(Sample { on, period })
}

fn warnings(finished: &Finished) -> Vec<String> {
    let mut warnings: Vec<String> = finished.error.iter().map(ToString::to_string).collect();
    if let Err(error) = &finished.sealed {
        let text = error.to_string();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
        warnings
            .push("the bundle is not sealed; seal it with: afterpath repair BUNDLE".to_string());
    }
    warnings
}

/// One line: what was recorded, lost and kept.
fn exit_line(settings: &Settings, finished: &Finished) -> String {
    let seconds = finished.duration.as_secs_f64();
    let why = finished.reason.text();
    let path = settings.output.display();
    let unwritten: Vec<String> = finished
        .unwritten
        .iter()
        .map(|(table, n_rows)| format!("{n_rows} rows of {table}"))
        .collect();
    let unwritten = match unwritten.is_empty() {
        true => String::new(),
        false => format!("; not-written: {}", unwritten.join(", ")),
    };
    let Ok(sealed) = &finished.sealed else {
        return format!("{why} after {seconds:.1} s{unwritten}; {path} is not sealed");
    };
    let rows = |table: &str| {
        sealed.written.iter().find(|written| written.table == table).map_or(0, |w| w.n_rows)
    };
    let n_bytes: u64 = sealed.written.iter().map(|written| written.n_bytes).sum();
    let lost: Vec<String> =
        sealed.losses.iter().map(|sum| format!("{} {}", sum.count, sum.cause)).collect();
    let lost = if lost.is_empty() { "nothing".to_string() } else { lost.join(", ") };
    // Windows and filters say what was recorded, rings what they let go of.
    let reductions: String = sealed
        .reductions
        .iter()
        .map(|reduction| match reduction.kind.as_str() {
            "evicted" => format!("; let go of {}", reduction.detail),
            _ => format!("; {}", reduction.detail),
        })
        .collect();
    format!(
        "{why} after {seconds:.1} s: {} socket events, {} packets, {} processes; lost: {lost}{reductions}; payload: {}; {} in {path}",
        rows("socket_events"),
        rows("packets"),
        rows("processes"),
        payload::text(settings.payload),
        shown(n_bytes),
    )
}
