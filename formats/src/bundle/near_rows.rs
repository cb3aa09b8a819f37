//! Short ranges of rows → ranges to read: each range costs a reader, each row between is read for nothing.

use super::packet_file::BATCH_ROWS;
use std::ops::Range;

/// Adds rows, which lie behind those there are; with less than a batch between them they are one range.
pub(super) fn add_near(ranges: &mut Vec<Range<u64>>, rows: Range<u64>) {
    match ranges.last_mut().filter(|last| rows.start - last.end < BATCH_ROWS as u64) {
        Some(last) => last.end = rows.end,
        None => ranges.push(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_near_one_another_are_one_range() {
        let check = |rows: &[u64], expected: &[Range<u64>]| {
            let mut found = Vec::new();
            rows.iter().for_each(|row| add_near(&mut found, *row..row + 1));
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[3, 4, 90], std::slice::from_ref(&(3..91)));
        check(&[0, 5_000, 9_096], &[0..1, 5_000..9_097]);
    }
}
