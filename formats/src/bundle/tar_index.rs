//! Which files a packed bundle holds and where. Never follows a link, never trusts a name or a length.

use super::blob::Blob;
use super::names;
use crate::error::{At, Error, Kind, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const BLOCK: u64 = 512;
const MAX_FILES: usize = 1 << 20;
/// Bytes looked through at once for the next header.
const SKIP_BYTES: u64 = 1 << 20;

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
            if found.files.is_empty() {
                return Err(malformed("no tar header stands where one should"));
            }
            let Some(next) = next_header(blob, at + BLOCK) else { break };
            found.warn_damaged(path, at, &header, next - at);
            (at, long_name) = (next, None);
            continue;
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
            found.warnings.push(Error::new(path, At::Byte(at), Kind::NotPlain));
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
        let mut warn = |kind| self.warnings.push(Error::new(path, At::Byte(at), kind));
        if !names::is_safe(name) {
            return warn(Kind::UnsafeName(name.to_string()));
        }
        if data.checked_add(size).is_none_or(|end| end > total) {
            return warn(Kind::DamagedTar(format!("{name} is cut short and ignored")));
        }
        if self.files.contains_key(name) {
            return warn(Kind::DuplicateName(name.to_string()));
        }
        self.files.insert(name.to_string(), (data, size));
    }

    fn warn_damaged(&mut self, path: &Path, at: u64, header: &tar::Header, n_bytes: u64) {
        let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
        let why = format!("a damaged header, it seems of {name:?}; {n_bytes} bytes skipped");
        self.warnings.push(Error::new(path, At::Byte(at), Kind::DamagedTar(why)));
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

/// Where the next header stands, or the zeros that end the tar, at or behind `at`.
fn next_header(blob: &Blob, mut at: u64) -> Option<u64> {
    loop {
        let length = blob.length().checked_sub(at).filter(|left| *left >= BLOCK)?.min(SKIP_BYTES);
        let mut bytes = Vec::new();
        blob.slice(at, length)?.reader(0).read_to_end(&mut bytes).ok()?;
        let is_header = |block: &[u8]| match block.first_chunk::<512>() {
            Some(block) => {
                let header = tar::Header::from_byte_slice(block);
                let sum = header.cksum().ok() == Some(checksum(block));
                sum && block[257..262] == *b"ustar"
            }
            None => false,
        };
        if let Some(n) = bytes.chunks(BLOCK as usize).position(is_header) {
            return Some(at + n as u64 * BLOCK);
        }
        // The end marker may be all that is left.
        let end = 2 * BLOCK;
        if at + length == blob.length() {
            let tail = bytes.len().checked_sub(end as usize)?;
            let is_end = bytes[tail..].iter().all(|byte| *byte == 0);
            return is_end.then(|| blob.length() - end);
        }
        at += length - length % BLOCK;
    }
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
