//! Bytes as something that comes in, and all that is made of it: the drivers of the fuzz target (`fuzz/`) and of the test of its corpus. They
//! judge no answer, only that there is one: no panic, no endless way.
//!
//! One more way in is a file and a line in [`WAYS`].

mod capture;
mod conversation;
mod spans;
mod tables;

use afterpath::pipeline::{Config, analyze};
use afterpath::report::{Moment, Options, REPORTS, calls};
use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::import::{HostPlan, ImportPlan};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A way in.
pub struct Way {
    /// Its folder in the corpus.
    pub name: &'static str,
    /// Takes any bytes.
    pub endure: fn(&[u8]),
    /// Nothing is written and analyzed for it.
    pub is_quick: bool,
}

/// Every way in.
pub const WAYS: &[Way] = &[conversation::WAY, capture::WAY, spans::WAY, tables::WAY];

/// The way in of this name.
pub fn named(name: &str) -> Option<&'static Way> {
    WAYS.iter().find(|way| way.name == name)
}

/// A folder in memory where there is one: thousands of bundles are written a minute.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
}

/// Bytes as the one file of an import, of which all is asked that can be.
fn answer_import(bytes: &[u8], import: impl FnOnce(&ImportPlan) -> bool) {
    let folder = folder();
    let file = folder.path().join("a");
    std::fs::write(&file, bytes).expect("room for it");
    let output = folder.path().join("a.afterpath");
    let hosts = vec![HostPlan::bare(&file)];
    if import(&ImportPlan { hosts, output: output.clone(), ..ImportPlan::default() }) {
        answer(output);
    }
}

/// All that can be asked of a bundle.
fn answer(bundle: PathBuf) {
    let _ = verify(&bundle);
    let Ok(bundles) = Bundles::open(&[bundle]) else { return };
    let analysis = analyze(&bundles, &Config::default());
    let mut trace = String::new();
    if let Some(first) = analysis.traces.first() {
        trace = calls::id(first.id);
    }
    for (json, verbose) in [(false, false), (false, true), (true, false)] {
        let moment = Some(Moment::AfterStart(0));
        let options = Options { json, verbose, trace: trace.clone(), moment, ..Options::default() };
        for report in REPORTS {
            // What can't be answered is said: no such trace, no clocks to compare.
            let _ = (report.write)(&analysis, &options, &mut std::io::sink());
        }
    }
}
