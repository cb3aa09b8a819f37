//! What of a payload is kept. Never lets a byte through that the mode forbids.

use afterpath_formats::frame::Headers;

/// How much of payloads is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    None,
    /// Everything, as it is.
    Raw,
}

impl Mode {
    /// In words, for who starts a recording.
    pub fn text(self) -> &'static str {
        match self {
            Mode::None => "none",
            Mode::Raw => "RAW: credentials and personal data are recorded as they are",
        }
    }
}

/// The mode, and what it must remember of each stream.
pub struct Payload {
    mode: Mode,
}

impl Payload {
    /// Payloads under `mode`.
    pub fn new(mode: Mode) -> Payload {
        Payload { mode }
    }

    /// Whether any byte is ever kept.
    pub(crate) fn keeps_any(&self) -> bool {
        self.mode != Mode::None
    }

    /// Takes out of a captured frame what is not kept.
    pub(crate) fn of_frame(&mut self, headers: &Headers, frame: &mut Vec<u8>) {
        if self.mode == Mode::None && headers.network.is_some() {
            frame.truncate(headers.payload_offset as usize);
        }
    }

    /// What is kept of an event's first bytes.
    pub(crate) fn of_event<'a>(
        &mut self,
        _socket: i64,
        _outbound: bool,
        _sequences: Option<(u32, u32)>,
        bytes: &'a [u8],
        _moved: i64,
        _mark: Option<&str>,
    ) -> &'a [u8] {
        match self.mode {
            Mode::None => &[],
            Mode::Raw => bytes,
        }
    }
}
