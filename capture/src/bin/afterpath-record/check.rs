//! `check`: which probes could run here and what the others lack. Never attaches anything.

use afterpath_capture::machine::{Machine, gather};
use afterpath_capture::missing::{Lack, Missing};
use afterpath_capture::probes::{PROBES, Probe, find};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Names the shape of one line of `check --json`.
const SCHEMA: &str = "afterpath.probe/1";

/// Which probes could run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these probes.
    #[arg(value_name = "PROBE", value_parser = probe_named)]
    probes: Vec<&'static Probe>,
    /// One JSON object per probe and line.
    #[arg(long)]
    json: bool,
}

/// Prints it; 1 when a probe that was named can't run.
pub(crate) fn check(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let machine = gather(Path::new("/"));
    let named = !arguments.probes.is_empty();
    let probes = if named { arguments.probes } else { PROBES.to_vec() };
    let checked: Vec<_> = probes.iter().map(|&probe| (probe, (probe.check)(&machine))).collect();
    let write = if arguments.json { write_json } else { write_text };
    match write(&mut io::stdout().lock(), &machine, &checked) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let failed = named && checked.iter().any(|(_, found)| found.is_err());
    Ok(ExitCode::from(u8::from(failed)))
}

type Checked = (&'static Probe, Result<(), Missing>);

fn probe_named(name: &str) -> Result<&'static Probe, String> {
    let names = || PROBES.iter().map(|probe| probe.name).collect::<Vec<_>>().join(", ");
    find(name).ok_or_else(|| format!("no such probe; there are {}", names()))
}

fn write_text(out: &mut dyn Write, machine: &Machine, checked: &[Checked]) -> io::Result<()> {
    writeln!(out, "{} {}", machine.system, machine.release)?;
    for (probe, found) in checked {
        let verdict = match (found, probe.start) {
            (Err(_), _) => "can't run",
            (Ok(()), None) => "not yet",
            (Ok(()), Some(_)) => "can run",
        };
        writeln!(out, "{:<12} {verdict:<10} {}", probe.name, probe.about)?;
        for lack in found.as_ref().err().map(Missing::lacks).unwrap_or_default() {
            writeln!(out, "{:<23} {lack}", "")?;
        }
    }
    Ok(())
}

fn write_json(out: &mut dyn Write, machine: &Machine, checked: &[Checked]) -> io::Result<()> {
    for (probe, found) in checked {
        let lacks = found.as_ref().err().map(Missing::lacks).unwrap_or_default();
        let lack = |lack: &Lack| json!({ "lack": lack.name(), "text": lack.to_string() });
        let line = json!({
            "schema": SCHEMA,
            "probe": probe.name,
            "about": probe.about,
            "on_by_default": probe.on_by_default,
            "kernel_floor": probe.kernel_floor.to_string(),
            "kernel_release": machine.release,
            "can_run": found.is_ok(),
            "missing": lacks.iter().map(lack).collect::<Vec<_>>(),
            "recording_built": probe.start.is_some(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
