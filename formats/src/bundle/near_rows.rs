//! Single rows → ranges to read: each range costs a reader, each row between is read for nothing.

use super::packet_file::BATCH_ROWS;
use std::ops::Range;

/// Rows, in order, as ranges; those with less than a batch between them are one.
pub(super) fn near(rows: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for row in rows {
        match ranges.last_mut().filter(|last| row - last.end < BATCH_ROWS as u64) {
            Some(last) => last.end = row + 1,
            None => ranges.push(row..row + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_near_one_another_are_one_range() {
        let check = |rows: &[u64], expected: &[Range<u64>]| {
            assert_eq!(near(rows.iter().copied()), expected);
        };
        check(&[], &[]);
        check(&[3, 4, 90], std::slice::from_ref(&(3..91)));
        check(&[0, 5_000, 9_096], &[0..1, 5_000..9_097]);
    }
}
