//! Records and blocks → pcapng. A file's own blocks and records, written in their order, give its packet blocks back
//! byte for byte. Never decides what is exported, never reorders, never reads.

pub use crate::import::options::PacketOptions;

use crate::import::chunk::CaptureInterface;
use crate::import::interface_block;
use crate::import::options::swap_byte_order;
use crate::import::pcapng::byte_order;
use crate::import::ticks::Ticks;
use crate::record::{BlockKind, Record};
use std::io::{self, Write};

/// What synthesised section headers name as their writer (`shb_userappl`).
const USER_APPLICATION: &[u8] = b"afterpath";
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Writes one pcapng file, section after section. Give it a buffered `W`: every block is one write.
pub struct PcapngWriter<W: Write> {
    out: W,
    big_endian: bool,
    /// The current section's.
    interfaces: Vec<Written>,
    /// The block being built.
    block: Vec<u8>,
}

/// An interface of the section being written.
struct Written {
    ticks: Ticks,
    snap_length: u32,
    /// Whether raw stamps of its records count in these ticks.
    takes_raw_stamps: bool,
}

impl<W: Write> PcapngWriter<W> {
    /// A writer of an empty file; the first block has to begin a section.
    pub fn new(out: W) -> Self {
        PcapngWriter { out, big_endian: false, interfaces: Vec::new(), block: Vec::new() }
    }

    /// Writes a whole block as it stood in its file (see [`crate::import::chunk::OtherBlock::bytes`]). Section headers
    /// and interface descriptions decide how the records after them are written.
    pub fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        let (Some(&kind), true) = (block.first_chunk::<4>(), block.len() >= 12) else {
            return Err(invalid("a block of less than 12 bytes"));
        };
        if kind == SECTION_HEADER.to_be_bytes() {
            self.big_endian = byte_order(&block[8..12])
                .ok_or_else(|| invalid("a section header without byte-order magic"))?;
            self.interfaces.clear();
        } else if kind == self.u32(INTERFACE_DESCRIPTION)
            && let Some(found) =
                interface_block::description(&block[8..block.len() - 4], self.big_endian)
        {
            self.interfaces.push(Written {
                ticks: Ticks::new(found.ticks_per_second, found.offset_seconds),
                snap_length: found.snap_length,
                takes_raw_stamps: true,
            });
        }
        self.out.write_all(block)
    }

    /// Begins a little-endian section of our own, for records of classic captures and of several files.
    pub fn begin_section(&mut self) -> io::Result<()> {
        self.big_endian = false;
        self.interfaces.clear();
        self.start(SECTION_HEADER);
        self.put(&BYTE_ORDER_MAGIC.to_le_bytes());
        self.put(&[1, 0, 0, 0]);
        self.put(&u64::MAX.to_le_bytes());
        self.option(4, USER_APPLICATION);
        self.put(&[0; 4]);
        self.finish_block()
    }

    /// Declares an interface of our own in the current section: its number there. Stamps are nanoseconds, but for an
    /// interface whose ticks nanoseconds can't hold, which keeps its own.
    pub fn declare_interface(&mut self, interface: &CaptureInterface) -> io::Result<u32> {
        let own = Ticks::resolution(interface.ticks_per_second)
            .filter(|_| 1_000_000_000 % interface.ticks_per_second != 0);
        let resolution = own.unwrap_or(9);
        self.start(INTERFACE_DESCRIPTION);
        self.put(&self.u16(interface.link_type_number));
        self.put(&[0; 2]);
        self.put(&self.u32(interface.snap_length));
        for (code, text) in [(2, &interface.name), (3, &interface.description)] {
            if !text.is_empty() {
                self.option(code, text.as_bytes());
            }
        }
        self.option(9, &[resolution]);
        if interface.offset_seconds != 0 {
            self.option(14, &self.u64(interface.offset_seconds as u64));
        }
        self.put(&[0; 4]);
        self.finish_block()?;
        let per_second = Ticks::per_second(resolution);
        self.interfaces.push(Written {
            ticks: Ticks::new(per_second, interface.offset_seconds),
            snap_length: interface.snap_length,
            takes_raw_stamps: per_second == interface.ticks_per_second,
        });
        Ok(self.interfaces.len() as u32 - 1)
    }

    /// Writes a record as a block of its own kind (classic records, and those their kind can't hold, as enhanced packet
    /// blocks). `interface` is its interface's number within the current section.
    pub fn write_record(&mut self, record: &Record<'_>, interface: u32) -> io::Result<()> {
        let Some(written) = self.interfaces.get(interface as usize) else {
            return Err(invalid("a record of an interface the section does not declare"));
        };
        let snapped = match written.snap_length {
            0 => record.original_length,
            snap => record.original_length.min(snap),
        };
        let fits_simple = interface == 0 && record.frame.len() == snapped as usize;
        if record.kind == BlockKind::Simple && fits_simple {
            self.start(SIMPLE_PACKET);
        } else {
            let (high, low) = written.stamp(record)?;
            match (record.kind, u16::try_from(interface)) {
                (BlockKind::Obsolete, Ok(interface)) => {
                    self.start(OBSOLETE_PACKET);
                    self.put(&self.u16(interface));
                    self.put(&self.u16(record.drops));
                }
                _ => {
                    self.start(ENHANCED_PACKET);
                    self.put(&self.u32(interface));
                }
            }
            self.put(&self.u32(high));
            self.put(&self.u32(low));
            self.put(&self.u32(length(record.frame)?));
        }
        self.put(&self.u32(record.original_length));
        self.put_padded(record.frame);
        if record.big_endian == self.big_endian || record.options.is_empty() {
            self.put_padded(record.options);
        } else {
            self.put_padded(&swap_byte_order(record.options, record.big_endian));
        }
        self.finish_block()
    }

    /// Flushes, and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// Begins a block; its length comes with its end.
    fn start(&mut self, block_type: u32) {
        self.block.clear();
        self.put(&self.u32(block_type));
        self.put(&[0; 4]);
    }

    fn finish_block(&mut self) -> io::Result<()> {
        let total = self.u32(length(&self.block)?.saturating_add(4));
        self.block[4..8].copy_from_slice(&total);
        self.put(&total);
        self.out.write_all(&self.block)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    fn put_padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        // A name longer than an option holds is cut; no capture file can have given one.
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.put(&self.u16(code));
        self.put(&self.u16(value.len() as u16));
        self.put_padded(value);
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u64(&self, value: u64) -> [u8; 8] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

impl Written {
    /// The two halves of a record's stamp.
    fn stamp(&self, record: &Record<'_>) -> io::Result<(u32, u32)> {
        match record.raw_stamp {
            Some(halves) if self.takes_raw_stamps => Ok(halves),
            _ => self
                .ticks
                .from_ns(record.time_ns)
                .ok_or_else(|| invalid("a time the interface's ticks can't hold")),
        }
    }
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| invalid("a block of 4 GiB"))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
