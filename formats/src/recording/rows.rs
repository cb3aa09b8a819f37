//! Batches as a recorder gives them, made batches of their table. Never changes a value.

use crate::table::{Column, Table};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// `batch` with exactly the columns of `table`: views of bytes become bytes. `Err` says what is wrong with it.
pub(super) fn of_table(table: &Table, batch: &RecordBatch) -> Result<RecordBatch, String> {
    if batch.num_columns() != table.columns.len() {
        let n = batch.num_columns();
        return Err(format!("{n} columns, {} in {}", table.columns.len(), table.name));
    }
    let schema = batch.schema();
    let column = |(at, column): (usize, &Column)| -> Result<ArrayRef, String> {
        let (name, array) = (schema.field(at).name(), batch.column(at));
        if name != column.name {
            return Err(format!("column {at} is `{name}`, not `{}`", column.name));
        }
        match (array.data_type(), column.kind.arrow()) {
            (DataType::BinaryView, DataType::Binary) => {
                Ok(Arc::new(array.as_binary_view().iter().collect::<BinaryArray>()))
            }
            (DataType::Utf8View, DataType::Utf8) => {
                Ok(Arc::new(array.as_string_view().iter().collect::<StringArray>()))
            }
            _ => Ok(array.clone()),
        }
    };
    let columns = table.columns.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(table.schema(), columns).map_err(|error| error.to_string())
}

/// Bytes that the rows take in memory; of a slice, its own.
pub(super) fn n_bytes(batch: &RecordBatch) -> usize {
    let of = |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{losses, packets};
    use arrow::datatypes::{Field, Schema};

    fn check(table: &Table, schema: Schema, expected: bool) {
        let batch = RecordBatch::new_empty(Arc::new(schema));
        let made = of_table(table, &batch);
        assert_eq!(made.is_ok(), expected, "{made:?}");
        assert!(made.is_err() || made.unwrap().schema() == table.schema());
    }

    #[test]
    fn only_the_tables_own_columns_are_taken() {
        let table = &packets::TABLE;
        check(table, table.schema().as_ref().clone(), true);
        check(table, table.written_schema().as_ref().clone(), true);
        check(table, losses::TABLE.schema().as_ref().clone(), false);
        let mut fields: Vec<Field> =
            table.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.swap(0, 1);
        check(table, Schema::new(fields.clone()), false);
        fields.swap(0, 1);
        fields[0] = fields[0].clone().with_data_type(DataType::UInt64);
        check(table, Schema::new(fields), false);
    }
}
