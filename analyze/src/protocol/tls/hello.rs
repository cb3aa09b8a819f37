//! ClientHello and ServerHello (RFC 8446 §4.1, RFC 5246 §7.4.1), as far as captured. Never fails on a cut one: what comes
//! before the cut is known.

use super::super::cursor::Cursor;
use super::super::text;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;

const TLS_1_3: u16 = 0x0304;
/// RFC 8446 §4.1.3: the random of a HelloRetryRequest, SHA-256 of that name.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Extension types (IANA).
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const ALPN: u16 = 16;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
}

/// What a hello says. Of a cut one the later fields are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hello {
    /// The version chosen, or the highest offered.
    pub(super) version: u16,
    /// HelloRetryRequest.
    pub(super) is_retry: bool,
    pub(super) session_id: Vec<u8>,
    /// The suite chosen.
    pub(super) cipher_suite: Option<u16>,
    pub(super) server_name: String,
    /// Offered by commas, or chosen.
    pub(super) alpn: String,
    /// A pre-shared key was chosen (or offered).
    pub(super) pre_shared_key: bool,
    pub(super) early_data: bool,
}

impl Hello {
    /// Reads a hello with its type and length.
    pub(super) fn read(shake: &[u8]) -> Hello {
        let mut hello = Hello::default();
        // Whether it could be read to its end is known from the capture, not from here.
        let _ = hello.fields(shake);
        hello
    }

    /// Whether TLS 1.3 was agreed.
    pub(super) fn is_1_3(&self) -> bool {
        self.version >= TLS_1_3
    }

    fn fields(&mut self, shake: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(shake);
        let is_client = cursor.u8()? == CLIENT_HELLO;
        let length = cursor.u24_be()? as usize;
        let rest = cursor.rest();
        let mut cursor = Cursor::new(&rest[..rest.len().min(length)]);
        self.version = cursor.u16_be()?;
        self.is_retry = cursor.take(32)? == RETRY;
        let session_id_length = usize::from(cursor.u8()?);
        self.session_id = cursor.take(session_id_length)?.to_vec();
        if is_client {
            let suites = usize::from(cursor.u16_be()?);
            cursor.take(suites)?;
            let compressions = usize::from(cursor.u8()?);
            cursor.take(compressions)?;
        } else {
            self.cipher_suite = Some(cursor.u16_be()?);
            cursor.u8()?;
        }
        cursor.u16_be()?;
        loop {
            let (extension, length) = (cursor.u16_be()?, usize::from(cursor.u16_be()?));
            // A cut extension is read so far.
            let data = cursor.take(length).unwrap_or(cursor.rest());
            let _ = self.extension(extension, data, is_client);
            if data.len() < length {
                return None;
            }
        }
    }

    fn extension(&mut self, extension: u16, data: &[u8], is_client: bool) -> Option<()> {
        let mut cursor = Cursor::new(data);
        match extension {
            extension::SERVER_NAME if is_client => {
                // RFC 6066 §3: list length, type 0 = host name.
                let (_list, 0) = (cursor.u16_be()?, cursor.u8()?) else { return None };
                let length = usize::from(cursor.u16_be()?);
                self.server_name = text::bounded(cursor.take(length)?, 256);
            }
            extension::ALPN => {
                cursor.u16_be()?;
                while let Some(length) = cursor.u8() {
                    let name = text::bounded(cursor.take(usize::from(length))?, 64);
                    if self.alpn.len() + name.len() < 256 {
                        self.alpn.push_str(if self.alpn.is_empty() { "" } else { "," });
                        self.alpn.push_str(&name);
                    }
                }
            }
            extension::SUPPORTED_VERSIONS if is_client => {
                cursor.u8()?;
                while let Some(version) = cursor.u16_be() {
                    // RFC 8701: 0x?a?a is grease; 0x7f?? were drafts.
                    if version >> 8 == 3 {
                        self.version = self.version.max(version);
                    }
                }
            }
            extension::SUPPORTED_VERSIONS => self.version = cursor.u16_be()?,
            extension::PRE_SHARED_KEY => self.pre_shared_key = true,
            extension::EARLY_DATA => self.early_data = true,
            _ => {}
        }
        Some(())
    }
}

/// A version as it is written.
pub(super) fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSLv3".to_owned(),
        0x0301..=0x0304 => format!("TLSv1.{}", version - 0x0301),
        _ => format!("{version:#06x}"),
    }
}
