//! Tables that a recorder tells again when they change: the last row about a thing counts. Never drops a thing.

use crate::table::{hosts, interfaces};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last row of `hosts`; none if there is none.
pub(super) fn hosts(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let all = concat_batches(&hosts::TABLE.schema(), batches)?;
    Ok(all.slice(all.num_rows().saturating_sub(1), all.num_rows().min(1)))
}

/// The last row of every interface, in order, with the packets counted.
pub(super) fn interfaces(
    batches: &[RecordBatch],
    packets: &BTreeMap<u32, i64>,
) -> Result<RecordBatch, ArrowError> {
    let schema = interfaces::TABLE.schema();
    let all = concat_batches(&schema, batches)?;
    let ids = ids(&all);
    let last: BTreeMap<u32, u32> = ids.iter().copied().zip(0..).collect();
    let kept = take_record_batch(&all, &UInt32Array::from_iter_values(last.values().copied()))?;
    let counts = last.keys().map(|id| packets.get(id).copied().unwrap_or(0));
    let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
    let at = schema.index_of("n_packets")?;
    let mut columns = kept.columns().to_vec();
    columns[at] = counts;
    RecordBatch::try_new(schema, columns)
}

/// How many interfaces there are after `batch`, if there were `n_known`; `Err` names a number that leaves some out.
pub(super) fn count(batch: &RecordBatch, n_known: u32) -> Result<u32, String> {
    ids(batch).iter().try_fold(n_known, |n, id| match *id {
        id if id > n => Err(format!("interface_id {id} follows {n} interfaces")),
        id => Ok(n.max(id.saturating_add(1))),
    })
}

fn ids(batch: &RecordBatch) -> Vec<u32> {
    let column = batch.column_by_name("interface_id").map(|c| c.as_primitive::<UInt32Type>());
    column.map_or_else(Vec::new, |column| column.values().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::interfaces::InterfaceRow;

    fn check(rows: &[(u32, &str)], expected: &str) {
        let row = |(id, name): &(u32, &str)| InterfaceRow {
            interface_id: *id,
            name: name.to_string(),
            ..InterfaceRow::default()
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let settled = interfaces(&[interfaces::batch(&rows)], &[(1, 9)].into()).unwrap();
        let shown = interfaces::rows(&settled)
            .iter()
            .map(|row| format!("{}{}:{}", row.interface_id, row.name, row.n_packets))
            .collect::<Vec<_>>();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn what_was_told_last_of_an_interface_counts() {
        check(&[], "");
        check(&[(0, "a"), (1, "b")], "0a:0 1b:9");
        check(&[(0, "a"), (1, "b"), (0, "c")], "0c:0 1b:9");
    }
}
