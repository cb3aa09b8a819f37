//! Opening bundles: one or several become one value with ids that hold across all of them. Never reads packets.

use super::blob::Blob;
use super::manifest::{FileEntry, MAX_BYTES, Manifest, Reduction, Seal};
use super::names::MANIFEST;
use super::packet_file::PacketFile;
use super::snapshot::Opening;
use super::source::Source;
use super::table_file::TableFile;
use super::unsettled;
use crate::clock::ClockDomain;
use crate::error::{At, Error, Kind, Result};
use crate::table::interfaces::InterfaceRow;
use crate::table::losses::LossRow;
use crate::table::packet_batch::Point;
use crate::table::{self, Table};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opened bundles.
#[derive(Debug, Clone)]
pub struct Bundles {
    /// All hosts, in the order of the bundles and their manifests.
    pub hosts: Vec<Host>,
    /// All clock domains; a [`ClockDomain`] is an index into this list.
    pub domains: Vec<Domain>,
    /// All observation points; `Packet::interface` is an index into this list.
    pub interfaces: Vec<Interface>,
    /// All files of packets.
    pub packet_files: Vec<PacketFile>,
    /// All known losses.
    pub losses: Vec<Loss>,
    /// All declared reductions, with the host they are about (`None`: a whole bundle).
    pub reductions: Vec<(Option<u32>, Reduction)>,
    /// What could not be used, and why. The rest is usable.
    pub warnings: Vec<Error>,
    /// BLAKE3 over all manifests, 64 hexadecimal digits: the identity of the input.
    pub hash: String,
    /// What export needs of each host, in the order of `hosts`.
    pub(crate) captured: Vec<Captured>,
    /// The bundles themselves, for tables read later.
    pub(super) opened: Vec<Arc<Opening>>,
}

/// What a host's captures held besides packets.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    /// All declarations; a packet's `interface_id` is an index.
    pub(crate) interfaces: Vec<InterfaceRow>,
    /// Files of the capture_blocks table.
    pub(crate) blocks: Vec<TableFile>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Shown name.
    pub name: String,
    /// 8 hexadecimal digits; the same host in two bundles has the same id.
    pub id: String,
    /// Which of the opened bundles it came from.
    pub bundle: u32,
    /// The value of its `host=` folders.
    pub folder: String,
    /// CLOCK_BOOTTIME of a recorded host: the clock of all its tables but `packets`.
    pub boottime_domain: Option<ClockDomain>,
}

/// A clock domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Shown name.
    pub name: String,
}

/// An observation point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Index into the hosts.
    pub host: u32,
    /// The clock its packets are stamped with.
    pub domain: ClockDomain,
    /// Network namespace, where told.
    pub netns: Option<String>,
    /// Name; `if3` where only a number is known.
    pub name: String,
    /// The kernel's interface number.
    pub ifindex: Option<u32>,
    /// `capture`, `cooked`, or the kernel's link kind.
    pub kind: String,
    /// LINKTYPE_ number.
    pub link_type: u16,
    /// Bytes kept of a frame; 0: no limit.
    pub snap_length: u32,
    /// Packets seen there (all declarations of the point together).
    pub n_packets: i64,
    /// Packets the capture says it lost there.
    pub dropped: Option<i64>,
    /// First and last packet, nanoseconds of `domain`.
    pub time_range_ns: Option<(i64, i64)>,
    /// `if_description`.
    pub description: Option<String>,
}

/// A known loss of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Index into the hosts.
    pub host: u32,
    /// Index into the interfaces, where one is concerned.
    pub interface: Option<u32>,
    /// The row; its `interface_id` counts within the host, use `interface`.
    pub row: LossRow,
}

impl Bundles {
    /// Opens bundles: directories, `.tar`, `.tar.zst`. A path that is no bundle, or one too new, is an error; damage inside
    /// a bundle is a warning.
    pub fn open(paths: &[PathBuf]) -> Result<Bundles> {
        let mut bundles = Bundles {
            hosts: Vec::new(),
            domains: Vec::new(),
            interfaces: Vec::new(),
            packet_files: Vec::new(),
            losses: Vec::new(),
            reductions: Vec::new(),
            warnings: Vec::new(),
            hash: String::new(),
            captured: Vec::new(),
            opened: Vec::new(),
        };
        let mut hasher = blake3::Hasher::new();
        for (number, path) in paths.iter().enumerate() {
            bundles.open_one(number as u32, path, &mut hasher)?;
        }
        bundles.hash = hasher.finalize().to_hex().to_string();
        Ok(bundles)
    }

    /// Opens one bundle. One that is being recorded may let go of parts meanwhile: then it is begun again.
    fn open_one(&mut self, number: u32, path: &Path, hasher: &mut blake3::Hasher) -> Result<()> {
        let before = self.clone();
        for n_left in (0..SNAPSHOTS).rev() {
            let opening = Opening::snapshot(path, &mut self.warnings)?;
            self.add(number, &opening);
            let mut new = self.warnings.iter().skip(before.warnings.len());
            let lacks = new.any(|warning| warning.kind == Kind::MissingFile);
            if n_left == 0 || !lacks || opening.is_current() {
                opening.identify(hasher);
                self.opened.push(Arc::new(opening));
                break;
            }
            self.clone_from(&before);
        }
        Ok(())
    }

    fn add(&mut self, number: u32, opening: &Opening) {
        let (source, manifest) = (&opening.source, &opening.manifest);
        let first_domain = self.domains.len() as u32;
        self.domains.extend(manifest.domains.iter().map(|d| Domain { name: d.name.clone() }));
        if manifest.seal == Seal::Unsealed {
            self.warnings.push(Error::new(&source.path, At::File, Kind::Unsealed));
        }
        let first_host = self.hosts.len() as u32;
        for entry in &manifest.hosts {
            let host = self.hosts.len() as u32;
            self.hosts.push(Host {
                name: entry.name.clone(),
                id: entry.id.clone(),
                bundle: number,
                folder: entry.folder.clone(),
                boottime_domain: entry.boottime_domain.map(|id| self.domain(first_domain, id)),
            });
            self.add_host(host, first_domain, opening);
        }
        for reduction in &manifest.reductions {
            let is_it =
                |entry: &super::manifest::HostEntry| Some(&entry.folder) == reduction.host.as_ref();
            let host = manifest.hosts.iter().position(is_it).map(|at| first_host + at as u32);
            self.reductions.push((host, reduction.clone()));
        }
        self.warnings
            .extend(manifest.files.iter().filter_map(|file| not_read(source, manifest, file)));
    }

    fn add_host(&mut self, host: u32, first_domain: u32, opening: &Opening) {
        let folder = self.hosts[host as usize].folder.clone();
        let mut rows = Vec::new();
        let n_warnings = self.warnings.len();
        let files = opening.files(&folder, &table::interfaces::TABLE, &mut self.warnings);
        for (file, _) in &files {
            let read = read_small(file, &mut self.warnings);
            rows.extend(read.iter().flat_map(table::interfaces::rows));
        }
        let packets = opening.files(&folder, &table::packets::TABLE, &mut self.warnings);
        if opening.manifest.seal == Seal::Unsealed {
            rows = unsettled::interfaces(rows, &packets, &mut self.warnings);
        }
        let is_lost = files.is_empty() || self.warnings.len() > n_warnings;
        let n_exported = self.complete(host, &mut rows, &packets, is_lost);
        let points = self.add_interfaces(host, first_domain, &rows);
        for (file, _) in opening.files(&folder, &table::losses::TABLE, &mut self.warnings) {
            for batch in read_small(&file, &mut self.warnings) {
                self.losses.extend(table::losses::rows(&batch).into_iter().map(|row| {
                    let point = row.interface_id.and_then(|id| points.get(id as usize));
                    Loss { host, interface: point.map(|point| point.interface), row }
                }));
            }
        }
        let blocks = opening.files(&folder, &table::capture_blocks::TABLE, &mut self.warnings);
        let blocks = blocks.into_iter().map(|(file, _)| file).collect();
        rows.truncate(n_exported);
        self.captured.push(Captured { interfaces: rows, blocks });
        for (table, blake3) in packets {
            note_unknown(&mut self.warnings, &table);
            self.packet_files.push(PacketFile::new(host, table, points.clone(), &blake3));
        }
    }

    /// A bundle's domain among all.
    fn domain(&self, first_domain: u32, id: u32) -> ClockDomain {
        let last = self.domains.len().saturating_sub(1) as u32;
        ClockDomain(first_domain.saturating_add(id).min(last))
    }

    /// Adds a host's observation points; the result maps its `interface_id`s to them.
    fn add_interfaces(
        &mut self,
        host: u32,
        first_domain: u32,
        rows: &[InterfaceRow],
    ) -> Arc<[Point]> {
        let mut points: Vec<Point> = Vec::with_capacity(rows.len());
        for (id, row) in rows.iter().enumerate() {
            let cooked_index = row.parent.and(row.ifindex);
            let interface = match points.get(row.point as usize) {
                Some(first) if (row.point as usize) < id => {
                    self.interfaces[first.interface as usize].join(row);
                    first.interface
                }
                _ => {
                    let domain = self.domain(first_domain, row.domain_id);
                    self.interfaces.push(Interface::new(host, domain, row));
                    self.interfaces.len() as u32 - 1
                }
            };
            points.push(Point { interface, cooked_index });
        }
        points.into()
    }
}

impl Interface {
    fn new(host: u32, domain: ClockDomain, row: &InterfaceRow) -> Interface {
        Interface {
            host,
            domain,
            netns: row.netns.clone(),
            name: row.name.clone(),
            ifindex: row.ifindex,
            kind: row.kind.clone(),
            link_type: row.link_type,
            snap_length: row.snap_length,
            n_packets: row.n_packets,
            dropped: row.dropped,
            time_range_ns: row.valid_from_ns.zip(row.valid_to_ns),
            description: row.description.clone(),
        }
    }

    /// One more declaration of the same point.
    fn join(&mut self, row: &InterfaceRow) {
        self.n_packets += row.n_packets;
        self.dropped = match (self.dropped, row.dropped) {
            (Some(here), Some(there)) => Some(here.saturating_add(there)),
            (here, there) => here.or(there),
        };
        let other = row.valid_from_ns.zip(row.valid_to_ns);
        self.time_range_ns = match (self.time_range_ns, other) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (here, there) => here.or(there),
        };
    }
}

/// Times that a bundle which changes meanwhile is looked at.
const SNAPSHOTS: usize = 5;

/// Opens a bundle as far as its manifest; also gives the manifest's bytes.
pub(crate) fn read_manifest(
    path: &Path,
    warnings: &mut Vec<Error>,
) -> Result<(Source, Manifest, bytes::Bytes)> {
    let mut source = Source::open(path)?;
    warnings.append(&mut source.warnings);
    let shown = source.shown(MANIFEST);
    let blob = source.blob(MANIFEST).map_err(|error| match error.kind {
        Kind::MissingFile => {
            Error::new(path, At::File, Kind::NotABundle(format!("it has no {MANIFEST}")))
        }
        _ => error,
    })?;
    if blob.length() > MAX_BYTES {
        return Err(Error::new(&shown, At::File, Kind::BadManifest("it is too large".to_string())));
    }
    let bytes = blob.read_all().map_err(|error| Error::io(&shown, &error))?;
    let (manifest, more) = Manifest::parse(&shown, &bytes)?;
    warnings.extend(more);
    Ok((source, manifest, bytes))
}

/// Tables whose rows are read on opening or later; they are compared then.
const READ: [&str; 4] = [
    table::interfaces::TABLE.name,
    table::packets::TABLE.name,
    table::losses::TABLE.name,
    table::capture_blocks::TABLE.name,
];

/// What is wrong with a listed file that opening a bundle has no use for.
fn not_read(source: &Source, manifest: &Manifest, file: &FileEntry) -> Option<Error> {
    let warning = |kind| Some(Error::new(source.shown(&file.path), At::File, kind));
    if !manifest.hosts.iter().any(|host| host.folder == file.host) {
        let why = format!("not read: the manifest names no host `{}`", file.host);
        return warning(Kind::HostsDiffer(why));
    }
    if table::find(&file.table).is_none() {
        return warning(Kind::UnknownTable(file.table.clone()));
    }
    if READ.contains(&file.table.as_str()) {
        return None;
    }
    source.blob(&file.path).and_then(|blob| check_length(source, file, &blob)).err()
}

fn check_length(source: &Source, entry: &FileEntry, blob: &Blob) -> Result<()> {
    if blob.length() == entry.bytes {
        return Ok(());
    }
    let how = format!("{} bytes, {} listed", blob.length(), entry.bytes);
    Err(Error::new(source.shown(&entry.path), At::File, Kind::AlteredFile(how)))
}

/// Opens a listed file, comparing what can be compared without reading it all.
pub(super) fn open_file(source: &Source, entry: &FileEntry, table: &Table) -> Result<TableFile> {
    let shown = source.shown(&entry.path);
    let blob = source.blob(&entry.path)?;
    check_length(source, entry, &blob)?;
    let file = TableFile::open(&shown, blob, table)?;
    if file.n_rows() != entry.n_rows {
        let how = format!("{} rows, {} listed", file.n_rows(), entry.n_rows);
        return Err(Error::new(&shown, At::File, Kind::AlteredFile(how)));
    }
    Ok(file)
}

fn read_small(file: &TableFile, warnings: &mut Vec<Error>) -> Vec<arrow::array::RecordBatch> {
    note_unknown(warnings, file);
    file.read_all(warnings)
}

pub(super) fn keep<T>(warnings: &mut Vec<Error>, result: Result<T>) -> Option<T> {
    result.map_err(|error| warnings.push(error)).ok()
}

fn note_unknown(warnings: &mut Vec<Error>, file: &TableFile) {
    if !file.unknown_columns.is_empty() {
        let names = file.unknown_columns.join(", ");
        warnings.push(Error::new(&file.path, At::File, Kind::UnknownColumns(names)));
    }
}
