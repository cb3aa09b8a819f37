//! `record`: becomes the recorder. Never records by itself: analyzer and recorder meet in a file.

use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const NAME: &str = "afterpath-record";

/// Runs `afterpath-record` with these arguments: the one beside this program, else the one that is found.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(NAME));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(NAME));
    let mut command = Command::new(&program);
    command.args(arguments);
    let error = become_it(&mut command);
    if error.kind() == std::io::ErrorKind::NotFound {
        bail!(
            "error[no-recorder]: {NAME} is neither beside this program nor in PATH; build it with: \
             cargo build --release -p afterpath-capture"
        );
    }
    bail!("error[no-recorder]: {}: {error}", program.display());
}

/// Returns only when it failed.
#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Returns only when it failed.
#[cfg(not(unix))]
fn become_it(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
