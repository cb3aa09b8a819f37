//! The columns of the packets table whose values are laid out plainly, row by row: most of them, and the frames. Never
//! holds more than the page being filled.

use super::plain_column::{PageCompressor, PlainChunk, PlainColumn};
use super::write::Group;
use crate::frame::Headers;
use crate::table::packet_rows::PacketRow;
use crate::table::packets::{FRAME, PLAIN_HEADERS};
use parquet::errors::Result;

/// These columns of one row group.
pub(crate) struct PlainColumns {
    headers: PlainHeaders,
    frames: PlainFrames,
}

struct PlainHeaders {
    compressor: PageCompressor,
    columns: Vec<PlainColumn>,
}

struct PlainFrames {
    compressor: PageCompressor,
    frame: PlainColumn,
}

impl PlainColumns {
    /// Takes the columns out of `group`.
    pub(crate) fn new(group: &mut Group) -> Result<PlainColumns> {
        Ok(PlainColumns { headers: PlainHeaders::new(group)?, frames: PlainFrames::new(group)? })
    }

    /// Appends rows.
    pub(crate) fn push(&mut self, rows: &[PacketRow<'_>]) -> Result<()> {
        let (headers, frames) = rayon::join(|| self.headers.push(rows), || self.frames.push(rows));
        headers.and(frames)
    }

    /// The columns, in the table's order.
    pub(crate) fn close(self) -> Result<Vec<PlainChunk>> {
        let mut columns = self.headers.close()?;
        columns.push(self.frames.close()?);
        Ok(columns)
    }
}

impl PlainHeaders {
    fn new(group: &mut Group) -> Result<PlainHeaders> {
        let columns = PLAIN_HEADERS.map(|name| group.plain_column(name)).into();
        Ok(PlainHeaders { compressor: PageCompressor::new()?, columns })
    }

    fn push(&mut self, rows: &[PacketRow<'_>]) -> Result<()> {
        let [
            captured_length,
            original_length,
            source_address,
            destination_address,
            source_port,
            destination_port,
            sequence,
            acknowledgment,
            tcp_flags,
            window,
            ip_id,
            ttl,
            timestamp_value,
            timestamp_echo,
            payload_offset,
            payload_length,
        ] = &mut self.columns[..]
        else {
            unreachable!("there are as many columns as names")
        };
        for row in rows {
            let Headers { network, payload_offset: offset, payload_length: length, .. } =
                &row.headers;
            let network = network.as_ref();
            let tcp = row.headers.tcp();
            let ports = row.headers.ports();
            captured_length.push_number(Some(row.record.frame.len() as u32));
            original_length.push_number(Some(row.record.original_length));
            source_address.push_fixed(network.map(|n| n.source));
            destination_address.push_fixed(network.map(|n| n.destination));
            source_port.push_number(ports.map(|(source, _)| source));
            destination_port.push_number(ports.map(|(_, destination)| destination));
            sequence.push_number(tcp.map(|t| t.sequence));
            acknowledgment.push_number(tcp.map(|t| t.acknowledgment));
            tcp_flags.push_number(tcp.map(|t| t.flags));
            window.push_number(tcp.map(|t| t.window));
            ip_id.push_number(network.and_then(|n| n.id));
            ttl.push_number(network.map(|n| n.ttl));
            timestamp_value.push_number(tcp.and_then(|t| t.timestamp_value));
            timestamp_echo.push_number(tcp.and_then(|t| t.timestamp_echo));
            payload_offset.push_number(Some(*offset));
            payload_length.push_number(Some(*length));
        }
        let compressor = &mut self.compressor;
        self.columns.iter_mut().try_for_each(|column| column.end_full_page(compressor))
    }

    fn close(mut self) -> Result<Vec<PlainChunk>> {
        self.columns.into_iter().map(|column| column.close(&mut self.compressor)).collect()
    }
}

impl PlainFrames {
    fn new(group: &mut Group) -> Result<PlainFrames> {
        Ok(PlainFrames { compressor: PageCompressor::new()?, frame: group.plain_column(FRAME) })
    }

    fn push(&mut self, rows: &[PacketRow<'_>]) -> Result<()> {
        for row in rows {
            self.frame.push_bytes(row.record.frame);
            self.frame.end_full_page(&mut self.compressor)?;
        }
        Ok(())
    }

    fn close(mut self) -> Result<PlainChunk> {
        self.frame.close(&mut self.compressor)
    }
}
