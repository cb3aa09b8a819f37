//! Heads of frames (RFC 9113, 4.1 and 6). Never looks into a payload.

use crate::protocol::cursor::Cursor;

/// Bytes of a head.
pub(super) const HEAD: usize = 9;
/// What a client says first (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 0x20;

/// Longest frame believed: the standard's largest is 16 times that, and text read as a length is longer.
const LONGEST: u32 = 1 << 20;
/// Longest frame and highest stream believed where a beginning is looked for.
const USUAL: u32 = 1 << 14;
const LIKELY_STREAM: u32 = 1 << 24;

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Of the payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    /// The head that `bytes` begin with; `None`: too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
        let mut cursor = Cursor::new(bytes);
        let (length, kind, flags) = (cursor.u24_be()?, cursor.u8()?, cursor.u8()?);
        Some(Frame { length, kind, flags, stream: cursor.u32_be()? })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Head and payload.
    pub(super) fn size(self) -> u64 {
        HEAD as u64 + u64::from(self.length)
    }

    /// Whether a frame can be so. Flags that a kind has not are to be ignored, and so are other kinds: both are rare.
    pub(super) fn is_possible(self) -> bool {
        let is_length = match self.kind {
            2 => self.length == 5,
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS => self.length.is_multiple_of(6) && (!self.has(ACK) || self.length == 0),
            6 => self.length == 8,
            GOAWAY => self.length >= 8,
            _ => true,
        };
        let is_stream = match self.kind {
            DATA..=RST_STREAM | PUSH_PROMISE | CONTINUATION => self.stream != 0,
            SETTINGS | 6 | GOAWAY => self.stream == 0,
            _ => true,
        };
        is_length && is_stream && self.length <= LONGEST && self.stream < 1 << 31
    }

    /// Whether a frame that begins where none is awaited is likely so: a kind of the standard, with its flags only.
    pub(super) fn is_likely(self) -> bool {
        let flags = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | PRIORITY,
            SETTINGS | 6 => ACK,
            PUSH_PROMISE => END_HEADERS | PADDED,
            CONTINUATION => END_HEADERS,
            _ => 0,
        };
        self.is_possible()
            && self.kind <= CONTINUATION
            && self.flags & !flags == 0
            && self.length <= USUAL
            && self.stream <= LIKELY_STREAM
    }
}

/// The name of an error code (RFC 9113, 7).
pub(super) fn error_name(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(code as usize).map_or_else(|| format!("ERROR_{code}"), |name| name.to_string())
}
