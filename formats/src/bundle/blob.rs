//! A file's bytes wherever they are: in memory (mapped) or on disk, read at positions. Never has a shared cursor, so any
//! number of readers may use one at once.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

/// The bytes of one file of a bundle.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    /// In memory.
    Memory(Bytes),
    /// A stretch of a file.
    Stretch { file: Arc<File>, start: u64, length: u64 },
}

impl Blob {
    /// All of `file`.
    pub(crate) fn whole(file: File) -> io::Result<Blob> {
        let length = file.metadata()?.len();
        Ok(Blob::Stretch { file: Arc::new(file), start: 0, length })
    }

    /// `length` bytes from `start`; `None` when it does not hold so much.
    pub(crate) fn slice(&self, start: u64, length: u64) -> Option<Blob> {
        let end = start.checked_add(length).filter(|end| *end <= self.length())?;
        Some(match self {
            Blob::Memory(bytes) => Blob::Memory(bytes.slice(start as usize..end as usize)),
            Blob::Stretch { file, start: begin, .. } => {
                Blob::Stretch { file: file.clone(), start: begin + start, length }
            }
        })
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Blob::Memory(bytes) => bytes.len() as u64,
            Blob::Stretch { length, .. } => *length,
        }
    }

    /// Reads from `start` on.
    pub(crate) fn reader(&self, start: u64) -> BlobReader {
        BlobReader { blob: self.clone(), position: start }
    }

    /// The whole content.
    pub(crate) fn read_all(&self) -> io::Result<Bytes> {
        self.read_at(0, self.length() as usize)
    }

    /// The BLAKE3 hash of the whole content, in hexadecimal.
    pub(crate) fn blake3(&self) -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        match self {
            Blob::Memory(bytes) => hasher.update(bytes),
            Blob::Stretch { .. } => hasher.update_reader(self.reader(0))?,
        };
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn read_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let part = self.slice(start, length as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        match part {
            Blob::Memory(bytes) => Ok(bytes),
            Blob::Stretch { file, start, .. } => {
                let mut bytes = vec![0; length];
                fill_at(&file, &mut bytes, start)?;
                Ok(bytes.into())
            }
        }
    }
}

impl Length for Blob {
    fn len(&self) -> u64 {
        self.length()
    }
}

impl ChunkReader for Blob {
    type T = BufReader<BlobReader>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read_at(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads a blob from a position on.
pub(crate) struct BlobReader {
    blob: Blob,
    position: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.length().saturating_sub(self.position);
        let n = left.min(buffer.len() as u64) as usize;
        match &self.blob {
            Blob::Memory(bytes) => {
                let start = self.position as usize;
                if n > 0 {
                    buffer[..n].copy_from_slice(&bytes[start..start + n]);
                }
            }
            Blob::Stretch { file, start, .. } => {
                fill_at(file, &mut buffer[..n], start + self.position)?;
            }
        }
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(unix)]
fn fill_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn fill_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        offset += n as u64;
    }
    Ok(())
}
