//! Which hosts a plan makes, their names and ids. Reads no more of a capture than its first 64 KiB.

use super::plan::{FilePlan, ImportPlan, stem};
use crate::bundle::names;
use crate::error::{At, Error, Kind, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a bare capture that enter its host's id.
pub(super) const ID_BYTES: u64 = 64 << 10;

/// A host to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostToImport {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) folder: String,
    /// Files with their namespaces, in source order.
    pub(super) files: Vec<(Option<String>, FilePlan)>,
}

/// The hosts of a plan, in the order they are first named. `stdin_start` is what standard input begins with.
pub(super) fn hosts(plan: &ImportPlan, stdin_start: &[u8]) -> Result<Vec<HostToImport>> {
    let mut hosts: Vec<(Option<&str>, HostToImport)> = Vec::new();
    for entry in &plan.hosts {
        let files = entry.files.iter().map(|file| (entry.netns.clone(), file.clone()));
        match &entry.name {
            Some(name) => match hosts.iter_mut().find(|(known, _)| *known == Some(name)) {
                Some((_, host)) => host.files.extend(files),
                None => hosts.push((
                    Some(name),
                    host(name.clone(), names::host_id(name.as_bytes()), files.collect()),
                )),
            },
            None => {
                for (netns, file) in files {
                    let id = bare_id(&file.path, stdin_start)?;
                    hosts.push((None, host(bare_name(plan, &file.path), id, vec![(netns, file)])));
                }
            }
        }
    }
    let hosts: Vec<HostToImport> = hosts.into_iter().map(|(_, host)| host).collect();
    check(&hosts)?;
    Ok(hosts)
}

fn host(name: String, id: String, files: Vec<(Option<String>, FilePlan)>) -> HostToImport {
    let folder = names::host_folder(&name, &id);
    HostToImport { name, id, folder, files }
}

/// The stem; equal stems are shown with their parent folder.
fn bare_name(plan: &ImportPlan, path: &Path) -> String {
    let own = stem(path);
    let bare = plan.hosts.iter().filter(|host| host.name.is_none()).flat_map(|host| &host.files);
    if bare.filter(|other| stem(&other.path) == own).count() < 2 {
        return own;
    }
    match path.parent().and_then(Path::file_name) {
        Some(parent) => format!("{}/{own}", parent.to_string_lossy()),
        None => own,
    }
}

fn bare_id(path: &Path, stdin_start: &[u8]) -> Result<String> {
    let mut bytes = stem(path).into_bytes();
    bytes.push(0);
    if path == Path::new("-") {
        bytes.extend_from_slice(stdin_start);
    } else {
        let failed = |error| Error::io(path, &error);
        let file = File::open(path).map_err(failed)?;
        file.take(ID_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(names::host_id(&bytes))
}

fn check(hosts: &[HostToImport]) -> Result<()> {
    for (at, host) in hosts.iter().enumerate() {
        if hosts[..at].iter().any(|other| other.folder == host.folder) {
            let why = "the same capture is given twice, or two of one name that begin alike; name them with --host".to_string();
            return Err(Error::new(&host.files[0].1.path, At::File, Kind::BadArguments(why)));
        }
    }
    Ok(())
}
