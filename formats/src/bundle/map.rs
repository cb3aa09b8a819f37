//! The one memory map of this crate. Never maps a file that is still growing or shrinking: its callers look first.

use bytes::Bytes;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Maps `range` of a packed bundle or a capture for reading.
///
/// The bytes stay valid as long as any slice of them lives. The caller has made sure that the file is complete (a bundle's
/// end marker was read, a capture was not written to for a while, and the length did not change); if someone truncates it
/// afterwards all the same, touching the lost pages raises SIGBUS, as with any mapped file.
#[allow(
    unsafe_code,
    reason = "packed bundles are opened, and captures sorted, without copying them into memory of our own"
)]
pub(crate) fn map(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut options = memmap2::MmapOptions::new();
    options.offset(range.start).len(length);
    // SAFETY: the map is read-only and private to this process; the remaining hazard, another process truncating or
    // rewriting the file, is the one described above, and the checks of `verify` and of the decoders treat every byte as
    // untrusted, so changed bytes are wrong data, never a broken invariant.
    let map = unsafe { options.map(file) }?;
    Ok(Bytes::from_owner(map))
}
