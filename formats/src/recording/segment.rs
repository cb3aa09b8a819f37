//! A segment on disk, byte by byte: a header, then frames, each with its length and checksum. Never reads or writes a file;
//! the specification is `formats/README.md`, "Segments".

/// A segment begins with this.
pub(crate) const MAGIC: [u8; 8] = *b"AFTERSEG";
/// The layout described here.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEAD: usize = 16;
/// Longest payload, in bytes: what a reader takes into memory at once.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;
/// Longest table name, in bytes.
const MAX_NAME: usize = 64;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The Arrow IPC schema message; the first frame, once.
    Schema,
    /// One Arrow IPC record batch message.
    Batch,
    /// The end of a finished segment: rows and batches, 64-bit numbers.
    Seal,
}

/// The bytes before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: FrameKind,
    pub(crate) length: usize,
    pub(crate) n_rows: u32,
    checksum: u32,
    covered: [u8; 12],
}

/// The header of segment `number` of `table`.
pub(crate) fn header(table: &str, number: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for word in [VERSION, number, table.len() as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(table.as_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Reads a header; gives the table's name, or why it is none.
pub(crate) fn read_header(mut read: impl std::io::Read) -> Result<String, String> {
    let mut head = [0; 20];
    read.read_exact(&mut head).map_err(|_| "it ends within its header".to_string())?;
    if head[..8] != MAGIC {
        return Err("it does not begin as a segment does".to_string());
    }
    let version = word(&head, 8);
    if version != VERSION {
        return Err(format!("segment version {version}; this program reads {VERSION}"));
    }
    let n_name = word(&head, 16) as usize;
    if n_name > MAX_NAME {
        return Err("its header is damaged".to_string());
    }
    let mut rest = vec![0; n_name + 4];
    read.read_exact(&mut rest).map_err(|_| "it ends within its header".to_string())?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head);
    hasher.update(&rest[..n_name]);
    if hasher.finalize() != word(&rest, n_name) {
        return Err("its header is damaged".to_string());
    }
    rest.truncate(n_name);
    String::from_utf8(rest).map_err(|_| "its header is damaged".to_string())
}

/// Bytes of the header of a segment of `table`.
pub(crate) fn header_length(table: &str) -> u64 {
    24 + table.len() as u64
}

/// A whole frame that will stand at `offset` of its file.
pub(crate) fn frame(kind: FrameKind, n_rows: u32, offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEAD + payload.len());
    for word in [kind.number(), payload.len() as u32, n_rows] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let checksum = checksum(offset, &bytes, payload);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of the seal.
pub(crate) fn seal(n_rows: u64, n_batches: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n_rows.to_le_bytes());
    bytes[8..].copy_from_slice(&n_batches.to_le_bytes());
    bytes
}

impl FrameHead {
    /// Reads the bytes before a payload; `None`: no frame begins so.
    pub(crate) fn read(bytes: &[u8; FRAME_HEAD]) -> Option<FrameHead> {
        let kind = match word(bytes, 0) {
            1 => FrameKind::Schema,
            2 => FrameKind::Batch,
            3 => FrameKind::Seal,
            _ => return None,
        };
        let length = word(bytes, 4) as usize;
        let covered = *bytes.first_chunk().expect("12 of 16 bytes");
        let head =
            FrameHead { kind, length, n_rows: word(bytes, 8), checksum: word(bytes, 12), covered };
        (length <= MAX_PAYLOAD).then_some(head)
    }

    /// Whether this is the payload that was written at `offset`.
    pub(crate) fn fits(&self, offset: u64, payload: &[u8]) -> bool {
        payload.len() == self.length && checksum(offset, &self.covered, payload) == self.checksum
    }
}

impl FrameKind {
    fn number(self) -> u32 {
        match self {
            FrameKind::Schema => 1,
            FrameKind::Batch => 2,
            FrameKind::Seal => 3,
        }
    }
}

/// The place counts too: a frame that belongs elsewhere in the file, or in an earlier life of the disk, does not fit.
fn checksum(offset: u64, head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The test vectors of the specification.
    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(hex(bytes), expected);
        let readme = include_str!("../../README.md");
        assert!(readme.contains(expected), "{expected} is not in the specification");
    }

    #[test]
    fn the_layout_is_the_specified_one() {
        check(&header("losses", 7), "41465445525345470100000007000000060000006c6f737365732f8e517f");
        check(
            &frame(FrameKind::Seal, 0, 30, &seal(5, 2)),
            "0300000010000000000000002a345e7705000000000000000200000000000000",
        );
    }

    #[test]
    fn a_header_is_read_or_told_what_it_is() {
        let whole = header("packets", 3);
        assert_eq!(read_header(&whole[..]), Ok("packets".to_string()));
        assert_eq!(whole.len() as u64, header_length("packets"));
        for cut in 0..whole.len() {
            assert!(read_header(&whole[..cut]).is_err());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read_header(&bytes[..]).is_err(), "bit {bit}");
        }
    }
}
