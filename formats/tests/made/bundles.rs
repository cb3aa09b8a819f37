//! Bundles made for tests, and where their files stand. Never damaged here.

use super::made::{Scratch, frames, pcap, plan};
use afterpath_formats::import::import;
use std::fs;
use std::path::{Path, PathBuf};

/// A bundle of two hosts, `a` and `b`.
pub(crate) fn bundle(scratch: &Scratch) -> PathBuf {
    let a = scratch.write("a.pcap", &pcap(&frames(2000, 1)));
    let b = scratch.write("b.pcap", &pcap(&frames(1000, 2)));
    let output = scratch.path("ab.afterpath");
    import(&plan(&[a, b], &output), &|_| ()).expect("importable");
    output
}

pub(crate) fn table(bundle: &Path, table: &str, host: &str) -> PathBuf {
    let folders = fs::read_dir(bundle.join(table)).expect("a table's folder");
    let prefix = format!("host={host}-");
    let of_host = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
    let folder =
        folders.map(|entry| entry.expect("readable")).find(of_host).expect("the host's folder");
    folder.path().join("part-00000.parquet")
}
