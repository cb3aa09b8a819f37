//! All rows of a table that a bundle's opening left for later. Never used for packets; see `packet_file`.

use super::open::Bundles;
use crate::error::Result;
use crate::table::Table;
use arrow::array::RecordBatch;

impl Bundles {
    /// The rows of one host's table, part after part; each is in the table's order, together they need not be. What can't be
    /// read is an error, and the rest follows.
    pub fn batches(
        &self,
        host: u32,
        table: &'static Table,
    ) -> impl Iterator<Item = Result<RecordBatch>> {
        let wanted = move |entry: &&(u32, &'static Table, _)| entry.0 == host && entry.1 == table;
        let groups = self.later.iter().filter(wanted).flat_map(|(.., file)| file.groups());
        groups.flat_map(|group| match group {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }
}
