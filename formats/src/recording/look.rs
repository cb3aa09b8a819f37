//! What a recording holds so far, seen from outside. Never takes its lock for longer than to see whether somebody holds it.

use super::LOCK;
use super::pending::pending;
use crate::bundle::manifest::Seal;
use crate::bundle::open::read_manifest;
use crate::error::Result;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;

/// A recording, at work or ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// Whether it was sealed.
    pub is_sealed: bool,
    /// Whether somebody writes in it.
    pub is_recording: bool,
    /// Rows on disk by table.
    pub n_rows: BTreeMap<String, u64>,
    /// Bytes on disk.
    pub n_bytes: u64,
    /// Sums of losses by cause, as of the last manifest.
    pub losses: BTreeMap<String, i64>,
}

/// Looks at the bundle in the folder `path`.
pub fn look(path: &Path) -> Result<Looked> {
    let (source, manifest, _) = read_manifest(path, &mut Vec::new())?;
    let mut looked = Looked {
        is_sealed: manifest.seal == Seal::Sealed,
        is_recording: is_locked(path),
        ..Looked::default()
    };
    for file in &manifest.files {
        *looked.n_rows.entry(file.table.clone()).or_default() += file.n_rows;
        looked.n_bytes += file.bytes;
    }
    if !looked.is_sealed {
        for segment in pending(&source, &manifest, &mut Vec::new())? {
            let extent = segment.read(|_| Ok(()))?;
            *looked.n_rows.entry(segment.table.name.to_string()).or_default() += extent.n_rows;
            looked.n_bytes += segment.blob.length();
        }
    }
    for sum in manifest.losses {
        *looked.losses.entry(sum.cause).or_default() += sum.count;
    }
    Ok(looked)
}

fn is_locked(path: &Path) -> bool {
    let file = File::open(path.join(LOCK));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
