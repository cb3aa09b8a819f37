//! What the node itself says of a process: its files below `/proc`, the path of its cgroup. Never asks another program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process, as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) parent: u32,
    pub(super) name: String,
    /// Each ended by a zero byte.
    pub(super) arguments: Vec<u8>,
    pub(super) netns: u32,
    /// Threads and their names.
    pub(super) threads: Vec<(u32, String)>,
}

/// Bytes read of a command line.
const MAX_ARGUMENTS: usize = 4096;

/// Ids of all processes.
pub(super) fn ids() -> Vec<u32> {
    numbers(Path::new("/proc"))
}

/// One of them; `None` when it went.
pub(super) fn look(id: u32) -> Option<Seen> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let mut arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
    arguments.truncate(MAX_ARGUMENTS);
    let name = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_string();
    let threads = numbers(&folder.join("task"));
    let thread = |tid: u32| (tid, name(folder.join(format!("task/{tid}/comm"))));
    Some(Seen {
        parent: field("PPid:").and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        name: name(folder.join("comm")),
        arguments,
        netns: fs::metadata(folder.join("ns/net")).map_or(0, |file| file.ino() as u32),
        threads: threads.into_iter().map(thread).collect(),
    })
}

/// The cgroup's path: of the v2 hierarchy unless that says nothing, else of v1's processor controller, whose quotas are counted, else of
/// the first one that does.
pub(super) fn cgroup(id: u32) -> Option<String> {
    path_of(&fs::read_to_string(format!("/proc/{id}/cgroup")).ok()?)
}

fn path_of(text: &str) -> Option<String> {
    let paths = || text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let v2 = text.lines().find_map(|line| line.strip_prefix("0::"));
    let says = |path: &&str| !matches!(*path, "" | "/");
    let is_cpu = |line: &&str| {
        let mut controllers = line.split(':').nth(1).unwrap_or_default().split(',');
        controllers.any(|controller| controller == "cpu")
    };
    let cpu = text.lines().find(is_cpu).and_then(|line| line.splitn(3, ':').nth(2));
    let path = v2.filter(says).or(cpu.filter(says)).or_else(|| paths().find(says));
    let path = path.or(v2).or_else(|| paths().next());
    path.map(str::to_string)
}

fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut ids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(path_of(text).as_deref(), expected);
    }

    #[test]
    fn cgroups_of_all_hierarchies() {
        check("0::/user.slice/x.scope\n", Some("/user.slice/x.scope"));
        check("12:cpu:/docker/abc\n0::/\n", Some("/docker/abc"));
        check("12:pids:/a\n4:cpu,cpuacct:/b\n0::/\n", Some("/b"));
        check("12:cpu:/\n1:name=systemd:/init.scope\n0::/\n", Some("/init.scope"));
        check("0::/\n", Some("/"));
        check("", None);
    }

    #[test]
    fn this_process_is_seen() {
        let seen = look(std::process::id()).expect("it is there");
        assert!(seen.netns != 0 && !seen.arguments.is_empty() && !seen.threads.is_empty());
    }
}
