//! All rows of any table of an opened bundle, whatever files they lie in. Never used for packets in bulk; see `packet_file`.

use super::open::Bundles;
use crate::error::{Error, Result};
use crate::table::Table;
use arrow::array::RecordBatch;

impl Bundles {
    /// The rows of one host's table: part after part in the order of their numbers, then open segments; each of these is in
    /// the table's order, together they need not be. What can't be read is an error, and the rest follows.
    pub fn batches(
        &self,
        host: u32,
        table: &'static Table,
    ) -> impl Iterator<Item = Result<RecordBatch>> + use<> {
        let host = self.hosts.get(host as usize);
        let opening = host.and_then(|host| self.opened.get(host.bundle as usize));
        let mut warnings: Vec<Error> = Vec::new();
        let files = match host.zip(opening) {
            Some((host, opening)) => opening.files(&host.folder, table, &mut warnings),
            None => Vec::new(),
        };
        let groups = files.into_iter().flat_map(|(file, _)| file.into_groups());
        let rows = groups.flat_map(|group| match group {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        warnings.into_iter().map(Err).chain(rows)
    }
}
