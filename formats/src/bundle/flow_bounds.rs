//! Where flows lie in a file of packets: so that several files of one host are cut between the same flows. Reads flow hashes
//! only, and of them only the row groups that a cut falls into.

use super::packet_file::PacketFile;
use crate::error::Result;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::file::statistics::Statistics;

impl PacketFile {
    /// The flow hashes of the first rows of about `n_parts` equal parts, the first part left out; rising, each once.
    pub fn flow_pivots(&self, n_parts: u64) -> Result<Vec<i64>> {
        let mut pivots = Vec::new();
        let rows = self.n_rows();
        let wanted =
            (1..n_parts).map(|i| (rows as u128 * u128::from(i) / u128::from(n_parts)) as u64);
        let mut wanted = wanted.peekable();
        let mut start = 0;
        for group in 0..self.n_groups() {
            let end = start + self.group_rows(group);
            if wanted.peek().is_some_and(|row| *row < end) {
                let hashes = self.flow_hashes(group)?;
                while let Some(row) = wanted.next_if(|row| *row < end) {
                    pivots.extend(hashes.get(row.saturating_sub(start) as usize));
                }
            }
            start = end;
        }
        pivots.sort_unstable();
        pivots.dedup();
        Ok(pivots)
    }

    /// For each of `hashes`, which rise, the first row whose flow hash is not below it; none before that of the hash before.
    pub fn first_rows_from(&self, hashes: &[i64]) -> Result<Vec<u64>> {
        let mut rows: Vec<u64> = Vec::with_capacity(hashes.len());
        let mut start = 0;
        let mut wanted = hashes.iter().copied().peekable();
        for group in 0..self.n_groups() {
            let n_rows = self.group_rows(group);
            let range = self.hash_range(group);
            while wanted.next_if(|hash| range.is_some_and(|(low, _)| *hash <= low)).is_some() {
                rows.push(start);
            }
            let inside = |hash: &i64| range.is_none_or(|(_, high)| *hash <= high);
            if wanted.peek().is_some_and(inside) {
                let found = self.flow_hashes(group)?;
                let last = found.last().copied();
                while let Some(hash) = wanted.next_if(|hash| last.is_some_and(|last| *hash <= last))
                {
                    rows.push(start + found.partition_point(|other| *other < hash) as u64);
                }
            }
            start += n_rows;
        }
        rows.extend(wanted.map(|_| start));
        let mut before = 0;
        rows.iter_mut().for_each(|row| {
            *row = (*row).max(before);
            before = *row;
        });
        Ok(rows)
    }

    fn n_groups(&self) -> usize {
        self.table.metadata.metadata().num_row_groups()
    }

    fn group_rows(&self, group: usize) -> u64 {
        self.table.metadata.metadata().row_group(group).num_rows().max(0) as u64
    }

    /// Lowest and highest hash of a row group, as its statistics say.
    fn hash_range(&self, group: usize) -> Option<(i64, i64)> {
        let group = self.table.metadata.metadata().row_group(group);
        let column = group.columns().iter().find(|c| c.column_path().string() == "flow_hash")?;
        match column.statistics()? {
            Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
            _ => None,
        }
    }

    fn flow_hashes(&self, group: usize) -> Result<Vec<i64>> {
        let mut hashes = Vec::new();
        for batch in self.table.read_columns(group, Some("flow_hash"))? {
            hashes.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(hashes)
    }
}
