//! One captured frame as it stood in its capture file, before anything was decoded. Never owns the frame's bytes.

/// One packet record or packet block of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record<'a> {
    /// Capture time in Unix nanoseconds, or as near as nanoseconds come (see `raw_stamp`).
    pub time_ns: i64,
    /// The block's two 32-bit halves (high, low), kept only where `time_ns` can't hold the stamp exactly.
    pub raw_stamp: Option<(u32, u32)>,
    /// Index into the importing host's interfaces (observation points as the file declares them).
    pub interface: u32,
    /// Length of the frame on the wire, as the file says.
    pub original_length: u32,
    /// Which block type carried it: see [`BlockKind`].
    pub kind: BlockKind,
    /// Whether the block's section is big-endian, and so the numbers in `options`.
    pub big_endian: bool,
    /// Packets lost before this one, as an obsolete packet block counts them; 0xffff there means unknown. 0 for other kinds.
    pub drops: u16,
    /// Raw bytes between the padded frame and the block's end: its options, end-of-options included; empty when the
    /// block had none. A simple packet block has no options; what some writers leave behind its frame stands here too.
    pub options: &'a [u8],
    /// The frame's captured bytes.
    pub frame: &'a [u8],
}

/// What kind of record or block a packet came in; export writes the same kind again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum BlockKind {
    /// A classic pcap record.
    #[default]
    Pcap = 0,
    /// pcapng enhanced packet block (type 6).
    Enhanced = 1,
    /// pcapng simple packet block (type 3): no time, no interface of its own.
    Simple = 2,
    /// pcapng obsolete packet block (type 2), with its 16-bit drop count.
    Obsolete = 3,
}
