//! Tells the program two things about its build: which analyzer it is (a hash of the stages' sources, so that results of
//! another one are never reused) and whether the demo's sample was there. Never fails a build.

#![allow(clippy::disallowed_methods, reason = "a build script reads the sources")]

use std::path::{Path, PathBuf};

const SAMPLE: &str = "assets/demo.afterpath.tar";

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut sources = Vec::new();
    for folder in ["src", "../formats/src"] {
        collect(&root.join(folder), &mut sources);
        println!("cargo::rerun-if-changed={folder}");
    }
    println!("cargo::rerun-if-changed={SAMPLE}");
    sources.sort();
    // FNV-1a: told apart, not protected.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in sources.iter().filter_map(|path| std::fs::read(path).ok()).flatten() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    println!("cargo::rustc-env=AFTERPATH_STAGES={hash:016x}");
    println!("cargo::rustc-check-cfg=cfg(demo_sample)");
    if root.join(SAMPLE).is_file() {
        println!("cargo::rustc-cfg=demo_sample");
    }
}

/// The sources that decide results: not the reports, not the command line.
fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "bin" && name != "report" {
            collect(&path, into);
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
}
