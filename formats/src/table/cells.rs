//! Reading single cells of small tables by column name. Never used for packets, where a cell at a time is too slow.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt8Type, UInt16Type, UInt32Type};
use std::net::{IpAddr, SocketAddr};

/// A batch whose schema was checked against its table.
pub(crate) struct Cells<'a>(pub(crate) &'a RecordBatch);

impl<'a> Cells<'a> {
    /// `None` where the file is older than the column; the others were checked when the file was opened.
    fn column(&self, name: &str) -> Option<&'a dyn Array> {
        self.0.column_by_name(name).map(|column| column.as_ref())
    }

    pub(crate) fn int(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
    }

    pub(crate) fn u32(&self, name: &str, row: usize) -> Option<u32> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_primitive::<UInt32Type>().value(row))
    }

    pub(crate) fn u16(&self, name: &str, row: usize) -> Option<u16> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_primitive::<UInt16Type>().value(row))
    }

    pub(crate) fn u8(&self, name: &str, row: usize) -> Option<u8> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_primitive::<UInt8Type>().value(row))
    }

    /// The address in one column and the port in another; `None` when either is null or `family` is no IP version.
    pub(crate) fn socket_address(
        &self,
        family: Option<u8>,
        address: &str,
        port: &str,
        row: usize,
    ) -> Option<SocketAddr> {
        let port = self.u16(port, row)?;
        let column = self.column(address)?;
        let bytes = column.is_valid(row).then(|| column.as_fixed_size_binary().value(row))?;
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        let address = match family? {
            4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
            6 => IpAddr::from(bytes),
            _ => return None,
        };
        Some(SocketAddr::new(address, port))
    }

    pub(crate) fn boolean(&self, name: &str, row: usize) -> Option<bool> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_boolean().value(row))
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> Option<&'a str> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_string::<i32>().value(row))
    }

    pub(crate) fn bytes(&self, name: &str, row: usize) -> Option<&'a [u8]> {
        let column = self.column(name)?;
        column.is_valid(row).then(|| column.as_binary::<i32>().value(row))
    }
}
