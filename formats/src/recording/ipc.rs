//! Batches as Arrow IPC messages, and back. Never hands arrow bytes that were not looked at: a message that announces more
//! than it holds is refused before anything is allocated for it.

use crate::bundle::table_file::guarded;
use crate::table::Table;
use arrow::array::{RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MessageHeader, root_as_message};
use parquet::errors::ParquetError;

/// Rows of a batch, at most.
const MAX_ROWS: i64 = 1 << 24;
/// Bytes of one column's buffer when unpacked, at most.
const MAX_UNPACKED: i64 = 1 << 30;
/// LZ4 packs no better than this.
const MAX_RATIO: i64 = 255;

/// Makes messages of batches; all together are one Arrow IPC stream.
pub(super) struct Encoder(StreamWriter<Vec<u8>>);

impl Encoder {
    /// For batches of `table`.
    pub(super) fn new(table: &Table) -> Result<Encoder, ArrowError> {
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let schema = table.schema();
        Ok(Encoder(StreamWriter::try_new_with_options(Vec::new(), &schema, options)?))
    }

    /// The message that is ready: first the schema.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }

    /// A batch as a message.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.0.write(batch)?;
        Ok(self.take())
    }
}

/// Makes batches of messages.
pub(crate) struct Decoder {
    table: &'static Table,
    stream: StreamDecoder,
}

impl Decoder {
    /// For messages of `table`.
    pub(crate) fn new(table: &'static Table) -> Decoder {
        Decoder { table, stream: StreamDecoder::new() }
    }

    /// Takes the schema message.
    pub(crate) fn schema(&mut self, message: Vec<u8>) -> Result<(), String> {
        self.decode(message).and_then(|batch| match batch {
            None => Ok(()),
            Some(_) => Err("rows stand where the columns should".to_string()),
        })
    }

    /// Takes one batch message of `n_rows` rows; gives the columns of the table.
    pub(crate) fn batch(&mut self, message: Vec<u8>, n_rows: u32) -> Result<RecordBatch, String> {
        look_at(&message)?;
        let batch = self.decode(message)?.ok_or("a frame holds no rows")?;
        if batch.num_rows() != n_rows as usize {
            return Err(format!("{} rows, {n_rows} announced", batch.num_rows()));
        }
        self.table.check(&batch.schema())?;
        let columns = self.table.columns.iter().map(|column| {
            // Columns that this version doesn't know are left out; the check let only later ones be absent.
            let absent = || new_null_array(&column.kind.arrow(), batch.num_rows());
            batch.column_by_name(column.name).cloned().unwrap_or_else(absent)
        });
        RecordBatch::try_new(self.table.schema(), columns.collect())
            .map_err(|error| error.to_string())
    }

    fn decode(&mut self, message: Vec<u8>) -> Result<Option<RecordBatch>, String> {
        let mut buffer = Buffer::from_vec(message);
        guarded(|| self.stream.decode(&mut buffer).map_err(ParquetError::from))
    }
}

/// Compares what a batch message announces with what it holds.
fn look_at(message: &[u8]) -> Result<(), String> {
    let bad = || "a frame holds no batch".to_string();
    let size = message.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
    let size = size.ok_or_else(bad)? as usize;
    let end = size.checked_add(8).filter(|end| *end <= message.len()).ok_or_else(bad)?;
    let body = (message.len() - end) as i64;
    let head = root_as_message(&message[8..end]).map_err(|_| bad())?;
    if head.header_type() != MessageHeader::RecordBatch || head.bodyLength() != body {
        return Err(bad());
    }
    let batch = head.header_as_record_batch().ok_or_else(bad)?;
    let is_packed = batch.compression().is_some();
    let mut unpacked = batch.length();
    if !(0..=MAX_ROWS).contains(&unpacked) {
        return Err(bad());
    }
    for buffer in batch.buffers().ok_or_else(bad)? {
        let (offset, length) = (buffer.offset(), buffer.length());
        let fits =
            offset >= 0 && length >= 0 && offset.checked_add(length).is_some_and(|e| e <= body);
        if !fits {
            return Err(bad());
        }
        if is_packed && length > 0 {
            let at = end + offset as usize;
            let announced = message.get(at..at + 8).and_then(|size| size.try_into().ok());
            unpacked = i64::from_le_bytes(announced.ok_or_else(bad)?);
            if !(-1..=MAX_UNPACKED.min(length * MAX_RATIO)).contains(&unpacked) {
                return Err(bad());
            }
        }
    }
    Ok(())
}
