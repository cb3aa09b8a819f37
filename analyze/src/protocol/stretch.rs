//! What a parser sees: a stretch of one conversation, both directions, with its gaps. Never a time: parsers name
//! messages by stream offsets, and `dissect` knows when each byte passed.

use super::ids::IdFields;

/// L4 protocol under the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A byte stream per direction.
    Tcp,
    /// Datagrams per direction; each [`Piece`] is one datagram.
    Udp,
}

/// Which end sent something.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Side {
    /// The end that opened the conversation, or is believed to have.
    Client,
    /// The other end.
    Server,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// Contiguous captured bytes. Between two pieces of a TCP half lies a gap (never captured or cut by the snap length).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Stream offset of the first byte: 0 is the first byte after SYN, or the first byte seen. For UDP, offsets
    /// count all earlier datagrams' wire lengths.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
    /// For UDP, the datagram's length on the wire (may exceed `bytes`); for TCP equal to `bytes.len()`.
    pub wire_length: u32,
}

impl<'a> Piece<'a> {
    /// What of a stream's captured bytes from `offset` on lies in `start..end`; `None`: nothing.
    pub fn within(offset: u64, bytes: &'a [u8], start: u64, end: u64) -> Option<Piece<'a>> {
        let from = start.saturating_sub(offset).min(bytes.len() as u64);
        let to = end.saturating_sub(offset).min(bytes.len() as u64);
        let bytes = bytes.get(from as usize..to as usize).filter(|bytes| !bytes.is_empty())?;
        Some(Piece { offset: offset + from, bytes, wire_length: bytes.len() as u32 })
    }

    /// Stream offset after the last captured byte.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// One direction of a stretch: pieces in rising offset order, not touching (TCP) and not overlapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Half<'a> {
    /// Where this stretch begins: what was not yet consumed of the stretch before begins here.
    pub start: u64,
    /// Where the stretch ends: bytes up to here were on the wire (captured or lying in a gap).
    pub end: u64,
    /// The captured bytes between `start` and `end`.
    pub pieces: &'a [Piece<'a>],
    /// Nothing follows: the direction ended or the capture did. What is incomplete now stays incomplete.
    pub last: bool,
}

impl<'a> Half<'a> {
    /// The contiguous captured bytes from `offset` on; empty inside a gap or outside the stretch.
    pub fn at(&self, offset: u64) -> &'a [u8] {
        let i = self.pieces.partition_point(|p| p.end() <= offset);
        match self.pieces.get(i) {
            Some(p) if p.offset <= offset => &p.bytes[(offset - p.offset) as usize..],
            _ => &[],
        }
    }

    /// The first captured offset at or after `offset`: where to go on after a gap.
    pub fn next_known(&self, offset: u64) -> Option<u64> {
        let i = self.pieces.partition_point(|p| p.end() <= offset);
        self.pieces.get(i).map(|p| p.offset.max(offset))
    }

    /// Whether a gap begins at the end of the bytes that `at(offset)` gives (so waiting for more is in vain).
    pub fn cut_after(&self, offset: u64) -> bool {
        let known = self.at(offset).len() as u64;
        offset + known < self.end || self.last
    }
}

/// A stretch of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// L4 protocol.
    pub transport: Transport,
    /// Port of the client end.
    pub client_port: u16,
    /// Port of the server end.
    pub server_port: u16,
    /// Bytes sent by the client.
    pub client: Half<'a>,
    /// Bytes sent by the server.
    pub server: Half<'a>,
    /// The conversation's very first byte in both directions is known (SYN seen): offset 0 is the protocol's start.
    pub from_start: bool,
    /// The fields whose values are taken for identifiers.
    pub id_fields: &'a IdFields,
}

impl<'a> Stretch<'a> {
    /// The half sent by `side`.
    pub fn half(&self, side: Side) -> &Half<'a> {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}
