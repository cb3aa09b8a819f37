//! Tables of a recording that was not sealed, as sealing would settle them. Never changes the bundle.

use super::table_file::TableFile;
use crate::error::Error;
use crate::table::interfaces::InterfaceRow;
use std::collections::BTreeMap;

/// The last row of every interface, in order, its packets counted: the recorder tells an interface again when it changes.
pub(super) fn interfaces(
    rows: Vec<InterfaceRow>,
    packets: &[(TableFile, String)],
    warnings: &mut Vec<Error>,
) -> Vec<InterfaceRow> {
    let mut counts = BTreeMap::new();
    for (file, _) in packets {
        warnings.extend(file.count_by("interface_id", &mut counts).err());
    }
    let last: BTreeMap<u32, InterfaceRow> =
        rows.into_iter().map(|row| (row.interface_id, row)).collect();
    let counted = |row: InterfaceRow| InterfaceRow {
        n_packets: counts.get(&row.interface_id).copied().unwrap_or(0),
        ..row
    };
    last.into_values().map(counted).collect()
}
