//! Which rows of a packet file are IP fragments: column statistics name the row groups that hold some, that column their rows. Never
//! reads a frame.

use super::packet_file::{BATCH_ROWS, PacketFile};
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
                    Some(rows) => {
                        ranges.extend(near(rows).map(|r| start + r.start..start + r.end));
                    }
                    None => ranges.push(start..start + n_rows),
                }
            }
            start += n_rows;
        }
        ranges
    }

    /// The rows of a group that are fragments; `None` if its column can't be read.
    fn fragments_in(&self, group: usize) -> Option<Vec<u64>> {
        let mut rows = Vec::new();
        let mut first = 0;
        for batch in self.table.read_columns(group, Some(COLUMN)).ok()? {
            let offsets = batch.column(0);
            let is_fragment = |row: &usize| offsets.is_valid(*row);
            rows.extend((0..offsets.len()).filter(is_fragment).map(|row| first + row as u64));
            first += offsets.len() as u64;
        }
        Some(rows)
    }
}

const COLUMN: &str = "fragment_offset";

/// Rows in order as ranges, of which each costs a reader: those that a batch's length is between are one.
fn near(rows: Vec<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for row in rows {
        match ranges.last_mut().filter(|last| row - last.end < BATCH_ROWS as u64) {
            Some(last) => last.end = row + 1,
            None => ranges.push(row..row + 1),
        }
    }
    ranges.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_near_one_another_are_one_range() {
        let check = |rows: &[u64], expected: &[Range<u64>]| {
            assert_eq!(near(rows.to_vec()).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[3, 4, 90], std::slice::from_ref(&(3..91)));
        check(&[0, 5_000, 9_096], &[0..1, 5_000..9_097]);
    }
}
