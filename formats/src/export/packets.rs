//! Packets of a host → pcapng. An imported pcapng comes out as it went in, byte for byte; classic captures come out as
//! sections of our own. Never decides which packets: all of the host's.

use super::file_order::{in_file_order, unwritable};
use super::pcapng::PcapngWriter;
use crate::bundle::{Bundles, PacketFile};
use crate::error::{At, Error, Kind, Result};
use crate::frame::LinkType;
use crate::import::Limits;
use crate::import::chunk::CaptureInterface;
use crate::record::Record;
use crate::table::capture_blocks::{self, CaptureBlockRow};
use crate::table::interfaces::InterfaceRow;
use std::io::Write;
use std::path::Path;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    /// Packets.
    pub n_packets: u64,
    /// Other blocks, as they were imported.
    pub n_blocks: u64,
    /// What could not be read and is missing.
    pub warnings: Vec<Error>,
}

/// Writes the packets of `hosts` (indices into `bundles.hosts`), host after host, to `out`; `shown` names it in errors.
///
/// Peak memory is one run (about 250 MB) and one row group of other blocks; more packets are sorted through temporary files.
pub fn export_pcapng(
    bundles: &Bundles,
    hosts: &[u32],
    out: impl Write,
    shown: &Path,
) -> Result<Exported> {
    export_within(bundles, hosts, out, shown, &Limits::default())
}

/// As [`export_pcapng`], within other limits; the bytes don't depend on them.
pub fn export_within(
    bundles: &Bundles,
    hosts: &[u32],
    out: impl Write,
    shown: &Path,
    limits: &Limits,
) -> Result<Exported> {
    let mut writer = PcapngWriter::new(std::io::BufWriter::with_capacity(1 << 20, out));
    let mut exported = Exported::default();
    for host in hosts {
        let Some(captured) = bundles.captured.get(*host as usize) else { continue };
        let mut warnings = Vec::new();
        let mut output = Output {
            writer: &mut writer,
            shown,
            interfaces: &captured.interfaces,
            place: None,
            big_endian: false,
            n_packets: 0,
            n_blocks: 0,
            n_unknown: 0,
        };
        let mut blocks = blocks(&captured.blocks).peekable();
        let files: Vec<&PacketFile> =
            bundles.packet_files.iter().filter(|file| file.host() == *host).collect();
        let mut lost = Vec::new();
        in_file_order(&files, limits.run_bytes, &mut warnings, |source_row, interface, record| {
            let before = |block: &Result<CaptureBlockRow>| {
                block.as_ref().map_or(true, |block| block.source_row < source_row)
            };
            while let Some(block) = blocks.next_if(before) {
                output.block_or(block, &mut lost)?;
            }
            output.packet(interface, record)
        })?;
        blocks.try_for_each(|block| output.block_or(block, &mut lost))?;
        exported.n_packets += output.n_packets;
        exported.n_blocks += output.n_blocks;
        if output.n_unknown > 0 {
            let why =
                format!("{} packets of no interface of the host are left out", output.n_unknown);
            warnings.push(Error::new(shown, At::File, Kind::UnknownInterface(why)));
        }
        exported.warnings.append(&mut lost);
        exported.warnings.append(&mut warnings);
    }
    writer.finish().map_err(|error| unwritable(shown, &error))?;
    Ok(exported)
}

/// Other blocks in their order, a row group at a time.
fn blocks(
    files: &[crate::bundle::table_file::TableFile],
) -> impl Iterator<Item = Result<CaptureBlockRow>> {
    files.iter().flat_map(|file| file.groups()).flat_map(|group| match group {
        Ok(batches) => batches.iter().flat_map(capture_blocks::rows).map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}

/// One host's packets and blocks on their way out.
struct Output<'a, W: Write> {
    writer: &'a mut PcapngWriter<W>,
    shown: &'a Path,
    interfaces: &'a [InterfaceRow],
    /// The capture file and section being written.
    place: Option<(u32, u32)>,
    big_endian: bool,
    n_packets: u64,
    n_blocks: u64,
    /// Packets left out, their interface being unknown.
    n_unknown: u64,
}

impl<W: Write> Output<'_, W> {
    fn block_or(&mut self, block: Result<CaptureBlockRow>, lost: &mut Vec<Error>) -> Result<()> {
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                lost.push(error);
                return Ok(());
            }
        };
        if block.block_type == SECTION_HEADER {
            self.place = Some((block.capture_file, block.section));
            self.big_endian = block.big_endian;
        } else if self.place != Some((block.capture_file, block.section)) {
            // Its section header is lost: without it the block means nothing.
            return Ok(());
        }
        self.n_blocks += 1;
        self.writer.write_block(&block.bytes).map_err(|error| unwritable(self.shown, &error))
    }

    fn packet(&mut self, interface_id: u32, record: Record<'_>) -> Result<()> {
        let row = self.interfaces.get(interface_id as usize);
        let own = row.and_then(|row| row.parent).unwrap_or(interface_id);
        let Some(row) = self.interfaces.get(own as usize) else {
            self.n_unknown += 1;
            return Ok(());
        };
        let place = (row.capture_file.unwrap_or(0), row.section.unwrap_or(0));
        if self.place != Some(place) {
            self.begin(place).map_err(|error| unwritable(self.shown, &error))?;
        }
        let first = self.declared(place).find_map(|row| row.capture_index).unwrap_or(0);
        let number = row.capture_index.unwrap_or(0) - first;
        let record = Record { big_endian: self.big_endian, ..record };
        self.n_packets += 1;
        self.writer.write_record(&record, number).map_err(|error| unwritable(self.shown, &error))
    }

    /// A section of our own: for classic captures, and where a section's own blocks are lost.
    fn begin(&mut self, place: (u32, u32)) -> std::io::Result<()> {
        self.place = Some(place);
        self.big_endian = false;
        self.writer.begin_section()?;
        for row in self.interfaces.iter().filter(|row| is_declared_in(row, place)) {
            self.writer.declare_interface(&declaration(row))?;
        }
        Ok(())
    }

    fn declared(&self, place: (u32, u32)) -> impl Iterator<Item = &InterfaceRow> {
        self.interfaces.iter().filter(move |row| is_declared_in(row, place))
    }
}

fn is_declared_in(row: &InterfaceRow, place: (u32, u32)) -> bool {
    row.parent.is_none() && (row.capture_file.unwrap_or(0), row.section.unwrap_or(0)) == place
}

fn declaration(row: &InterfaceRow) -> CaptureInterface {
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    CaptureInterface {
        section: 0,
        name: row.name.clone(),
        description: row.description.clone().unwrap_or_default(),
        link_type: LinkType::from_number(row.link_type),
        link_type_number: row.link_type,
        snap_length: row.snap_length,
        ticks_per_second: number(row.ticks_per_second).unwrap_or(1_000_000_000),
        offset_seconds: row.offset_seconds.unwrap_or(0),
        received: None,
        dropped: None,
    }
}
