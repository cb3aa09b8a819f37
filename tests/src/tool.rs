//! Programs of other makers that suites and benches compare with. A missing one is said on a line of its own, and is a
//! failure when everything is required; it is never passed over in silence.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set to `1` where nothing may be missing.
pub const REQUIRE_ALL: &str = "AFTERPATH_REQUIRE_ALL";

/// Where `name` is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A program of ours, built beside the one that runs.
///
/// # Panics
/// When it was not built.
pub fn own(name: &str) -> PathBuf {
    let running = std::env::current_exe().expect("a running program has a path");
    let found = running.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    found
        .into_iter()
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: cargo build --release --workspace"))
}

/// A program that `tests/testbed/testbed install` unpacked (`envoy/_bin/envoy`), or says that `what` was skipped.
///
/// # Panics
/// When it is missing and [`REQUIRE_ALL`] is `1`.
pub fn unpacked(path: &str, what: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/testbed").join(path);
    if file.is_file() {
        return Some(file);
    }
    let required = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
    assert!(!required, "{path} is not unpacked and {REQUIRE_ALL}=1: {what} can't be skipped");
    skip(&format!("{path} is not unpacked (tests/testbed/testbed install)"), what);
    None
}

/// Whether the recorder can run these probes here. When not, says that `what` was skipped.
///
/// # Panics
/// When it can't and [`REQUIRE_ALL`] is `1`.
pub fn can_record(probes: &[&str], what: &str) -> bool {
    let checked = Command::new(own("afterpath-record")).arg("check").args(probes).output();
    if checked.is_ok_and(|checked| checked.status.success()) {
        return true;
    }
    let required = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
    assert!(!required, "the recorder can't run here and {REQUIRE_ALL}=1: {what} can't be skipped");
    skip("the recorder can't run here", what);
    false
}

/// A Go program of `tests/tests/programs`, built by the Go that the testbed unpacked; or says that `what` was skipped.
///
/// # Panics
/// When it does not build, or there is no Go and [`REQUIRE_ALL`] is `1`.
pub fn go_program(source: &str, what: &str) -> Option<PathBuf> {
    unpacked("go/bin/go", what)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = folder.join("tests/programs").join(source);
    let mut build = Command::new("python3");
    build.arg("-B").arg(folder.join("testbed/wheels.py")).arg(source);
    let built = output(&mut build).unwrap_or_else(|error| panic!("{error}"));
    Some(PathBuf::from(built.trim()))
}

/// Whether `name` can be used. When not, says that `what` was skipped.
///
/// # Panics
/// When it is missing and [`REQUIRE_ALL`] is `1`.
pub fn usable(name: &str, what: &str) -> bool {
    if find(name).is_some() {
        return true;
    }
    let required = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
    assert!(!required, "{name} is not installed and {REQUIRE_ALL}=1: {what} can't be skipped");
    skip(&format!("{name} is not installed"), what);
    false
}

/// Says that `what` was skipped and why, past the test harness's capture.
pub fn skip(why: &str, what: &str) {
    // A line that can't be written is not worth failing for.
    let _ = writeln!(io::stderr(), "SKIPPED {what}: {why}");
}

/// Runs a tool to its end and returns what it wrote.
///
/// # Errors
/// When it can't be started, or fails; the message is what it said.
pub fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
