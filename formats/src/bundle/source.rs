//! Where a bundle's files come from: a directory, a packed tar, a compressed tar. Never changes any of them.

use super::blob::Blob;
use super::names;
use super::{map, tar_index};
use crate::error::{At, Error, Kind, Result};
use crate::import::reader::is_capture;
use crate::import::source::{self as capture, Compression};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes by which a capture is told from a tar.
const START_BYTES: u64 = 512;

/// A bundle's files.
#[derive(Debug)]
pub(crate) struct Source {
    /// What the user named.
    pub(crate) path: PathBuf,
    /// What was odd about it.
    pub(crate) warnings: Vec<Error>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory,
    Tar { blob: Blob, files: BTreeMap<String, (u64, u64)> },
}

impl Source {
    /// Opens the bundle at `path`; looks only at what is needed to find its files.
    pub(crate) fn open(path: &Path) -> Result<Source> {
        let io = |error: io::Error| Error::io(path, &error);
        let kind = std::fs::metadata(path).map_err(io)?;
        if kind.is_dir() {
            return Ok(Source { path: path.into(), warnings: Vec::new(), place: Place::Directory });
        }
        if !kind.is_file() {
            // Opening a pipe would wait for someone to write.
            let why = "it is neither a file nor a directory".to_string();
            return Err(Error::new(path, At::File, Kind::NotABundle(why)));
        }
        let mut unpacked = capture::Source::open(path)?;
        let start = start_of(&mut unpacked);
        if is_capture(&start) {
            return Err(Error::new(path, At::File, Kind::IsACapture));
        }
        if unpacked.compression() == Compression::Plain {
            return Source::open_tar(path, File::open(path).map_err(io)?, Vec::new());
        }
        let file = spool(&start, unpacked)?;
        Source::open_tar(path, file, vec![Error::new(path, At::File, Kind::CompressedBundle)])
    }

    fn open_tar(path: &Path, file: File, mut warnings: Vec<Error>) -> Result<Source> {
        let io = |error: io::Error| Error::io(path, &error);
        let length = file.metadata().map_err(io)?.len();
        let spare = file.try_clone().map_err(io)?;
        let blob = Blob::whole(file).map_err(io)?;
        let index = tar_index::index(path, &blob)?;
        warnings.extend(index.warnings);
        if !index.files.contains_key(names::MANIFEST) {
            let why = format!("it holds no {}", names::MANIFEST);
            return Err(Error::new(path, At::File, Kind::NotABundle(why)));
        }
        // A file still being written or cut may lose mapped pages (SIGBUS): such a file is read.
        let whole = index.complete && spare.metadata().map_err(io)?.len() == length;
        if !index.complete {
            warnings.push(Error::new(path, At::Byte(length), Kind::NoEndMarker));
        }
        let blob = if whole {
            map::map(&spare, 0..length).map(Blob::Memory).unwrap_or(blob)
        } else {
            blob
        };
        Ok(Source { path: path.into(), warnings, place: Place::Tar { blob, files: index.files } })
    }

    /// The path shown for one of its files.
    pub(crate) fn shown(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes of one of its files.
    pub(crate) fn blob(&self, name: &str) -> Result<Blob> {
        let missing = || Error::new(self.shown(name), At::File, Kind::MissingFile);
        match &self.place {
            Place::Directory => {
                let path = self.shown(name);
                check_plain(&self.path, name).map_err(|error| match error {
                    None => Error::new(&path, At::File, Kind::NotPlain),
                    Some(error) if error.kind() == io::ErrorKind::NotFound => missing(),
                    Some(error) => Error::io(&path, &error),
                })?;
                File::open(&path).and_then(Blob::whole).map_err(|error| Error::io(&path, &error))
            }
            Place::Tar { blob, files } => {
                let (start, length) = *files.get(name).ok_or_else(missing)?;
                blob.slice(start, length).ok_or_else(missing)
            }
        }
    }

    /// The names of all files found, links and devices too, sorted; folders that are links are not entered.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Tar { files, .. } => Ok(files.keys().cloned().collect()),
            Place::Directory => {
                let mut names = Vec::new();
                list(&self.path, "", &mut names).map_err(|error| Error::io(&self.path, &error))?;
                names.sort_unstable();
                Ok(names)
            }
        }
    }
}

/// A link inside a bundle may point anywhere: neither files nor folders that are links are followed.
fn check_plain(bundle: &Path, name: &str) -> std::result::Result<(), Option<io::Error>> {
    let mut path = bundle.to_path_buf();
    let mut elements = name.split('/').peekable();
    while let Some(element) = elements.next() {
        path.push(element);
        let kind = std::fs::symlink_metadata(&path).map_err(Some)?.file_type();
        let plain = if elements.peek().is_some() { kind.is_dir() } else { kind.is_file() };
        if !plain {
            return Err(None);
        }
    }
    Ok(())
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

/// The first bytes of a file, unpacked; fewer where it is damaged, which is told when all of it is read.
fn start_of(unpacked: &mut capture::Source) -> Vec<u8> {
    let mut start = Vec::new();
    let _ = unpacked.by_ref().take(START_BYTES).read_to_end(&mut start);
    start
}

/// Unpacks to a temporary file, which goes away with its handle.
fn spool(start: &[u8], mut rest: capture::Source) -> Result<File> {
    let mut plain = tempfile::tempfile().map_err(|error| Error::no_temporary(&error))?;
    plain.write_all(start).map_err(|error| Error::no_temporary(&error))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(plain),
            Ok(n) => plain.write_all(&buffer[..n]).map_err(|error| Error::no_temporary(&error))?,
            Err(error) => return Err(Error::new(rest.path(), At::File, rest.error_kind(&error))),
        }
    }
}
