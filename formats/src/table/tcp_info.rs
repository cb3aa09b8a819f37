//! The tcp_info table: what the kernel knew of a TCP connection when it ended. Never what is still open, never a conclusion.

use super::{Cells, Column, Layout, Table, Type};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use std::sync::Arc;

/// The table. Values as Linux keeps them for `TCP_INFO` (include/uapi/linux/tcp.h, tcp_get_info).
pub const TABLE: Table = Table {
    name: "tcp_info",
    about: "one end of a TCP connection when the kernel closed it: at the last acknowledgment, a reset or a timeout, which may be long after the process closed its descriptor",
    order: &["time_ns"],
    columns: &[
        Column::new("time_ns", Type::Int64, "when it ended; BOOTTIME").layout(Layout::Delta),
        Column::new(
            "socket_id",
            Type::Int64,
            "the row of `sockets`: addresses, process, namespace",
        ),
        Column::new(
            "state",
            Type::Text,
            "the state it was in before, in RFC 9293's words: `established`, `fin-wait-2`, `syn-sent` …",
        ),
        Column::new(
            "error",
            Type::UInt32,
            "errno that the process was or would be told: 104 reset, 110 timed out, 111 refused",
        )
        .nullable(),
        Column::new("bytes_sent", Type::Int64, "payload bytes sent, those sent again too"),
        Column::new(
            "bytes_acknowledged",
            Type::Int64,
            "of them acknowledged; FIN counts as one, and SYN at the end that connected",
        ),
        Column::new("bytes_retransmitted", Type::Int64, "payload bytes sent again"),
        Column::new(
            "bytes_received",
            Type::Int64,
            "payload bytes received in order; FIN counts as one",
        ),
        Column::new("segments_sent", Type::UInt32, "segments sent, those without payload too"),
        Column::new("segments_received", Type::UInt32, "segments received"),
        Column::new("segments_retransmitted", Type::UInt32, "segments sent again, SYNs too"),
        Column::new(
            "segments_out_of_order",
            Type::UInt32,
            "segments received before those before them",
        ),
        Column::new(
            "rtt_us",
            Type::UInt32,
            "smoothed round trip, µs (RFC 6298); null: none was measured",
        )
        .nullable(),
        Column::new("rtt_variation_us", Type::UInt32, "its mean deviation, µs").nullable(),
        Column::new("min_rtt_us", Type::UInt32, "the least round trip of the last minutes, µs")
            .nullable(),
        Column::new("congestion_window", Type::UInt32, "segments that might be under way"),
        Column::new("segment_size", Type::UInt32, "payload bytes of a full segment sent"),
        Column::new(
            "unacknowledged",
            Type::UInt32,
            "bytes written that the other end never acknowledged; FIN counts as one",
        ),
        Column::new(
            "unread",
            Type::UInt32,
            "bytes received that the process had not read by then; FIN counts as one",
        ),
    ],
};

/// States by Linux's number (include/net/tcp_states.h).
const STATES: [&str; 13] = [
    "unknown",
    "established",
    "syn-sent",
    "syn-received",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
    "syn-received",
];

/// The name of Linux's state number.
pub fn state_name(number: u8) -> &'static str {
    STATES.get(usize::from(number)).copied().unwrap_or(STATES[0])
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpInfoRow {
    /// When it ended; BOOTTIME, ns.
    pub time_ns: i64,
    /// The row of `sockets`.
    pub socket_id: i64,
    /// The state it was in before.
    pub state: String,
    /// errno.
    pub error: Option<u32>,
    /// Payload bytes sent, those sent again too.
    pub bytes_sent: i64,
    /// Of them acknowledged.
    pub bytes_acknowledged: i64,
    /// Payload bytes sent again.
    pub bytes_retransmitted: i64,
    /// Payload bytes received in order.
    pub bytes_received: i64,
    /// Segments sent.
    pub segments_sent: u32,
    /// Segments received.
    pub segments_received: u32,
    /// Segments sent again.
    pub segments_retransmitted: u32,
    /// Segments received before those before them.
    pub segments_out_of_order: u32,
    /// Smoothed round trip, µs.
    pub rtt_us: Option<u32>,
    /// Its mean deviation, µs.
    pub rtt_variation_us: Option<u32>,
    /// The least round trip, µs.
    pub min_rtt_us: Option<u32>,
    /// Segments that might be under way.
    pub congestion_window: u32,
    /// Payload bytes of a full segment.
    pub segment_size: u32,
    /// Bytes never acknowledged.
    pub unacknowledged: u32,
    /// Bytes not read by then.
    pub unread: u32,
}

/// Rows → batch.
pub fn batch(rows: &[TcpInfoRow]) -> RecordBatch {
    let ints = |of: fn(&TcpInfoRow) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let u32s = |of: fn(&TcpInfoRow) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(of)))
    };
    let some = |of: fn(&TcpInfoRow) -> Option<u32>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt32Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        ints(|row| row.time_ns),
        ints(|row| row.socket_id),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.state))),
        some(|row| row.error),
        ints(|row| row.bytes_sent),
        ints(|row| row.bytes_acknowledged),
        ints(|row| row.bytes_retransmitted),
        ints(|row| row.bytes_received),
        u32s(|row| row.segments_sent),
        u32s(|row| row.segments_received),
        u32s(|row| row.segments_retransmitted),
        u32s(|row| row.segments_out_of_order),
        some(|row| row.rtt_us),
        some(|row| row.rtt_variation_us),
        some(|row| row.min_rtt_us),
        u32s(|row| row.congestion_window),
        u32s(|row| row.segment_size),
        u32s(|row| row.unacknowledged),
        u32s(|row| row.unread),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("columns stand in the table's order")
}

/// Batch → rows.
pub fn rows(batch: &RecordBatch) -> Vec<TcpInfoRow> {
    let cells = Cells(batch);
    let row = |row| {
        let int = |name| cells.int(name, row).unwrap_or(0);
        let number = |name| cells.u32(name, row).unwrap_or(0);
        TcpInfoRow {
            time_ns: int("time_ns"),
            socket_id: int("socket_id"),
            state: cells.text("state", row).unwrap_or_default().to_string(),
            error: cells.u32("error", row),
            bytes_sent: int("bytes_sent"),
            bytes_acknowledged: int("bytes_acknowledged"),
            bytes_retransmitted: int("bytes_retransmitted"),
            bytes_received: int("bytes_received"),
            segments_sent: number("segments_sent"),
            segments_received: number("segments_received"),
            segments_retransmitted: number("segments_retransmitted"),
            segments_out_of_order: number("segments_out_of_order"),
            rtt_us: cells.u32("rtt_us", row),
            rtt_variation_us: cells.u32("rtt_variation_us", row),
            min_rtt_us: cells.u32("min_rtt_us", row),
            congestion_window: number("congestion_window"),
            segment_size: number("segment_size"),
            unacknowledged: number("unacknowledged"),
            unread: number("unread"),
        }
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_batch() {
        let reset = TcpInfoRow {
            time_ns: 1,
            socket_id: 2,
            state: state_name(1).into(),
            error: Some(104),
            bytes_sent: 3,
            bytes_acknowledged: 4,
            bytes_retransmitted: 5,
            bytes_received: 6,
            segments_sent: 7,
            segments_received: 8,
            segments_retransmitted: 9,
            segments_out_of_order: 10,
            rtt_us: Some(11),
            rtt_variation_us: Some(12),
            min_rtt_us: Some(13),
            congestion_window: 14,
            segment_size: 15,
            unacknowledged: 16,
            unread: 17,
        };
        let refused = TcpInfoRow {
            time_ns: 2,
            state: state_name(200).into(),
            error: None,
            rtt_us: None,
            rtt_variation_us: None,
            min_rtt_us: None,
            ..reset.clone()
        };
        let given = [reset, refused];
        assert_eq!(rows(&batch(&given)), given);
    }
}
