//! Masking: credentials in recorded payload are overwritten before the first byte of it reaches the disk. The one place in
//! this package that knows protocols above L4; it never keeps what it can't place, and never decodes more than it must.
//!
//! # What it promises
//! - **The stream, not the frame.** State belongs to one direction of one connection at one observation point, and is keyed by
//!   the offset in the stream. A byte's fate depends on the bytes before it in the stream alone, so any cutting into chunks
//!   gives equal bytes, and the same byte is masked alike at every point: comparing masked bytes of two points is right.
//! - **Equal length.** [`STAR`] stands for every overwritten byte, so names, lengths, delimiters and messages still parse, and
//!   masking again changes nothing: which bytes are stars of ours is found by masking the stored bytes again. (In HPACK's
//!   Huffman code the byte is 0xf9, which is a star; at most two bytes before it end a symbol that began outside.)
//! - **In doubt, nothing.** Behind unseen bytes (a chunk's tail, a lost packet, a connection older than the recording) nothing
//!   is kept until a message certainly begins: at a boundary that lengths lead to (HTTP/1 bodies, HTTP/2 frames, RESP strings,
//!   PostgreSQL and MySQL messages, TLS records), or at the start of a chunk that opens with a whole HTTP/1 request line or
//!   status, with frames, messages or records one after the other, with a whole RESP head. Other text is not found again.
//!
//! Two points may keep different amounts, if one of them saw less. A byte that both keep is equal at both, with one exception:
//! in HTTP/2 a point that did not see a header's name overwrites its value, and data of streams it did not see begin.
//!
//! # What is overwritten
//! See `formats/README.md`, "Masking", and the files: `names` (the table), `text` (the rules for all text), one per protocol.
//!
//! Bytes that come again (a retransmission) are kept if a message certainly begins with them, else not: state goes forward.

mod command_line;
mod detect;
mod http1;
mod http2;
#[cfg(test)]
mod laws;
mod mysql;
mod names;
mod pen;
mod postgres;
mod redis;
mod text;
mod tls;
mod websocket;

pub use command_line::mask_command_line;
use detect::Protocol;
pub use http2::{Canonical, HUFFMAN};
use pen::Pen;
pub use pen::STAR;

/// How much payload is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// None.
    None,
    /// Heads of protocols that are known, masked: HTTP/1 heads, HTTP/2 header blocks, names of Redis commands, types and lengths
    /// of PostgreSQL and MySQL messages, TLS handshakes. Where something stands between two heads, it is overwritten or left out.
    Heads,
    /// All of it, masked.
    #[default]
    Masked,
    /// All of it, as it is.
    Raw,
}

/// What may be stored of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Leading bytes of the chunk that may be stored; nothing behind them.
    pub bytes: usize,
    /// Bytes among them that were overwritten.
    pub n_masked: usize,
}

/// The masker of one direction of one connection at one observation point. A few hundred bytes; once HTTP/2 is recognised,
/// about 700 on the heap, and 200 for WebSocket. Nothing else is allocated.
#[derive(Clone, Debug)]
pub struct StreamMask {
    mode: Mode,
    /// Offset of the next byte; None before the first chunk of a connection that was joined.
    next: Option<u64>,
    protocol: Protocol,
}

impl StreamMask {
    /// A direction whose first byte has offset `first`: its connection was seen to open.
    pub fn opened(mode: Mode, first: u64) -> Self {
        Self { mode, next: Some(first), protocol: Protocol::first() }
    }

    /// A direction of a connection that is older than the recording.
    pub fn joined(mode: Mode) -> Self {
        Self { mode, next: None, protocol: Protocol::Lost }
    }

    /// Masks a chunk in place: one write, read or packet, at `offset` (bytes since the stream's start, or any number that counts
    /// them: an unwrapped TCP sequence). `bytes` are the first of its `wire_length`; the others were not captured.
    pub fn mask(&mut self, offset: u64, bytes: &mut [u8], wire_length: u32) -> Kept {
        match self.mode {
            Mode::None => return Kept::default(),
            Mode::Raw => return Kept { bytes: bytes.len(), n_masked: 0 },
            Mode::Heads | Mode::Masked => {}
        }
        let wire_length = u64::from(wire_length).max(bytes.len() as u64);
        let end = offset.saturating_add(wire_length);
        let mut pen = Pen::new(self.mode == Mode::Heads);
        match self.next {
            Some(next) if end <= next => self.mask_again(bytes, wire_length, &mut pen),
            Some(next) if offset < next => {
                self.mask_overlapping(next - offset, bytes, wire_length, &mut pen)
            }
            next => {
                if let Some(unseen) = next.map(|next| offset - next).filter(|&unseen| unseen > 0) {
                    self.protocol.skip(unseen);
                }
                self.protocol.find(bytes, wire_length);
                self.feed(bytes, wire_length, &mut pen);
            }
        }
        self.next = Some(self.next.unwrap_or(0).max(end));
        let (bytes, n_masked) = pen.outcome();
        Kept { bytes, n_masked }
    }

    fn feed(&mut self, bytes: &mut [u8], wire_length: u64, pen: &mut Pen) {
        self.protocol.feed(bytes, pen);
        let unseen = wire_length - bytes.len() as u64;
        if unseen > 0 {
            self.protocol.skip(unseen);
        }
    }

    /// Bytes that came before: a message that begins with them is masked by itself.
    fn mask_again(&self, bytes: &mut [u8], wire_length: u64, pen: &mut Pen) {
        match self.protocol.again(bytes, wire_length) {
            Some(mut protocol) => protocol.feed(bytes, pen),
            None => pen.withhold(bytes),
        }
    }

    /// The first `n_old` bytes came before: nothing of the chunk is kept, but its new bytes are followed.
    fn mask_overlapping(&mut self, n_old: u64, bytes: &mut [u8], wire_length: u64, pen: &mut Pen) {
        let n_captured = usize::try_from(n_old).unwrap_or(usize::MAX).min(bytes.len());
        let (old, new) = bytes.split_at_mut(n_captured);
        pen.withhold(old);
        if new.is_empty() {
            self.protocol.skip(wire_length - n_old);
        } else {
            self.feed(new, wire_length - n_old, pen);
        }
    }
}

/// Masks one datagram, which is a text of its own (or DNS, whose names are kept).
pub fn mask_datagram(mode: Mode, bytes: &mut [u8]) -> Kept {
    match mode {
        Mode::None | Mode::Heads => Kept::default(),
        Mode::Raw => Kept { bytes: bytes.len(), n_masked: 0 },
        Mode::Masked => {
            let mut pen = Pen::new(false);
            text::Text::default().feed(bytes, &mut pen);
            let (bytes, n_masked) = pen.outcome();
            Kept { bytes, n_masked }
        }
    }
}
