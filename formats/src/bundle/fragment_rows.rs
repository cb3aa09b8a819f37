//! Which rows of a packet file may be IP fragments, from column statistics alone. Never reads a row.

use super::packet_file::PacketFile;
use std::ops::Range;

impl PacketFile {
    /// Row ranges (whole row groups) that hold fragments; usually none. A group without statistics is taken to hold some.
    pub fn fragment_rows(&self) -> Vec<Range<u64>> {
        let metadata = self.table.metadata.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let Some(column) = columns.iter().position(|c| c.name() == "fragment_offset") else {
            return Vec::new();
        };
        let mut start = 0u64;
        let mut ranges = Vec::new();
        for group in metadata.row_groups() {
            let n_rows = group.num_rows().max(0) as u64;
            let nulls = group.column(column).statistics().and_then(|s| s.null_count_opt());
            if nulls != Some(n_rows) {
                ranges.push(start..start + n_rows);
            }
            start += n_rows;
        }
        ranges
    }
}
