//! What a capture reader hands on: a bounded chunk of a capture file, its packet records in file order and every other
//! block as it stood. Never decodes a frame.

use crate::frame::LinkType;
use crate::record::{BlockKind, Record};
use bytes::Bytes;
use std::ops::Range;

/// A packet record inside [`Chunk::bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAt {
    /// Unix nanoseconds; see [`Record::time_ns`]. A simple packet block has no stamp: that of the record before it in the
    /// file, 0 before the first stamped one.
    pub time_ns: i64,
    /// See [`Record::raw_stamp`].
    pub raw_stamp: Option<(u32, u32)>,
    /// Index into the file's interfaces (all sections counted on), see [`CaptureInterface`].
    pub interface: u32,
    /// Length on the wire.
    pub original_length: u32,
    /// Block type.
    pub kind: BlockKind,
    /// See [`Record::big_endian`].
    pub big_endian: bool,
    /// See [`Record::drops`].
    pub drops: u16,
    /// Place among all records and blocks of the file, from 0.
    pub ordinal: u64,
    /// The options' bytes in the chunk.
    pub options: Range<u32>,
    /// The frame's bytes in the chunk.
    pub frame: Range<u32>,
}

/// An interface as the capture file declares it (pcapng: one per interface description block; pcap: one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureInterface {
    /// Section it was declared in, from 0.
    pub section: u32,
    /// `if_name`, else empty.
    pub name: String,
    /// `if_description`, else empty.
    pub description: String,
    /// Link type.
    pub link_type: LinkType,
    /// Link type number as written.
    pub link_type_number: u16,
    /// Snap length, 0: no limit.
    pub snap_length: u32,
    /// Ticks per second of its stamps; `u64::MAX` where a finer resolution is declared than 64 bits hold (its stamps
    /// are kept raw).
    pub ticks_per_second: u64,
    /// `if_tsoffset`, seconds.
    pub offset_seconds: i64,
    /// Packets received and dropped as the last interface statistics block says (`isb_ifrecv`, `isb_ifdrop` + `isb_osdrop`).
    pub received: Option<u64>,
    /// See `received`.
    pub dropped: Option<u64>,
}

/// A block that is no packet (section header, interface description, name resolution, secrets, unknown …), byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherBlock {
    /// Place among all records and blocks of the file, from 0.
    pub ordinal: u64,
    /// Section it stands in.
    pub section: u32,
    /// Its type number.
    pub block_type: u32,
    /// Whether its section is big-endian.
    pub big_endian: bool,
    /// The whole block, both lengths included.
    pub bytes: Vec<u8>,
}

/// A bounded piece of a capture file.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Backing bytes of records.
    pub bytes: Bytes,
    /// Packet records in file order.
    pub records: Vec<RecordAt>,
    /// Other blocks in file order.
    pub others: Vec<OtherBlock>,
}

impl Chunk {
    /// The record at `index`, borrowing this chunk's bytes.
    pub fn record(&self, index: usize) -> Record<'_> {
        let at = &self.records[index];
        let slice = |range: &Range<u32>| &self.bytes[range.start as usize..range.end as usize];
        Record {
            time_ns: at.time_ns,
            raw_stamp: at.raw_stamp,
            interface: at.interface,
            original_length: at.original_length,
            kind: at.kind,
            big_endian: at.big_endian,
            drops: at.drops,
            options: slice(&at.options),
            frame: slice(&at.frame),
        }
    }
}
