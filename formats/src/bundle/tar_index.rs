//! Which files a packed bundle holds and where. Never follows a link, never trusts a name or a length.

use super::blob::Blob;
use super::names;
use crate::error::{At, Error, Kind, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const BLOCK: u64 = 512;
const MAX_FILES: usize = 1 << 20;

/// The files of a tar.
pub(super) struct TarIndex {
    /// Name (below the manifest's folder) → offset and length.
    pub(super) files: BTreeMap<String, (u64, u64)>,
    /// Whether the two zero blocks that end a tar were there.
    pub(super) complete: bool,
    /// What was left out, and why.
    pub(super) warnings: Vec<Error>,
}

/// Reads the headers of the tar in `blob`; jumps over file contents.
pub(super) fn index(path: &Path, blob: &Blob) -> Result<TarIndex> {
    let mut found = TarIndex { files: BTreeMap::new(), complete: false, warnings: Vec::new() };
    let mut at = 0u64;
    let mut long_name: Option<String> = None;
    while let Some(header) = header_at(blob, at) {
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            found.complete = true;
            break;
        }
        let malformed =
            |why: &str| Error::new(path, At::Byte(at), Kind::NotABundle(why.to_string()));
        let sum: u32 = checksum(header.as_bytes());
        if header.cksum().ok() != Some(sum) {
            return Err(malformed("no tar header stands where one should"));
        }
        let size = header.entry_size().map_err(|_| malformed("unreadable length"))?;
        let data = at + BLOCK;
        let kind = header.entry_type();
        let next = size.checked_next_multiple_of(BLOCK).and_then(|size| data.checked_add(size));
        let next = next.ok_or_else(|| malformed("impossible length"))?;
        if kind.is_gnu_longname() {
            long_name = small(blob, data, size).map(|name| name.trim_end_matches('\0').to_string());
        } else if kind.is_pax_local_extensions() {
            long_name = small(blob, data, size).and_then(|text| pax_path(&text)).or(long_name);
        } else if kind.is_file() {
            let name = long_name
                .take()
                .unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
            found.add(path, at, &name, data, size, blob.length());
        } else if !kind.is_dir() && !kind.is_pax_global_extensions() {
            long_name = None;
            let why = "an entry that is no plain file (a link or device) is ignored".to_string();
            found.warnings.push(Error::new(path, At::Byte(at), Kind::NotABundle(why)));
        }
        if found.files.len() > MAX_FILES {
            return Err(malformed("more files than a bundle has"));
        }
        at = next;
    }
    found.below_manifest();
    Ok(found)
}

impl TarIndex {
    fn add(&mut self, path: &Path, at: u64, name: &str, data: u64, size: u64, total: u64) {
        let name = name.strip_prefix("./").unwrap_or(name);
        let mut warn = |why: String| {
            self.warnings.push(Error::new(path, At::Byte(at), Kind::NotABundle(why)));
        };
        if !names::is_safe(name) {
            return warn(format!("the unsafe name {name:?} is ignored"));
        }
        if data.checked_add(size).is_none_or(|end| end > total) {
            return warn(format!("{name} is cut short and ignored"));
        }
        if self.files.contains_key(name) {
            return warn(format!("a second {name} is ignored"));
        }
        self.files.insert(name.to_string(), (data, size));
    }

    /// A bundle's folder may have been packed by hand: names count from where the manifest stands.
    fn below_manifest(&mut self) {
        let is_manifest = |name: &&String| name.ends_with(&format!("/{}", names::MANIFEST));
        if self.files.contains_key(names::MANIFEST) {
            return;
        }
        let Some(manifest) = self.files.keys().find(is_manifest) else { return };
        let folder = manifest[..manifest.len() - names::MANIFEST.len()].to_string();
        let below =
            |(name, place): (String, _)| Some((name.strip_prefix(&folder)?.to_string(), place));
        self.files = std::mem::take(&mut self.files).into_iter().filter_map(below).collect();
    }
}

fn header_at(blob: &Blob, at: u64) -> Option<tar::Header> {
    let mut header = tar::Header::new_old();
    blob.slice(at, BLOCK)?.reader(0).read_exact(header.as_mut_bytes()).ok()?;
    Some(header)
}

fn checksum(bytes: &[u8; 512]) -> u32 {
    // The checksum field itself counts as eight spaces.
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..])
}

fn small(blob: &Blob, at: u64, size: u64) -> Option<String> {
    let mut text = String::new();
    blob.slice(at, size).filter(|_| size <= 64 << 10)?.reader(0).read_to_string(&mut text).ok()?;
    Some(text)
}

fn pax_path(text: &str) -> Option<String> {
    let value = |line: &str| Some(line.split_once(' ')?.1.strip_prefix("path=")?.to_string());
    text.lines().find_map(value)
}
