//! The records that the program writes into its ring, read by offset. Never trusts a length.

/// Bytes of a record before its plaintext (`HEAD`).
const HEAD: usize = 72;

/// Names of `enum call`.
const CALLS: [&str; 4] = ["read", "write", "handshake", "close"];

/// Names of `enum library`.
const LIBRARIES: [&str; 2] = ["openssl", "go"];

/// One call of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) time_ns: i64,
    pub(super) exit_ns: i64,
    pub(super) handle: i64,
    pub(super) asked: i64,
    pub(super) result: i64,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) call: &'static str,
    pub(super) library: &'static str,
    /// `None`: the object does not tell.
    pub(super) fd: Option<u32>,
    pub(super) bytes: &'a [u8],
}

/// Reads one record; `None` for what is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    let head = bytes.get(..HEAD)?;
    let u32_at = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let i64_at = |at: usize| i64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    Some(Record {
        time_ns: i64_at(0),
        exit_ns: i64_at(8),
        handle: i64_at(16),
        asked: i64_at(24),
        result: i64_at(32),
        pid: u32_at(40),
        tid: u32_at(44),
        call: CALLS.get(u32_at(48) as usize)?,
        library: LIBRARIES.get(u32_at(64) as usize)?,
        fd: u32::try_from(i64_at(56)).ok(),
        bytes: bytes.get(HEAD..)?.get(..u32_at(52) as usize)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
