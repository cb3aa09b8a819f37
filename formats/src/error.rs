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
    /// No span in what was given as spans.
    NotSpans,
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
    /// A capture was given where a bundle should be.
    IsACapture,
    /// A link, device or other thing that is no plain file; it is ignored.
    NotPlain,
    /// A file name in a packed bundle that could lead out of it; it is ignored.
    UnsafeName(String),
    /// A second file of a name in a packed bundle; it is ignored.
    DuplicateName(String),
    /// A header inside a packed bundle is damaged: what it named is lost.
    DamagedTar(String),
    /// A packed bundle ends without its end marker.
    NoEndMarker,
    /// The bundle's writer was interrupted, or is at work.
    Unsealed,
    /// The disk, or what may be used of it, is full.
    DiskFull(String),
    /// A recorder, or a repair, is at work in the bundle.
    InUse,
    /// A segment of a recording ends, or is damaged, before its file does.
    CutSegment(String),
    /// A file in the bundle that the manifest doesn't list.
    UnlistedFile,
    /// A host has no file of a table that every host has.
    MissingTable(String),
    /// Manifest and `hosts` tables don't name the same hosts.
    HostsDiffer(String),
    /// The manifest's sums of losses are not those of the tables.
    LossesDiffer(String),
    /// Counts or times of one place are not those of another.
    CountsDiffer(String),
    /// Rows name a clock domain the manifest doesn't have.
    UnknownDomain(String),
    /// Rows name an interface that the host doesn't have.
    UnknownInterface(String),
    /// Rows are not in the table's order.
    UnorderedRows,
    /// A frame has not the length its row says.
    FrameLength(String),
    /// A Parquet file is compressed in a way not read here.
    UnsupportedCodec(String),
    /// A compressed bundle was unpacked to a temporary file.
    CompressedBundle,
    /// A newer minor version: what is unknown is ignored.
    NewerMinor(String),
    /// A table unknown to this version, ignored.
    UnknownTable(String),
    /// Columns unknown to this version, ignored.
    UnknownColumns(String),
}

impl Kind {
    /// Whether nothing is missing or doubtful: worth a note, no damage.
    pub fn is_note(&self) -> bool {
        matches!(
            self,
            Kind::CompressedBundle
                | Kind::NewerMinor(_)
                | Kind::UnknownTable(_)
                | Kind::UnknownColumns(_)
                | Kind::Unsealed
        )
    }

    /// The stable name printed as `error[name]`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Io(_) => "io",
            Kind::NotACapture => "not-a-capture",
            Kind::NotSpans => "not-spans",
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
            Kind::IsACapture => "is-a-capture",
            Kind::NotPlain => "not-plain",
            Kind::UnsafeName(_) => "unsafe-name",
            Kind::DuplicateName(_) => "duplicate-name",
            Kind::DamagedTar(_) => "damaged-tar",
            Kind::NoEndMarker => "no-end-marker",
            Kind::Unsealed => "unsealed",
            Kind::DiskFull(_) => "disk-full",
            Kind::InUse => "in-use",
            Kind::CutSegment(_) => "cut-segment",
            Kind::UnlistedFile => "unlisted-file",
            Kind::MissingTable(_) => "missing-table",
            Kind::HostsDiffer(_) => "hosts-differ",
            Kind::LossesDiffer(_) => "losses-differ",
            Kind::CountsDiffer(_) => "counts-differ",
            Kind::UnknownDomain(_) => "unknown-domain",
            Kind::UnknownInterface(_) => "unknown-interface",
            Kind::UnorderedRows => "unordered-rows",
            Kind::FrameLength(_) => "frame-length",
            Kind::UnsupportedCodec(_) => "unsupported-codec",
            Kind::CompressedBundle => "compressed-bundle",
            Kind::NewerMinor(_) => "newer-minor",
            Kind::UnknownTable(_) => "unknown-table",
            Kind::UnknownColumns(_) => "unknown-columns",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Io(why) | Kind::DiskFull(why) => write!(f, "{why}"),
            Kind::NotACapture => write!(
                f,
                "this is no pcap or pcapng capture (plain, gzip or zstd); give a file written by tcpdump, dumpcap or Wireshark"
            ),
            Kind::NotSpans => write!(
                f,
                "there is no span in it that could be used; --format jaeger takes what Jaeger's UI or /api/traces gives, --format otlp what OTLP's JSON exporters write"
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
            Kind::BadArguments(why)
            | Kind::DamagedTar(why)
            | Kind::MissingTable(why)
            | Kind::HostsDiffer(why)
            | Kind::LossesDiffer(why)
            | Kind::CountsDiffer(why)
            | Kind::UnknownDomain(why)
            | Kind::UnknownInterface(why)
            | Kind::CutSegment(why)
            | Kind::FrameLength(why) => write!(f, "{why}"),
            Kind::IsACapture => write!(
                f,
                "this is a capture; make a bundle of it first: afterpath import FILE -o BUNDLE"
            ),
            Kind::NotPlain => write!(f, "no plain file (a link or device), ignored"),
            Kind::UnsafeName(name) => write!(f, "the unsafe name {name:?} is ignored"),
            Kind::DuplicateName(name) => write!(f, "a second {name} is ignored"),
            Kind::NoEndMarker => {
                write!(f, "the tar has no end marker: it is cut short or still being written")
            }
            Kind::Unsealed => write!(
                f,
                "unsealed: its writer was interrupted, or is still at work; seal it with: afterpath repair BUNDLE"
            ),
            Kind::InUse => write!(f, "a recorder is at work in it; stop that first"),
            Kind::UnlistedFile => write!(f, "not listed in the manifest"),
            Kind::UnorderedRows => write!(f, "rows are not in the table's order"),
            Kind::UnsupportedCodec(codec) => write!(
                f,
                "compressed with {codec}, which this program can't read; zstd, snappy, lz4, gzip and none are read"
            ),
            Kind::CompressedBundle => write!(
                f,
                "compressed: it was unpacked to a temporary file first; an uncompressed .tar opens at once"
            ),
            Kind::NewerMinor(versions) => {
                write!(f, "format version {versions}: what is unknown here is ignored")
            }
            Kind::UnknownTable(name) => {
                write!(f, "the table `{name}` is unknown to this version and ignored")
            }
            Kind::UnknownColumns(names) => write!(f, "unknown columns are ignored: {names}"),
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

    /// An operating system's refusal while writing `path`: a full disk has a name of its own.
    pub(crate) fn disk(path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => {
                Error::new(path, At::File, Kind::DiskFull(error.to_string()))
            }
            _ => Error::io(path, error),
        }
    }

    /// An operating system's refusal of a temporary file.
    pub(crate) fn no_temporary(error: &std::io::Error) -> Self {
        let text = error.to_string();
        // The name of what could not be made there means nothing to anyone.
        let reason = text.split(" at path ").next().unwrap_or_default();
        let why = format!("{reason}; it holds temporary files: set TMPDIR to another folder");
        Error::new(std::env::temp_dir(), At::File, Kind::Io(why))
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
