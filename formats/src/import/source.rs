//! Where capture bytes come from: a file or standard input, plain, gzip or zstd. Never looks inside the capture, never
//! unpacks twice.

use crate::error::{Error, Kind, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// Bytes read from the file at once when it has to be decompressed.
const COMPRESSED_READ_BYTES: usize = 256 * 1024;

/// How a source is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952), any number of members.
    Gzip,
    /// Zstandard (RFC 8878), any number of frames.
    Zstd,
}

impl Compression {
    /// What the first four bytes of a file say.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
            _ => Compression::Plain,
        }
    }
}

/// The decompressed bytes of one capture file.
pub struct Source {
    path: PathBuf,
    compression: Compression,
    inner: Box<dyn Read + Send>,
}

impl Source {
    /// Opens `path`, or standard input for `-`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path == Path::new("-") {
            return Source::from_reader(path, io::stdin());
        }
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        Source::from_reader(path, file)
    }

    /// Takes the bytes of `reader`, and `path` for errors.
    pub fn from_reader(path: impl AsRef<Path>, reader: impl Read + Send + 'static) -> Result<Self> {
        let path = path.as_ref();
        let (start, reader) = peek(reader).map_err(|error| Error::io(path, &error))?;
        let compression = Compression::sniff(&start);
        let whole = Cursor::new(start).chain(reader);
        let inner: Box<dyn Read + Send> = match compression {
            Compression::Plain => Box::new(whole),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                COMPRESSED_READ_BYTES,
                whole,
            ))),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(COMPRESSED_READ_BYTES, whole);
                let decoder = zstd::stream::read::Decoder::with_buffer(buffered)
                    .map_err(|error| Error::io(path, &error))?;
                Box::new(decoder)
            }
        };
        Ok(Source { path: path.to_path_buf(), compression, inner })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What a failed read means: a damaged stream where one is decompressed, else the system's refusal.
    pub fn error_kind(&self, error: &io::Error) -> Kind {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        let from_decoder =
            matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof);
        if self.compression != Compression::Plain && from_decoder {
            Kind::BadCompression(error.to_string())
        } else {
            Kind::Io(error.to_string())
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// The first four bytes of `reader`, fewer if it ends before.
fn peek<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, R)> {
    let mut start = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut start)?;
    Ok((start, reader))
}
