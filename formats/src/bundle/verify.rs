//! Is a bundle whole? Every listed file is read once and compared with the manifest. Never changes anything.

use super::manifest::{FileEntry, LossSum, Manifest, Reduction, Seal};
use super::names::MANIFEST;
use super::open::{open_file, read_manifest};
use super::packet_file::PacketFile;
use super::source::Source;
use crate::error::{At, Error, Kind, Result};
use crate::table::{self, capture_blocks};
use rayon::prelude::*;
use std::io::Read;
use std::path::Path;

/// pcapng Decryption Secrets Block.
const SECRETS_BLOCK: u32 = 10;

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The manifest.
    pub manifest: Manifest,
    /// What is wrong: hashes, schemas, row counts, order, seal, missing files. Empty: the bundle is whole.
    pub problems: Vec<Error>,
    /// What is odd but not wrong (unknown columns, files not listed, compression).
    pub notes: Vec<Error>,
    /// Decryption-secret blocks, still in the bundle.
    pub secrets: Vec<Secret>,
    /// What the recordings are known to lack.
    pub losses: Vec<LossSum>,
    /// What was left out on purpose.
    pub reductions: Vec<Reduction>,
    /// Files compared.
    pub n_files: usize,
    /// Bytes compared.
    pub n_bytes: u64,
}

/// A block that holds keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The host's folder value.
    pub host: String,
    /// Its place in the capture, see the packets table.
    pub source_row: i64,
    /// The whole block's length in bytes.
    pub bytes: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the bundle at `path`. `Err` only when there is no readable manifest to compare with.
pub fn verify(path: &Path) -> Result<Verification> {
    let mut notes = Vec::new();
    let (source, manifest, bytes) = read_manifest(path, &mut notes)?;
    let mut found = Verification {
        problems: Vec::new(),
        secrets: Vec::new(),
        losses: manifest.losses.clone(),
        reductions: manifest.reductions.clone(),
        n_files: manifest.files.len() + 1,
        n_bytes: bytes.len() as u64,
        notes,
        manifest,
    };
    // A pack without its end is not what was packed, even if every listed file is there.
    let (wrong, odd): (Vec<Error>, _) =
        found.notes.drain(..).partition(|note| matches!(note.kind, Kind::NotABundle(_)));
    (found.problems, found.notes) = (wrong, odd);
    found.check_seal(path);
    found.check_unlisted(&source);
    let checked: Vec<Checked> =
        found.manifest.files.par_iter().map(|entry| check_file(&source, entry)).collect();
    for file in checked {
        found.n_bytes += file.n_bytes;
        found.problems.extend(file.problems);
        found.notes.extend(file.notes);
        found.secrets.extend(file.secrets);
    }
    Ok(found)
}

impl Verification {
    fn check_seal(&mut self, path: &Path) {
        if self.manifest.seal == Seal::Unsealed {
            let why = "it was never sealed".to_string();
            self.problems.push(Error::new(path, At::File, Kind::NotABundle(why)));
        }
    }

    fn check_unlisted(&mut self, source: &Source) {
        let names = match source.names() {
            Ok(names) => names,
            Err(error) => return self.problems.push(error),
        };
        let listed: std::collections::HashSet<&str> =
            self.manifest.files.iter().map(|file| file.path.as_str()).collect();
        for name in names.iter().filter(|name| *name != MANIFEST && !listed.contains(name.as_str()))
        {
            let why = "not listed in the manifest".to_string();
            self.notes.push(Error::new(source.shown(name), At::File, Kind::Note(why)));
        }
    }
}

#[derive(Default)]
struct Checked {
    problems: Vec<Error>,
    notes: Vec<Error>,
    secrets: Vec<Secret>,
    n_bytes: u64,
}

fn check_file(source: &Source, entry: &FileEntry) -> Checked {
    let mut checked = Checked::default();
    if let Err(error) = check_hash(source, entry, &mut checked) {
        checked.problems.push(error);
        return checked;
    }
    let Some(table) = table::find(&entry.table) else {
        let why = format!("the table `{}` is unknown to this version", entry.table);
        checked.notes.push(Error::new(source.shown(&entry.path), At::File, Kind::Note(why)));
        return checked;
    };
    match open_file(source, entry, table) {
        Err(error) => checked.problems.push(error),
        Ok(file) => {
            if !file.unknown_columns.is_empty() {
                let why = format!("unknown columns: {}", file.unknown_columns.join(", "));
                checked.notes.push(Error::new(&file.path, At::File, Kind::Note(why)));
            }
            if table.name == capture_blocks::TABLE.name {
                for batch in file.read_all(&mut checked.problems) {
                    checked.secrets.extend(secrets(&entry.host, &batch));
                }
            }
            if table.name == table::packets::TABLE.name {
                let packets = PacketFile::new(0, file, std::sync::Arc::from([]), &entry.blake3);
                checked.problems.extend(packets.order_problem());
            }
        }
    }
    checked
}

fn check_hash(source: &Source, entry: &FileEntry, checked: &mut Checked) -> Result<()> {
    let blob = source.blob(&entry.path)?;
    let shown = source.shown(&entry.path);
    let mut reader = blob.reader(0);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) => return Err(Error::io(&shown, &error)),
        };
    }
    checked.n_bytes = blob.length();
    if hasher.finalize().to_hex().as_str() != entry.blake3 {
        let how = format!(
            "its hash is not the one listed ({} bytes, {} listed)",
            blob.length(),
            entry.bytes
        );
        return Err(Error::new(&shown, At::File, Kind::AlteredFile(how)));
    }
    Ok(())
}

fn secrets(host: &str, batch: &arrow::array::RecordBatch) -> Vec<Secret> {
    let rows = capture_blocks::rows(batch).into_iter();
    let secret = |row: capture_blocks::CaptureBlockRow| Secret {
        host: host.to_string(),
        source_row: row.source_row,
        bytes: row.bytes.len() as u64,
    };
    rows.filter(|row| row.block_type == SECRETS_BLOCK).map(secret).collect()
}
