//! Writing packets: records and their decoded headers become columns. Never sorts, never touches a file.

use super::packet_batch::format_wrappers;
use super::packets;
use crate::frame::Headers;
use crate::record::Record;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, PrimitiveBuilder, RecordBatch,
    StringBuilder, UInt8Builder, UInt32Builder, new_null_array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Int64Type, Schema, SchemaRef, UInt8Type, UInt16Type, UInt32Type,
};
use std::sync::Arc;

/// One row about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketRow<'a> {
    /// See the table's `source_row`.
    pub(crate) source_row: i64,
    /// Row of the host's `interfaces`.
    pub(crate) interface_id: u32,
    /// See [`flow_hash`](crate::packet::flow_hash).
    pub(crate) flow_hash: i64,
    /// The record as captured.
    pub(crate) record: Record<'a>,
    /// Its decoded headers.
    pub(crate) headers: Headers,
    /// What its options say.
    pub(crate) readings: Readings<'a>,
}

/// What a packet block's options say; see `import::options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Readings<'a> {
    /// `epb_flags` (or `pack_flags`).
    pub(crate) flags: Option<u32>,
    /// `epb_dropcount`, or the obsolete block's field.
    pub(crate) drop_count: Option<i64>,
    /// `epb_packetid`.
    pub(crate) packet_id: Option<i64>,
    /// First `opt_comment`.
    pub(crate) comment: Option<&'a [u8]>,
}

/// Builders of the columns of the packets table that are encoded as arrays, for some rows.
pub(crate) struct PacketRows {
    time_ns: Int64Builder,
    source_row: Int64Builder,
    interface_id: UInt32Builder,
    kind: UInt8Builder,
    raw_stamp_high: Sparse<UInt32Type>,
    raw_stamp_low: Sparse<UInt32Type>,
    direction: Sparse<UInt8Type>,
    flow_hash: Int64Builder,
    family: UInt8Builder,
    protocol: UInt8Builder,
    fragment_offset: Sparse<UInt32Type>,
    fragment_more: BooleanBuilder,
    encapsulation: StringBuilder,
    window_scale: Sparse<UInt8Type>,
    mss: Sparse<UInt16Type>,
    packet_id: Sparse<Int64Type>,
    epb_flags: Sparse<UInt32Type>,
    drop_count: Sparse<Int64Type>,
    comment: StringBuilder,
    block_options: BinaryBuilder,
}

impl PacketRows {
    /// Builders with room for `n_rows`.
    pub(crate) fn with_capacity(n_rows: usize) -> PacketRows {
        let u8s = || UInt8Builder::with_capacity(n_rows);
        let u32s = || UInt32Builder::with_capacity(n_rows);
        let i64s = || Int64Builder::with_capacity(n_rows);
        PacketRows {
            time_ns: i64s(),
            source_row: i64s(),
            interface_id: u32s(),
            kind: u8s(),
            raw_stamp_high: Sparse::default(),
            raw_stamp_low: Sparse::default(),
            direction: Sparse::default(),
            flow_hash: i64s(),
            family: u8s(),
            protocol: u8s(),
            fragment_offset: Sparse::default(),
            fragment_more: BooleanBuilder::with_capacity(n_rows),
            encapsulation: StringBuilder::new(),
            window_scale: Sparse::default(),
            mss: Sparse::default(),
            packet_id: Sparse::default(),
            epb_flags: Sparse::default(),
            drop_count: Sparse::default(),
            comment: StringBuilder::new(),
            block_options: BinaryBuilder::new(),
        }
    }

    /// Appends one row.
    pub(crate) fn push(&mut self, row: &PacketRow<'_>) {
        self.push_record(row);
        self.push_network(&row.headers);
        self.push_transport(&row.headers);
        self.push_readings(&row.readings);
    }

    /// The rows appended so far as a batch of [`packets::TABLE`]; the builders begin anew.
    pub(crate) fn finish(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time_ns.finish()),
            Arc::new(self.source_row.finish()),
            Arc::new(self.interface_id.finish()),
            Arc::new(self.kind.finish()),
            self.raw_stamp_high.finish(),
            self.raw_stamp_low.finish(),
            self.direction.finish(),
            Arc::new(self.flow_hash.finish()),
            Arc::new(self.family.finish()),
            Arc::new(self.protocol.finish()),
            self.fragment_offset.finish(),
            Arc::new(self.fragment_more.finish()),
            Arc::new(self.encapsulation.finish()),
            self.window_scale.finish(),
            self.mss.finish(),
            self.packet_id.finish(),
            self.epb_flags.finish(),
            self.drop_count.finish(),
            Arc::new(self.comment.finish()),
            Arc::new(self.block_options.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
            .expect("the builders stand in the table's column order")
    }

    fn push_record(&mut self, row: &PacketRow<'_>) {
        let record = &row.record;
        self.time_ns.append_value(record.time_ns);
        self.source_row.append_value(row.source_row);
        self.interface_id.append_value(row.interface_id);
        self.kind.append_value(record.kind as u8);
        self.raw_stamp_high.push(record.raw_stamp.map(|(high, _)| high));
        self.raw_stamp_low.push(record.raw_stamp.map(|(_, low)| low));
        self.flow_hash.append_value(row.flow_hash);
        self.block_options.append_option((!record.options.is_empty()).then_some(record.options));
    }

    fn push_network(&mut self, headers: &Headers) {
        self.direction.push(headers.direction.map(|direction| direction as u8));
        self.encapsulation.append_option(format_wrappers(&headers.wrappers));
        let network = headers.network.as_ref();
        self.family.append_option(network.map(|n| n.family));
        self.protocol.append_option(network.map(|n| n.protocol));
        let fragment = network.and_then(|n| n.fragment);
        self.fragment_offset.push(fragment.map(|f| f.offset));
        self.fragment_more.append_option(fragment.map(|f| f.more));
    }

    fn push_transport(&mut self, headers: &Headers) {
        let tcp = headers.tcp();
        self.window_scale.push(tcp.and_then(|t| t.window_scale));
        self.mss.push(tcp.and_then(|t| t.mss));
    }

    fn push_readings(&mut self, readings: &Readings<'_>) {
        self.packet_id.push(readings.packet_id);
        self.epb_flags.push(readings.flags);
        self.drop_count.push(readings.drop_count);
        self.comment.append_option(readings.comment.map(String::from_utf8_lossy));
    }
}

/// The table without the columns that are laid out plainly.
fn schema() -> SchemaRef {
    let whole = packets::TABLE.schema();
    let is_ours = |name: &str| name != packets::FRAME && !packets::PLAIN_HEADERS.contains(&name);
    let fields = whole.fields().iter().filter(|field| is_ours(field.name())).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A column that most captures leave empty: it costs nothing until it has its first value.
struct Sparse<T: ArrowPrimitiveType> {
    n_nulls: usize,
    values: Option<PrimitiveBuilder<T>>,
}

impl<T: ArrowPrimitiveType> Default for Sparse<T> {
    fn default() -> Self {
        Sparse { n_nulls: 0, values: None }
    }
}

impl<T: ArrowPrimitiveType> Sparse<T> {
    fn push(&mut self, value: Option<T::Native>) {
        match (&mut self.values, value) {
            (None, None) => self.n_nulls += 1,
            (Some(values), value) => values.append_option(value),
            (values, Some(value)) => {
                let mut started = PrimitiveBuilder::with_capacity(self.n_nulls + 1);
                started.append_nulls(self.n_nulls);
                started.append_value(value);
                *values = Some(started);
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let n_nulls = std::mem::take(&mut self.n_nulls);
        match self.values.take() {
            Some(mut values) => Arc::new(values.finish()),
            None => new_null_array(&T::DATA_TYPE, n_nulls),
        }
    }
}
