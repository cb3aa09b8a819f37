//! Network namespaces: which there are, and work done inside one. Never changes the namespace of a thread that lives on.

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps names.
const NAMED: &str = "/run/netns";

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespace {
    /// A file that stands for it; whoever is told of it by the broker has no use for it.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// As `ip netns` calls it, else its oldest process.
    pub(crate) name: String,
    /// The one that the machine started with.
    pub(crate) is_initial: bool,
}

/// All namespaces that have a name or a process, by inode number.
pub(crate) fn all() -> BTreeMap<u32, Namespace> {
    let initial = initial();
    let mut found = BTreeMap::new();
    for path in entries(NAMED) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(inode) = inode(&path) {
            found.insert(inode, Namespace { path, name, is_initial: Some(inode) == initial });
        }
    }
    for id in processes() {
        let path = PathBuf::from(format!("/proc/{id}/ns/net"));
        let Some(inode) = inode(&path) else { continue };
        found.entry(inode).or_insert_with(|| {
            let process = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            let is_initial = Some(inode) == initial;
            Namespace { path, name: format!("{}[{id}]", process.trim()), is_initial }
        });
    }
    found
}

/// The namespaces of processes, by their numbers or by the cgroups that they are in (version 2, or a hybrid's): a cgroup's id is its
/// folder's inode number, and whoever is below it is in it, too.
pub(crate) fn of(wanted: &[u32], cgroups: &[u64]) -> BTreeSet<u32> {
    let is_wanted = |id: &u32| {
        (wanted.is_empty() || wanted.contains(id)) && (cgroups.is_empty() || is_below(*id, cgroups))
    };
    let inodes = processes().into_iter().filter(is_wanted);
    inodes.filter_map(|id| inode(Path::new(&format!("/proc/{id}/ns/net")))).collect()
}

fn is_below(id: u32, cgroups: &[u64]) -> bool {
    let text = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let is_wanted =
        |folder: PathBuf| fs::metadata(folder).is_ok_and(|f| cgroups.contains(&f.ino()));
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    Path::new(path).ancestors().any(|at| roots.iter().any(|root| is_wanted(root.join(at))))
}

/// The numbers of all processes, in order.
fn processes() -> Vec<u32> {
    let number = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    let mut ids: Vec<u32> = entries("/proc").filter_map(number).collect();
    ids.sort_unstable();
    ids
}

/// Runs `work` in the namespace `number`, whose file is at `path`, on a thread of its own unless that is this process's.
pub(crate) fn within<T: Send>(
    number: u32,
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    if inode(Path::new("/proc/self/ns/net")) == Some(number) {
        return work();
    }
    let file = File::open(path)?;
    // The process whose file it was may have gone, and its number be another's.
    if file.metadata()?.ino() as u32 != number {
        return Err(io::ErrorKind::NotFound.into());
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(file, CloneFlags::CLONE_NEWNET)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread broke down")))
    })
}

/// The namespace of kernel threads, where they can be seen; in a container that of its first process.
fn initial() -> Option<u32> {
    let is_kernel = fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd");
    let first = if is_kernel { "/proc/2/ns/net" } else { "/proc/1/ns/net" };
    inode(Path::new(first))
}

fn entries(folder: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn inode(path: &Path) -> Option<u32> {
    // The files of nsfs carry the namespace's number.
    fs::metadata(path).ok().map(|file| file.ino() as u32)
}
