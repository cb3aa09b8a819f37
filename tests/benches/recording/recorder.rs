//! A recorder at work, and what the kernel says of its programs. Never records for longer than it is held.

use afterpath_tests::tool;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running `afterpath-record run`.
pub(crate) struct Recorder {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    folder: tempfile::TempDir,
}

/// What its eBPF programs used so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Programs {
    pub(crate) run_ns: u64,
    pub(crate) n_runs: u64,
}

impl Recorder {
    /// Starts it and waits until it records.
    pub(crate) fn start(arguments: &[String]) -> Result<Recorder> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(tool::own("afterpath-record"))
            .args(["run", "--output"])
            .arg(folder.path().join("x.afterpath"))
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().context("it was piped")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        if !line.starts_with("recording ") {
            bail!("the recorder says: {line}");
        }
        Ok(Recorder { child, said, folder })
    }

    /// Sums over its programs; they count only while `kernel.bpf_stats_enabled` is 1.
    pub(crate) fn programs(&self) -> Result<Programs> {
        let mut sum = Programs::default();
        for entry in fs::read_dir(format!("/proc/{}/fdinfo", self.child.id()))?.flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse::<u64>().ok())
            };
            if let (Some(run_ns), Some(n_runs)) = (field("run_time_ns:"), field("run_cnt:")) {
                sum.run_ns += run_ns;
                sum.n_runs += n_runs;
            }
        }
        Ok(sum)
    }

    /// Ends it: its last line, and the bytes on disk.
    pub(crate) fn stop(mut self) -> Result<(String, u64)> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        let mut text = String::new();
        self.said.read_to_string(&mut text)?;
        self.child.wait()?;
        let n_bytes = size(self.folder.path().join("x.afterpath"));
        Ok((text.lines().last().unwrap_or_default().to_string(), n_bytes))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(path: PathBuf) -> u64 {
    match fs::read_dir(&path) {
        Ok(entries) => entries.flatten().map(|entry| size(entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |file| file.len()),
    }
}
