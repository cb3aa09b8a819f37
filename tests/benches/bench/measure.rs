//! What one process costs, itself and its children: processor time, wall time, largest resident set. Each measurement
//! has a process of its own between the bench and the command, so that the kernel's sums over children are of one command.
//! It never reads the output of what it measures.

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) peak_mib: f64,
}

impl Cost {
    /// User and system.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Runs the command as this process's only child and prints what it cost.
pub(crate) fn here(command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    let begin = Instant::now();
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .with_context(|| program.clone())?;
    let wall_s = begin.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    let cost = json!({
        "user_s": seconds(usage.user_time()),
        "system_s": seconds(usage.system_time()),
        "wall_s": wall_s,
        "peak_mib": usage.max_rss() as f64 / 1024.0,
    });
    writeln!(io::stdout(), "{cost}")?;
    Ok(ExitCode::SUCCESS)
}

/// Starts this program again to measure `command`.
pub(crate) fn in_a_process(command: &[String]) -> Result<Cost> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(["measure", "--"]).args(command).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let cost: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| cost[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Cost {
        user_s: number("user_s")?,
        system_s: number("system_s")?,
        wall_s: number("wall_s")?,
        peak_mib: number("peak_mib")?,
    })
}
