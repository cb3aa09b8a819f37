//! What a capture file held that is odd but readable, by cause. Never an error: the records are there.

/// How often one oddity was met, and where first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Number of records or blocks.
    pub n: u64,
    /// Byte offset, in the decompressed file, of the first.
    pub first_offset: Option<u64>,
}

impl Count {
    /// `n` more, from `offset` on.
    pub(super) fn add_many(&mut self, n: u64, offset: u64) {
        self.n += n;
        self.first_offset.get_or_insert(offset);
    }

    /// One more, at `offset`.
    #[cold]
    pub(super) fn add(&mut self, offset: u64) {
        self.n += 1;
        self.first_offset.get_or_insert(offset);
    }
}

/// All oddities of one capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packet blocks naming an interface their section did not declare; kept as other blocks.
    pub out_of_range_interface: Count,
    /// Records without a single captured byte.
    pub zero_length: Count,
    /// Records with more bytes captured than the frame had, or than the snap length allows.
    pub over_long: Count,
    /// Well-framed blocks whose body contradicts itself; kept as other blocks.
    pub malformed_blocks: Count,
    /// Blocks of a type not known here; kept as other blocks.
    pub unknown_blocks: Count,
    /// Stamps that nanoseconds can't hold exactly; see [`crate::record::Record::raw_stamp`].
    pub raw_stamps: Count,
    /// Bytes skipped because of damage; `n` counts bytes.
    pub skipped_bytes: Count,
    /// Simple packet blocks, which have no stamp; see [`super::chunk::RecordAt::time_ns`].
    pub unstamped: Count,
    /// Classic records whose fraction of a second is a second or more.
    pub odd_fractions: Count,
}
