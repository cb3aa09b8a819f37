//! Which rows of a packet file are IP fragments: column statistics name the row groups that hold some, that column their rows. Never
//! reads a frame.

use super::near_rows::add_near;
use super::packet_file::PacketFile;
use arrow::array::Array;
use std::ops::Range;

impl PacketFile {
    /// Row ranges that hold all fragments, in order; usually none. What lies near one another is one range, and a group whose column
    /// can't be read is one.
    pub fn fragment_rows(&self) -> Vec<Range<u64>> {
        let metadata = self.table.metadata.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let Some(column) = columns.iter().position(|c| c.name() == COLUMN) else {
            return Vec::new();
        };
        let mut start = 0u64;
        let mut ranges = Vec::new();
        for (group, described) in metadata.row_groups().iter().enumerate() {
            let n_rows = described.num_rows().max(0) as u64;
            let nulls = described.column(column).statistics().and_then(|s| s.null_count_opt());
            if nulls != Some(n_rows) {
                match self.fragments_in(group) {
                    Some(found) => {
                        ranges.extend(found.iter().map(|r| start + r.start..start + r.end));
                    }
                    None => ranges.push(start..start + n_rows),
                }
            }
            start += n_rows;
        }
        ranges
    }

    /// Where in a group fragments lie; `None` if its column can't be read.
    fn fragments_in(&self, group: usize) -> Option<Vec<Range<u64>>> {
        let mut ranges = Vec::new();
        let mut first = 0;
        for batch in self.table.read_columns(group, Some(COLUMN)).ok()? {
            let offsets = batch.column(0);
            for row in (0..offsets.len()).filter(|row| offsets.is_valid(*row)) {
                let row = first + row as u64;
                add_near(&mut ranges, row..row + 1);
            }
            first += offsets.len() as u64;
        }
        Some(ranges)
    }
}

const COLUMN: &str = "fragment_offset";
