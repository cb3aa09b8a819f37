//! `status` and `snapshot`: a recording looked at, or kept as it stands, while its recorder is at work. Never disturbs the recorder.

use crate::units::shown;
use afterpath_formats::bundle::Bundles;
use afterpath_formats::recording;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which recording.
#[derive(clap::Args)]
pub(crate) struct Status {
    /// The bundle that is being recorded.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
}

/// What to keep, and where.
#[derive(clap::Args)]
pub(crate) struct Snapshot {
    /// The bundle that is being recorded.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The bundle to make; nothing may stand there [default: BUNDLE with the time in its name].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Says what a recording holds so far.
pub(crate) fn status(arguments: &Status) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let bundles = Bundles::open(std::slice::from_ref(&arguments.bundle))?;
    let recorded = recording::look(&arguments.bundle)?;
    let mut out = std::io::stdout().lock();
    let state = match (recorded.is_sealed, recorded.is_recording) {
        (true, _) => "sealed: its recording ended",
        (false, true) => "being recorded",
        (false, false) => "unsealed, and no recorder is at work: seal it with afterpath repair",
    };
    writeln!(out, "{}: {state}", arguments.bundle.display())?;
    for (table, n_rows) in &recorded.n_rows {
        writeln!(out, "{table:<16} {n_rows:>12} rows")?;
    }
    writeln!(out, "{:<16} {:>12}", "on disk", shown(recorded.n_bytes))?;
    for (_, reduction) in &bundles.reductions {
        writeln!(out, "left out: {}: {}", reduction.kind, reduction.detail)?;
    }
    for (cause, count) in &recorded.losses {
        writeln!(out, "lost: {count} {cause}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a sealed copy.
pub(crate) fn snapshot(arguments: &Snapshot) -> anyhow::Result<ExitCode> {
    let output = arguments.output.clone().unwrap_or_else(|| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = arguments.bundle.file_stem().unwrap_or_default().to_string_lossy();
        arguments.bundle.with_file_name(format!("{name}-{seconds}.afterpath"))
    });
    let done = recording::snapshot(&arguments.bundle, &output)?;
    eprintln!("{} rows in {}", done.n_rows, output.display());
    Ok(ExitCode::SUCCESS)
}
