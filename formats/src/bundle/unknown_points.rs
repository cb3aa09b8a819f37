//! Packets that name an interface the bundle doesn't have: from a lost table, or forged. Never makes a point of every number
//! that a file claims.

use super::open::{Bundles, Loss};
use super::table_file::TableFile;
use crate::error::{At, Error, Kind};
use crate::table::interfaces::InterfaceRow;
use crate::table::losses::LossRow;

/// Interfaces told apart by their numbers alone, at most.
const MOST_UNKNOWN: u32 = 256;

impl Bundles {
    /// Packets of interfaces that the table doesn't have: where it was lost, these are told apart by their numbers; else, and
    /// beyond some numbers, they are of one unknown interface, and counted. Gives how many rows there are without that one.
    pub(super) fn complete(
        &mut self,
        host: u32,
        rows: &mut Vec<InterfaceRow>,
        packets: &[(TableFile, String)],
        is_lost: bool,
    ) -> usize {
        let name = "interface_id";
        let highest = packets.iter().filter_map(|(file, _)| file.highest_u32(name)).max();
        let Some(highest) = highest.filter(|highest| *highest as usize >= rows.len()) else {
            return rows.len();
        };
        let unknown = |id: u32, name: String| InterfaceRow {
            interface_id: id,
            point: id,
            name,
            kind: "unknown".to_string(),
            ..InterfaceRow::default()
        };
        if is_lost {
            let end = highest.saturating_add(1).min(MOST_UNKNOWN);
            rows.extend((rows.len() as u32..end).map(|id| unknown(id, format!("unknown{id}"))));
        }
        let n_known = rows.len() as u32;
        if highest < n_known {
            return rows.len();
        }
        rows.push(unknown(n_known, "unknown".to_string()));
        for (file, _) in packets {
            let (n, unreadable) = file.count_above(name, n_known);
            self.warnings.extend(unreadable);
            if n > 0 {
                let why = format!("{n} packets are of no interface of the host");
                let kind = Kind::UnknownInterface(why);
                let row = LossRow {
                    source: "interfaces".to_string(),
                    cause: kind.name().to_string(),
                    count: i64::try_from(n).unwrap_or(i64::MAX),
                    ..LossRow::default()
                };
                self.losses.push(Loss { host, interface: None, row });
                self.warnings.push(Error::new(&file.path, At::File, kind));
            }
        }
        n_known as usize
    }
}
