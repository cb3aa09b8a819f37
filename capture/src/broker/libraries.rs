//! Where TLS libraries lie: in the machine's library folders, and mapped into processes of any container. A file is one by its device
//! and inode, however many see it. Never reads a library.

use super::watch::Watch;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders that the dynamic linker of common distributions looks into; one level below them, too.
const FOLDERS: [&str; 6] =
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// The libraries found so far.
#[derive(Default)]
pub(super) struct Libraries {
    found: HashSet<(u64, u64)>,
    watch: Watch,
}

impl Libraries {
    /// Libraries in the machine's own folders that were not found before.
    pub(super) fn in_folders(&mut self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for folder in FOLDERS.map(Path::new) {
            let below = entries(folder).into_iter().filter(|path| path.is_dir());
            for folder in std::iter::once(folder.to_path_buf()).chain(below) {
                paths.extend(entries(&folder).into_iter().filter(|path| is_library(path)));
            }
        }
        paths.sort();
        paths.retain(|path| self.is_new(path));
        paths
    }

    /// Libraries mapped into processes, and programs, that were not found before. To be asked once a second.
    pub(super) fn in_processes(&mut self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for id in self.watch.due_or_changed() {
            // Go programs bring their own.
            let program = PathBuf::from(format!("/proc/{id}/exe"));
            if self.is_new(&program) {
                paths.push(program);
            }
            let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap_or_default();
            for path in mapped(&maps) {
                let path = PathBuf::from(format!("/proc/{id}/root{path}"));
                if self.is_new(&path) {
                    paths.push(path);
                }
            }
        }
        paths
    }

    fn is_new(&mut self, path: &Path) -> bool {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && self.found.insert((file.dev(), file.ino())))
    }
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Python's wheels carry copies named `libssl-1a2b3c.so.3`; `libssl3.so` is another library, of NSS.
    name.starts_with("libssl.so") || name.starts_with("libssl-") && name.contains(".so")
}

/// Paths of libraries in `/proc/PID/maps`, each once.
fn mapped(maps: &str) -> HashSet<&str> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.filter(|path| is_library(Path::new(path))).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_libraries_are_found_once() {
        let maps = "7f00-7f01 r--p 00000000 fe:01 77 /usr/lib/x86_64-linux-gnu/libssl.so.3\n\
                    7f01-7f02 r-xp 00000000 fe:01 77 /usr/lib/x86_64-linux-gnu/libssl.so.3\n\
                    7f03-7f04 r-xp 00000000 fe:01 78 /w/psycopg2.libs/libssl-0b5a.so.1.1\n\
                    7f05-7f06 r-xp 00000000 fe:01 79 /usr/lib/libcrypto.so.3\n\
                    7f07-7f08 rw-p 00000000 00:00 0\n";
        let mut found: Vec<_> = mapped(maps).into_iter().collect();
        found.sort_unstable();
        assert_eq!(
            found,
            ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/w/psycopg2.libs/libssl-0b5a.so.1.1"]
        );
    }

    #[test]
    fn a_file_is_found_once_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libssl.so.3");
        fs::write(&path, "").expect("written");
        let other = folder.path().join("libssl.so");
        std::os::unix::fs::symlink(&path, &other).expect("linked");
        let mut libraries = Libraries::default();
        assert!(libraries.is_new(&path));
        assert!(!libraries.is_new(&other) && !libraries.is_new(&path));
    }
}
