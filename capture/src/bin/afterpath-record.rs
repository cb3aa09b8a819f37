//! `afterpath-record`: so far one command, `check`, which says which probes could run here and what the others lack.
//! It never records anything yet, and never changes the machine.

use afterpath_capture::machine::{Machine, gather};
use afterpath_capture::missing::{Lack, Missing};
use afterpath_capture::probes::{PROBES, Probe, find};
use clap::{Parser, Subcommand};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Names the shape of one line of `check --json`.
const SCHEMA: &str = "afterpath.probe/1";

/// The Afterpath recorder. Recording is not built yet: this version can only say what could be recorded here.
#[derive(Parser)]
#[command(name = "afterpath-record", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says which probes could run on this machine and what the others lack.
    ///
    /// Exits 0 whatever it finds; with probes named, 1 when one of them can't run.
    Check {
        /// Only these probes.
        #[arg(value_name = "PROBE", value_parser = probe_named)]
        probes: Vec<&'static Probe>,
        /// One JSON object per probe and line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Command::Check { probes, json } = Arguments::parse().command;
    let machine = gather(Path::new("/"));
    let named = !probes.is_empty();
    let probes = if named { probes } else { PROBES.to_vec() };
    let checked: Vec<_> = probes.iter().map(|&probe| (probe, (probe.check)(&machine))).collect();
    let write = if json { write_json } else { write_text };
    match write(&mut io::stdout().lock(), &machine, &checked) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(_) => return ExitCode::from(1),
    }
    let failed = named && checked.iter().any(|(_, found)| found.is_err());
    ExitCode::from(u8::from(failed))
}

type Checked = (&'static Probe, Result<(), Missing>);

fn probe_named(name: &str) -> Result<&'static Probe, String> {
    let names = || PROBES.iter().map(|probe| probe.name).collect::<Vec<_>>().join(", ");
    find(name).ok_or_else(|| format!("no such probe; there are {}", names()))
}

fn write_text(out: &mut dyn Write, machine: &Machine, checked: &[Checked]) -> io::Result<()> {
    writeln!(out, "{} {}", machine.system, machine.release)?;
    for (probe, found) in checked {
        let verdict = if found.is_ok() { "can run" } else { "can't run" };
        writeln!(out, "{:<12} {verdict:<10} {}", probe.name, probe.about)?;
        for lack in found.as_ref().err().map(Missing::lacks).unwrap_or_default() {
            writeln!(out, "{:<23} {lack}", "")?;
        }
    }
    writeln!(out, "Recording itself is not built yet: this version only checks.")
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
            "recording_built": false,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
