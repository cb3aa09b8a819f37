//! The one memory map of this crate. Never maps a file that is not whole.

use bytes::Bytes;
use std::fs::File;
use std::io;

/// Maps a packed bundle for reading.
///
/// The bytes stay valid as long as any slice of them lives. The caller has made sure that the file is complete (its end
/// marker was read and its length did not change meanwhile); if someone truncates it afterwards all the same, touching the
/// lost pages raises SIGBUS, as with any mapped file.
#[allow(
    unsafe_code,
    reason = "opening a packed bundle without copying it is why the pack is uncompressed"
)]
pub(super) fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the map is read-only and private to this process; the remaining hazard, another process truncating or
    // rewriting the file, is the one described above, and the checks of `verify` and of the decoders treat every byte as
    // untrusted, so changed bytes are wrong data, never a broken invariant.
    let map = unsafe { memmap2::Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}
