//! Packing a bundle into one uncompressed tar: the manifest first, names sorted, nothing of this machine in it, so that the
//! same bundle gives the same bytes. Never compresses: Parquet is compressed already, and the pack is opened by memory map.

use super::manifest::Seal;
use super::names::MANIFEST;
use super::open::read_manifest;
use super::source::Source;
use crate::error::{At, Error, Kind, Result};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const BLOCK: u64 = 512;

/// Packs the bundle at `bundle` into `output`, written beside and renamed. A file listed but missing or of another length is
/// an error, and so is a bundle that is not sealed; files that are not listed stay out.
pub fn pack(bundle: &Path, output: &Path, force: bool) -> Result<()> {
    if output.exists() && !force {
        return Err(Error::new(output, At::File, Kind::OutputExists));
    }
    let (source, manifest, bytes) = read_manifest(bundle, &mut Vec::new())?;
    if manifest.seal == Seal::Unsealed {
        // Its segments would stay out, and a recorder may be at work.
        return Err(Error::new(bundle, At::File, Kind::Unsealed));
    }
    let mut files: Vec<(&str, u64)> =
        manifest.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    files.sort_unstable();
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let failed = |error: io::Error| Error::io(output, &error);
    let mut beside =
        tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut tar = BufWriter::with_capacity(1 << 20, beside.as_file_mut());
    entry(&mut tar, MANIFEST, bytes.len() as u64, &mut &bytes[..]).map_err(failed)?;
    for (name, length) in files {
        let blob = listed(&source, name, length)?;
        entry(&mut tar, name, length, &mut blob.reader(0)).map_err(failed)?;
    }
    tar.write_all(&[0; 2 * BLOCK as usize]).and_then(|()| tar.flush()).map_err(failed)?;
    drop(tar);
    readable_by_all(beside.as_file()).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
    beside.persist(output).map(|_| ()).map_err(|error| failed(error.error))
}

fn listed(source: &Source, name: &str, length: u64) -> Result<super::blob::Blob> {
    let blob = source.blob(name)?;
    if blob.length() == length {
        return Ok(blob);
    }
    let how = format!("{} bytes, {length} listed", blob.length());
    Err(Error::new(source.shown(name), At::File, Kind::AlteredFile(how)))
}

/// Header, contents, padding. Data begin at multiples of 512 bytes, which is all the alignment Parquet and Arrow ask for.
fn entry(
    tar: &mut impl Write,
    name: &str,
    length: u64,
    contents: &mut impl io::Read,
) -> io::Result<()> {
    let header = |name: &str, length: u64, kind| -> io::Result<tar::Header> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_size(length);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        Ok(header)
    };
    if name.len() > 100 {
        // A name that the header has no room for stands before it, in GNU's way.
        tar.write_all(
            header("././@LongLink", name.len() as u64 + 1, tar::EntryType::GNULongName)?.as_bytes(),
        )?;
        tar.write_all(name.as_bytes())?;
        pad(tar, name.len() as u64)?;
    }
    let short: String = name.chars().take(100).collect();
    tar.write_all(header(&short, length, tar::EntryType::Regular)?.as_bytes())?;
    let copied = io::copy(contents, tar)?;
    if copied != length {
        return Err(io::Error::other("a file changed while it was packed"));
    }
    pad(tar, length)
}

fn pad(tar: &mut impl Write, length: u64) -> io::Result<()> {
    let padding = length.next_multiple_of(BLOCK) - length;
    tar.write_all(&[0; BLOCK as usize][..padding as usize])
}

/// Temporary files are private to their owner; the pack is an ordinary file.
#[cfg(unix)]
fn readable_by_all(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &std::fs::File) -> io::Result<()> {
    Ok(())
}
