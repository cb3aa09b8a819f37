//! `manifest.json`: what a bundle holds. Its bytes are a function of its content. Never reads the files it lists.

use crate::error::{At, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format version written, and the newest read.
pub const VERSION: (u32, u32) = (0, 1);

/// A manifest longer than this is refused, in bytes.
pub const MAX_BYTES: u64 = 256 << 20;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `major.minor`.
    pub format_version: String,
    /// Program and version that wrote it.
    pub writer: String,
    /// Whether it was finished.
    pub seal: Seal,
    /// Clock domains; `domain_id` columns are indices into this list.
    pub domains: Vec<DomainEntry>,
    /// Hosts, in the order given.
    pub hosts: Vec<HostEntry>,
    /// Every file of the bundle except the manifest, sorted by path.
    pub files: Vec<FileEntry>,
    /// Deliberate reductions, declared.
    pub reductions: Vec<Reduction>,
    /// Sums of the losses tables.
    pub losses: Vec<LossSum>,
}

/// Whether a bundle was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Every file is complete and listed.
    Sealed,
    /// The writer was interrupted.
    Unsealed,
}

impl Seal {
    /// As it stands in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Seal::Sealed => "sealed",
            Seal::Unsealed => "unsealed",
        }
    }
}

/// A clock domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainEntry {
    /// Shown name.
    pub name: String,
    /// `realtime`, `monotonic`, …
    pub clock: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// 8 hexadecimal digits.
    pub id: String,
    /// Shown name.
    pub name: String,
    /// The value of its `host=` folders.
    pub folder: String,
    /// Imported capture files, in source order.
    pub captures: Vec<CaptureEntry>,
    /// Clock domain (CLOCK_BOOTTIME) of all times a recorder wrote, but for `packets.time_ns`, which is in that of its
    /// interface (CLOCK_REALTIME); the `clock` table relates the two. Absent: an imported host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boottime_domain: Option<u32>,
}

/// An imported capture file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureEntry {
    /// File name without folders.
    pub name: String,
    /// `pcap` or `pcapng`.
    pub format: String,
    /// A classic pcap's 24 header bytes, hexadecimal: byte order, resolution, zone, snap length, link type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pcap_header: Option<String>,
    /// `source_row` of its first record or block.
    pub first_source_row: i64,
    /// Records and blocks.
    pub n_rows: i64,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path in the bundle, `/`-separated.
    pub path: String,
    /// The table it belongs to.
    pub table: String,
    /// The host's folder value.
    pub host: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows.
    pub n_rows: u64,
    /// Earliest time in it, nanoseconds.
    pub first_ns: Option<i64>,
    /// Latest time in it, nanoseconds.
    pub last_ns: Option<i64>,
    /// BLAKE3 of its bytes, 64 hexadecimal digits.
    pub blake3: String,
}

/// A deliberate reduction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduction {
    /// The host's folder value; absent: all hosts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<String>,
    /// Stable name (`window`, `snap-length`, `redacted` …).
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// How much one host lost to one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossSum {
    /// The host's folder value.
    pub host: String,
    /// Stable name.
    pub cause: String,
    /// Sum of `count`.
    pub count: i64,
}

impl FileEntry {
    /// A file of which only the place is known yet.
    pub(crate) fn begun(path: String, table: &str, host: &str) -> FileEntry {
        FileEntry {
            path,
            table: table.to_string(),
            host: host.to_string(),
            bytes: 0,
            n_rows: 0,
            first_ns: None,
            last_ns: None,
            blake3: String::new(),
        }
    }
}

impl Manifest {
    /// A sealed manifest of this version and writer, with nothing in it.
    pub fn empty() -> Manifest {
        Manifest {
            format_version: format!("{}.{}", VERSION.0, VERSION.1),
            writer: concat!("afterpath-formats ", env!("CARGO_PKG_VERSION")).to_string(),
            seal: Seal::Sealed,
            domains: Vec::new(),
            hosts: Vec::new(),
            files: Vec::new(),
            reductions: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// The manifest's bytes: two-space JSON in the order of the fields above, a line feed at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest found at `path`. The second value says what a newer minor version may hold that is not read.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<(Manifest, Vec<Error>)> {
        #[derive(Deserialize)]
        struct Version {
            format_version: String,
        }
        let bad = |why: String| Error::new(path, At::File, Kind::BadManifest(why));
        // The version stands alone first: a newer manifest may be shaped in a way this program can't read.
        let Version { format_version } =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        let newer_minor = check_version(path, &format_version)?;
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        manifest.check().map_err(bad)?;
        let warning = || {
            let versions = format!("{format_version} is newer than {}.{}", VERSION.0, VERSION.1);
            Error::new(path, At::File, Kind::NewerMinor(versions))
        };
        Ok((manifest, newer_minor.then(warning).into_iter().collect()))
    }

    fn check(&self) -> std::result::Result<(), String> {
        if let Some(file) = self.files.iter().find(|file| !super::names::is_safe(&file.path)) {
            return Err(format!("unsafe file name {:?}", file.path));
        }
        let mut paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("{} is listed twice", pair[0])),
            None => Ok(()),
        }
    }
}

/// Whether `found` is a newer minor version that can still be read.
fn check_version(path: &Path, found: &str) -> Result<bool> {
    let number = |text: &str| text.parse::<u32>().ok();
    let parsed =
        found.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    let Some((major, minor)) = parsed else {
        let why = format!("format_version {found:?} is not `major.minor`");
        return Err(Error::new(path, At::File, Kind::BadManifest(why)));
    };
    // Before 1.0 every minor version may break.
    if major > VERSION.0 || (major == 0 && VERSION.0 == 0 && minor > VERSION.1) {
        let supported = format!("{}.{}", VERSION.0, VERSION.1);
        let kind = Kind::NewerBundle { found: found.to_string(), supported };
        return Err(Error::new(path, At::File, kind));
    }
    Ok(major == VERSION.0 && minor > VERSION.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, expected: std::result::Result<(), &str>) {
        let manifest = Manifest { format_version: version.to_string(), ..Manifest::empty() };
        let parsed = Manifest::parse(Path::new("m"), &manifest.to_bytes());
        assert_eq!(parsed.map(|_| ()).map_err(|error| error.kind.name()), expected, "{version}");
    }

    #[test]
    fn versions_newer_than_known_are_refused() {
        check("0.1", Ok(()));
        check("0.2", Err("newer-bundle"));
        check("1.0", Err("newer-bundle"));
        check("7", Err("bad-manifest"));
    }

    #[test]
    fn unsafe_and_repeated_files_are_refused() {
        let file = |path: &str| FileEntry {
            path: path.into(),
            table: "packets".into(),
            host: "a-1".into(),
            bytes: 0,
            n_rows: 0,
            first_ns: None,
            last_ns: None,
            blake3: String::new(),
        };
        let parse = |files| {
            let manifest = Manifest { files, ..Manifest::empty() };
            Manifest::parse(Path::new("m"), &manifest.to_bytes())
                .map(|(manifest, _)| manifest.files.len())
        };
        assert_eq!(parse(vec![file("a"), file("b")]), Ok(2));
        assert!(parse(vec![file("../a")]).is_err());
        assert!(parse(vec![file("a"), file("a")]).is_err());
    }
}
