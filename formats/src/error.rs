//! The one error of this crate: what was wrong, in which file, at which place. Never a panic on input.

use std::fmt;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Where in a file something was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The file as a whole.
    File,
    /// A byte offset from the start of the (decompressed) file.
    Byte(u64),
    /// A row group of a Parquet file.
    RowGroup(usize),
    /// A row of a table.
    Row(u64),
}

/// What was wrong. Every kind has a stable name, see [`Kind::name`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The operating system refused; the text is its reason.
    Io(String),
    /// The bytes are no capture format known here.
    NotACapture,
    /// The capture ends in the middle of a record or block.
    TruncatedCapture,
    /// A block or record contradicts itself (a length, an order, a magic number).
    MalformedCapture(String),
    /// The compressed stream is damaged.
    BadCompression(String),
    /// The path is no bundle.
    NotABundle(String),
    /// The bundle was written by a newer, incompatible version.
    NewerBundle {
        /// The version found.
        found: String,
        /// The newest version this program reads.
        supported: String,
    },
    /// A file named by the manifest is not there.
    MissingFile,
    /// A file's bytes differ from what the manifest says.
    AlteredFile(String),
    /// A Parquet file can't be read.
    BadParquet(String),
    /// A table's columns are not those of the specification.
    BadSchema(String),
    /// The manifest can't be read.
    BadManifest(String),
    /// The output exists and `--force` was not given.
    OutputExists,
    /// The arguments contradict each other.
    BadArguments(String),
    /// Nothing is wrong, but the user should know.
    Note(String),
}

impl Kind {
    /// The stable name printed as `error[name]`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Io(_) => "io",
            Kind::NotACapture => "not-a-capture",
            Kind::TruncatedCapture => "truncated-capture",
            Kind::MalformedCapture(_) => "malformed-capture",
            Kind::BadCompression(_) => "bad-compression",
            Kind::NotABundle(_) => "not-a-bundle",
            Kind::NewerBundle { .. } => "newer-bundle",
            Kind::MissingFile => "missing-file",
            Kind::AlteredFile(_) => "altered-file",
            Kind::BadParquet(_) => "bad-parquet",
            Kind::BadSchema(_) => "bad-schema",
            Kind::BadManifest(_) => "bad-manifest",
            Kind::OutputExists => "output-exists",
            Kind::BadArguments(_) => "bad-arguments",
            Kind::Note(_) => "note",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Io(why) => write!(f, "{why}"),
            Kind::NotACapture => write!(
                f,
                "this is no pcap or pcapng capture (plain, gzip or zstd); give a file written by tcpdump, dumpcap or Wireshark"
            ),
            Kind::TruncatedCapture => write!(f, "the capture ends in the middle of a record"),
            Kind::MalformedCapture(why) => write!(f, "malformed capture: {why}"),
            Kind::BadCompression(why) => write!(f, "damaged compressed data: {why}"),
            Kind::NotABundle(why) => write!(f, "this is no Afterpath bundle: {why}"),
            Kind::NewerBundle { found, supported } => write!(
                f,
                "the bundle has format version {found}, this program reads up to {supported}; use a newer afterpath"
            ),
            Kind::MissingFile => write!(f, "named by the manifest, but missing"),
            Kind::AlteredFile(how) => write!(f, "differs from the manifest: {how}"),
            Kind::BadParquet(why) => write!(f, "unreadable Parquet: {why}"),
            Kind::BadSchema(why) => write!(f, "wrong columns: {why}"),
            Kind::BadManifest(why) => write!(f, "unreadable manifest: {why}"),
            Kind::OutputExists => write!(f, "exists already; give --force to replace it"),
            Kind::BadArguments(why) | Kind::Note(why) => write!(f, "{why}"),
        }
    }
}

/// An error with the file and the place it was found at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// The place in it.
    pub at: At,
    /// What was wrong.
    pub kind: Kind,
}

impl Error {
    /// An error about `path` at `at`.
    pub fn new(path: impl AsRef<Path>, at: At, kind: Kind) -> Self {
        Error { path: path.as_ref().to_path_buf(), at, kind }
    }

    /// An operating system's refusal about `path`.
    pub fn io(path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        Error::new(path, At::File, Kind::Io(error.to_string()))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::File => write!(f, "the file"),
            At::Byte(offset) => write!(f, "byte {offset}"),
            At::RowGroup(n) => write!(f, "row group {n}"),
            At::Row(n) => write!(f, "row {n}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.kind.name(), self.path.display())?;
        if self.at != At::File {
            write!(f, ", {}", self.at)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for Error {}
