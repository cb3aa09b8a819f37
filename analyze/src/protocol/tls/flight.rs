//! Where a Finished of TLS 1.3 ends. Its record is encrypted and looks like data, but its length tells: the hash's, with
//! four bytes of header, one of type and the cipher's tag (RFC 8446 §4.4.4, §5.2). Never consumes: the records looked
//! at are looked at again, at most eight.

use super::super::{Half, Side};
use super::hello::Hello;
use super::record::{self, Next, Record, kind};

/// At most EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished, and some to spare.
const MAX_RECORDS: usize = 8;
/// A first record from here on holds a certificate: the peer puts its whole flight into as few records as it can.
const PACKED: usize = 300;
const FULL_RECORD: usize = 16 << 10;

/// How a peer's encrypted flight ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    /// Here.
    Ends(u64),
    /// With an alert instead of a Finished.
    Alert,
    /// More bytes will tell.
    Wait,
}

/// The flight of `side` whose first record is `first`, as far as lengths tell; else it ends with that record.
pub(super) fn read(side: Side, half: &Half<'_>, first: Record, hello: Option<&Hello>) -> Flight {
    let resumed = hello.is_some_and(|h| h.pre_shared_key);
    if side == Side::Client && is_alert(first.length) {
        return Flight::Alert;
    }
    if side == Side::Server && !resumed && first.length >= PACKED {
        return packed(half, first);
    }
    // Without a key agreed before, extensions, certificate and its proof come first.
    let (earliest, n_records) = match (side, resumed) {
        (Side::Client, _) => (0, 4),
        (Side::Server, true) => (1, 2),
        (Side::Server, false) => (3, MAX_RECORDS),
    };
    let mut record = first;
    for i in 0..n_records {
        if i >= earliest && is_finished(record.length, hello) {
            return Flight::Ends(record.end());
        }
        match record::at(half, record.end()) {
            Next::Record(next) if next.kind == kind::DATA => record = next,
            Next::Wait if i + 1 < n_records => return Flight::Wait,
            _ => break,
        }
    }
    Flight::Ends(first.end())
}

/// A flight in full records ends with the first that is not full.
fn packed(half: &Half<'_>, first: Record) -> Flight {
    let mut record = first;
    for _ in 0..MAX_RECORDS {
        if record.length < FULL_RECORD {
            break;
        }
        match record::at(half, record.end()) {
            Next::Record(next) if next.kind == kind::DATA => record = next,
            Next::Wait => return Flight::Wait,
            _ => break,
        }
    }
    Flight::Ends(record.end())
}

/// RFC 8446 §B.4: 0x1302 hashes with SHA-384, all others with SHA-256; 0x1305 has a tag of 8 bytes, all others 16.
fn is_finished(length: usize, hello: Option<&Hello>) -> bool {
    let of = |suite| match suite {
        0x1302 => 4 + 48 + 1 + 16,
        0x1305 => 4 + 32 + 1 + 8,
        _ => 4 + 32 + 1 + 16,
    };
    match hello.and_then(|h| h.cipher_suite) {
        Some(suite) => length == of(suite),
        None => [0x1301, 0x1302, 0x1305].map(of).contains(&length),
    }
}

/// Two bytes, one of type, and a tag of 8 or 16.
fn is_alert(length: usize) -> bool {
    matches!(length, 11 | 19)
}
