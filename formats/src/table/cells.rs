//! Reading single cells of small tables by column name. Never used for packets, where a cell at a time is too slow.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt16Type, UInt32Type};

/// A batch whose schema was checked against its table.
pub(crate) struct Cells<'a>(pub(crate) &'a RecordBatch);

impl Cells<'_> {
    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).expect("the schema was checked when the file was opened")
    }

    pub(crate) fn int(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
    }

    pub(crate) fn u32(&self, name: &str, row: usize) -> Option<u32> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_primitive::<UInt32Type>().value(row))
    }

    pub(crate) fn u16(&self, name: &str, row: usize) -> Option<u16> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_primitive::<UInt16Type>().value(row))
    }

    pub(crate) fn boolean(&self, name: &str, row: usize) -> Option<bool> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_boolean().value(row))
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_string::<i32>().value(row))
    }

    pub(crate) fn bytes(&self, name: &str, row: usize) -> Option<&[u8]> {
        let column = self.column(name);
        column.is_valid(row).then(|| column.as_binary::<i32>().value(row))
    }
}
